/*
 * Theory of operation. Bytes written by one side lie in the pipe at once and can be read when the event that carries
 * their end offset arrives, a latency later. Room comes back to the writer a latency after the read. A reset overtakes
 * nothing: it is an event of its own, after which the other side's reads and writes fail.
 */
#include "internet_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

static struct conn *conns; /* all that ever were: events may still name them */

static struct service {
	uint32_t ip;
	uint16_t port;
	void (*accept)(struct peer *p, void *arg);
	void *arg;
} service[INTERNET_SERVICES];
static size_t services;

struct arrival {
	struct conn *c;
	enum side at;
	enum { ARRIVE_BYTES, ARRIVE_FIN, ARRIVE_RESET, ARRIVE_ROOM, ARRIVE_ANSWER } what;
	uint64_t offset;
};

struct conn *conn_new(const struct sock_address *local, const struct sock_address *remote)
{
	struct conn *c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	c->next = conns;
	conns = c;
	c->local = *local;
	c->remote = *remote;
	c->fd = -1;
	for (int i = 0; i < 2; i++) {
		c->open[i] = true;
		c->to[i].bytes = malloc(INTERNET_BUFFER);
		if (!c->to[i].bytes)
			abort();
	}
	return c;
}

static struct conn *conn_of(struct peer *p)
{
	return (struct conn *)((char *)p - offsetof(struct conn, peer));
}

static void notify(struct conn *c, enum side at)
{
	if (!c->open[at])
		return;
	if (at == HOST_SIDE)
		sock_sim_event(c);
	else if (c->peer.event)
		c->peer.event(&c->peer);
}

static void send_reset(struct conn *c, enum side to);

static void arrive(void *arg)
{
	struct arrival a = *(struct arrival *)arg;
	struct pipe *p = &a.c->to[a.at];
	free(arg);
	if (a.what == ARRIVE_BYTES)
		p->arrived = a.offset;
	if (a.what == ARRIVE_FIN)
		p->fin_arrived = true;
	if (a.what == ARRIVE_RESET) {
		a.c->reset[a.at] = true;
		a.c->peer.reset |= a.at == FAR_SIDE;
	}
	if (a.what == ARRIVE_ANSWER)
		a.c->decided = true;
	if (a.what == ARRIVE_BYTES && !a.c->open[a.at] && !a.c->reset[a.at])
		send_reset(a.c, a.at == HOST_SIDE ? FAR_SIDE : HOST_SIDE);
	notify(a.c, a.at);
}

static void travel(struct conn *c, enum side to, int what, uint64_t offset, uint64_t delay_ns)
{
	struct arrival *a = malloc(sizeof(*a));
	if (!a)
		abort();
	a->c = c;
	a->at = to;
	a->what = what;
	a->offset = offset;
	clock_at(clock_ns() + delay_ns, arrive, a);
}

static void send_reset(struct conn *c, enum side to)
{
	travel(c, to, ARRIVE_RESET, 0, INTERNET_LATENCY_NS);
}

ssize_t pipe_write(struct conn *c, enum side to, const void *bytes, size_t n)
{
	struct pipe *p = &c->to[to];
	enum side from = to == HOST_SIDE ? FAR_SIDE : HOST_SIDE;
	uint64_t room = INTERNET_BUFFER - (p->written - p->read);
	if (c->reset[from])
		return -ECONNRESET;
	if (p->fin_sent)
		return -EPIPE;
	n = n < room ? n : room;
	if (!n)
		return -EAGAIN;
	for (size_t i = 0; i < n && p->bytes; i++)
		p->bytes[(p->written + i) % INTERNET_BUFFER] = ((const uint8_t *)bytes)[i];
	p->written += n;
	travel(c, to, ARRIVE_BYTES, p->written, INTERNET_LATENCY_NS);
	return (ssize_t)n;
}

ssize_t pipe_read(struct conn *c, enum side at, void *bytes, size_t n)
{
	struct pipe *p = &c->to[at];
	uint64_t have = p->arrived - p->read;
	if (c->reset[at])
		return -ECONNRESET;
	if (!have)
		return p->fin_arrived ? 0 : -EAGAIN;
	n = n < have ? n : have;
	for (size_t i = 0; i < n; i++)
		((uint8_t *)bytes)[i] = p->bytes[(p->read + i) % INTERNET_BUFFER];
	p->read += n;
	travel(c, at == HOST_SIDE ? FAR_SIDE : HOST_SIDE, ARRIVE_ROOM, 0, INTERNET_LATENCY_NS);
	return (ssize_t)n;
}

