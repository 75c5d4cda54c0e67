/*
 * Theory of operation. natproxy/sock.h over internet.c: a table of descriptors from 16 up, the lowest free one first as
 * a kernel does, so that numbers come back soon. Watching is natproxy/watch.c's, over the loop of actors.c, which asks
 * sock_sim_ready.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "actors.h"
#include "clock.h"
#include "internet_inside.h"

enum {
	FIRST_FD = 16,
	FDS = 4096,
	DATAGRAMS = 64,
	ACCEPTS = 64,
	EPHEMERAL = 32768,
	DATAGRAM_BYTES = 65535,
	TTL = 55
};

struct datagram {
	struct sock_address from;
	uint32_t bytes;
	uint8_t *data;
};

struct sock {
	enum { SOCK_FREE, SOCK_TCP, SOCK_LISTENER, SOCK_UDP, SOCK_PING } kind;
	uint32_t life; /* a descriptor that came back is another socket */
	struct conn *conn;
	struct conn *accepted[ACCEPTS];
	uint32_t waiting; /* of accepted[] or datagram[] */
	uint16_t port;
	struct sock_address to; /* a socket that talks to one peer only */
	struct datagram datagram[DATAGRAMS];
	struct sock_error error;
	bool has_error;
};

struct delivery { /* a datagram or an error on its way to a descriptor */
	int fd;
	uint32_t life;
	struct datagram d;
	struct sock_error error;
};

static struct sock socks[FDS];
static uint32_t lives, open_sockets;
static uint16_t ephemeral = EPHEMERAL;
static uint64_t answered;
static struct {
	struct sock_address at;
	void (*heard)(uint16_t host_port, const uint8_t *bytes, size_t n);
} service;

uint64_t internet_answered(void)
{
	return answered;
}

uint32_t internet_sockets(void)
{
	return open_sockets;
}

static int fd_new(int kind)
{
	for (int fd = FIRST_FD; fd < FDS; fd++) {
		if (socks[fd].kind != SOCK_FREE)
			continue;
		socks[fd] = (struct sock){.kind = kind, .life = ++lives};
		open_sockets++;
		return fd;
	}
	return -EMFILE;
}

static bool port_in_use(int kind, uint16_t port)
{
	for (int fd = FIRST_FD; fd < FDS; fd++)
		if ((int)socks[fd].kind == kind && socks[fd].port == port)
			return true;
	return false;
}

static uint16_t port_or_any(uint16_t port)
{
	if (port)
		return port;
	if (++ephemeral < EPHEMERAL)
		ephemeral = EPHEMERAL;
	return ephemeral;
}

int sock_sim_ready(int fd)
{
	const struct sock *s = &socks[fd];
	const struct conn *c = s->conn;
	if (s->kind != SOCK_TCP)
		return (s->waiting || s->has_error ? EV_READ : 0) |
		       (s->kind == SOCK_UDP || s->kind == SOCK_PING ? EV_WRITE : 0);
	if (!c->decided)
		return 0;
	if (c->error || c->reset[HOST_SIDE])
		return EV_READ | EV_WRITE;
	return (c->to[HOST_SIDE].arrived != c->to[HOST_SIDE].read || c->to[HOST_SIDE].fin_arrived
			       ? EV_READ
			       : 0) |
	       (c->to[FAR_SIDE].written - c->to[FAR_SIDE].read < INTERNET_BUFFER ? EV_WRITE : 0);
}

void sock_sim_event(struct conn *c)
{
	actors_kick(ACTOR_NATPROXY);
}

/* TCP. */

int sock_tcp_connect(struct sock_host *h, const struct sock_place *from, bool alone,
	const struct sock_address *to, const struct sock_age *age)
{
	const struct sock_address local = {htonl(HOST_IP), port_or_any(from->at.port)};
	int fd;
	if (port_in_use(SOCK_LISTENER, local.port))
		return -EADDRINUSE;
	fd = fd_new(SOCK_TCP);
	if (fd < 0)
		return fd;
	socks[fd].conn = conn_new(&local, to);
	socks[fd].conn->fd = fd;
	conn_connect(socks[fd].conn);
	return fd;
}

