/*
 * Theory of operation.
 *
 *   recvmmsg into {small, large} x n ─▶ filter ─┬▶ a run already (UDP_GRO): by reference ┐
 *                                               ├▶ one of a row: copied into a run       ├▶ DGRAM_DATA
 *                                               └▶ alone: by reference                   ┘
 *
 * Filtering (RFC 4787 REQ-8) asks the session table: has this endpoint talked to that address, or
 * address and port? A published port and a guest that has an outside address of its own are open to all, and a door
 * of an ALG's is to its peer. An outside peer that passes gets a session of its own.
 *
 * Datagrams that lie next to each other in one batch, from one peer, with the same TTL and TOS, all
 * as long as the first (the last may be shorter), go on as one run: one descriptor, one frame to the
 * guest. Where the kernel did not put them together itself they are copied into one buffer. A copy
 * of at most 2 KiB that the kernel has just written costs far less than the descriptor, the write to
 * the port and the guest's walk through its stack that it saves; and the buffers that recvmmsg
 * filled stay where they are, ready for the next call.
 *
 * The number of messages offered follows what came: a flow of single datagrams does not pay for the
 * preparation of a long batch. What the socket's queue had no room for is counted by the kernel and
 * shown among our drops.
 */
#include "gather.h"

#include <errno.h>
#include <string.h>

#include "dgram.h"
#include "download.h"
#include "esp_socket.h"
#include "expect.h"
#include "inspect_dgram.h"
#include "refuse.h"
#include "session.h"
#include "source.h"

enum {
	ECHO_HEADER_BYTES = 8,
	ICMP_ECHO_REPLY = 0,
	SLOT_PIECES = 3, /* echo header, small buffer, large buffer */
	EXPECTED_FIRST = 8,
	BULK_MESSAGES = 8, /* of long runs a turn: neighbours wait meanwhile */
};

/* One message as it came, with what is known of it. */
struct arrival {
	const struct sock_datagram *in;
	struct datagram_slot *slot;
	struct ring_remote from; /* as the guest sees it */
	uint32_t session;
	uint32_t bytes; /* of payload */
};

/* Single datagrams put together: empty while `id` is 0. */
struct run {
	uint32_t id, capacity, bytes, count;
	uint32_t session;
	uint16_t each;
	struct ring_remote from;
	struct sock_address peer;
};

/* A session that a stranger begins; it may cost another of that kind its place. */
static uint32_t open_incoming(struct natproxy *np, struct flow *f, const struct sock_address *peer)
{
	const uint32_t session = session_open_incoming(np, f, peer, f->published ? f->rule : 0);
	const uint32_t oldest = session ? nat_gives_way(&np->nat, session) : NAT_NONE;
	struct flow *of = oldest ? flow_live(np, nat_session(&np->nat, oldest)->flow) : NULL;
	if (of)
		dgram_ended(np, of, oldest, "gave way to a younger one from outside");
	return session;
}

/*
 * The session that lets a datagram from this peer in, or NAT_NONE: filtered. *shown is the peer as
 * the guest sees it.
 */
static uint32_t let_in(struct natproxy *np, struct flow *f, const struct sock_address *peer,
	struct sock_address *shown)
{
	uint32_t session = nat_find(&np->nat, f->id, peer);
	*shown = *peer;
	if (session)
		return session;
	shown->ip_be = access_shown_as(&np->access, peer->ip_be);
	session = nat_find(&np->nat, f->id, shown);
	/* esp.h has said that a packet is this flow's */
	bool open = session || f->published || f->kind == FLOW_ESP ||
		    source_fixed(np, f->guest.ip_be) ||
		    np->config.filtering == NL__NAT__FILTERING__endpoint_independent;
	if (np->config.filtering == NL__NAT__FILTERING__address_dependent)
		open = open || nat_find_address(&np->nat, f->id, peer->ip_be);
	open = open || expect_admits(np, f, peer);
	const bool is_new =
		open && !session && !refuse_new(np, session_protocol(f), &f->guest, peer);
	if (is_new) {
		session = open_incoming(np, f, shown);
		if (session)
			expect_met(np, f, peer, true);
	}
	/* no guest may begin with this computer, so what it may answer is noted */
	if (session && (shown->ip_be != peer->ip_be || access_is_local(&np->access, peer->ip_be)))
		nat_session(&np->nat, session)->real_ip_be = peer->ip_be;
	if (is_new && session)
		inspect_dgram_start(np, f, session);
	return session;
}

