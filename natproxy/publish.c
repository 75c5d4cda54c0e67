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
 *
 * Somebody who fills a port must not shut it for others, nor cost the guest what it needs itself. nat_admits shares
 * out a guest's connections; those that no guest has answered yet are shared out in the same way among ports and peers,
 * and half of the descriptors are never taken by connections from outside.
 */
#include <errno.h>

#include "derive.h"
#include "dgram.h"
#include "forward.h"
#include "portlog.h"
#include "publish.h"
#include "refuse.h"
#include "relay.h"
#include "reserve.h"

enum { ACCEPTS = 16, UDP_TOKEN = 0x40000000 };
static const uint64_t answer_ns = 30000000000, ask_again_ns = 5000000000;

void publish_stop(struct natproxy *np)
{
	for (uint32_t i = 0; i < np->publishes; i++) {
		struct publish *p = &np->publish[i];
		if (p->udp || p->fd < 0)
			continue;
		portlog_closed(np, p);
		natproxy_close_fd(np, p->fd, false);
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

/* It never became a flow. */
static void incoming_give_up(struct natproxy *np, struct incoming *in)
{
	derive_left(np, &in->derived);
	natproxy_close_fd(np, in->fd, true);
	incoming_end(np, in);
}

void publish_announce(struct natproxy *np, int fd, const struct sock_address *guest,
	const struct sock_address *peer, uint16_t rule, const struct derived *by)
{
	uint32_t token = 0;
	struct incoming *in = np->draining || np->config.closed ? NULL : incoming_take(np, &token);
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
		derive_left(np, by);
		if (in)
			incoming_end(np, in);
		return;
	}
	in->fd = fd;
	in->guest = *guest;
	in->peer = shown;
	in->real_ip_be = shown.ip_be != peer->ip_be ? peer->ip_be : 0;
	in->since_ns = np->now_ns;
	in->rule = rule;
	in->derived = *by;
	natproxy_publish_due(np, in->since_ns + answer_ns);
}

/* Whether another connection may wait for its guest. */
static bool may_wait(const struct natproxy *np, uint16_t rule, uint32_t shown_ip_be)
{
	const uint32_t left = NATPROXY_INCOMING - np->incomings;
	uint32_t of_rule = 0, of_peer = 0;
	for (uint32_t i = 0; np->incomings && i < NATPROXY_INCOMING; i++) {
		const struct incoming *in = &np->incoming[i];
		of_rule += in->used && in->rule == rule;
		of_peer += in->used && in->peer.ip_be == shown_ip_be;
	}
	return of_peer < nat_share(left, of_rule);
}

bool publish_admits(struct natproxy *np, const struct sock_address *guest,
	const struct sock_address *peer, uint16_t rule, uint32_t sessions)
{
	const uint32_t shown_ip_be = access_shown_as(&np->access, peer->ip_be);
	if (!natproxy_fd_room(np, false)) {
		natproxy_shortage(np, 0, NAT_TCP);
		return false;
	}
	if (refuse_new(np, NAT_TCP, guest, peer))
		return false;
	if (access_is_guest(&np->access, guest->ip_be) &&
		np->nat.incoming_tcp + np->incomings < np->config.sockets_max / 2 &&
		may_wait(np, rule, shown_ip_be) &&
		nat_admits(&np->nat, guest->ip_be, shown_ip_be, sessions))
		return true;
	drop_count(np->drops, DROP_FLOW_LIMIT);
	return false;
}

static void accept_some(struct natproxy *np, struct publish *p)
{
	static const struct derived nobody;
	const uint16_t rule = (uint16_t)(p - np->publish + 1);
	for (int i = 0; i < ACCEPTS; i++) {
		struct sock_address peer;
		const int fd = sock_accept(np->sock, p->fd, &peer);
		if (fd < 0)
			return;
		if (!natproxy_own(np, fd, OWNER_NONE, 0))
			continue;
		if (!publish_admits(np, &p->to, &peer, rule, p->sessions)) {
			natproxy_close_fd(np, fd, true);
			continue;
		}
		publish_announce(np, fd, &p->to, &peer, rule, &nobody);
	}
}

/* Takes the datagram that waits, and forgets it. */
static void discard(struct natproxy *np, const struct publish *p)
{
	struct iovec nowhere = {NULL, 0};
	struct sock_datagram d = {.piece = &nowhere, .pieces = 1};
	sock_receive(np->sock, p->fd, &d, 1);
}

/* Who waits at a UDP port and may come in; those who may not are sent away. */
static bool knocks(struct natproxy *np, const struct publish *p, struct sock_address *peer)
{
	for (int i = 0; i < ACCEPTS && sock_peek(np->sock, p->fd, peer) == 0; i++) {
		if (!access_is_guest(&np->access, p->to.ip_be))
			drop_count(np->drops, DROP_FILTERED);
		else if (!refuse_new(np, NAT_UDP, &p->to, peer))
			return true;
		discard(np, p);
	}
	return false;
}

uint32_t publish_ask(
	struct natproxy *np, const struct sock_address *guest, const struct sock_address *peer)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_INCOMING};
	np->last_token = (np->last_token + 1) % UDP_TOKEN;
	d.pair = (struct ring_pair){.guest_ip_be = guest->ip_be,
		.guest_port = guest->port,
		.remote_ip_be = access_shown_as(&np->access, peer->ip_be),
		.remote_port = peer->port,
		.token = UDP_TOKEN | np->last_token,
		.kind = DGRAM_UDP};
	natproxy_tell(np, LINK_DATA, &d);
	return d.pair.token;
}

