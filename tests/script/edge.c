/* See edge.h. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arena.h"
#include "drop.h"
#include "edge.h"
#include "segment.h"
#include "topology.h"
#include "wire/wire.h"

enum { EDGE_PORT = 7, EDGE_FRAMES = 16384, EDGE_MESSAGES = 16384, EDGE_TURNS = 10000 };

struct edge_item {
	uint8_t *bytes;
	uint32_t n;
};

struct edge {
	struct stack *stack;
	struct drops drops;
	struct ring_region *region[4];
	struct link to_broker, to_natproxy; /* the stack's ends */
	struct link broker, natproxy;	    /* ours */
	struct arena own, frames, reads;    /* netstack's, broker's, natproxy's */
	struct arena_view view;
	uint64_t now_ns;
	uint16_t mtu;
	const char *fault;
	struct edge_item frame[EDGE_FRAMES];
	unsigned int frame_head, frame_tail;
	struct ring_desc message[EDGE_MESSAGES];
	unsigned int message_head, message_tail;
	uint8_t *last; /* what edge_next_frame gave */
};

static void edge_wrong(struct edge *e, bool wrong, const char *what)
{
	if (wrong && !e->fault)
		e->fault = what;
}

/* Zeroed, and only what is touched costs anything, whatever the allocator is told to do. */
static void *edge_map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		abort();
	return p;
}

static void edge_link(struct link *l, struct ring_region *mine, struct ring_region *theirs,
	uint8_t from, uint8_t to)
{
	link_init(l, mine, theirs, from, to, link_arenas(DATA_PATH_SHARED, to, from),
		link_release_op(from, to), -1);
}

static void edge_stack_start(struct edge *e, const struct edge_setup *setup)
{
	struct stack_config config = {.ip_be = htobe32(setup->gateway_ip),
		.mask_be = htobe32(0xffffff00),
		.mtu = setup->mtu,
		.nat_enable = true,
		.dns_redirect = true,
		.half_open_per_guest = setup->half_open};
	struct stack_env env = {&e->to_broker, &e->to_natproxy, &e->own, &e->view, &e->drops};
	memcpy(config.mac, SEGMENT_GATEWAY_MAC, sizeof(config.mac));
	for (unsigned int i = 0; i < STACK_KEY_BYTES; i++)
		config.key[i] = (uint8_t)(setup->key * 89 + i * 37);
	e->stack = edge_map(stack_size());
	stack_init(e->stack, &config, &env, e->now_ns);
}

struct edge *edge_new(const struct edge_setup *setup, uint64_t now_ns)
{
	struct edge *e = edge_map(sizeof(*e));
	e->now_ns = now_ns;
	e->mtu = setup->mtu;
	for (int i = 0; i < 4; i++)
		e->region[i] = edge_map(sizeof(struct ring_region));
	edge_link(&e->to_broker, e->region[0], e->region[1], ACTOR_NETSTACK, ACTOR_BROKER);
	edge_link(&e->broker, e->region[1], e->region[0], ACTOR_BROKER, ACTOR_NETSTACK);
	edge_link(&e->to_natproxy, e->region[2], e->region[3], ACTOR_NETSTACK, ACTOR_NATPROXY);
	edge_link(&e->natproxy, e->region[3], e->region[2], ACTOR_NATPROXY, ACTOR_NETSTACK);
	arena_init(&e->own, ARENA_NETSTACK, edge_map(ARENA_BYTES));
	arena_init(&e->frames, ARENA_BROKER, edge_map(ARENA_BYTES));
	arena_init(&e->reads, ARENA_NATPROXY, edge_map(ARENA_BYTES));
	e->view.base[ARENA_NETSTACK] = e->own.base;
	e->view.base[ARENA_BROKER] = e->frames.base;
	e->view.base[ARENA_NATPROXY] = e->reads.base;
	edge_stack_start(e, setup);
	return e;
}

void edge_free(struct edge *e)
{
	for (; e->frame_head != e->frame_tail; e->frame_head++)
		free(e->frame[e->frame_head % EDGE_FRAMES].bytes);
	for (int i = 0; i < 4; i++)
		munmap(e->region[i], sizeof(struct ring_region));
	munmap(e->own.base, ARENA_BYTES);
	munmap(e->frames.base, ARENA_BYTES);
	munmap(e->reads.base, ARENA_BYTES);
	munmap(e->stack, stack_size());
	free(e->last);
	munmap(e, sizeof(*e));
}

