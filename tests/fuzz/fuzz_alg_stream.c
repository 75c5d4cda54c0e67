/*
 * stream.c with a parser that does what the bytes say: edits anywhere inside its message, wishes,
 * closes, gives up. Calls come in any order: bytes, answers (right, stale, invented), the end of a
 * direction. Verdicts must only ever move forward inside what was fed, and every buffer must come
 * back.
 */
#include <stdlib.h>
#include <string.h>

#include "stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct stream_pool pool;

static size_t frame(const void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, size_t seen)
{
	const uint8_t *end = memchr(p + seen, '\n', n - seen);
	return end ? (size_t)(end - p) + 1 : 0;
}

static void edit(const uint8_t *p, size_t n, struct alg_answer *a)
{
	for (size_t i = 0; i + 1 < n && a->edit_count < ALG_EDITS; i++) {
		const uint8_t *next = memchr(p + i, 'e', n - 1 - i);
		if (!next)
			return;
		i = (size_t)(next - p);
		uint32_t old = (uint32_t)(p[i + 1] % (n - i));
		a->edit[a->edit_count++] =
			(struct alg_edit){(uint32_t)i, old, p[i + 1] % ALG_EDIT_BYTES, {0}};
		i += old;
	}
}

static void message(void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, struct alg_answer *a)
{
	a->why = "x";
	if (n && p[0] & 1)
		alg_act_add(a, p[0] & 2 ? ALG_ARM : ALG_CLOSE, p[0]);
	a->result = n && p[0] == 'W'   ? ALG_WISH
		    : n && p[0] == 'V' ? ALG_VIOLATION
		    : n && p[0] == 'D' ? ALG_DONE
				       : ALG_PASS;
	for (size_t i = 0; a->result == ALG_WISH && i < n && i < ALG_WISHES && p[i] == 'W'; i++)
		a->wish[a->wish_count++] = (struct alg_wish){.guest_port = ALG_PORT_MIN, .token = (uint32_t)i + 1};
	if (a->result == ALG_PASS)
		edit(p, n, a);
}

static void granted(void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, const struct alg_grant *g, struct alg_answer *a)
{
	if (g)
		edit(p, n, a);
}

static const struct alg_protocol protocols[] = {
	{"stream", ALGS_FTP, 0, ALGS_TCP, 3000, frame, message, granted},
	{"datagram", ALGS_TFTP, 0, ALGS_UDP, 3000, NULL, message, granted},
};

static bool check(const struct stream_out *out, const uint64_t *fed, uint64_t *passed)
{
	if (!out->verdict)
		return !out->give_up;
	uint64_t end = passed[out->direction];
	if (out->until < end || out->until > fed[out->direction] || out->edit_count > STREAM_EDITS)
		abort();
	for (unsigned int i = 0; i < out->edit_count; i++) {
		if (out->edit[i].at < end ||
			out->edit[i].at + out->edit[i].edit.old_bytes > out->until)
			abort();
		end = out->edit[i].at + out->edit[i].edit.old_bytes;
	}
	passed[out->direction] = out->until;
	return !out->give_up;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t filler[STREAM_CHUNK_MAX];
	struct stream_flow f;
	struct stream_out out;
	struct alg_flow view = {.stream = size && !(data[0] & 1)};
	uint64_t fed[2] = {0}, passed[2] = {0};
	bool alive = size > 1;
	memset(&pool.free_small, 0, sizeof(pool) - offsetof(struct stream_pool, free_small));
	stream_pool_init(&pool);
	stream_begin(&f, &protocols[size && data[0] & 1], &view, 0);
	for (size_t i = 1; alive && i + 2 < size;) {
		enum alg_direction from = data[i] & 1 ? ALG_GUEST : ALG_OUTSIDE;
		const struct alg_grant g = {1, 2};
		size_t n = data[i + 1];
		const uint8_t *bytes = data + i + 2;
		if (data[i] & 2) {
			stream_granted(&pool, &f, data[i + 1], data[i] & 4 ? &g : NULL, &out);
			alive = check(&out, fed, passed);
			i += 2;
			continue;
		}
		if (data[i] & 8) {
			n *= 128;
			bytes = filler;
			i += 2;
		} else {
			n = n < size - i - 2 ? n : size - i - 2;
			i += 2 + n;
		}
		if (stream_feed(&pool, &f, from, fed[from], bytes, n, n == 99))
			break;
		fed[from] += n;
		do {
			stream_step(&pool, &f, from, &out);
			alive = check(&out, fed, passed);
		} while (alive && out.more);
	}
	stream_end(&pool, &f);
	if (pool.small_count != STREAM_SMALL_COUNT || pool.large_count != STREAM_LARGE_COUNT)
		abort();
	return 0;
}