bool gather_buffers(struct natproxy *np, struct datagram_slot *slot)
{
	if (!slot->small)
		slot->small = arena_take(np->arena, BUF_SMALL, false);
	if (!slot->large)
		slot->large = arena_take(np->arena, BUF_LARGE, false);
	return slot->small && slot->large;
}

static struct ring_seg piece_of(uint32_t id, uint32_t bytes)
{
	return (struct ring_seg){buf_offset(buf_index(id)), bytes, id};
}

bool gather_deliver(struct natproxy *np, struct flow *f, const struct ring_remote *from,
	const struct gather_payload *p)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_DATA, .flow = f->id, .remote = *from};
	uint32_t first = p->small ? p->bytes : 0;
	if (first > ARENA_SMALL_BYTES)
		first = ARENA_SMALL_BYTES;
	d.hlen = p->each;
	if (first)
		d.seg[d.nseg++] = piece_of(p->small, first);
	else if (p->small)
		arena_untake(np->arena, p->small);
	if (p->large)
		d.seg[d.nseg++] = piece_of(p->large, p->bytes - first);
	if (natproxy_tell(np, LINK_DATA, &d)) {
		for (unsigned int i = 0; i < d.nseg; i++)
			arena_untake(np->arena, d.seg[i].id);
		drop_count_many(np->drops, DROP_RING_FULL, ring_run_count(p->bytes, p->each));
		return false;
	}
	for (unsigned int i = 0; i < d.nseg; i++)
		download_lend(np, f, d.seg[i].id);
	return true;
}

void gather_bytes(struct natproxy *np, struct flow *f, const struct ring_remote *from,
	const uint8_t *bytes, uint32_t n)
{
	const uint32_t first = n < ARENA_SMALL_BYTES ? n : ARENA_SMALL_BYTES;
	struct gather_payload p = {.small = arena_take(np->arena, BUF_SMALL, false), .bytes = n};
	if (n > first)
		p.large = arena_take(np->arena, BUF_LARGE, false);
	if (!p.small || (n > first && !p.large)) {
		drop_count(np->drops, DROP_NO_BUFFER);
		if (p.small)
			arena_untake(np->arena, p.small);
		return;
	}
	memcpy(arena_ptr(np->arena, p.small), bytes, first);
	if (p.large)
		memcpy(arena_ptr(np->arena, p.large), bytes + first, n - first);
	gather_deliver(np, f, from, &p);
}

static void deliver_slot(struct natproxy *np, struct flow *f, const struct arrival *a)
{
	struct datagram_slot *slot = a->slot;
	const struct gather_payload p = {.small = slot->small,
		.large = a->bytes > ARENA_SMALL_BYTES ? slot->large : 0,
		.bytes = a->bytes,
		.each = a->in->segment};
	slot->small = 0;
	if (p.large)
		slot->large = 0;
	session_arrived(np, a->session, a->bytes);
	gather_deliver(np, f, &a->from, &p);
}

static void run_end(struct natproxy *np, struct flow *f, struct run *r)
{
	if (!r->id)
		return;
	const bool is_small = buf_index(r->id) < ARENA_SMALL_COUNT;
	const struct gather_payload p = {.small = is_small ? r->id : 0,
		.large = is_small ? 0 : r->id,
		.bytes = r->bytes,
		.each = r->count > 1 ? r->each : 0};
	session_arrived(np, r->session, r->bytes);
	gather_deliver(np, f, &r->from, &p);
	r->id = 0;
}

static bool alike(
	const struct sock_datagram *a, const struct sock_address *peer, uint8_t ttl, uint8_t tos)
{
	return a->peer.ip_be == peer->ip_be && a->peer.port == peer->port && a->ttl == ttl &&
	       a->tos == tos && !a->segment && !a->truncated && a->bytes;
}

