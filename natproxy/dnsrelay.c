/*
 * Theory of operation. A question is copied (it may have to be asked again), gets a random id and a
 * socket on a random port that is connected to the resolver. Silence, a refusal or an ICMP error
 * moves it to the next resolver; when all have been asked the last answer goes through as it is, or
 * a SERVFAIL of our own, so that a guest is told at once rather than left waiting. The answer seems
 * to come from the gateway.
 */
#include <errno.h>
#include <string.h>

#include "dgram.h"
#include "dnsrelay.h"
#include "gather.h"

enum { ANSWER_TTL = 64 };

static void hand_over(
	struct natproxy *np, uint32_t flow, uint32_t small, uint32_t large, uint32_t bytes)
{
	const struct ring_remote from = {
		.ip_be = np->access.gateway_ip_be, .port = ACCESS_DNS_PORT, .ttl = ANSWER_TTL};
	const struct sock_address gateway = {from.ip_be, from.port};
	struct flow *f = flow_live(np, flow);
	const uint32_t session =
		f && f->kind == FLOW_UDP ? nat_find(&np->nat, flow, &gateway) : NAT_NONE;
	if (session) {
		struct nat_session *s = nat_session(&np->nat, session);
		s->to_guest_bytes += bytes;
		nat_touch(&np->nat, session, np->now_ns);
		gather_deliver(np, f, &from,
			&(struct gather_payload){.small = small, .large = large, .bytes = bytes});
		return;
	}
	arena_untake(np->arena, small);
	if (large)
		arena_untake(np->arena, large);
}

static void servfail(struct natproxy *np, uint32_t flow, const uint8_t *query, size_t n)
{
	const uint32_t small = arena_take(np->arena, BUF_SMALL, false);
	if (!small) {
		drop_count(np->drops, DROP_NO_BUFFER);
		return;
	}
	hand_over(np, flow, small, 0,
		(uint32_t)dnsredir_servfail(query, n, arena_ptr(np->arena, small)));
}

static void hang_up(struct natproxy *np, uint32_t ref)
{
	struct dnsredir_query *q = &np->dns.query[ref];
	if (q->fd >= 0)
		natproxy_close_fd(np, q->fd, false);
	q->fd = -1;
}

static void give_up(struct natproxy *np, uint32_t ref)
{
	const struct dnsredir_query *q = &np->dns.query[ref];
	uint8_t *bytes = np->dns.bytes[ref];
	bytes[0] = (uint8_t)(q->guest_id >> 8);
	bytes[1] = (uint8_t)q->guest_id;
	drop_count(np->drops, DROP_DNS_NO_UPSTREAM);
	servfail(np, q->flow, bytes, q->length);
	hang_up(np, ref);
	dnsredir_close(&np->dns, ref);
}

static bool ask_once(struct natproxy *np, uint32_t ref)
{
	struct dnsredir_query *q = &np->dns.query[ref];
	const struct sock_address to = {dnsredir_ask(&np->dns, ref, np->now_ns), ACCESS_DNS_PORT};
	struct iovec piece = {np->dns.bytes[ref], q->length};
	struct sock_datagram d = {.piece = &piece, .pieces = 1};
	if (!natproxy_fd_room(np, true))
		return false;
	const int fd = sock_udp_to(np->sock, &to);
	if (fd < 0 || !natproxy_own(np, fd, OWNER_QUERY, ref))
		return false;
	q->fd = fd;
	if (sock_send(np->sock, fd, &d, 1) != 1) {
		hang_up(np, ref);
		return false;
	}
	sock_watch(np->sock, fd, SOCK_READ);
	return true;
}

/* Asks the resolver whose turn it is, and on failure those after it. */
static void ask(struct natproxy *np, uint32_t ref)
{
	while (!ask_once(np, ref))
		if (!dnsredir_next_resolver(&np->dns, ref)) {
			give_up(np, ref);
			return;
		}
}

static void ask_next(struct natproxy *np, uint32_t ref)
{
	hang_up(np, ref);
	if (dnsredir_next_resolver(&np->dns, ref))
		ask(np, ref);
	else
		give_up(np, ref);
}