void sock_forgive(struct sock_host *h, int fd)
{
}

int sock_connect_result(struct sock_host *h, int fd)
{
	return socks[fd].conn->decided ? socks[fd].conn->error : -EINPROGRESS;
}

int sock_tcp_listen(struct sock_host *h, const struct sock_place *at, bool alone)
{
	uint16_t port = port_or_any(at->at.port);
	int fd;
	if (port_in_use(SOCK_LISTENER, port))
		return -EADDRINUSE;
	fd = fd_new(SOCK_LISTENER);
	if (fd >= 0)
		socks[fd].port = port;
	return fd;
}

bool sock_sim_incoming(struct conn *c)
{
	for (int fd = FIRST_FD; fd < FDS; fd++) {
		struct sock *s = &socks[fd];
		if (s->kind != SOCK_LISTENER || s->port != c->local.port || s->waiting == ACCEPTS)
			continue;
		s->accepted[s->waiting++] = c;
		actors_kick(ACTOR_NATPROXY);
		return true;
	}
	return false;
}

int sock_accept(struct sock_host *h, int fd, struct sock_address *peer)
{
	struct sock *s = &socks[fd];
	struct conn *c = s->accepted[0];
	int got;
	if (!s->waiting)
		return -EAGAIN;
	got = fd_new(SOCK_TCP);
	if (got < 0)
		return got;
	memmove(s->accepted, s->accepted + 1, --s->waiting * sizeof(s->accepted[0]));
	c->decided = true;
	c->fd = got;
	socks[got].conn = c;
	*peer = c->remote;
	return got;
}

int sock_local(struct sock_host *h, int fd, struct sock_address *out)
{
	const struct sock *s = &socks[fd];
	*out = s->kind == SOCK_TCP ? s->conn->local
				   : (struct sock_address){htonl(HOST_IP), s->port};
	return 0;
}

int sock_source(
	struct sock_host *h, const struct sock_address *to, const char *device, uint32_t *ip_be)
{
	*ip_be = htonl(HOST_IP);
	return 0;
}

bool sock_stranded(struct sock_host *h, int fd)
{
	return false;
}

ssize_t sock_write(
	struct sock_host *h, int fd, const struct iovec *piece, size_t pieces, bool urgent)
{
	ssize_t done = 0;
	for (size_t i = 0; i < pieces; i++) {
		ssize_t n =
			pipe_write(socks[fd].conn, FAR_SIDE, piece[i].iov_base, piece[i].iov_len);
		if (n < 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < piece[i].iov_len)
			return done;
	}
	return done;
}

ssize_t sock_read(struct sock_host *h, int fd, const struct iovec *piece, size_t pieces)
{
	ssize_t done = 0;
	for (size_t i = 0; i < pieces; i++) {
		ssize_t n =
			pipe_read(socks[fd].conn, HOST_SIDE, piece[i].iov_base, piece[i].iov_len);
		if (n <= 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < piece[i].iov_len)
			return done;
	}
	return done;
}

bool sock_at_mark(struct sock_host *h, int fd)
{
	return false;
}

int sock_finish(struct sock_host *h, int fd)
{
	conn_finish(socks[fd].conn, HOST_SIDE);
	return 0;
}

void sock_unlist(struct sock_host *h, int fd)
{
	if (socks[fd].kind == SOCK_FREE)
		abort(); /* closed before */
}

void sock_close(struct sock_host *h, int fd, bool reset)
{
	struct sock *s = &socks[fd];
	if (s->kind == SOCK_FREE)
		abort(); /* closed twice */
	sock_forget(h, fd);
	if (s->kind == SOCK_TCP)
		conn_close(s->conn, HOST_SIDE, reset);
	else if (s->kind == SOCK_LISTENER)
		for (uint32_t i = 0; i < s->waiting; i++)
			conn_close(s->accepted[i], HOST_SIDE, true);
	else
		for (uint32_t i = 0; i < s->waiting; i++)
			free(s->datagram[i].data);
	s->kind = SOCK_FREE;
	s->waiting = 0;
	open_sockets--;
}

/* Datagrams. */

