/*
 * Theory of operation: every fragment is copied at once into the place where it belongs, so no broker buffer waits for
 * a datagram that may never be complete. A bit a piece of 8 bytes says what is there: RFC 815's holes without a
 * list. Only the last fragment may have a length that 8 does not divide.
 */
#include <string.h>

#include "state.h"

static const uint64_t FRAG_TIMEOUT_NS = 30 * NS_PER_S;

struct frag_piece {
	uint32_t at, bytes; /* payload range */
	bool more;
};

static void frag_forget(struct stack *s, struct frag *f)
{
	guest_at(s, f->guest)->fragments--;
	f->id = 0;
	s->frags.used--;
}

static void frag_drop(struct stack *s, struct frag *f, enum drop why)
{
	drop_count(s->drops, why);
	hold_release(s, f->id);
	frag_forget(s, f);
}

static struct frag *frag_find(struct stack *s, const struct packet *p)
{
	for (unsigned int i = 0; i < FRAG_MAX; i++) {
		struct frag *f = &s->frags.entry[i];
		if (f->id && f->ip_id == p->ip_id && f->src_be == p->src_be &&
			f->dst_be == p->dst_be && f->protocol == p->protocol)
			return f;
	}
	return NULL;
}

/* The oldest datagram of that guest, of anyone for GUEST_NONE. */
static struct frag *frag_oldest(struct stack *s, uint16_t guest)
{
	struct frag *oldest = NULL;
	for (unsigned int i = 0; i < FRAG_MAX; i++) {
		struct frag *f = &s->frags.entry[i];
		if (f->id && (guest == GUEST_NONE || f->guest == guest) &&
			(!oldest || f->started_ns < oldest->started_ns))
			oldest = f;
	}
	return oldest;
}

static uint16_t frag_greediest(struct stack *s)
{
	uint16_t guest = GUEST_NONE, most = 0;
	for (unsigned int i = 0; i < FRAG_MAX; i++) {
		struct frag *f = &s->frags.entry[i];
		if (f->id && guest_at(s, f->guest)->fragments > most) {
			most = guest_at(s, f->guest)->fragments;
			guest = f->guest;
		}
	}
	return guest;
}

static struct frag *frag_new(struct stack *s, const struct packet *p, struct guest *g)
{
	struct frag *f = s->frags.entry;
	uint32_t id;
	if (g->fragments >= FRAG_PER_GUEST)
		frag_drop(s, frag_oldest(s, guest_index(s, g)), DROP_FRAGMENT_BUDGET);
	else if (s->frags.used == FRAG_MAX)
		frag_drop(s, frag_oldest(s, frag_greediest(s)), DROP_FRAGMENT_BUDGET);
	id = hold_take_own(s, BUF_LARGE);
	if (!id) {
		drop_count(s->drops, DROP_NO_BUFFER);
		return NULL;
	}
	while (f->id)
		f++;
	memset(f, 0, sizeof(*f));
	f->src_be = p->src_be;
	f->dst_be = p->dst_be;
	f->id = id;
	f->ip_id = p->ip_id;
	f->protocol = p->protocol;
	f->guest = guest_index(s, g);
	f->started_ns = s->now_ns;
	g->fragments++;
	s->frags.used++;
	return f;
}

static bool frag_piece_of(const struct packet *p, struct frag_piece *piece)
{
	piece->at = (uint32_t)(p->frag & IP_OFFSET_MASK) * 8;
	piece->bytes = p->bytes - p->l4_at;
	piece->more = (p->frag & IP_MORE_FRAGMENTS) != 0;
	if (!piece->bytes || (piece->more && piece->bytes % 8))
		return false;
	return piece->at + piece->bytes <= FRAG_PAYLOAD_MAX;
}

/* How many of the piece's 8-byte units are there already. */
static uint32_t frag_present(const struct frag *f, const struct frag_piece *piece)
{
	uint32_t n = 0;
	for (uint32_t unit = piece->at / 8; unit < (piece->at + piece->bytes + 7) / 8; unit++)
		n += f->present[unit / 64] >> (unit % 64) & 1;
	return n;
}

static void frag_mark(struct frag *f, const struct frag_piece *piece)
{
	for (uint32_t unit = piece->at / 8; unit < (piece->at + piece->bytes + 7) / 8; unit++)
		f->present[unit / 64] |= UINT64_C(1) << (unit % 64);
}