/* Whether the run goes on with this message. */
static bool run_joins(const struct run *r, const struct sock_datagram *in)
{
	return r->id && alike(in, &r->peer, r->from.ttl, r->from.tos) && in->bytes <= r->each &&
	       r->bytes % r->each == 0 && r->bytes + in->bytes <= r->capacity &&
	       r->count < RING_RUN_DATAGRAMS;
}

static void run_append(struct natproxy *np, struct run *r, uint32_t small, uint32_t bytes)
{
	memcpy(arena_ptr(np->arena, r->id) + r->bytes, arena_ptr(np->arena, small), bytes);
	r->bytes += bytes;
	r->count++;
}

/* Begins a run with this message where the next one of the batch will join it. */
static bool run_begin(
	struct natproxy *np, struct run *r, const struct arrival *a, uint32_t messages_left)
{
	const struct sock_datagram *in = a->in;
	if (messages_left < 2 || in->segment || !in->bytes || in->bytes > ARENA_SMALL_BYTES ||
		in[1].bytes > in->bytes || !alike(&in[1], &in->peer, in->ttl, in->tos))
		return false;
	const bool fits_small = in->bytes * messages_left <= ARENA_SMALL_BYTES;
	const uint32_t id = arena_take(np->arena, fits_small ? BUF_SMALL : BUF_LARGE, false);
	if (!id)
		return false;
	*r = (struct run){.id = id,
		.capacity = fits_small ? ARENA_SMALL_BYTES : RING_RUN_BYTES,
		.session = a->session,
		.each = (uint16_t)in->bytes,
		.from = a->from,
		.peer = in->peer};
	run_append(np, r, a->slot->small, in->bytes);
	return true;
}

/* What the message is to the guest; false: dropped and counted. */
static bool arrive(struct natproxy *np, struct flow *f, struct arrival *a)
{
	const struct sock_datagram *in = a->in;
	const bool echo = f->kind == FLOW_ECHO;
	const uint32_t header = echo ? ECHO_HEADER_BYTES : 0;
	const struct sock_address peer = {in->peer.ip_be, f->kind == FLOW_UDP ? in->peer.port : 0};
	const uint32_t count = ring_run_count(in->bytes, in->segment);
	struct sock_address shown;
	if (in->truncated || in->bytes < header || in->bytes > RING_RUN_BYTES + header ||
		count > RING_RUN_DATAGRAMS || (echo && a->slot->header[0] != ICMP_ECHO_REPLY)) {
		drop_count_many(np->drops, DROP_UDP_BAD, count);
		return false;
	}
	a->session = let_in(np, f, &peer, &shown);
	if (!a->session) {
		drop_count_many(np->drops, DROP_FILTERED, count);
		return false;
	}
	esp_socket_spoke(np, f, &shown);
	a->from = (struct ring_remote){shown.ip_be, in->peer.port, in->ttl, in->tos};
	if (echo)
		a->from.port = (uint16_t)(a->slot->header[6] << 8 | a->slot->header[7]);
	a->bytes = in->bytes - header;
	return true;
}

void gather_raw(struct natproxy *np, struct flow *f, const struct sock_datagram *in,
	struct datagram_slot *slot)
{
	struct arrival a = {.in = in, .slot = slot};
	if (arrive(np, f, &a))
		deliver_slot(np, f, &a);
}

static bool is_inspected(const struct natproxy *np, const struct arrival *a)
{
	return np->nat.session[a->session].inspect != 0;
}

/* What belongs to an inspected session. True: it was taken. */
static bool inspect(struct natproxy *np, struct flow *f, const struct arrival *a)
{
	if (!is_inspected(np, a))
		return false;
	struct iovec piece[2] = {{arena_ptr(np->arena, a->slot->small), ARENA_SMALL_BYTES},
		{arena_ptr(np->arena, a->slot->large), ARENA_LARGE_BYTES}};
	const struct inspect_run run = {.piece = piece,
		.pieces = 2,
		.bytes = a->bytes,
		.each = a->in->segment,
		.remote = a->from};
	if (!inspect_dgram(np, f, a->session, NL__DIRECTION__OUTSIDE, &run))
		return false;
	session_arrived(np, a->session, a->bytes);
	return true;
}

