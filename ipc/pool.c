/*
 * A bump allocator for unpacking: allocations are carved off one block and all given back at once
 * by pool_reset. protobuf-c frees what it allocated when a message turns out to be malformed; those
 * frees do nothing.
 */
#include "pool.h"

enum { POOL_ALIGN = 16 };

static void *allocator_alloc(void *pool, size_t bytes)
{
	return pool_alloc(pool, bytes);
}

static void allocator_free(void *pool, void *pointer)
{
}

void pool_init(struct pool *p, void *base, size_t cap)
{
	/* An aligned start, so that aligned sizes keep every allocation aligned. */
	size_t skip = -(uintptr_t)base & (POOL_ALIGN - 1);

	*p = (struct pool){.allocator = {allocator_alloc, allocator_free, p}, .base = base};
	if (cap > skip) {
		p->base += skip;
		p->cap = cap - skip;
	}
}

void *pool_alloc(struct pool *p, size_t bytes)
{
	size_t left = p->cap - p->used, need;
	void *start = p->base + p->used;

	if (bytes > left) {
		p->exhausted++;
		return NULL;
	}
	need = (bytes + POOL_ALIGN - 1) & ~(size_t)(POOL_ALIGN - 1);
	p->used += need < left ? need : left;
	if (p->used > p->peak)
		p->peak = p->used;
	return start;
}

void pool_reset(struct pool *p)
{
	p->used = 0;
}
