/*
 * Which lease runs out next. All offers last equally long, and so do all leases, but offers,
 * leases, quarantines and what was restored at start mix: a heap keeps them in one order whatever
 * order they were set in.
 */
#include "expiry.h"

size_t expiry_bytes(uint32_t count)
{
	return (size_t)count * (sizeof(struct expiry_slot) + sizeof(uint64_t));
}

void expiry_init(struct expiry *e, void *memory, uint32_t count)
{
	e->slot = memory;
	e->place = (uint32_t *)(void *)(e->slot + count);
	e->count = 0;
}

static void put(struct expiry *e, uint32_t at, struct expiry_slot s)
{
	e->slot[at] = s;
	e->place[s.id] = at + 1;
}

/* Moves what lies at `at` towards the root, then towards the leaves, until the order holds. */
static void settle(struct expiry *e, uint32_t at)
{
	struct expiry_slot s = e->slot[at];
	while (at && s.at_ns < e->slot[(at - 1) / 2].at_ns) {
		put(e, at, e->slot[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (uint32_t child; (child = 2 * at + 1) < e->count; at = child) {
		if (child + 1 < e->count && e->slot[child + 1].at_ns < e->slot[child].at_ns)
			child++;
		if (s.at_ns <= e->slot[child].at_ns)
			break;
		put(e, at, e->slot[child]);
	}
	put(e, at, s);
}

void expiry_set(struct expiry *e, uint32_t id, uint64_t at_ns)
{
	uint32_t at = e->place[id] ? e->place[id] - 1 : e->count++;
	put(e, at, (struct expiry_slot){at_ns, id});
	settle(e, at);
}

void expiry_clear(struct expiry *e, uint32_t id)
{
	if (!e->place[id])
		return;
	uint32_t at = e->place[id] - 1;
	e->place[id] = 0;
	e->count--;
	if (at == e->count)
		return;
	put(e, at, e->slot[e->count]);
	settle(e, at);
}

uint64_t expiry_next(const struct expiry *e)
{
	return e->count ? e->slot[0].at_ns : UINT64_MAX;
}

bool expiry_pop(struct expiry *e, uint64_t now_ns, uint32_t *id)
{
	if (expiry_next(e) > now_ns)
		return false;
	*id = e->slot[0].id;
	expiry_clear(e, *id);
	return true;
}
