/*
 * Theory of operation.
 *
 *   datagram ─▶ dnsmsg_query ─┬▶ dnslocal ─▶ answer
 *                             ├▶ dnscache ─▶ answer                        no socket, no system call
 *                             └▶ dnsredir ─▶ socket ─▶ server ─▶ dnscache, answer to all who wait
 *
 * Silence, a refusal or an ICMP error moves a question to the next server; when all have been asked
 * the last answer goes through as it is, or a SERVFAIL of our own, so that a guest is told rather than
 * left waiting. The answer seems to come from the gateway, and goes nowhere but to the flow that asked.
 *
 * What is no question is answered by no more bytes than it had, or not at all. Updates and
 * notifications are refused here: they would reach a server under this computer's address, which may
 * be allowed more than a guest is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "dgram.h"
#include "dns.h"
#include "dnsrelay.h"
#include "gather.h"
#include "inspect_dgram.h"

enum { ANSWER_TTL = 64, SILENCE_TTL_S = 1 /* RFC 9520 3.2: at least */ };

/* What belongs to an inspected session. True: it was copied. */
static bool inspect(struct natproxy *np, struct flow *f, uint32_t session,
	const struct ring_remote *from, const struct gather_payload *p)
{
	struct iovec piece[2] = {{arena_ptr(np->arena, p->small), p->bytes}};
	const struct inspect_run run = {
		.piece = piece, .pieces = p->large ? 2 : 1, .bytes = p->bytes, .remote = *from};
	if (p->large) {
		piece[0].iov_len = ARENA_SMALL_BYTES;
		piece[1] = (struct iovec){
			arena_ptr(np->arena, p->large), p->bytes - ARENA_SMALL_BYTES};
	}
	return inspect_dgram(np, f, session, NL__DIRECTION__OUTSIDE, &run);
}

/* Hands a guest its answer. Takes the buffers. */
static void hand_over(
	struct natproxy *np, uint32_t flow, uint32_t small, uint32_t large, uint32_t bytes)
{
	const struct ring_remote from = {
		.ip_be = np->access.gateway_ip_be, .port = ACCESS_DNS_PORT, .ttl = ANSWER_TTL};
	const struct sock_address gateway = {from.ip_be, from.port};
	struct flow *f = flow_live(np, flow);
	const uint32_t session =
		f && f->kind == FLOW_UDP ? nat_find(&np->nat, flow, &gateway) : NAT_NONE;
	const struct gather_payload payload = {.small = small, .large = large, .bytes = bytes};
	if (session) {
		struct nat_session *s = nat_session(&np->nat, session);
		s->to_guest_bytes += bytes;
		nat_touch(&np->nat, session, np->now_ns);
		if (!s->inspect || !inspect(np, f, session, &from, &payload)) {
			gather_deliver(np, f, &from, &payload);
			return;
		}
	}
	arena_untake(np->arena, small);
	if (large)
		arena_untake(np->arena, large);
}

static uint32_t take_buffer(struct natproxy *np, enum buf_class c)
{
	const uint32_t id = arena_take(np->arena, c, false);
	if (!id)
		drop_count(np->drops, DROP_NO_BUFFER);
	return id;
}

static void refuse(
	struct natproxy *np, uint32_t flow, const uint8_t *query, size_t n, enum dnsmsg_rcode rcode)
{
	const uint32_t small = take_buffer(np, BUF_SMALL);
	if (small)
		hand_over(np, flow, small, 0,
			(uint32_t)dnsmsg_refusal(query, n, rcode, arena_ptr(np->arena, small)));
}

static void note_addresses(struct natproxy *np, uint32_t guest_ip_be,
	const struct dnsmsg_question *q, const uint8_t *answer, const uint16_t *at, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t ip_be;
		memcpy(&ip_be, answer + at[i], sizeof(ip_be));
		dnsnames_note(&np->dns_names, guest_ip_be, ip_be, q->name, q->name_bytes);
	}
}

/* A message that answers question `ref` goes to one of those who wait for it. */
static void deliver(
	struct natproxy *np, uint32_t ref, uint32_t asker, const uint8_t *bytes, size_t n)
{
	const size_t first = n < ARENA_SMALL_BYTES ? n : ARENA_SMALL_BYTES;
	const uint32_t small = take_buffer(np, BUF_SMALL);
	uint32_t large = 0;
	if (!small)
		return;
	uint8_t *out = arena_ptr(np->arena, small);
	memcpy(out, bytes, first);
	n = dnsredir_address(&np->dns, ref, asker, out, n);
	if (n > first) {
		large = take_buffer(np, BUF_LARGE);
		if (!large) {
			arena_untake(np->arena, small);
			return;
		}
		memcpy(arena_ptr(np->arena, large), bytes + first, n - first);
	}
	hand_over(np, np->dns.asker[asker].flow, small, large, (uint32_t)n);
}