static void edge_collect(struct edge *e, const uint8_t *bytes, uint32_t n)
{
	struct edge_item *item = &e->frame[e->frame_tail % EDGE_FRAMES];
	edge_wrong(e, n > e->mtu + 14u, "a frame is longer than the MTU");
	edge_wrong(e, e->frame_tail - e->frame_head == EDGE_FRAMES, "too many frames at once");
	if (e->fault)
		return;
	*item = (struct edge_item){malloc(n), n};
	memcpy(item->bytes, bytes, n);
	e->frame_tail++;
}

static void edge_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* What the guest's kernel, or the broker, makes of a super-frame. */
static void edge_cut(struct edge *e, const uint8_t *frame, uint32_t n, const struct wire_vnet *v)
{
	static uint8_t one[SEGMENT_FRAME_MAX];
	uint32_t seq = (uint32_t)frame[38] << 24 | (uint32_t)frame[39] << 16 |
		       (uint32_t)frame[40] << 8 | frame[41];
	edge_wrong(e, !v->gso_size || v->hdr_len + v->gso_size >= n, "a super-frame of one piece");
	for (uint32_t at = v->hdr_len; at < n && !e->fault; at += v->gso_size) {
		uint32_t bytes = n - at < v->gso_size ? n - at : v->gso_size;
		uint32_t l4 = v->hdr_len - 34u + bytes, number = seq + (at - v->hdr_len);
		memcpy(one, frame, v->hdr_len);
		memcpy(one + v->hdr_len, frame + at, bytes);
		edge_put16(one + 16, 20 + l4);
		edge_put16(one + 24, 0);
		edge_put16(one + 24, segment_sum(one + 14, 20, 0));
		edge_put16(one + 38, number >> 16);
		edge_put16(one + 40, number & 0xffff);
		if (at + bytes < n)
			one[47] &= (uint8_t) ~(FLAG_FIN | FLAG_PSH);
		if (at > v->hdr_len)
			one[47] &= (uint8_t)~FLAG_CWR;
		edge_put16(one + 50, 0);
		edge_put16(one + 50, segment_sum(one + 34, l4, segment_pseudo(one + 14, l4)));
		edge_collect(e, one, v->hdr_len + bytes);
	}
}

static void edge_take_send(struct edge *e, const struct ring_desc *d, const struct ring_header *h)
{
	static uint8_t frame[SEGMENT_FRAME_MAX];
	struct wire_vnet v;
	uint32_t n = d->hlen;
	memcpy(&v, h->vnet, sizeof(v));
	memcpy(frame, h->frame, n);
	for (unsigned int i = 0; i < d->nseg; i++) {
		edge_wrong(e, n + d->seg[i].len > sizeof(frame), "a frame is longer than 64 KiB");
		if (e->fault)
			return;
		memcpy(frame + n, edge_bytes(e, &d->seg[i]), d->seg[i].len);
		n += d->seg[i].len;
	}
	if (v.gso_type) {
		edge_wrong(e, (v.gso_type & 0x7f) != WIRE_GSO_TCP4, "a super-frame of no TCP");
		edge_cut(e, frame, n, &v);
		return;
	}
	if (v.flags & WIRE_VNET_NEEDS_CSUM)
		edge_put16(frame + v.csum_start + v.csum_offset,
			segment_sum(frame + v.csum_start, n - v.csum_start, 0));
	edge_collect(e, frame, n);
}

static bool edge_run_broker(struct edge *e)
{
	struct ring_desc d;
	struct ring_header h;
	bool any = false;
	while (link_recv(&e->broker, &d, &h) > 0) {
		any = true;
		if (d.op == RING_NETSTACK_SEND)
			edge_take_send(e, &d, &h);
		else
			for (unsigned int i = 0; i < d.nseg; i++)
				edge_wrong(e, arena_return(&e->frames, d.ids[i], ACTOR_NETSTACK),
					"the broker got back what it had not lent");
	}
	link_flush(&e->broker);
	return any;
}

static bool edge_run_natproxy(struct edge *e)
{
	struct ring_desc d;
	bool any = false;
	while (link_recv(&e->natproxy, &d, NULL) > 0) {
		any = true;
		if (d.op != RING_NETSTACK_RELEASE_READ) {
			edge_wrong(e, e->message_tail - e->message_head == EDGE_MESSAGES,
				"too many messages at once");
			e->message[e->message_tail++ % EDGE_MESSAGES] = d;
			continue;
		}
		for (unsigned int i = 0; i < d.nseg; i++)
			edge_wrong(e, arena_return(&e->reads, d.ids[i], ACTOR_NETSTACK),
				"natproxy got back what it had not lent");
	}
	link_flush(&e->natproxy);
	return any;
}

