/*
 * Theory of operation. Each block has a header in front: its size, where the C library's block begins, and whether it was
 * taken while an operation was under way. Blocks of the operation are counted, so that at its end none may be left. The header's
 * mark tells a block that is freed twice, and freed memory is filled, so that who reads it notices.
 */
#include "fail.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIVE = 0x4c495645, COUNTED = 0x434f554e, FREED = 0x46524545, FILL = 0xdd };

struct block {
	size_t bytes;
	void *begins;
	uint32_t mark;
	uint32_t operation;
} __attribute__((aligned(16)));

void *__libc_malloc(size_t bytes);
void __libc_free(void *p);

static __thread struct {
	bool on, paused, for_good;
	unsigned int count, n, refused;
	long held;
	uint32_t operation;
} state;

static void complain(const char *what)
{
	(void)!write(2, what, strlen(what));
	abort();
}

static bool is_refused(void)
{
	if (!state.on || state.paused)
		return false;
	if (++state.count > FAIL_MOST)
		complain("fail.c: an operation without end\n");
	if (state.for_good ? state.count < state.n : state.count != state.n)
		return false;
	state.refused++;
	errno = ENOMEM;
	return true;
}

static void *take(size_t bytes, size_t alignment)
{
	const size_t room = sizeof(struct block) + alignment;
	uint8_t *begins;
	struct block *b;
	if (bytes > SIZE_MAX / 2 || is_refused()) {
		errno = ENOMEM;
		return NULL;
	}
	begins = __libc_malloc(bytes + room);
	if (!begins)
		return NULL;
	b = (struct block *)(((uintptr_t)begins + room) / alignment * alignment) - 1;
	*b = (struct block){.bytes = bytes, .begins = begins, .mark = LIVE};
	if (state.on && !state.paused) {
		b->mark = COUNTED;
		b->operation = state.operation;
		state.held++;
	}
	return b + 1;
}

void *malloc(size_t bytes)
{
	return take(bytes, sizeof(struct block));
}

void free(void *p)
{
	if (!p)
		return;
	struct block *b = (struct block *)p - 1;
	if (b->mark != LIVE && b->mark != COUNTED)
		complain("fail.c: freed twice, or never allocated\n");
	if (b->mark == COUNTED && b->operation == state.operation)
		state.held--;
	b->mark = FREED;
	memset(p, FILL, b->bytes);
	__libc_free(b->begins);
}

void *calloc(size_t count, size_t bytes)
{
	size_t all;
	void *p = NULL;
	if (__builtin_mul_overflow(count, bytes, &all))
		errno = ENOMEM;
	else if ((p = malloc(all)))
		memset(p, 0, all);
	return p;
}

void *realloc(void *p, size_t bytes)
{
	void *now = malloc(bytes);
	if (!now || !p)
		return now;
	const struct block *b = (struct block *)p - 1;
	memcpy(now, p, b->bytes < bytes ? b->bytes : bytes);
	free(p);
	return now;
}

void *reallocarray(void *p, size_t count, size_t bytes)
{
	size_t all;
	if (!__builtin_mul_overflow(count, bytes, &all))
		return realloc(p, all);
	errno = ENOMEM;
	return NULL;
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	return take(bytes, alignment > sizeof(struct block) ? alignment : sizeof(struct block));
}

void *memalign(size_t alignment, size_t bytes);
void *memalign(size_t alignment, size_t bytes)
{
	return aligned_alloc(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
	*out = aligned_alloc(alignment, bytes);
	return *out ? 0 : ENOMEM;
}

size_t malloc_usable_size(void *p);
size_t malloc_usable_size(void *p)
{
	return p ? ((struct block *)p - 1)->bytes : 0;
}

void fail_require(bool ok, const char *what)
{
	if (!ok)
		fprintf(stderr, "fail.c: refused allocation %u%s: ", state.n,
			state.for_good ? " and all after it" : "");
	if (!ok)
		complain(what);
}

void fail_keep(void)
{
	state.held = 0;
}

void fail_pause(bool on)
{
	state.paused = on;
}

/* One run; whether an allocation was refused. */
static bool run(bool (*once)(void), unsigned int n, bool for_good)
{
	static uint32_t operations;
	bool done;
	memset(&state, 0, sizeof(state));
	state.n = n;
	state.for_good = for_good;
	state.operation = ++operations;
	state.on = true;
	done = once();
	state.on = false;
	fail_require(state.held == 0, "the operation kept memory\n");
	fail_require(done || state.refused, "the operation fails with all memory there is\n");
	return state.refused > 0;
}

unsigned int fail_each(bool (*once)(void))
{
	unsigned int n = 1;
	while (run(once, n, false))
		n++;
	for (unsigned int from = 1; from < n; from++)
		run(once, from, true);
	return n - 1;
}
