/*
 * Theory of operation: every fragment is copied at once into the place where it belongs, so no broker buffer waits for
 * a datagram that may never be complete. A bit a piece of 8 bytes says what is there: RFC 815's holes without a
 * list. Only the last fragment may have a length that 8 does not divide.
 *
 * A waiting datagram is found by keyed hash and stands in three lines, each a list through the entries: by age for
 * the time-out, and by last growth among those of its source and of its port, whose heads are who gives way.
 */
#include <string.h>

#include "state.h"

static const uint64_t FRAG_TIMEOUT_NS = 30 * NS_PER_S;

struct frag_piece {
	uint32_t at, bytes; /* payload range */
	bool more;
};

static uint16_t frag_number(const struct stack *s, const struct frag *f)
{
	return (uint16_t)(f - s->frags.entry + 1);
}

static struct frag *frag_at(struct stack *s, uint16_t number)
{
	return number ? &s->frags.entry[number - 1] : NULL;
}

static struct frag_list *frag_line_of(struct stack *s, const struct frag *f, enum frag_line line)
{
	if (line == FRAG_BY_AGE)
		return &s->frags.age;
	return line == FRAG_BY_GUEST ? &s->frags.guest[f->guest] : &s->frags.port[f->port];
}

static void frag_leave(struct stack *s, struct frag *f, enum frag_line line)
{
	struct frag_list *l = frag_line_of(s, f, line);
	struct frag *next = frag_at(s, f->next[line]), *prev = frag_at(s, f->prev[line]);
	*(prev ? &prev->next[line] : &l->first) = f->next[line];
	*(next ? &next->prev[line] : &l->last) = f->prev[line];
}

static void frag_queue(struct stack *s, struct frag *f, enum frag_line line)
{
	struct frag_list *l = frag_line_of(s, f, line);
	struct frag *last = frag_at(s, l->last);
	f->next[line] = 0;
	f->prev[line] = l->last;
	*(last ? &last->next[line] : &l->first) = frag_number(s, f);
	l->last = frag_number(s, f);
}

static uint16_t *frag_bucket(struct stack *s, const struct packet *p)
{
	const uint32_t key[3] = {p->src_be, p->dst_be, (uint32_t)p->protocol << 16 | p->ip_id};
	return &s->frags.bucket[hash_sip(&s->key, key, sizeof(key)) % FRAG_BUCKETS];
}

static void frag_forget(struct stack *s, struct frag *f)
{
	const struct packet key = {.src_be = f->src_be,
		.dst_be = f->dst_be,
		.protocol = f->protocol,
		.ip_id = f->ip_id};
	uint16_t *link = frag_bucket(s, &key);
	while (*link != frag_number(s, f))
		link = &s->frags.entry[*link - 1].hash_next;
	*link = f->hash_next;
	for (enum frag_line line = 0; line < FRAG_LINES; line++)
		frag_leave(s, f, line);
	guest_at(s, f->guest)->fragments--;
	s->frags.port_used[f->port]--;
	s->frags.used--;
	f->hash_next = s->frags.free;
	s->frags.free = frag_number(s, f);
}

static void frag_drop(struct stack *s, struct frag *f, enum drop why)
{
	drop_count(s->drops, why);
	hold_release(s, f->id);
	frag_forget(s, f);
}

static struct frag *frag_find(struct stack *s, const struct packet *p)
{
	struct frag *f = frag_at(s, *frag_bucket(s, p));
	while (f && !(f->ip_id == p->ip_id && f->src_be == p->src_be && f->dst_be == p->dst_be &&
			    f->protocol == p->protocol))
		f = frag_at(s, f->hash_next);
	return f;
}

static uint16_t frag_fullest_port(const struct stack *s)
{
	uint16_t most = 0;
	for (uint16_t i = 1; i < FRAG_PORTS; i++)
		if (s->frags.port_used[i] > s->frags.port_used[most])
			most = i;
	return most;
}

/* Somebody gives way if this guest, its port or everybody together holds too many. */
static void frag_make_room(struct stack *s, const struct guest *g, uint8_t port)
{
	struct frag_table *t = &s->frags;
	uint16_t number = 0;
	if (g->fragments >= FRAG_PER_GUEST)
		number = t->guest[guest_index(s, g)].first;
	else if (t->port_used[port] >= FRAG_PER_PORT)
		number = t->port[port].first;
	else if (t->used == FRAG_MAX)
		number = t->port[frag_fullest_port(s)].first;
	if (number)
		frag_drop(s, frag_at(s, number), DROP_FRAGMENT_BUDGET);
}

static struct frag *frag_new(struct stack *s, const struct packet *p, struct guest *g)
{
	struct frag_table *t = &s->frags;
	const uint8_t port = p->port % FRAG_PORTS;
	uint16_t *bucket = frag_bucket(s, p);
	struct frag *f;
	uint32_t id;
	frag_make_room(s, g, port);
	id = hold_take_own(s, BUF_LARGE);
	if (!id) {
		drop_count(s->drops, DROP_NO_BUFFER);
		return NULL;
	}
	f = t->free ? frag_at(s, t->free) : &t->entry[t->fresh++];
	if (t->free)
		t->free = f->hash_next;
	memset(f, 0, sizeof(*f));
	f->src_be = p->src_be;
	f->dst_be = p->dst_be;
	f->id = id;
	f->ip_id = p->ip_id;
	f->protocol = p->protocol;
	f->port = port;
	f->guest = guest_index(s, g);
	f->started_ns = s->now_ns;
	f->hash_next = *bucket;
	*bucket = frag_number(s, f);
	for (enum frag_line line = 0; line < FRAG_LINES; line++)
		frag_queue(s, f, line);
	g->fragments++;
	t->port_used[port]++;
	t->used++;
	return f;
}

/* A fragment came: the last to give way. */
static void frag_grown(struct stack *s, struct frag *f)
{
	for (enum frag_line line = FRAG_BY_GUEST; line < FRAG_LINES; line++) {
		frag_leave(s, f, line);
		frag_queue(s, f, line);
	}
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
	frag_grown(s, f);
}

static void frag_store_u16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/* The first fragment's header as the whole datagram's, for who quotes it. */
static void frag_header(uint8_t *ip, uint32_t bytes)
{
	ip[0] = 0x45;
	frag_store_u16(ip + 2, bytes);
	frag_store_u16(ip + 6, 0);
	frag_store_u16(ip + 10, 0);
	frag_store_u16(ip + 10, wire_fold(wire_sum(0, ip, IP_HEADER_BYTES)));
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
	frag_header(p->head + ETH_HEADER_BYTES, IP_HEADER_BYTES + f->total);
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
	while ((f = frag_at(s, s->frags.age.first)) &&
		s->now_ns - f->started_ns >= FRAG_TIMEOUT_NS) {
		if (f->have_first)
			icmp_error(s, &f->first, guest_at(s, f->guest), ICMP_TIME_EXCEEDED, 1);
		frag_drop(s, f, DROP_FRAGMENT_TIMEOUT);
	}
}

uint64_t frag_next_ns(const struct stack *s)
{
	const uint16_t oldest = s->frags.age.first;
	return oldest ? s->frags.entry[oldest - 1].started_ns + FRAG_TIMEOUT_NS : UINT64_MAX;
}
