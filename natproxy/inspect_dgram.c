/*
 * Theory of operation. Each direction of an inspected session is a way:
 *
 *   datagram ─▶ ring of 256, bytes in chunks of a pool ─verdict───▶ socket, or own arena buffers
 *                 └─▶ one FlowBytes each ─▶ alg           ▲
 *                             Verdict(until, edits) ──────┘
 *
 * Offsets count bytes, as alg sees them. An empty datagram has none and nothing to be changed: it is
 * not shown, and leaves behind those that came before it. A verdict that ends inside a datagram, or
 * an edit across the end of one, is a lie; an edit that only adds bytes between two of them belongs
 * to the former. alg holds 64 at a time: the next are shown as it passes some on.
 *
 * A datagram that finds its own ring full is dropped, as at any full queue: who says so much at once
 * says it again, and a trunk that were given up for it would lose all its calls. One that finds no
 * room for another reason (it is longer than alg could take, or others have used up the pool) goes
 * on unread, and its session is given up, what is held first. Where the ALG is strict it is dropped
 * too: else who fills the pool would be rid of inspection. The longer datagrams are, the sooner they
 * find none, so that whoever fills the pool leaves room for small ones.
 */
#include "inspect_dgram.h"

#include <errno.h>
#include <string.h>

#include "dgram.h"
#include "gather.h"
#include "inspection.h"
#include "pinhole_rules.h"

static struct inspect_way *way_of(
	const struct natproxy *np, const struct inspection *in, Nl__Direction direction)
{
	return &np->inspect->way[inspection_index(np, in) - INSPECTION_STREAMS][direction];
}

static struct inspection *slot_of(struct natproxy *np, uint32_t session)
{
	return &np->inspect->slot[nat_session(&np->nat, session)->inspect - 1];
}

static struct inspect_held *held_at(struct inspect_way *way, uint32_t i)
{
	return &way->held[(way->first + i) % DGRAM_HELD];
}

static void begin(struct natproxy *np, struct flow *f, uint32_t session, const struct want *want)
{
	const struct inspection *in = inspection_begin(np, f, session, want);
	if (!in)
		return;
	nat_session(&np->nat, session)->inspect = (uint16_t)(inspection_index(np, in) + 1);
	*way_of(np, in, NL__DIRECTION__GUEST) = (struct inspect_way){0};
	*way_of(np, in, NL__DIRECTION__OUTSIDE) = (struct inspect_way){0};
}

void inspect_dgram_start(struct natproxy *np, struct flow *f, uint32_t session)
{
	struct want want;
	if (f->kind == FLOW_UDP && inspection_wanted(np, f, nat_session(&np->nat, session), &want))
		begin(np, f, session, &want);
}

/* Whether a session that nobody inspects is to be, and may go on for so long that waiting for its end is no help. */
static bool is_missed(
	struct natproxy *np, const struct flow *f, const struct nat_session *s, struct want *want)
{
	return f && f->kind == FLOW_UDP && !s->inspect && !s->barred &&
	       inspection_wanted(np, f, s, want) && pinhole_rule(want->alg)->hold_ms;
}

void inspect_dgram_resume(struct natproxy *np)
{
	struct want want;
	uint32_t begun = 0, ref = NAT_NONE;
	while (begun < INSPECTION_DGRAMS && (ref = nat_next(&np->nat, ref))) {
		const struct nat_session *s = nat_session(&np->nat, ref);
		struct flow *f = flow_live(np, s->flow);
		if (!is_missed(np, f, s, &want))
			continue;
		begin(np, f, ref, &want);
		begun++;
	}
}

static uint32_t chunks_of(uint32_t bytes)
{
	return (bytes + DGRAM_CHUNK_BYTES - 1) / DGRAM_CHUNK_BYTES;
}

static uint32_t chunks_left(const struct inspect_pool *p)
{
	return DGRAM_CHUNKS - p->fresh + p->free_count;
}

/* There is one. */
static uint16_t chunk_take(struct inspect_pool *p)
{
	const uint16_t chunk = p->free;
	if (!chunk)
		return (uint16_t)++p->fresh;
	p->free = p->next[chunk];
	p->free_count--;
	return chunk;
}

static void chunks_give(struct inspect_pool *p, uint16_t chunk)
{
	while (chunk) {
		const uint16_t next = p->next[chunk];
		p->next[chunk] = p->free;
		p->free = chunk;
		p->free_count++;
		chunk = next;
	}
}

