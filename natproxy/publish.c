/*
 * Theory of operation.
 *
 *   listener ─accept─▶ incoming[token] ─TCP_INCOMING▶ guest ─TCP_ACCEPTED(flow, token)▶ relay_adopt
 *                                                          ─TCP_REJECTED(token)───────▶ RST
 *   UDP socket ─DGRAM_INCOMING▶ guest's flow ─DGRAM_OPEN▶ socket becomes the flow's
 *   (the first datagram waits in the socket)
 *
 * The guest sees the peer's own address, so its logs and rules work; only an address that would be
 * nonsense on its wire is shown as the gateway's. A published UDP socket is used by its guest
 * endpoint in both directions and is lent, not given: it outlives the flow.
 */
#include <errno.h>

#include "log.h"
#include "portlog.h"
#include "publish.h"
#include "relay.h"

enum { IP_TEXT = 16, ACCEPTS = 16, UDP_TOKEN = 0x40000000, PRIVILEGED = 1024, PORT_BASE = 8000 };
static const uint64_t answer_ns = 30000000000, ask_again_ns = 5000000000;

static void say_failure(struct natproxy *np, const struct publish *p, int error)
{
	char ip[IP_TEXT];
	const char *protocol = p->udp ? "udp" : "tcp";
	log_ip(ip, p->listen.ip_be);
	if (error == -EADDRINUSE)
		natproxy_diagnostic(np,
			"cannot listen on %s:%u/%s: in use. Choose another port or see who has it: "
			"ss -tulnp",
			ip, p->listen.port, protocol);
	else if (error == -EACCES && p->listen.port < PRIVILEGED)
		natproxy_diagnostic(np,
			"port %u needs privilege (net.ipv4.ip_unprivileged_port_start=1024). Use "
			"--publish %u:%u.",
			p->listen.port, PORT_BASE + p->listen.port, p->to.port);
	else if (error == -EADDRNOTAVAIL)
		natproxy_diagnostic(np,
			"cannot listen on %s:%u/%s: not an address of this host. Choose one that "
			"is.",
			ip, p->listen.port, protocol);
	else
		natproxy_diagnostic(np,
			"cannot listen on %s:%u/%s: error %d. Choose another port or address.", ip,
			p->listen.port, protocol, -error);
}

void publish_start(struct natproxy *np)
{
	for (uint32_t i = 0; i < np->publishes; i++) {
		struct publish *p = &np->publish[i];
		const int fd = p->udp ? sock_udp(np->sock, &p->listen)
				      : sock_tcp_listen(np->sock, &p->listen, false);
		p->fd = -1;
		if (fd < 0) {
			say_failure(np, p, fd);
			continue;
		}
		if (!natproxy_own(np, fd, OWNER_PUBLISH, i))
			continue;
		p->fd = fd;
		sock_watch(np->sock, fd, SOCK_READ);
		portlog_opened(np, p);
	}
}

void publish_stop(struct natproxy *np)
{
	for (uint32_t i = 0; i < np->publishes; i++) {
		struct publish *p = &np->publish[i];
		if (p->fd >= 0)
			portlog_closed(np, p);
		if (p->fd >= 0 && !p->udp)
			natproxy_close_fd(np, p->fd, false);
		if (!p->udp)
			p->fd = -1;
	}
}

static struct incoming *incoming_take(struct natproxy *np, uint32_t *token)
{
	for (uint32_t i = 0; i < NATPROXY_INCOMING; i++) {
		struct incoming *in = &np->incoming[i];
		if (in->used)
			continue;
		*in = (struct incoming){
			.used = true, .generation = (uint16_t)(in->generation + 1) & 0x3fff};
		*token = (uint32_t)in->generation << 16 | (i + 1);
		np->incomings++;
		return in;
	}
	return NULL;
}

static struct incoming *incoming_find(struct natproxy *np, uint32_t token)
{
	const uint32_t i = (token & 0xffff) - 1;
	if (i >= NATPROXY_INCOMING)
		return NULL;
	struct incoming *in = &np->incoming[i];
	return in->used && in->generation == token >> 16 ? in : NULL;
}

static void incoming_end(struct natproxy *np, struct incoming *in)
{
	in->used = false;
	np->incomings--;
}

void publish_announce(struct natproxy *np, int fd, const struct sock_address *guest,
	const struct sock_address *peer)
{
	uint32_t token = 0;
	struct incoming *in = np->draining ? NULL : incoming_take(np, &token);
	struct ring_desc d = {.op = RING_NATPROXY_TCP_INCOMING};
	const struct sock_address shown = {access_shown_as(&np->access, peer->ip_be), peer->port};
	d.pair = (struct ring_pair){.guest_ip_be = guest->ip_be,
		.guest_port = guest->port,
		.remote_ip_be = shown.ip_be,
		.remote_port = shown.port,
		.token = token};
	if (!in || natproxy_tell(np, LINK_DATA, &d)) {
		natproxy_close_fd(np, fd, true);
		drop_count(np->drops, DROP_FLOW_TABLE);
		if (in)
			incoming_end(np, in);
		return;
	}
	in->fd = fd;
	in->guest = *guest;
	in->peer = shown;
	in->since_ns = np->now_ns;
}

