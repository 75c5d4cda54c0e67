/*
 * Sequences of frames from a guest against the whole stack, with neighbours that behave and one connection that must
 * go on working whatever the frames were.
 *
 * Input: records of one byte of kind and two of length, then bytes. A record is given as it is, or laid over a well-
 * formed header of that kind whose checksums are then set right, so that mutation reaches beyond them.
 */
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rewind.h"
#include "stack.h"
#include "topology.h"
#include "wire/wire.h"

enum {
	GUEST = 0xc0a81e0a,
	GATEWAY = 0xc0a81e01,
	OUTSIDE = 0xcb007109,
	FRAME_MAX = 3000,
	RECORDS_MAX = 64,
	OPEN_PORT = 4000
};
enum kind { KIND_RAW, KIND_TCP, KIND_UDP, KIND_ICMP, KIND_ARP, KIND_IP, KIND_TIME, KIND_COUNT };

static struct ring_region *region[4];
static struct link to_broker, to_natproxy, broker, natproxy;
static struct arena own, frames, reads;
static struct arena_view view;
static struct drops drops;
static struct stack *stack;
static uint64_t now;
static uint32_t open_iss;

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static bool strict; /* the data path: by the parity of the input's length */

static void join(struct link *l, int mine, int theirs, int from, int to)
{
	link_init(l, region[mine], region[theirs], (uint8_t)from, (uint8_t)to,
		link_arenas(
			strict ? DATA_PATH_STRICT : DATA_PATH_SHARED, (uint8_t)to, (uint8_t)from),
		link_release_op((uint8_t)from, (uint8_t)to), -1);
}

static void check(int ok)
{
	if (!ok)
		abort();
}

static void boot(void)
{
	struct stack_config c = {.mac = {0, 0xac, 1, 2, 3, 4},
		.ip_be = htobe32(GATEWAY),
		.mask_be = htobe32(0xffffff00),
		.mtu = 1500,
		.nat_enable = true,
		.dns_redirect = true,
		.tcp_per_guest = 64,
		.udp_per_guest = 64,
		.echo_per_guest = 64,
		.half_open_per_guest = 16,
		.strict = strict};
	struct stack_env e = {&to_broker, &to_natproxy, &own, &view, &drops};
	for (int i = 0; i < 4; i++)
		region[i] = rewind_alloc(sizeof(struct ring_region));
	join(&to_broker, 0, 1, ACTOR_NETSTACK, ACTOR_BROKER);
	join(&broker, 1, 0, ACTOR_BROKER, ACTOR_NETSTACK);
	join(&to_natproxy, 2, 3, ACTOR_NETSTACK, ACTOR_NATPROXY);
	join(&natproxy, 3, 2, ACTOR_NATPROXY, ACTOR_NETSTACK);
	arena_init(&own, ARENA_NETSTACK, rewind_alloc(ARENA_BYTES));
	arena_init(&frames, ARENA_BROKER, rewind_alloc(ARENA_BYTES));
	arena_init(&reads, ARENA_NATPROXY, rewind_alloc(ARENA_BYTES));
	view.base[ARENA_NETSTACK] = own.base;
	view.base[ARENA_BROKER] = frames.base;
	view.base[ARENA_NATPROXY] = reads.base;
	stack = rewind_alloc(stack_size());
	now = UINT64_C(1000000000000);
	stack_init(stack, &c, &e, now);
}

/* A datagram or a run of them comes back as it went, in a buffer of natproxy's. */
static void echo(const struct ring_desc *d)
{
	struct ring_desc answer = {.op = RING_NATPROXY_DGRAM_DATA,
		.nseg = 1,
		.hlen = d->hlen,
		.flow = d->flow,
		.remote = d->remote};
	uint32_t id = arena_take(&reads, BUF_LARGE, false), n = 0;
	if (!id)
		return;
	for (unsigned int i = 0; i < d->nseg; i++) {
		check(n + d->seg[i].len <= ARENA_LARGE_BYTES);
		memcpy(arena_ptr(&reads, id) + n,
			arena_view_ptr(&view, d->seg[i].id, d->seg[i].off), d->seg[i].len);
		n += d->seg[i].len;
	}
	answer.seg[0] = (struct ring_seg){buf_offset(buf_index(id)), n, id};
	arena_lend(&reads, id, ACTOR_NETSTACK);
	check(link_send(&natproxy, LINK_CONTROL, &answer, NULL) == 0);
}