void conn_finish(struct conn *c, enum side from)
{
	enum side to = from == HOST_SIDE ? FAR_SIDE : HOST_SIDE;
	if (c->to[to].fin_sent)
		return;
	c->to[to].fin_sent = true;
	travel(c, to, ARRIVE_FIN, 0, INTERNET_LATENCY_NS);
}

/* As a kernel does: closing with unread bytes is a reset. */
void conn_close(struct conn *c, enum side from, bool reset)
{
	enum side to = from == HOST_SIDE ? FAR_SIDE : HOST_SIDE;
	bool unread = c->to[from].arrived != c->to[from].read;
	if (!c->open[from])
		return;
	c->open[from] = false;
	if ((reset || unread) && c->established && !c->reset[from])
		send_reset(c, to);
	else if (c->established)
		conn_finish(c, from);
	if (c->open[to])
		return;
	for (int i = 0; i < 2; i++) {
		free(c->to[i].bytes);
		c->to[i].bytes = NULL;
	}
}

static struct service *service_at(uint32_t ip, uint16_t port)
{
	for (size_t i = 0; i < services; i++)
		if (service[i].ip == ip && service[i].port == port)
			return &service[i];
	return NULL;
}

void internet_serve(
	uint32_t ip, uint16_t port, void (*accept)(struct peer *p, void *arg), void *arg)
{
	struct service *s = service_at(ip, port);
	if (!s && services == INTERNET_SERVICES)
		abort();
	if (!s)
		s = &service[services++];
	*s = (struct service){ip, port, accept, arg};
}

static void syn_arrives(void *arg)
{
	struct conn *c = arg;
	struct service *s = service_at(ntohl(c->remote.ip_be), c->remote.port);
	travel(c, HOST_SIDE, ARRIVE_ANSWER, 0, INTERNET_LATENCY_NS);
	if (!s) {
		c->error = -ECONNREFUSED;
		return;
	}
	c->established = true;
	c->peer.ip = ntohl(c->local.ip_be);
	c->peer.port = c->local.port;
	c->peer.connected = true;
	s->accept(&c->peer, s->arg);
}

void conn_connect(struct conn *c)
{
	if (ntohl(c->remote.ip_be) >> 8 != SERVER_IP >> 8) {
		c->error = -ETIMEDOUT;
		travel(c, HOST_SIDE, ARRIVE_ANSWER, 0, INTERNET_TIMEOUT_NS);
		return;
	}
	clock_at(clock_ns() + INTERNET_LATENCY_NS, syn_arrives, c);
}

static void call_arrives(void *arg)
{
	struct conn *c = arg;
	c->established = sock_sim_incoming(c);
	c->peer.connected = c->established;
	c->peer.failed = !c->established;
	travel(c, FAR_SIDE, ARRIVE_ANSWER, 0, INTERNET_LATENCY_NS);
}

struct peer *internet_call(uint32_t from_ip, uint16_t from_port, uint16_t host_port,
	void (*event)(struct peer *p), void *app)
{
	const struct sock_address host = {htonl(HOST_IP), host_port},
				  far = {htonl(from_ip), from_port};
	struct conn *c = conn_new(&host, &far);
	c->peer = (struct peer){.event = event, .app = app, .ip = HOST_IP, .port = host_port};
	clock_at(clock_ns() + INTERNET_LATENCY_NS, call_arrives, c);
	return &c->peer;
}

ssize_t peer_write(struct peer *p, const void *bytes, size_t n)
{
	return pipe_write(conn_of(p), HOST_SIDE, bytes, n);
}

ssize_t peer_read(struct peer *p, void *bytes, size_t n)
{
	return pipe_read(conn_of(p), FAR_SIDE, bytes, n);
}

void peer_finish(struct peer *p)
{
	conn_finish(conn_of(p), FAR_SIDE);
}

void peer_reset(struct peer *p)
{
	conn_close(conn_of(p), FAR_SIDE, true);
}

void peer_close(struct peer *p)
{
	conn_close(conn_of(p), FAR_SIDE, false);
}
