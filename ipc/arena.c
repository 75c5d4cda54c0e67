/*
 * Payload arenas: the owner's free lists and the check of a neighbour's references.
 *
 * A buffer goes round:  free ── arena_take ──▶ taken ── arena_lend ──▶ lent to X ── arena_return by
 * X ──▶ free ◀─────── arena_untake ──────┘
 *
 * Whatever the owner does wrong is a bug of its own and aborts; whatever a borrower does wrong is
 * -EPROTO. All of this state is private memory: a neighbour sees the buffers' bytes and nothing
 * else. The free lists are stacks, so that the same few pages are used again while load is low.
 */
#include "arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t class_first[2] = {0, ARENA_SMALL_COUNT};
static const uint32_t class_count[2] = {ARENA_SMALL_COUNT, ARENA_LARGE_COUNT};

static enum buf_class class_of(uint32_t index)
{
	return index < ARENA_SMALL_COUNT ? BUF_SMALL : BUF_LARGE;
}

bool buf_seg_ok(uint32_t off, uint32_t len, uint32_t id, uint32_t arena_set)
{
	uint32_t index = buf_index(id), arena = id >> 28, into;

	if (arena >= ARENA_ID_COUNT || !(arena_set & 1u << arena) || index >= ARENA_MAX_IDS)
		return false;
	if (off < buf_offset(index))
		return false;
	into = off - buf_offset(index);
	return into <= buf_bytes(index) && len <= buf_bytes(index) - into;
}

void arena_init(struct arena *a, enum arena_id id, uint8_t *base)
{
	memset(a, 0, sizeof(*a));
	a->id = id;
	a->base = base;
	for (int c = BUF_SMALL; c <= BUF_LARGE; c++) {
		/* The lowest index on top of the stack: what is used first lies together. */
		for (uint32_t i = 0; i < class_count[c]; i++)
			a->free[class_first[c] + i] = class_first[c] + class_count[c] - 1 - i;
		a->free_count[c] = class_count[c];
	}
}

uint32_t arena_take(struct arena *a, enum buf_class c, bool control)
{
	uint32_t index;

	if (a->free_count[c] <= (control ? 0u : (uint32_t)ARENA_RESERVED))
		return 0;
	index = a->free[class_first[c] + --a->free_count[c]];
	a->lent_to[index] = ARENA_TAKEN;
	return buf_id(a->id, index);
}

static void put_back(struct arena *a, uint32_t index)
{
	enum buf_class c = class_of(index);

	a->lent_to[index] = ARENA_FREE;
	a->free[class_first[c] + a->free_count[c]++] = index;
}

/* The index of a buffer that the owner holds; anything else is a bug of the owner. */
static uint32_t taken_index(const struct arena *a, uint32_t id)
{
	uint32_t index = buf_index(id);

	if (buf_arena(id) != a->id || index >= ARENA_MAX_IDS || a->lent_to[index] != ARENA_TAKEN)
		abort();
	return index;
}

void arena_untake(struct arena *a, uint32_t id)
{
	put_back(a, taken_index(a, id));
}

void arena_lend(struct arena *a, uint32_t id, int borrower)
{
	a->lent_to[taken_index(a, id)] = (uint8_t)(ARENA_LENT + borrower);
}

int arena_return(struct arena *a, uint32_t id, int borrower)
{
	uint32_t index = buf_index(id);

	if (buf_arena(id) != a->id || index >= ARENA_MAX_IDS ||
		a->lent_to[index] != ARENA_LENT + borrower)
		return -EPROTO;
	put_back(a, index);
	return 0;
}

uint32_t arena_reclaim(struct arena *a, int borrower)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ARENA_MAX_IDS; i++) {
		if (a->lent_to[i] == ARENA_LENT + borrower) {
			put_back(a, i);
			n++;
		}
	}
	return n;
}

unsigned int arena_used_percent(const struct arena *a, enum buf_class c)
{
	return (class_count[c] - a->free_count[c]) * 100 / class_count[c];
}