/* Bytes [at, at + n) of a run. */
static void copy_out(const struct inspect_run *run, uint32_t at, uint32_t n, uint8_t *out)
{
	for (uint32_t i = 0; i < run->pieces && n; i++) {
		const uint32_t length = (uint32_t)run->piece[i].iov_len;
		if (at >= length) {
			at -= length;
			continue;
		}
		const uint32_t take = length - at < n ? length - at : n;
		memcpy(out, (const uint8_t *)run->piece[i].iov_base + at, take);
		out += take;
		n -= take;
		at = 0;
	}
}

static uint16_t chunks_fill(struct inspect_pool *p, const uint8_t *bytes, uint32_t n)
{
	uint16_t first = 0, *link = &first;
	for (uint32_t at = 0; at < n; at += DGRAM_CHUNK_BYTES) {
		const uint32_t part = n - at < DGRAM_CHUNK_BYTES ? n - at : DGRAM_CHUNK_BYTES;
		*link = chunk_take(p);
		memcpy(p->chunk[*link], bytes + at, part);
		link = &p->next[*link];
	}
	*link = 0;
	return first;
}

static void chunks_read(const struct inspect_pool *p, const struct inspect_held *h, uint8_t *out)
{
	uint32_t left = h->bytes;
	for (uint16_t chunk = h->chunk; chunk && left; chunk = p->next[chunk]) {
		const uint32_t part = left < DGRAM_CHUNK_BYTES ? left : DGRAM_CHUNK_BYTES;
		memcpy(out, p->chunk[chunk], part);
		out += part;
		left -= part;
	}
}

/* Whether as much of this direction waits as may. */
static bool is_full(const struct inspect_way *way, uint32_t bytes)
{
	return way->count == DGRAM_HELD || way->bytes + bytes > DGRAM_HELD_BYTES;
}

/* Whether alg could take it, and the pool can. */
static bool has_room(const struct natproxy *np, const struct inspect_way *way, uint32_t bytes)
{
	const uint32_t chunks = chunks_of(bytes);
	return bytes <= INSPECTION_RECORD_BYTES &&
	       (!chunks ||
		       way->chunks + chunks <= chunks_left(&np->inspect->pool) / DGRAM_CHUNK_SHARE);
}

static void hold(struct natproxy *np, struct inspect_way *way, const uint8_t *bytes, uint32_t n,
	const struct inspect_run *run)
{
	*held_at(way, way->count++) =
		(struct inspect_held){.chunk = chunks_fill(&np->inspect->pool, bytes, n),
			.whole = run->whole,
			.bytes = n,
			.remote = run->remote};
	way->bytes += n;
	way->chunks += chunks_of(n);
}

static int show(struct natproxy *np, struct inspection *in, Nl__Direction direction, uint64_t at,
	const uint8_t *bytes, uint32_t n)
{
	Nl__FlowBytes m = NL__FLOW_BYTES__INIT;
	m.has_flow = m.has_direction = m.has_at = m.has_bytes = true;
	m.flow = in->number;
	m.direction = direction;
	m.at = at;
	m.bytes = (ProtobufCBinaryData){n, (uint8_t *)(uintptr_t)bytes}; /* only read */
	return inspection_show(np, in, &m);
}

/* Whether alg, which holds some already, may be shown one more. */
static bool may_show(const struct inspect_way *way, uint32_t bytes)
{
	return way->told < DGRAM_SHOWN && way->told_bytes + bytes <= DGRAM_SHOWN_BYTES;
}

/* Shows alg what it has not seen, as far as it and the channel take it: 0 or an error. */
static int tell(struct natproxy *np, struct inspection *in, Nl__Direction direction)
{
	struct inspect_way *way = way_of(np, in, direction);
	uint8_t *bytes = np->inspect->shown;
	for (; way->told < way->count; way->told++) {
		const struct inspect_held *h = held_at(way, way->told);
		if (!may_show(way, h->bytes))
			return 0;
		chunks_read(&np->inspect->pool, h, bytes);
		const int r = h->bytes ? show(np, in, direction, way->at + way->told_bytes, bytes,
						 h->bytes)
				       : 0;
		if (r)
			return r;
		way->told_bytes += h->bytes;
	}
	return 0;
}

/* Sends a datagram on to where it goes. */
static void leave(struct natproxy *np, struct flow *f, uint32_t session, Nl__Direction direction,
	const struct inspect_held *h, uint8_t *bytes, uint32_t n)
{
	if (direction == NL__DIRECTION__OUTSIDE)
		gather_bytes(np, f, &h->remote, bytes, n);
	else
		dgram_leave(np, f, session,
			&(struct dgram_leaving){bytes, n, h->remote.ttl, h->remote.tos, h->whole});
}