static void from_natproxy(const struct ring_desc *d)
{
	struct ring_desc answer = {.flow = d->flow};
	if (d->op == RING_NETSTACK_TCP_OPEN) {
		answer.op = RING_NATPROXY_TCP_OPENED;
		link_send(&natproxy, LINK_CONTROL, &answer, NULL);
	} else if (d->op == RING_NETSTACK_TCP_DATA) {
		answer.op = RING_NATPROXY_TCP_CONSUMED;
		answer.arg = d->arg;
		for (unsigned int i = 0; i < d->nseg; i++)
			answer.arg += d->seg[i].len;
		link_send(&natproxy, LINK_CONTROL, &answer, NULL);
	} else if (d->op == RING_NETSTACK_RELEASE_READ) {
		for (unsigned int i = 0; i < d->nseg; i++)
			check(arena_return(&reads, d->ids[i], ACTOR_NETSTACK) == 0);
	}
	bool datagram = d->op == RING_NETSTACK_DGRAM_DATA || d->op == RING_NETSTACK_DGRAM_WHOLE;
	if (datagram)
		echo(d);
	if (datagram || d->op == RING_NETSTACK_TCP_DATA)
		for (unsigned int i = 0; i < d->nseg; i++)
			link_release(&natproxy, d->seg[i].id);
}

static void from_broker(const struct ring_desc *d, const struct ring_header *h)
{
	struct wire_vnet v;
	uint16_t sport, flags;
	if (d->op == RING_NETSTACK_RELEASE_FRAME) {
		for (unsigned int i = 0; i < d->nseg; i++)
			check(arena_return(&frames, d->ids[i], ACTOR_NETSTACK) == 0);
		return;
	}
	memcpy(&v, h->vnet, sizeof(v));
	check(!v.gso_type || (v.gso_size && (v.flags & WIRE_VNET_NEEDS_CSUM)));
	check(d->hlen >= 34 && memcmp(h->frame + 6, "\x00\xac\x01\x02\x03\x04", 6) == 0);
	if (d->hlen < 54 || h->frame[23] != IP_PROTO_TCP)
		return;
	sport = (uint16_t)(h->frame[36] << 8 | h->frame[37]);
	flags = h->frame[47];
	if (sport == OPEN_PORT && (flags & 0x12) == 0x12)
		open_iss = (uint32_t)h->frame[38] << 24 | (uint32_t)h->frame[39] << 16 |
			   (uint32_t)h->frame[40] << 8 | h->frame[41];
}

static void run(void)
{
	struct ring_desc d;
	struct ring_header h;
	for (int i = 0; i < 6; i++) {
		stack_clock(stack, now);
		while (link_recv(&to_natproxy, &d, NULL) > 0)
			check(stack_op(stack, &d) == 0);
		while (link_recv(&to_broker, &d, NULL) > 0)
			check(stack_op(stack, &d) == 0);
		stack_poll(stack);
		stack_flush(stack);
		link_flush(&to_broker);
		link_flush(&to_natproxy);
		while (link_recv(&broker, &d, &h) > 0)
			from_broker(&d, &h);
		while (link_recv(&natproxy, &d, NULL) > 0)
			from_natproxy(&d);
		link_flush(&broker);
		link_flush(&natproxy);
	}
	check(link_error(&broker, NULL) == 0 && link_error(&natproxy, NULL) == 0);
}

static void give(const uint8_t *bytes, uint32_t len, bool csum_ok, uint16_t gso_size)
{
	struct ring_desc d = {.op = RING_BROKER_FRAME,
		.flow = 1,
		.rx = {.csum_ok = csum_ok, .gso_size = gso_size}};
	for (uint32_t at = 0; at < len;) {
		uint32_t n = at ? len - at : len < ARENA_SMALL_BYTES ? len : ARENA_SMALL_BYTES;
		uint32_t id = arena_take(&frames, at ? BUF_LARGE : BUF_SMALL, false);
		if (!id)
			return;
		memcpy(arena_ptr(&frames, id), bytes + at, n);
		arena_lend(&frames, id, ACTOR_NETSTACK);
		d.seg[d.nseg++] = (struct ring_seg){buf_offset(buf_index(id)), n, id};
		at += n;
	}
	if (d.nseg)
		link_send(&broker, LINK_DATA, &d, NULL);
	link_flush(&broker);
	run();
}