/* Bytes [at, at + bytes) of a descriptor's payload; 0 when they are too many for a query. */
static size_t copy_query(
	struct natproxy *np, const struct ring_desc *d, uint32_t at, uint32_t bytes, uint8_t *out)
{
	size_t n = 0;
	if (bytes > DNSREDIR_QUERY_BYTES)
		return 0;
	for (unsigned int i = 0; i < d->nseg && n < bytes; i++) {
		const struct ring_seg *s = &d->seg[i];
		if (at >= s->len) {
			at -= s->len;
			continue;
		}
		const size_t take = s->len - at < bytes - n ? s->len - at : bytes - n;
		memcpy(out + n, arena_view_ptr(np->view, s->id, s->off + at), take);
		n += take;
		at = 0;
	}
	return n;
}

static void take_query(struct natproxy *np, struct flow *f, const uint8_t *query, size_t n)
{
	if (!dnsredir_is_query(query, n)) {
		drop_count(np->drops, DROP_DNS_BAD);
		return;
	}
	if (!np->dns.resolver_count) {
		drop_count(np->drops, DROP_DNS_NO_UPSTREAM);
		servfail(np, f->id, query, n);
		return;
	}
	const uint32_t ref = dnsredir_open(
		&np->dns, f->id, f->guest.ip_be, query, n, (uint16_t)natproxy_random(np));
	if (!ref) {
		drop_count(np->drops, DROP_RATE_LIMIT);
		return;
	}
	ask(np, ref);
}

void dnsrelay_query(struct natproxy *np, struct flow *f, const struct ring_desc *d)
{
	const uint32_t bytes = dgram_bytes(d), each = d->hlen ? d->hlen : bytes;
	uint8_t query[DNSREDIR_QUERY_BYTES];
	uint32_t at = 0;
	do {
		const uint32_t n = bytes - at < each ? bytes - at : each;
		take_query(np, f, query, copy_query(np, d, at, n, query));
		at += n;
	} while (at < bytes);
	natproxy_return_payload(np, d);
}

void dnsrelay_ready(struct natproxy *np, uint32_t ref)
{
	struct datagram_slot *slot = &np->slot[0];
	struct dnsredir_query *q = &np->dns.query[ref];
	if (!gather_buffers(np, slot)) {
		drop_count(np->drops, DROP_NO_BUFFER);
		ask_next(np, ref);
		return;
	}
	/* an answer is judged as one piece of memory: the small buffer, or the large one when it
	 * was long */
	struct iovec piece = {arena_ptr(np->arena, slot->large), ARENA_LARGE_BYTES};
	struct sock_datagram d = {.piece = &piece, .pieces = 1};
	const int r = sock_receive(np->sock, q->fd, &d, 1);
	if (r == -EAGAIN)
		return;
	uint8_t *bytes = arena_ptr(np->arena, slot->large);
	const enum dnsredir_reply reply =
		r == 1 ? dnsredir_reply(&np->dns, ref, bytes, d.bytes) : DNSREDIR_USELESS;
	if (reply == DNSREDIR_FOREIGN)
		return;
	if (r != 1 || (reply == DNSREDIR_USELESS && q->tried < np->dns.resolver_count)) {
		ask_next(np, ref);
		return;
	}
	const uint32_t flow = q->flow, small = slot->small, n = d.bytes;
	const uint32_t first = n < ARENA_SMALL_BYTES ? n : ARENA_SMALL_BYTES;
	memcpy(arena_ptr(np->arena, small), bytes, first);
	slot->small = 0;
	uint32_t large = 0;
	if (n > first) {
		memmove(bytes, bytes + first, n - first);
		large = slot->large;
		slot->large = 0;
	}
	hang_up(np, ref);
	dnsredir_close(&np->dns, ref);
	hand_over(np, flow, small, large, n);
}

void dnsrelay_timeout(struct natproxy *np)
{
	uint32_t ref;
	while ((ref = dnsredir_expired(&np->dns, np->now_ns)))
		ask_next(np, ref);
}