static void deliver(void *arg)
{
	struct delivery *v = arg;
	struct sock *s = &socks[v->fd];
	bool there = s->kind != SOCK_FREE && s->life == v->life;
	if (there && v->error.type) {
		s->error = v->error;
		s->has_error = true;
	} else if (there && s->waiting < DATAGRAMS) {
		s->datagram[s->waiting++] = v->d;
		v->d.data = NULL;
	}
	free(v->d.data);
	free(v);
	actors_kick(ACTOR_NATPROXY);
}

/* A query comes back as an answer with one A record; everything else comes back as it is. */
static void answer_query(struct datagram *d)
{
	static const uint8_t record[] = {
		0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 80};
	if (d->bytes < 12)
		return;
	d->data[2] |= 0x80;
	d->data[3] |= 0x80;
	d->data[7] = 1;
	memcpy(d->data + d->bytes, record, sizeof(record));
	d->bytes += sizeof(record);
}

/* Bytes [at, at + bytes) of a message as a datagram of their own. */
static void gather(
	const struct sock_datagram *in, uint32_t at, uint32_t bytes, struct datagram *out)
{
	out->data = malloc(DATAGRAM_BYTES + 64);
	if (!out->data || bytes > DATAGRAM_BYTES)
		abort();
	for (uint32_t i = 0; i < in->pieces && out->bytes < bytes; i++) {
		const uint32_t length = (uint32_t)in->piece[i].iov_len;
		if (at >= length) {
			at -= length;
			continue;
		}
		const uint32_t left = bytes - out->bytes,
			       n = length - at < left ? length - at : left;
		memcpy(out->data + out->bytes, (const uint8_t *)in->piece[i].iov_base + at, n);
		out->bytes += n;
		at = 0;
	}
}

static bool answers(const struct sock *s, const struct sock_address *to)
{
	uint32_t ip = ntohl(to->ip_be);
	if (s->kind == SOCK_PING)
		return true;
	return to->port == UDP_ECHO_PORT || (ip == RESOLVER_IP && to->port == 53);
}

static void send_one(int fd, const struct sock_datagram *in, uint32_t at, uint32_t bytes)
{
	struct sock *s = &socks[fd];
	struct sock_address to = in->peer.ip_be ? in->peer : s->to;
	struct delivery *v;
	if (ntohl(to.ip_be) >> 8 != SERVER_IP >> 8)
		return;
	v = calloc(1, sizeof(*v));
	if (!v)
		abort();
	v->fd = fd;
	v->life = s->life;
	v->d.from = to;
	gather(in, at, bytes, &v->d);
	if (service.heard && to.ip_be == service.at.ip_be && to.port == service.at.port) {
		service.heard(s->port, v->d.data, v->d.bytes);
		free(v->d.data);
		free(v);
		return;
	}
	if (!answers(s, &to))
		v->error = (struct sock_error){
			.to = to, .offender_ip_be = to.ip_be, .type = 3, .code = 3};
	else if (s->kind == SOCK_PING)
		v->d.data[0] = 0;
	else if (to.port == 53)
		answer_query(&v->d);
	answered += !v->error.type;
	clock_at(clock_ns() + 2 * INTERNET_LATENCY_NS, deliver, v);
}

/* Cuts a run, as the kernel does. */
static void send_message(int fd, const struct sock_datagram *in)
{
	uint32_t bytes = 0, at = 0;
	for (uint32_t i = 0; i < in->pieces; i++)
		bytes += (uint32_t)in->piece[i].iov_len;
	const uint32_t each = in->segment ? in->segment : bytes;
	do {
		const uint32_t n = bytes - at < each ? bytes - at : each;
		send_one(fd, in, at, n);
		at += n;
	} while (at < bytes);
}

void internet_serve_datagrams(uint32_t ip, uint16_t port,
	void (*heard)(uint16_t host_port, const uint8_t *bytes, size_t n))
{
	service.at = (struct sock_address){htonl(ip), port};
	service.heard = heard;
}

