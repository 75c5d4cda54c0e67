/*
 * Theory of operation
 *
 *     exact value V        mask = width,                  datum = V
 *     subset of bits B     mask = width & ~B,             datum = 0
 *     range 16..79         aligned blocks 16-31, 32-63, 64-79: mask = width & ~(size - 1), datum =
 * start
 *
 * where width is 0xffffffff for an int, because that is what the kernel reads of it. Blocks are
 * exact at both ends, so (unsigned)-1 is in none of them.
 */
#include "blocks.h"

static bool add(struct blocks *b, uint64_t mask, uint64_t datum)
{
	if (b->count == BLOCKS_MAX)
		return false;
	b->block[b->count++] = (struct block){mask, datum};
	return true;
}

/* Covers first..last by naturally aligned power-of-two blocks, largest possible first. */
static bool add_range(struct blocks *b, uint64_t width, struct policy_range r)
{
	for (uint64_t start = r.first;;) {
		uint64_t size = 1;
		while (size < UINT64_C(1) << 31 && (start & (size * 2 - 1)) == 0 &&
			r.last - start >= size * 2 - 1)
			size *= 2;
		if (!add(b, width & ~(size - 1), start))
			return false;
		if (r.last - start < size)
			return true;
		start += size;
	}
}

bool blocks_of(const struct policy_condition *c, struct blocks *out)
{
	const uint64_t width = c->argument.bits == 64 ? UINT64_MAX : UINT32_MAX;

	out->count = 0;
	if (c->subset)
		return add(out, c->forbidden_bits, 0);
	for (unsigned int i = 0; i < c->ranges; i++)
		if (!add_range(out, width, c->range[i]))
			return false;
	return true;
}