static bool frag_same(struct stack *s, const struct frag *f, const struct packet *p,
	const struct frag_piece *piece)
{
	struct ring_seg part[PACKET_SEGS];
	unsigned int n = packet_pieces(p, p->l4_at, piece->bytes, part);
	const uint8_t *have = arena_ptr(s->arena, f->id) + piece->at;
	for (unsigned int i = 0; i < n; i++) {
		if (memcmp(have, arena_view_ptr(s->view, part[i].id, part[i].off), part[i].len) !=
			0)
			return false;
		have += part[i].len;
	}
	return true;
}

/* Whether the piece contradicts what is known of the datagram's end. */
static bool frag_end_ok(const struct frag *f, const struct frag_piece *piece)
{
	uint32_t end = piece->at + piece->bytes;
	if (f->total)
		return end <= f->total && (piece->more || end == f->total);
	return piece->more || end >= f->highest;
}

static void frag_store(
	struct stack *s, struct frag *f, const struct packet *p, const struct frag_piece *piece)
{
	uint32_t end = piece->at + piece->bytes;
	packet_copy(s, p, p->l4_at, piece->bytes, arena_ptr(s->arena, f->id) + piece->at);
	frag_mark(f, piece);
	f->received += piece->bytes;
	if (end > f->highest)
		f->highest = end;
	if (!piece->more)
		f->total = end;
	if (piece->at == 0) {
		f->first = *p;
		f->have_first = true;
	}
}

/* The datagram as if it had come in one piece: headers of the first fragment without options, payload in our buffer. */
static void frag_complete(struct stack *s, struct frag *f, struct packet *p)
{
	uint32_t base = buf_offset(buf_index(f->id)), port = p->port;
	uint32_t room = PACKET_HEAD_BYTES - OUT_L4_AT;
	uint32_t shown = f->total < room ? f->total : room;
	*p = f->first;
	p->port = port;
	p->frag = 0;
	p->was_fragmented = true;
	p->csum_ok = false;
	p->gso_bytes = 0;
	p->l4_at = OUT_L4_AT;
	p->seg_at = OUT_L4_AT;
	p->seg[0] = (struct ring_seg){base, f->total, f->id};
	p->nseg = 1;
	p->bytes = OUT_L4_AT + f->total;
	p->head_bytes = OUT_L4_AT + shown;
	p->head[ETH_HEADER_BYTES] = 0x45;
	memcpy(p->head + OUT_L4_AT, arena_ptr(s->arena, f->id), shown);
	frag_forget(s, f);
}

bool frag_input(struct stack *s, struct packet *p, struct guest *g)
{
	struct frag_piece piece;
	struct frag *f = frag_find(s, p);
	uint32_t there;
	if (!frag_piece_of(p, &piece)) {
		drop_count(s->drops, DROP_FRAGMENT_BAD);
		if (f)
			frag_drop(s, f, DROP_FRAGMENT_BAD);
		return false;
	}
	if (!f)
		f = frag_new(s, p, g);
	if (!f)
		return false;
	there = frag_present(f, &piece);
	if (there == (piece.bytes + 7) / 8 && frag_end_ok(f, &piece) && frag_same(s, f, p, &piece))
		return false;
	if (there || !frag_end_ok(f, &piece)) {
		frag_drop(s, f, DROP_FRAGMENT_BAD);
		return false;
	}
	frag_store(s, f, p, &piece);
	if (!f->total || f->received != f->total)
		return false;
	frag_complete(s, f, p);
	return true;
}

void frag_poll(struct stack *s)
{
	struct frag *f;
	while (s->frags.used && (f = frag_oldest(s, GUEST_NONE)) &&
		s->now_ns - f->started_ns >= FRAG_TIMEOUT_NS) {
		if (f->have_first)
			icmp_error(s, &f->first, guest_at(s, f->guest), ICMP_TIME_EXCEEDED, 1);
		frag_drop(s, f, DROP_FRAGMENT_TIMEOUT);
	}
}

uint64_t frag_next_ns(const struct stack *s)
{
	uint64_t first = UINT64_MAX;
	if (!s->frags.used)
		return UINT64_MAX;
	for (unsigned int i = 0; i < FRAG_MAX; i++)
		if (s->frags.entry[i].id && s->frags.entry[i].started_ns < first)
			first = s->frags.entry[i].started_ns;
	return first + FRAG_TIMEOUT_NS;
}