static void hang_up(struct natproxy *np, uint32_t ref)
{
	struct dnsredir_query *q = &np->dns.query[ref];
	if (q->fd >= 0)
		natproxy_close_fd(np, q->fd, false);
	q->fd = -1;
}

/* The end of a question: everybody gets this message, and it is kept if that is worth it. */
static void answer_all(struct natproxy *np, uint32_t ref, const uint8_t *bytes, size_t n,
	const struct dnsmsg_answer *a)
{
	const struct dnsredir *d = &np->dns;
	const struct dnsredir_query *q = &d->query[ref];
	uint32_t first_ip_be = 0;
	hang_up(np, ref);
	for (uint32_t i = q->asker; i; i = d->asker[i].next) {
		first_ip_be = d->guest[d->asker[i].guest].ip_be;
		deliver(np, ref, i, bytes, n);
		if (q->plain)
			note_addresses(
				np, first_ip_be, &q->question, bytes, a->address_at, a->addresses);
	}
	if (q->plain && a->keep && q->generation == d->generation)
		dnscache_put(&np->dns_cache, &q->question, first_ip_be, bytes, n, a, np->now_ns);
	dnsredir_close(&np->dns, ref);
}

static void give_up(struct natproxy *np, uint32_t ref)
{
	static const struct dnsmsg_answer failure = {
		.rcode = DNSMSG_SERVFAIL, .keep = true, .ttl_s = SILENCE_TTL_S};
	uint8_t bytes[DNSMSG_PLAIN_BYTES];
	const size_t n = dnsmsg_refusal(
		np->dns.bytes[ref], np->dns.query[ref].length, DNSMSG_SERVFAIL, bytes);
	drop_count(np->drops, DROP_DNS_NO_UPSTREAM);
	answer_all(np, ref, bytes, n, &failure);
}

/* Sends the question; by the socket it has when the server is the same as before. */
static bool ask_once(struct natproxy *np, uint32_t ref, uint32_t ip_be, bool again)
{
	struct dnsredir_query *q = &np->dns.query[ref];
	const struct sock_address to = {ip_be, ACCESS_DNS_PORT};
	struct iovec piece = {np->dns.bytes[ref], q->length};
	struct sock_datagram d = {.piece = &piece, .pieces = 1};
	if (!again || q->fd < 0) {
		hang_up(np, ref);
		const int fd = sock_udp_to(np->sock, &to, dns_device(np, ip_be));
		if (fd < 0 || !natproxy_own(np, fd, OWNER_QUERY, ref))
			return false;
		q->fd = fd;
		sock_watch(np->sock, fd, SOCK_READ);
	}
	return sock_send(np->sock, q->fd, &d, 1) == 1;
}

/* Asks the server whose turn it is, and on failure those after it; false when none is left. */
static bool ask(struct natproxy *np, uint32_t ref)
{
	bool again = false;
	uint32_t ip_be;
	while (natproxy_fd_room(np, true) &&
		(ip_be = dnsredir_next(&np->dns, ref, np->now_ns, &again))) {
		if (ask_once(np, ref, ip_be, again))
			return true;
		dnsredir_failed(&np->dns, ref, DNSREDIR_BROKEN, np->now_ns);
	}
	return false;
}

static void ask_or_give_up(struct natproxy *np, uint32_t ref)
{
	if (!ask(np, ref))
		give_up(np, ref);
}