void internet_say(uint16_t host_port, const void *bytes, size_t n)
{
	struct delivery *v = calloc(1, sizeof(*v));
	if (!v || n > DATAGRAM_BYTES)
		abort();
	v->d = (struct datagram){service.at, (uint32_t)n, malloc(n)};
	if (!v->d.data)
		abort();
	memcpy(v->d.data, bytes, n);
	for (v->fd = FIRST_FD; v->fd < FDS; v->fd++)
		if (socks[v->fd].kind == SOCK_UDP && socks[v->fd].port == host_port)
			break;
	if (v->fd == FDS) {
		free(v->d.data);
		free(v);
		return;
	}
	v->life = socks[v->fd].life;
	clock_at(clock_ns() + 2 * INTERNET_LATENCY_NS, deliver, v);
}

int sock_udp(struct sock_host *h, const struct sock_place *at)
{
	uint16_t port = port_or_any(at->at.port);
	int fd;
	if (port_in_use(SOCK_UDP, port))
		return -EADDRINUSE;
	fd = fd_new(SOCK_UDP);
	if (fd >= 0)
		socks[fd].port = port;
	return fd;
}

/* The supervisor of the simulation has nothing to give. */
int sock_adopt(struct sock_host *h, int fd, const struct sock_place *at, bool udp)
{
	return -EPROTO;
}

int sock_adopt_bound(struct sock_host *h, int fd, struct sock_place *at)
{
	return -EPROTO;
}

int sock_tcp_connect_by(
	struct sock_host *h, int fd, const struct sock_address *to, const struct sock_age *age)
{
	return -EADDRNOTAVAIL;
}

int sock_tcp_listen_by(struct sock_host *h, int fd)
{
	return -EADDRINUSE;
}

void sock_rest(struct sock_host *h, int fd, bool reset)
{
	sock_forget(h, fd);
}

bool sock_unsent(struct sock_host *h, int fd)
{
	return false;
}

int sock_adopt_raw(struct sock_host *h, int fd, uint8_t protocol)
{
	return -EPROTO;
}

int sock_udp_to(struct sock_host *h, const struct sock_address *peer, const char *device)
{
	const struct sock_place any = {0};
	int fd = sock_udp(h, &any);
	if (fd >= 0)
		socks[fd].to = *peer;
	return fd;
}

int sock_echo(struct sock_host *h, const struct sock_place *place)
{
	int fd = fd_new(SOCK_PING);
	if (fd >= 0)
		socks[fd].port = place->at.port;
	return fd;
}

void sock_fragment(struct sock_host *h, int fd, bool allowed)
{
}

int sock_send(struct sock_host *h, int fd, const struct sock_datagram *batch, int count)
{
	for (int i = 0; i < count; i++)
		send_message(fd, &batch[i]);
	return count;
}

static void receive_one(struct sock *s, struct sock_datagram *out)
{
	struct datagram d = s->datagram[0];
	uint32_t done = 0;
	memmove(s->datagram, s->datagram + 1, --s->waiting * sizeof(d));
	for (uint32_t i = 0; i < out->pieces && done < d.bytes; i++) {
		size_t n = out->piece[i].iov_len < d.bytes - done ? out->piece[i].iov_len
								  : d.bytes - done;
		memcpy(out->piece[i].iov_base, d.data + done, n);
		done += (uint32_t)n;
	}
	out->bytes = done;
	out->truncated = done < d.bytes;
	out->segment = 0;
	out->lost = 0;
	out->peer = d.from;
	out->ttl = TTL;
	out->tos = 0;
	free(d.data);
}

int sock_receive(struct sock_host *h, int fd, struct sock_datagram *batch, int count)
{
	struct sock *s = &socks[fd];
	int n = 0;
	while (n < count && s->waiting)
		receive_one(s, &batch[n++]);
	return n ? n : -EAGAIN;
}

int sock_peek(struct sock_host *h, int fd, struct sock_address *peer)
{
	if (!socks[fd].waiting)
		return -EAGAIN;
	*peer = socks[fd].datagram[0].from;
	return 0;
}

int sock_receive_error(struct sock_host *h, int fd, bool echo, struct sock_error *out)
{
	struct sock *s = &socks[fd];
	if (!s->has_error)
		return 0;
	*out = s->error;
	s->has_error = false;
	return 1;
}