static void deliver_all(
	struct natproxy *np, struct flow *f, const struct sock_datagram *batch, uint32_t count)
{
	struct run run = {0};
	for (uint32_t i = 0; i < count; i++) {
		struct arrival a = {.in = &batch[i], .slot = &np->slot[i]};
		if (run_joins(&run, a.in)) {
			run_append(np, &run, a.slot->small, a.in->bytes);
			continue;
		}
		run_end(np, f, &run);
		if (!arrive(np, f, &a) || inspect(np, f, &a))
			continue;
		/* an ALG that only looks on sees each by itself */
		if (f->kind != FLOW_UDP || is_inspected(np, &a) ||
			!run_begin(np, &run, &a, count - i))
			deliver_slot(np, f, &a);
	}
	run_end(np, f, &run);
}

/* What the kernel says of its losses since it was last heard. A published port's socket is older
 * than its flow: what it lost before is somebody else's. */
static void count_lost(struct natproxy *np, struct flow *f, uint32_t lost)
{
	if (f->published && !f->expected)
		f->lost = lost;
	if (!lost)
		return;
	drop_count_many(np->drops, DROP_SOCKET_FULL, lost - f->lost);
	f->lost = lost;
}

static uint32_t offer(struct natproxy *np, struct flow *f, struct sock_datagram *batch,
	struct iovec piece[][SLOT_PIECES])
{
	const uint32_t room = link_room(np->link, LINK_DATA);
	const uint32_t unit = f->bulk ? ARENA_LARGE_BYTES + ARENA_SMALL_BYTES : ARENA_SMALL_BYTES;
	const uint32_t share = download_share(np, f) / unit;
	uint32_t most = f->expected ? f->expected : EXPECTED_FIRST, n = 0;
	if (f->bulk && most > BULK_MESSAGES)
		most = BULK_MESSAGES;
	for (; n < most && n < room && n < share; n++) {
		struct datagram_slot *slot = &np->slot[n];
		if (!gather_buffers(np, slot))
			break;
		struct sock_datagram *d = &batch[n];
		d->piece = piece[n];
		d->pieces = 0;
		if (f->kind == FLOW_ECHO)
			d->piece[d->pieces++] = (struct iovec){slot->header, ECHO_HEADER_BYTES};
		d->piece[d->pieces++] =
			(struct iovec){arena_ptr(np->arena, slot->small), ARENA_SMALL_BYTES};
		d->piece[d->pieces++] =
			(struct iovec){arena_ptr(np->arena, slot->large), ARENA_LARGE_BYTES};
	}
	return n;
}

/* Prepares for as many as came, and for twice as many when all that was offered was used. */
static void learn(struct flow *f, const struct sock_datagram *batch, uint32_t offered, int got)
{
	const uint32_t next = (uint32_t)got == offered ? offered * 2 : (uint32_t)got + 1;
	f->expected = (uint8_t)(next > SOCK_BATCH	? SOCK_BATCH
				: next < EXPECTED_FIRST ? EXPECTED_FIRST
							: next);
	f->bulk = false;
	for (int i = 0; i < got; i++)
		f->bulk |= batch[i].bytes > ARENA_SMALL_BYTES;
}

bool gather_turn(struct natproxy *np, struct flow *f)
{
	struct sock_datagram batch[SOCK_BATCH];
	struct iovec piece[SOCK_BATCH][SLOT_PIECES];
	if (f->state != FLOW_RUNNING || f->fd < 0 || !f->readable)
		return false;
	const uint32_t n = offer(np, f, batch, piece);
	if (!n) {
		np->starved = true;
		flow_watch(np, f);
		flow_work(np, f, WORK_DOWNLOAD);
		return false;
	}
	const int r = sock_receive(np->sock, f->fd, batch, (int)n);
	if (r > 0) {
		deliver_all(np, f, batch, (uint32_t)r);
		count_lost(np, f, batch[r - 1].lost);
		learn(f, batch, n, r);
	}
	if (r < 0)
		dgram_errors(np, f);
	f->readable = r == (int)n || (r < 0 && r != -EAGAIN);
	flow_watch(np, f);
	return f->readable;
}