/* Takes the first datagram of a way out; its bytes are in `leaving`. */
static struct inspect_held pop(struct natproxy *np, struct inspect_way *way)
{
	const struct inspect_held h = way->held[way->first];
	chunks_read(&np->inspect->pool, &h, np->inspect->leaving);
	chunks_give(&np->inspect->pool, h.chunk);
	way->first = (uint16_t)((way->first + 1) % DGRAM_HELD);
	way->count--;
	way->at += h.bytes;
	way->bytes -= h.bytes;
	way->chunks -= chunks_of(h.bytes);
	if (way->told) {
		way->told--;
		way->told_bytes -= h.bytes;
	}
	return h;
}

/* The first of a way, with these edits, which fit. */
static void leave_first(struct natproxy *np, const struct inspection *in, Nl__Direction direction,
	const struct edit *edits, size_t count)
{
	struct inspect_way *way = way_of(np, in, direction);
	const uint64_t at = way->at;
	const struct inspect_held h = pop(np, way);
	uint8_t *bytes = np->inspect->leaving;
	size_t n = h.bytes;
	if (count && edit_check(edits, count, at, at + h.bytes, &n) == 0) {
		edit_apply(edits, count, at, bytes, h.bytes, np->inspect->edited);
		bytes = np->inspect->edited;
	}
	leave(np, flow_live(np, in->flow), in->session, direction, &h, bytes, (uint32_t)n);
}

static void set_starved(struct natproxy *np, struct inspect_way *way, bool starved)
{
	np->inspect->untold += (uint32_t)starved - (uint32_t)way->starved;
	way->starved = starved;
}

void inspect_dgram_give_up(struct natproxy *np, struct inspection *in)
{
	in->raw = true;
	/* what follows goes by the ordinary path, and what comes back while the held ones leave */
	nat_session(&np->nat, in->session)->inspect = 0;
	inspection_close_doors(np, in, "inspection given up");
	for (int i = 0; i < INSPECTION_DIRECTIONS; i++) {
		struct inspect_way *way = way_of(np, in, (Nl__Direction)i);
		set_starved(np, way, false);
		while (way->count)
			leave_first(np, in, (Nl__Direction)i, NULL, 0);
	}
	inspection_free(np, in);
}

/* alg is gone, or cannot keep up. */
static void fall_behind(struct natproxy *np, struct inspection *in)
{
	inspection_tell_end(np, in);
	inspect_dgram_give_up(np, in);
}

/* An empty one at the front: there is nothing to be said about it. */
static void leave_empty(struct natproxy *np, const struct inspection *in, Nl__Direction direction)
{
	const struct inspect_way *way = way_of(np, in, direction);
	while (!in->raw && way->told && !way->held[way->first].bytes)
		leave_first(np, in, direction, NULL, 0);
}

/* Shows what waits to be shown; what finds the channel full is shown in a later turn. */
static void tell_or_wait(struct natproxy *np, struct inspection *in, Nl__Direction direction)
{
	const int r = tell(np, in, direction);
	set_starved(np, way_of(np, in, direction), r == -EAGAIN);
	if (r && r != -EAGAIN)
		fall_behind(np, in);
	leave_empty(np, in, direction);
}

/* One datagram, which lies in `arriving`. */
static void take(struct natproxy *np, struct flow *f, uint32_t session, Nl__Direction direction,
	const struct inspect_run *run, uint32_t n)
{
	const struct nat_session *s = nat_session(&np->nat, session);
	struct inspection *in = s->inspect ? slot_of(np, session) : NULL;
	struct inspect_way *way = in ? way_of(np, in, direction) : NULL;
	const bool room = in && has_room(np, way, n);
	if (room && !is_full(way, n)) {
		hold(np, way, np->inspect->arriving, n, run);
		tell_or_wait(np, in, direction);
		return;
	}
	if (room || (in && in->strict)) {
		drop_count(np->drops, room ? DROP_ALG_FULL : DROP_ALG_STRICT);
		return;
	}
	if (in)
		fall_behind(np, in);
	leave(np, f, session, direction,
		&(struct inspect_held){.whole = run->whole, .remote = run->remote},
		np->inspect->arriving, n);
}

/* An ALG that observes is shown what its channel takes; it misses the rest. */
static void look_on(struct natproxy *np, struct inspection *in, Nl__Direction direction,
	const uint8_t *bytes, uint32_t n)
{
	struct inspect_way *way = way_of(np, in, direction);
	const uint64_t owed_ns = in->owed_ns[direction];
	if (!n || n > INSPECTION_RECORD_BYTES)
		return;
	const int r = show(np, in, direction, way->at, bytes, n);
	if (!r)
		way->at += n;
	else if (r == -EAGAIN)
		in->owed_ns[direction] = owed_ns;
	else
		fall_behind(np, in);
}