/* A header of `kind` in front of the input's bytes, which may replace any of it. Returns the frame's length. */
static uint32_t dress(uint8_t *frame, enum kind kind, const uint8_t *in, uint32_t n)
{
	static const uint8_t protocol[KIND_COUNT] = {
		[KIND_TCP] = 6, [KIND_UDP] = 17, [KIND_ICMP] = 1, [KIND_IP] = 6};
	uint32_t len = 34 + n;
	memcpy(frame, "\x00\xac\x01\x02\x03\x04\x02\x00\x00\x00\x00\x10\x08\x00", 14);
	if (kind == KIND_ARP) {
		frame[13] = 6;
		memcpy(frame + 14, "\x00\x01\x08\x00\x06\x04\x00\x01\x02\x00\x00\x00\x00\x10", 14);
		memcpy(frame + 28, in, n);
		return 28 + n;
	}
	memset(frame + 14, 0, 20);
	frame[14] = 0x45;
	frame[22] = 64;
	frame[23] = protocol[kind];
	put32(frame + 26, GUEST);
	put32(frame + 30, OUTSIDE);
	memcpy(frame + (kind == KIND_IP ? 18 : 34), in, kind == KIND_IP ? (n < 16 ? n : 16) : n);
	if (kind == KIND_IP)
		memcpy(frame + 34, in, n);
	put16(frame + 16, 20 + n);
	put16(frame + 24, 0);
	put16(frame + 24, wire_fold(wire_sum(0, frame + 14, 20)));
	if (kind == KIND_ICMP && n >= 4) {
		put16(frame + 36, 0);
		put16(frame + 36, wire_fold(wire_sum(0, frame + 34, n)));
	}
	return len;
}

static void open_flow_segment(uint32_t seq, uint8_t flags, const char *data, uint32_t n)
{
	uint8_t tcp[64], frame[128];
	memset(tcp, 0, 20);
	put16(tcp, 999);
	put16(tcp + 2, OPEN_PORT);
	put32(tcp + 4, seq);
	put32(tcp + 8, flags & 16 ? open_iss + 1 : 0);
	tcp[12] = 0x50;
	tcp[13] = flags;
	put16(tcp + 14, 5000);
	memcpy(tcp + 20, data, n);
	give(frame, dress(frame, KIND_TCP, tcp, 20 + n), true, 0);
}

/* With the bit set the frame is a super-frame, of parts short and long. */
static uint16_t size_of_parts(uint8_t head, uint32_t n)
{
	return head & 0x40 ? (uint16_t)(1 + n * 7 % 1600) : 0;
}

/* What a run changes beside rewound memory, as it is with the one connection open. */
struct books {
	struct link to_broker, to_natproxy, broker, natproxy;
	struct arena own, frames, reads;
	struct arena_view view;
	struct drops drops;
	struct stack *stack;
	uint64_t now;
	uint32_t open_iss;
};

static void open_books(struct books *b, bool strict_path)
{
	strict = strict_path;
	boot();
	open_flow_segment(100, 2, "", 0);
	open_flow_segment(101, 16, "", 0);
	*b = (struct books){to_broker, to_natproxy, broker, natproxy, own, frames, reads, view,
		drops, stack, now, open_iss};
}

static void back_to(const struct books *b)
{
	to_broker = b->to_broker;
	to_natproxy = b->to_natproxy;
	broker = b->broker;
	natproxy = b->natproxy;
	own = b->own;
	frames = b->frames;
	reads = b->reads;
	view = b->view;
	drops = b->drops;
	stack = b->stack;
	now = b->now;
	open_iss = b->open_iss;
}

static void begin(bool strict_path)
{
	static struct books books[2];
	if (!stack) {
		open_books(&books[0], false);
		open_books(&books[1], true);
		rewind_keep();
	}
	rewind_back();
	strict = strict_path;
	back_to(&books[strict_path]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static uint8_t frame[FRAME_MAX + 64];
	struct wire_in in = wire_in(bytes, size);
	begin(size & 1);
	for (unsigned int i = 0; i < RECORDS_MAX && wire_left(&in) > 3; i++) {
		uint8_t head = wire_u8(&in);
		uint32_t n = wire_u16(&in) % FRAME_MAX;
		const uint8_t *data;
		enum kind kind = head % KIND_COUNT;
		if (n > wire_left(&in))
			n = (uint32_t)wire_left(&in);
		data = wire_bytes(&in, n);
		if (kind == KIND_TIME)
			now += (uint64_t)n * UINT64_C(20000000);
		else if (kind == KIND_RAW)
			give(data, n, head & 0x80, size_of_parts(head, n));
		else
			give(frame, dress(frame, kind, data, n), head & 0x80,
				size_of_parts(head, n));
		run();
	}
	return 0;
}
