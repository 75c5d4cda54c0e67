/*
 * Theory of operation: see explore.h. Depth first; a state is known by 128 bits of hash, so a wrong "seen before" is less
 * likely than a wrong bit of memory.
 */
#include "explore.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE = 1 << 22, STATE_MAX = 16384, CALLS_A_STEP = 64 };

static struct explore_process *me;
static uint32_t cursor;
static bool moved;
static jmp_buf leave;
enum { LEAVE_YIELD = 1, LEAVE_BLOCKED };

struct key {
	uint64_t a, b;
};
static struct key *table;
static uint8_t *stack;
static size_t depth, room, state_bytes;

void explore_begin(
	struct explore *x, const char *name, const char *(*end)(void), const char *(*always)(void))
{
	memset(x, 0, sizeof(*x));
	x->name = name;
	x->end = end;
	x->always = always;
}

int explore_add_process(struct explore *x, enum explore_call (*call)(int self))
{
	struct explore_process *p = &x->process[x->processes];
	p->call = call;
	explore_add_range(
		x, EXPLORE_SHARED, &p->value, sizeof(*p) - offsetof(struct explore_process, value));
	return x->processes++;
}

void explore_add_range(struct explore *x, int owner, void *at, size_t bytes)
{
	if (x->ranges == EXPLORE_RANGES)
		abort();
	x->range[x->ranges++] = (struct explore_range){at, bytes, owner};
}

void explore_set(_Atomic uint32_t *at, uint32_t value)
{
	atomic_init(at, value);
}

static void save(const struct explore *x, uint8_t *out)
{
	for (int i = 0; i < x->ranges; i++) {
		memcpy(out, x->range[i].at, x->range[i].bytes);
		out += x->range[i].bytes;
	}
}

/* The ranges of one owner, or all when `owner` is not a process. */
static void restore(const struct explore *x, const uint8_t *in, int owner)
{
	for (int i = 0; i < x->ranges; i++) {
		if (owner == EXPLORE_SHARED || x->range[i].owner == owner)
			memcpy(x->range[i].at, in, x->range[i].bytes);
		in += x->range[i].bytes;
	}
}

/* A touch: false while it is only repeated, true when it happens now. */
bool explore_touch(void)
{
	if (cursor < me->values) {
		cursor++;
		return false;
	}
	if (moved)
		longjmp(leave, LEAVE_YIELD);
	if (me->values == EXPLORE_VALUES)
		abort();
	moved = true;
	me->value[me->values++] = 0;
	cursor++;
	return true;
}

static uint32_t load_now(const _Atomic uint32_t *at)
{
	for (uint32_t i = me->stores; i-- > 0;) {
		if (me->store[i].at == at)
			return me->store[i].value;
	}
	return atomic_load(at);
}

uint32_t explore_load(const _Atomic uint32_t *at)
{
	if (explore_touch())
		me->value[cursor - 1] = load_now(at);
	return me->value[cursor - 1];
}

void explore_store(_Atomic uint32_t *at, uint32_t value, memory_order order)
{
	if (!me) { /* before the search: nobody looks yet */
		atomic_store(at, value);
		return;
	}
	if (cursor >= me->values && !moved && me->stores == EXPLORE_STORES)
		longjmp(leave, LEAVE_BLOCKED);
	if (!explore_touch())
		return;
	me->store[me->stores++] = (struct explore_store){at, value, order != memory_order_relaxed};
}

void explore_fence(void)
{
	if (cursor >= me->values && !moved && me->stores)
		longjmp(leave, LEAVE_BLOCKED);
	explore_touch();
}

/* Whether the buffered store may reach memory before those that are older. */
static bool may_drain(const struct explore_process *p, uint32_t which)
{
	for (uint32_t i = 0; i < which; i++) {
		if (p->store[which].release || p->store[i].at == p->store[which].at)
			return false;
	}
	return true;
}

static void drain(struct explore_process *p, uint32_t which)
{
	atomic_store(p->store[which].at, p->store[which].value);
	p->stores--;
	memmove(&p->store[which], &p->store[which + 1], (p->stores - which) * sizeof(p->store[0]));
	memset(&p->store[p->stores], 0, sizeof(p->store[0]));
}