/* Bytes [at, at + bytes) of a descriptor's payload; 0 when they are too many for a query. */
static size_t copy_query(
	struct natproxy *np, const struct ring_desc *d, uint32_t at, uint32_t bytes, uint8_t *out)
{
	size_t n = 0;
	if (bytes > DNSMSG_QUERY_BYTES)
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

size_t dnsrelay_known(struct natproxy *np, uint32_t guest_ip_be, const struct dnsmsg_question *q,
	const uint8_t *query, uint8_t *out)
{
	struct dnscache_served served;
	const size_t n = dnslocal_answer(&np->dns_local, q, query, np->wall_ms, out);
	if (n)
		return n;
	if (!dnscache_get(&np->dns_cache, q, query, np->now_ns, out, &served))
		return 0;
	note_addresses(np, guest_ip_be, q, out, served.address_at, served.addresses);
	return served.bytes;
}

static bool answer_known(
	struct natproxy *np, struct flow *f, const struct dnsmsg_question *q, const uint8_t *query)
{
	const uint32_t small = arena_take(np->arena, BUF_SMALL, false);
	if (!small)
		return false;
	uint8_t *out = arena_ptr(np->arena, small);
	const size_t n = dnsrelay_known(np, f->guest.ip_be, q, query, out);
	if (!n) {
		arena_untake(np->arena, small);
		return false;
	}
	hand_over(np, f->id, small, 0, (uint32_t)dnsmsg_truncate(out, n, q, q->room));
	return true;
}

static void ask_upstream(struct natproxy *np, const struct flow *f, const uint8_t *query, size_t n,
	const struct dnsmsg_question *q)
{
	const struct dnsredir_ask a = {.flow = f->id,
		.guest_ip_be = f->guest.ip_be,
		.bytes = query,
		.n = n,
		.question = q,
		.hash = q ? dnscache_hash(&np->dns_cache, q) : 0,
		.elsewhere = dnstcp_waiting(np, f->guest.ip_be)};
	uint32_t ref;
	if (!np->dns.upstream_count) {
		drop_count(np->drops, DROP_DNS_NO_UPSTREAM);
		refuse(np, f->id, query, n, DNSMSG_SERVFAIL);
		return;
	}
	switch (dnsredir_open(&np->dns, &a, (uint16_t)natproxy_random(np), np->now_ns, &ref)) {
	case DNSREDIR_ASK: ask_or_give_up(np, ref); return;
	case DNSREDIR_WAIT:
	case DNSREDIR_AGAIN: return;
	case DNSREDIR_FULL: drop_count(np->drops, DROP_DNS_LIMIT); return;
	}
}

static void take_query(struct natproxy *np, struct flow *f, const uint8_t *query, size_t n)
{
	struct dnsmsg_question q;
	switch (dnsmsg_query(query, n, &q)) {
	case DNSMSG_NOISE: drop_count(np->drops, DROP_DNS_BAD); return;
	case DNSMSG_MALFORMED:
		drop_count(np->drops, DROP_DNS_BAD);
		refuse(np, f->id, query, n, DNSMSG_FORMERR);
		return;
	case DNSMSG_FOREIGN_OPCODE:
		drop_count(np->drops, DROP_DNS_BAD);
		refuse(np, f->id, query, n, DNSMSG_NOTIMP);
		return;
	case DNSMSG_ODD: ask_upstream(np, f, query, n, NULL); return;
	case DNSMSG_PLAIN:
		if (!answer_known(np, f, &q, query))
			ask_upstream(np, f, query, n, &q);
		return;
	}
}

void dnsrelay_query(struct natproxy *np, struct flow *f, const struct ring_desc *d)
{
	const uint32_t bytes = dgram_bytes(d), each = d->hlen ? d->hlen : bytes;
	uint8_t query[DNSMSG_QUERY_BYTES];
	uint32_t at = 0;
	do {
		const uint32_t n = bytes - at < each ? bytes - at : each;
		take_query(np, f, query, copy_query(np, d, at, n, query));
		at += n;
	} while (at < bytes);
	natproxy_return_payload(np, d);
}

void dnsrelay_question(struct natproxy *np, struct flow *f, const uint8_t *bytes, size_t n)
{
	take_query(np, f, bytes, n <= DNSMSG_QUERY_BYTES ? n : 0);
}

/* A server said that it cannot help: another may, if one is known to work. It is not held against the
 * server, as guests choose what they ask. */
static void useless(struct natproxy *np, uint32_t ref, const uint8_t *bytes, size_t n,
	const struct dnsmsg_answer *a)
{
	dnsredir_worked(&np->dns, ref);
	dnsredir_failed(&np->dns, ref, DNSREDIR_CLUELESS, np->now_ns);
	if (!dnsredir_has_other(&np->dns, ref, np->now_ns) || !ask(np, ref))
		answer_all(np, ref, bytes, n, a);
}

void dnsrelay_ready(struct natproxy *np, uint32_t ref)
{
	/* not a buffer of the arena: an answer that lies there for want of one would be asked for
	 * again in each turn */
	uint8_t *bytes = np->dns_reply;
	struct iovec piece = {bytes, sizeof(np->dns_reply)};
	struct sock_datagram d = {.piece = &piece, .pieces = 1};
	const int r = sock_receive(np->sock, np->dns.query[ref].fd, &d, 1);
	if (r == -EAGAIN)
		return;
	if (r != 1) {
		dnsredir_failed(&np->dns, ref, DNSREDIR_BROKEN, np->now_ns);
		ask_or_give_up(np, ref);
		return;
	}
	struct dnsmsg_answer a;
	const enum dnsredir_reply reply = dnsredir_reply(&np->dns, ref, bytes, d.bytes);
	if (reply == DNSREDIR_FOREIGN)
		return;
	dnsmsg_answer(bytes, d.bytes, &a);
	if (reply == DNSREDIR_USELESS) {
		useless(np, ref, bytes, d.bytes, &a);
		return;
	}
	dnsredir_worked(&np->dns, ref);
	answer_all(np, ref, bytes, d.bytes, &a);
}

void dnsrelay_timeout(struct natproxy *np)
{
	uint32_t ref;
	while ((ref = dnsredir_expired(&np->dns, np->now_ns))) {
		dnsredir_failed(&np->dns, ref, DNSREDIR_SILENT, np->now_ns);
		ask_or_give_up(np, ref);
	}
}