bool inspect_dgram(struct natproxy *np, struct flow *f, uint32_t session, Nl__Direction direction,
	const struct inspect_run *run)
{
	const bool observe = slot_of(np, session)->observe;
	const uint32_t each = run->each ? run->each : run->bytes;
	uint32_t at = 0;
	do {
		const uint32_t n = run->bytes - at < each ? run->bytes - at : each;
		copy_out(run, at, n, np->inspect->arriving);
		if (!observe)
			take(np, f, session, direction, run, n);
		else if (nat_session(&np->nat, session)->inspect)
			look_on(np, slot_of(np, session), direction, np->inspect->arriving, n);
		at += n;
	} while (at < run->bytes);
	return !observe;
}

uint64_t inspect_dgram_shown(
	const struct natproxy *np, const struct inspection *in, Nl__Direction direction)
{
	const struct inspect_way *way = way_of(np, in, direction);
	return way->at + way->told_bytes;
}

/* How many of the edits lie within what ends there. */
static size_t edits_until(const struct edit *edits, size_t count, uint64_t end)
{
	size_t n = 0;
	while (n < count && edits[n].at <= end && edits[n].old_bytes <= end - edits[n].at)
		n++;
	return n;
}

/* Whether a verdict covers whole datagrams that were shown, and edits none of them badly. */
static bool is_sound(
	struct inspect_way *way, uint64_t until, const struct edit *edits, size_t count)
{
	uint64_t at = way->at;
	for (uint32_t i = 0; i < way->told && at < until; i++) {
		const uint64_t end = at + held_at(way, i)->bytes;
		const size_t n = edits_until(edits, count, end);
		size_t out_bytes;
		if (edit_check(edits, n, at, end, &out_bytes))
			return false;
		edits += n;
		count -= n;
		at = end;
	}
	return at == until && !count;
}

static int observe(
	struct natproxy *np, struct inspection *in, const Nl__Verdict *m, const struct edit *edits)
{
	struct inspect_way *way = way_of(np, in, m->direction);
	size_t out_bytes;
	if (m->until > way->at || edit_check(edits, m->n_edits, way->judged, m->until, &out_bytes))
		return -EPROTO;
	if (m->until > way->judged)
		in->granted_ns = 0;
	way->judged = m->until;
	if (m->n_edits)
		inspection_report(np, in, m);
	return 0;
}

int inspect_dgram_verdict(struct natproxy *np, struct inspection *in, const Nl__Verdict *m)
{
	struct inspect_way *way = way_of(np, in, m->direction);
	struct edit edits[EDIT_MAX];
	size_t done = 0;
	if (inspection_edits(m, edits))
		return -EPROTO;
	if (in->observe)
		return observe(np, in, m, edits);
	if (!is_sound(way, m->until, edits, m->n_edits))
		return -EPROTO;
	if (m->until > way->at)
		in->granted_ns = 0;
	/* one that leaves may meet an answer that makes the session be given up */
	while (!in->raw && way->at < m->until) {
		const size_t n = edits_until(
			edits + done, m->n_edits - done, way->at + way->held[way->first].bytes);
		leave_first(np, in, m->direction, edits + done, n);
		done += n;
	}
	if (!in->raw)
		tell_or_wait(np, in, m->direction);
	return 0;
}

void inspect_dgram_end(struct natproxy *np, uint32_t session)
{
	if (!nat_session(&np->nat, session)->inspect)
		return;
	struct inspection *in = slot_of(np, session);
	inspection_tell_end(np, in);
	inspection_close_doors(np, in, "control session ended");
	for (int i = 0; i < INSPECTION_DIRECTIONS; i++) {
		struct inspect_way *way = way_of(np, in, (Nl__Direction)i);
		set_starved(np, way, false);
		drop_count_many(np->drops, DROP_ALG_ENDED, way->count);
		while (way->count)
			pop(np, way);
	}
	nat_session(&np->nat, session)->inspect = 0;
	inspection_free(np, in);
}

static void tell_again(struct natproxy *np, struct inspection *in)
{
	for (int i = 0; i < INSPECTION_DIRECTIONS && in->used; i++)
		if (way_of(np, in, (Nl__Direction)i)->starved)
			tell_or_wait(np, in, (Nl__Direction)i);
}

void inspect_dgram_turn(struct natproxy *np)
{
	for (uint32_t i = INSPECTION_STREAMS; np->inspect->untold && i < INSPECTION_SLOTS; i++)
		if (np->inspect->slot[i].used)
			tell_again(np, &np->inspect->slot[i]);
}