static void begin_call(void)
{
	cursor = 0;
	memset(me->value, 0, sizeof(me->value));
	me->values = 0;
}

/* Lets a process go on to its next touch and over what follows it. False when it cannot. `from` is the present state. */
static bool step(struct explore *x, int self, const uint8_t *from)
{
	static uint8_t begun[STATE_MAX];
	volatile int calls = 0;
	me = &x->process[self];
	moved = false;
	cursor = 0;
	memcpy(begun, from, state_bytes);
	switch (setjmp(leave)) {
	case LEAVE_YIELD: restore(x, begun, self); return true;
	case LEAVE_BLOCKED: restore(x, begun, self); return moved || calls > 0;
	}
	for (; calls < CALLS_A_STEP; calls++) {
		if (me->call(self) == CALL_BLOCKED) {
			begin_call();
			return moved || calls > 0;
		}
		begin_call();
		if (moved)
			return true;
		save(x, begun); /* the next call begins here */
	}
	abort(); /* a process that does nothing for ever */
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static struct key key_of(const uint8_t *state)
{
	struct key k = {1, 2};
	for (size_t i = 0; i + 8 <= state_bytes; i += 8) {
		uint64_t v;
		memcpy(&v, state + i, 8);
		k.a = mix(k.a, v);
		k.b = mix(k.b + i, v ^ UINT64_C(0x5bd1e995d1b54a35));
	}
	for (size_t i = state_bytes & ~(size_t)7; i < state_bytes; i++)
		k.a = mix(k.a, state[i]);
	k.a |= 1;
	return k;
}

static void visit(struct explore *x)
{
	static uint8_t state[STATE_MAX];
	struct key k;
	size_t at;
	save(x, state);
	k = key_of(state);
	for (at = k.a % TABLE; table[at].a; at = (at + 1) % TABLE) {
		if (table[at].a == k.a && table[at].b == k.b)
			return;
	}
	table[at] = k;
	if (++x->states > TABLE / 4 * 3) {
		fprintf(stderr, "%s: the search outgrew its table\n", x->name);
		abort();
	}
	if ((depth + 1) * state_bytes > room) {
		room = room ? room * 2 : 1 << 24;
		stack = realloc(stack, room);
		if (!stack)
			abort();
	}
	memcpy(stack + depth++ * state_bytes, state, state_bytes);
}

/* All next states of `from`; what is wrong, or NULL. */
static const char *expand(struct explore *x, const uint8_t *from)
{
	const char *wrong = NULL;
	bool any = false;
	for (int p = 0; p < x->processes && !wrong; p++) {
		uint32_t stores;
		restore(x, from, EXPLORE_SHARED);
		stores = x->process[p].stores;
		for (uint32_t i = 0; i < stores; i++) {
			restore(x, from, EXPLORE_SHARED);
			if (x->in_order ? i > 0 : !may_drain(&x->process[p], i))
				continue;
			drain(&x->process[p], i);
			visit(x);
			any = true;
		}
		restore(x, from, EXPLORE_SHARED);
		if (!step(x, p, from))
			continue;
		any = true;
		wrong = x->always ? x->always() : NULL;
		visit(x);
	}
	if (any || wrong)
		return wrong;
	restore(x, from, EXPLORE_SHARED);
	x->ends++;
	return x->end();
}

const char *explore_run(struct explore *x)
{
	static uint8_t from[STATE_MAX];
	const char *wrong = NULL;
	state_bytes = 0;
	for (int i = 0; i < x->ranges; i++)
		state_bytes += x->range[i].bytes;
	if (state_bytes > STATE_MAX)
		abort();
	table = calloc(TABLE, sizeof(*table));
	if (!table)
		abort();
	depth = 0;
	visit(x);
	while (depth && !wrong) {
		memcpy(from, stack + --depth * state_bytes, state_bytes);
		wrong = expand(x, from);
	}
	free(table);
	me = NULL;
	return wrong;
}