static bool edge_run_stack(struct edge *e)
{
	struct link *from[2] = {&e->to_natproxy, &e->to_broker};
	struct ring_desc d;
	bool any = false;
	stack_clock(e->stack, e->now_ns);
	for (int i = 0; i < 2; i++)
		while (link_recv(from[i], &d, NULL) > 0) {
			any = true;
			edge_wrong(e, stack_op(e->stack, &d) < 0,
				"the stack says that its neighbour lies");
		}
	stack_poll(e->stack);
	stack_flush(e->stack);
	link_flush(&e->to_broker);
	link_flush(&e->to_natproxy);
	return any;
}

bool edge_turn(struct edge *e)
{
	bool any = edge_run_stack(e);
	any |= edge_run_broker(e);
	any |= edge_run_natproxy(e);
	edge_wrong(e,
		link_error(&e->broker, NULL) || link_error(&e->natproxy, NULL) ||
			link_error(&e->to_broker, NULL) || link_error(&e->to_natproxy, NULL),
		"a ring is broken");
	return any && !e->fault;
}

bool edge_advance(struct edge *e, uint64_t until_ns)
{
	uint64_t next = stack_next_deadline(e->stack);
	if (e->now_ns >= until_ns)
		return false;
	if (next <= e->now_ns)
		next = e->now_ns + 1;
	e->now_ns = next < until_ns ? next : until_ns;
	return true;
}

uint64_t edge_now(const struct edge *e)
{
	return e->now_ns;
}

const char *edge_fault(const struct edge *e)
{
	return e->fault;
}

void edge_uplink(struct edge *e, bool up)
{
	stack_uplink(e->stack, (struct stack_uplink){up, up, up});
}

const struct stack *edge_stack(const struct edge *e)
{
	return e->stack;
}

uint64_t edge_drops(const struct edge *e, unsigned int reason)
{
	return e->drops.count[reason];
}

void edge_frame(struct edge *e, const uint8_t *bytes, uint32_t n)
{
	struct ring_desc d = {.op = RING_BROKER_FRAME, .flow = EDGE_PORT};
	uint32_t at = 0;
	while (at < n) {
		uint32_t most = at ? ARENA_LARGE_BYTES : ARENA_SMALL_BYTES;
		uint32_t piece = n - at < most ? n - at : most;
		uint32_t id = arena_take(&e->frames, at ? BUF_LARGE : BUF_SMALL, false);
		edge_wrong(e, !id, "the broker's arena is exhausted");
		if (!id)
			return;
		memcpy(arena_ptr(&e->frames, id), bytes + at, piece);
		arena_lend(&e->frames, id, ACTOR_NETSTACK);
		d.seg[d.nseg++] = (struct ring_seg){buf_offset(buf_index(id)), piece, id};
		at += piece;
	}
	edge_wrong(e, link_send(&e->broker, LINK_DATA, &d, NULL) < 0, "the broker's ring is full");
	link_flush(&e->broker);
}

const uint8_t *edge_next_frame(struct edge *e, uint32_t *n)
{
	struct edge_item *item = &e->frame[e->frame_head % EDGE_FRAMES];
	if (e->frame_head == e->frame_tail)
		return NULL;
	free(e->last);
	e->last = item->bytes;
	*n = item->n;
	e->frame_head++;
	return e->last;
}

void edge_say(struct edge *e, struct ring_desc *d, const uint8_t *bytes, uint32_t n)
{
	if (n) {
		uint32_t id =
			arena_take(&e->reads, n > ARENA_SMALL_BYTES ? BUF_LARGE : BUF_SMALL, false);
		edge_wrong(e, !id, "natproxy's arena is exhausted");
		if (!id)
			return;
		memcpy(arena_ptr(&e->reads, id), bytes, n);
		arena_lend(&e->reads, id, ACTOR_NETSTACK);
		d->seg[d->nseg++] = (struct ring_seg){buf_offset(buf_index(id)), n, id};
	}
	edge_wrong(
		e, link_send(&e->natproxy, LINK_CONTROL, d, NULL) < 0, "natproxy's ring is full");
	link_flush(&e->natproxy);
}

bool edge_next_message(struct edge *e, struct ring_desc *d)
{
	if (e->message_head == e->message_tail)
		return false;
	*d = e->message[e->message_head++ % EDGE_MESSAGES];
	return true;
}

const uint8_t *edge_bytes(const struct edge *e, const struct ring_seg *seg)
{
	return arena_view_ptr(&e->view, seg->id, seg->off);
}

void edge_release(struct edge *e, uint32_t id)
{
	link_release(&e->natproxy, id);
}

static bool edge_whole(const struct arena *a)
{
	return a->free_count[BUF_SMALL] == ARENA_SMALL_COUNT &&
	       a->free_count[BUF_LARGE] == ARENA_LARGE_COUNT;
}

bool edge_at_rest(const struct edge *e)
{
	return edge_whole(&e->own) && edge_whole(&e->frames) && edge_whole(&e->reads);
}