static void accept_some(struct natproxy *np, struct publish *p)
{
	for (int i = 0; i < ACCEPTS; i++) {
		struct sock_address peer;
		const int fd = sock_accept(np->sock, p->fd, &peer);
		if (fd < 0)
			return;
		if (!natproxy_own(np, fd, OWNER_NONE, 0))
			continue;
		if (!natproxy_fd_room(np, false)) {
			natproxy_close_fd(np, fd, true);
			natproxy_shortage(np, 0, NAT_TCP);
			continue;
		}
		publish_announce(np, fd, &p->to, &peer);
	}
}

/* Asks netstack for a flow; the datagram stays in the socket until there is one. */
static void ask_for_flow(struct natproxy *np, struct publish *p)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_INCOMING};
	struct sock_address peer;
	if (sock_peek(np->sock, p->fd, &peer))
		return;
	np->last_token = (np->last_token + 1) % UDP_TOKEN;
	d.pair = (struct ring_pair){.guest_ip_be = p->to.ip_be,
		.guest_port = p->to.port,
		.remote_ip_be = access_shown_as(&np->access, peer.ip_be),
		.remote_port = peer.port,
		.token = UDP_TOKEN | np->last_token,
		.kind = DGRAM_UDP};
	sock_watch(np->sock, p->fd, 0);
	p->token = d.pair.token;
	p->asked_ns = np->now_ns;
	natproxy_tell(np, LINK_DATA, &d);
}

void publish_ready(struct natproxy *np, uint32_t i)
{
	struct publish *p = &np->publish[i];
	if (p->udp)
		ask_for_flow(np, p);
	else
		accept_some(np, p);
}

bool publish_attach(struct natproxy *np, struct flow *f)
{
	for (uint32_t i = 0; i < np->publishes; i++) {
		struct publish *p = &np->publish[i];
		if (!p->udp || p->fd < 0 || p->attached || p->to.ip_be != f->guest.ip_be ||
			p->to.port != f->guest.port)
			continue;
		p->attached = true;
		p->token = 0;
		p->flow = f->id;
		f->fd = p->fd;
		f->published = true;
		f->outside = p->listen;
		np->owner[f->fd] = (struct owner){OWNER_FLOW, flow_index(f->id)};
		f->watched = SOCK_READ;
		sock_watch(np->sock, f->fd, SOCK_READ);
		return true;
	}
	return false;
}

void publish_detach(struct natproxy *np, struct flow *f)
{
	for (uint32_t i = 0; i < np->publishes; i++) {
		struct publish *p = &np->publish[i];
		if (!p->attached || p->flow != f->id)
			continue;
		p->attached = false;
		np->owner[p->fd] = (struct owner){OWNER_PUBLISH, i};
		sock_watch(np->sock, p->fd, SOCK_READ);
	}
	f->published = false;
}

int natproxy_op_tcp_accepted(struct natproxy *np, const struct ring_desc *d)
{
	struct incoming *in = incoming_find(np, d->pair.token);
	struct flow *f = flow_new(np, d->flow, FLOW_TCP);
	if (!f)
		return -EPROTO;
	if (!in) {
		f->state = FLOW_DONE;
		flow_owe(np, f, OWED_RESET);
		return 0;
	}
	relay_adopt(np, f, in);
	incoming_end(np, in);
	return 0;
}

int natproxy_op_tcp_rejected(struct natproxy *np, const struct ring_desc *d)
{
	struct incoming *in = incoming_find(np, d->pair.token);
	if (!in)
		return 0;
	natproxy_close_fd(np, in->fd, true);
	incoming_end(np, in);
	return 0;
}

void publish_timeout(struct natproxy *np)
{
	for (uint32_t i = 0; np->incomings && i < NATPROXY_INCOMING; i++) {
		struct incoming *in = &np->incoming[i];
		if (!in->used || in->since_ns + answer_ns > np->now_ns)
			continue;
		natproxy_close_fd(np, in->fd, true);
		incoming_end(np, in);
	}
	for (uint32_t i = 0; i < np->publishes; i++) {
		struct publish *p = &np->publish[i];
		if (!p->token || p->asked_ns + ask_again_ns > np->now_ns)
			continue;
		p->token = 0;
		sock_watch(np->sock, p->fd, SOCK_READ);
	}
}

uint64_t publish_deadline(const struct natproxy *np)
{
	uint64_t soonest = UINT64_MAX;
	for (uint32_t i = 0; np->incomings && i < NATPROXY_INCOMING; i++)
		if (np->incoming[i].used && np->incoming[i].since_ns + answer_ns < soonest)
			soonest = np->incoming[i].since_ns + answer_ns;
	for (uint32_t i = 0; i < np->publishes; i++)
		if (np->publish[i].token && np->publish[i].asked_ns + ask_again_ns < soonest)
			soonest = np->publish[i].asked_ns + ask_again_ns;
	return soonest;
}
