/*
 * Fragments against reassembly, beside a model that knows only bytes: what comes out, and when, must be the same.
 *
 * Input: records of five bytes. key picks one of four datagrams or lets time pass; at and length are in units of 8
 * bytes, with a few odd bytes for the last fragment; tag is what the bytes are made of, so pieces of two
 * datagrams that were mixed would show.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

enum { KEYS = 4, MODEL_BYTES = 65536 + 2048, RECORDS_MAX = 400, LARGE = ARENA_SMALL_COUNT };

struct model {
	bool begun;
	uint64_t since_ns;
	uint32_t total, received, highest;
	uint8_t byte[MODEL_BYTES], there[MODEL_BYTES];
};

static struct stack *stack;
static struct arena own;
static struct arena_view view;
static struct drops drops;
static uint8_t *frames;
static struct model models[KEYS];

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void boot(void)
{
	const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	arena_init(&own, ARENA_NETSTACK, calloc(1, ARENA_BYTES));
	frames = calloc(1, ARENA_BYTES);
	view.base[ARENA_NETSTACK] = own.base;
	view.base[ARENA_BROKER] = frames;
	stack = calloc(1, stack_size());
	const struct stack_config c = {.ip_be = 1, .mask_be = 0};
	const struct stack_env e = {.arena = &own, .view = &view, .drops = &drops};
	stack_init(stack, &c, &e, NS_PER_S);
	memcpy(guest_need(stack, 77)->mac, mac, sizeof(mac));
}

struct piece {
	uint32_t key, at, bytes;
	bool more;
	uint8_t tag;
};

static uint8_t byte_of(const struct piece *f, uint32_t at)
{
	return (uint8_t)(at * 7 + (f->tag & 1) + f->key);
}

/* What the model says becomes of it: 1 complete, 0 waits or was ignored, -1 the datagram is given up. */
static int model_add(struct model *m, const struct piece *f, uint64_t now_ns)
{
	uint32_t end = f->at + f->bytes, there = 0;
	bool same = true, fits;
	if (!f->bytes || (f->more && f->bytes % 8) || end > FRAG_PAYLOAD_MAX)
		return m->begun ? -1 : 0;
	if (!m->begun)
		m->since_ns = now_ns;
	m->begun = true;
	for (uint32_t i = f->at; i < end; i++) {
		there += m->there[i];
		same = same && m->there[i] && m->byte[i] == byte_of(f, i);
	}
	fits = m->total ? end <= m->total && (f->more || end == m->total)
			: f->more || end >= m->highest;
	if (there == f->bytes && same && fits)
		return 0;
	if (there || !fits)
		return -1;
	for (uint32_t i = f->at; i < end; i++) {
		m->there[i] = 1;
		m->byte[i] = byte_of(f, i);
	}
	m->received += f->bytes;
	m->highest = end > m->highest ? end : m->highest;
	m->total = f->more ? m->total : end;
	return m->total && m->received == m->total;
}

static void model_forget(struct model *m)
{
	memset(m, 0, sizeof(*m));
}

static void give(const struct piece *f)
{
	struct guest *g = guest_find(stack, 77);
	const uint32_t at = buf_offset(LARGE);
	struct model *m = &models[f->key];
	struct packet p = {.src_be = 77,
		.dst_be = 99,
		.ip_id = (uint16_t)f->key,
		.protocol = 17,
		.port = 5,
		.l4_at = OUT_L4_AT,
		.seg_at = OUT_L4_AT,
		.bytes = OUT_L4_AT + f->bytes,
		.head_bytes = OUT_L4_AT,
		.frag = (uint16_t)(f->at / 8 | (f->more ? IP_MORE_FRAGMENTS : 0)),
		.nseg = 1,
		.seg = {{at, f->bytes, buf_id(ARENA_BROKER, LARGE)}}};
	for (uint32_t i = 0; i < f->bytes; i++)
		frames[at + i] = byte_of(f, f->at + i);
	const int expected = model_add(m, f, stack->now_ns);
	const bool complete = frag_input(stack, &p, g);
	check(complete == (expected > 0));
	if (complete) {
		check(p.seg[0].len == m->total && p.bytes == OUT_L4_AT + m->total);
		check(memcmp(arena_view_ptr(&view, p.seg[0].id, p.seg[0].off), m->byte, m->total) ==
			0);
		hold_release(stack, p.seg[0].id);
	}
	if (expected)
		model_forget(m);
}

static void pass(uint64_t ns)
{
	stack_clock(stack, stack->now_ns + ns);
	frag_poll(stack);
	for (unsigned int i = 0; i < KEYS; i++)
		if (models[i].begun && stack->now_ns - models[i].since_ns >= 30 * NS_PER_S)
			model_forget(&models[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint32_t begun = 0;
	if (!stack)
		boot();
	for (size_t i = 0; i + 5 <= size && i / 5 < RECORDS_MAX; i += 5) {
		const uint8_t *r = bytes + i;
		struct piece f = {.key = r[0] % KEYS,
			.at = ((r[1] << 8 | r[2]) & IP_OFFSET_MASK) * 8u,
			.bytes = r[3] * 8u - (r[0] & 0x20 ? r[4] >> 5 : 0),
			.more = !(r[0] & 0x10),
			.tag = r[4]};
		if (r[0] >= 0xe0)
			pass((uint64_t)r[3] * NS_PER_S / 8);
		else if (f.bytes <= 255 * 8)
			give(&f);
	}
	for (unsigned int i = 0; i < KEYS; i++)
		begun += models[i].begun;
	check(stack->frags.used == begun);
	pass(31 * NS_PER_S);
	check(stack->frags.used == 0 && guest_find(stack, 77)->fragments == 0);
	check(own.free_count[BUF_LARGE] == ARENA_LARGE_COUNT);
	return 0;
}