/* The datagram stays in the socket until there is a flow. */
static void ask_for_flow(struct natproxy *np, struct publish *p)
{
	struct sock_address peer;
	if (!knocks(np, p, &peer))
		return;
	sock_watch(np->sock, p->fd, 0);
	p->asked_ns = np->now_ns;
	natproxy_publish_due(np, p->asked_ns + ask_again_ns);
	p->token = publish_ask(np, &p->to, &peer);
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
		if (!p->used || !p->udp || p->fd < 0 || p->attached ||
			p->to.ip_be != f->guest.ip_be || p->to.port != f->guest.port)
			continue;
		p->attached = true;
		p->token = 0;
		p->flow = f->id;
		f->fd = p->fd;
		f->published = true;
		f->rule = (uint16_t)(i + 1);
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

void publish_forget_derived(struct natproxy *np)
{
	for (uint32_t i = 0; np->incomings && i < NATPROXY_INCOMING; i++)
		np->incoming[i].derived.inspect = false;
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
	if (in)
		incoming_give_up(np, in);
	return 0;
}

static void give_up_waiting(struct natproxy *np)
{
	for (uint32_t i = 0; np->incomings && i < NATPROXY_INCOMING; i++) {
		struct incoming *in = &np->incoming[i];
		if (!in->used)
			continue;
		if (in->since_ns + answer_ns > np->now_ns) {
			natproxy_publish_due(np, in->since_ns + answer_ns);
			continue;
		}
		incoming_give_up(np, in);
	}
}

static void ask_again(struct natproxy *np)
{
	for (uint32_t i = 0; i < np->publishes; i++) {
		struct publish *p = &np->publish[i];
		if (!p->token)
			continue;
		if (p->asked_ns + ask_again_ns > np->now_ns) {
			natproxy_publish_due(np, p->asked_ns + ask_again_ns);
			continue;
		}
		p->token = 0;
		sock_watch(np->sock, p->fd, SOCK_READ);
	}
}

void publish_timeout(struct natproxy *np)
{
	if (!np->publish_due_ns || np->publish_due_ns > np->now_ns)
		return;
	np->publish_due_ns = 0;
	give_up_waiting(np);
	ask_again(np);
	reserve_timeout(np);
	forward_timeout(np);
}
