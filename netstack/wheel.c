/*
 * Theory of operation: a timer lives on the lowest level where its tick and the clock share all higher bits
 *
 *     tick = [ level 3 | level 2 | level 1 | level 0 ]      6 bits each, level 3 is a ring
 *
 * so the slots of a level in use are those after the clock's own index, and the first occupied slot of the
 * lowest occupied level is the next event. When the clock enters a slot of a higher level its timers are
 * placed again ("cascade"), which happens at most three times in a timer's life.
 */
#include <stddef.h>

#include "wheel.h"

enum { SLOT_BITS = 6, SLOT_MASK = WHEEL_SLOTS - 1, TOP = WHEEL_LEVELS - 1 };

static const uint64_t WHEEL_REACH = (UINT64_C(1) << 24) - (UINT64_C(1) << 18);

static void wheel_push(struct wheel_timer **head, struct wheel_timer *t)
{
	t->next = *head;
	t->link = head;
	if (t->next)
		t->next->link = &t->next;
	*head = t;
}

static unsigned int wheel_index(uint64_t tick, unsigned int level)
{
	return (unsigned int)(tick >> (SLOT_BITS * level)) & SLOT_MASK;
}

static unsigned int wheel_level(uint64_t now, uint64_t tick)
{
	unsigned int top_bit = 63 - (unsigned int)__builtin_clzll(now ^ tick);
	unsigned int level = top_bit / SLOT_BITS;
	return level > TOP ? TOP : level;
}

static void wheel_place(struct wheel *w, struct wheel_timer *t)
{
	unsigned int level, index;
	if (t->tick <= w->now) {
		wheel_push(&w->expired, t);
		return;
	}
	if (t->tick - w->now > WHEEL_REACH)
		t->tick = w->now + WHEEL_REACH;
	level = wheel_level(w->now, t->tick);
	index = wheel_index(t->tick, level);
	wheel_push(&w->slot[level][index], t);
	w->occupied[level] |= UINT64_C(1) << index;
}

void wheel_init(struct wheel *w, uint64_t now_ns)
{
	*w = (struct wheel){.now = now_ns >> WHEEL_TICK_SHIFT};
}

void wheel_disarm(struct wheel *w, struct wheel_timer *t)
{
	struct wheel_timer **head = t->link;
	if (!head)
		return;
	*head = t->next;
	if (t->next)
		t->next->link = head;
	t->link = NULL;
	if (*head == NULL && head >= &w->slot[0][0] && head <= &w->slot[TOP][SLOT_MASK]) {
		size_t at = (size_t)(head - &w->slot[0][0]);
		w->occupied[at / WHEEL_SLOTS] &= ~(UINT64_C(1) << (at % WHEEL_SLOTS));
	}
}

void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t deadline_ns)
{
	uint64_t partial = deadline_ns & ((UINT64_C(1) << WHEEL_TICK_SHIFT) - 1);
	wheel_disarm(w, t);
	t->tick = (deadline_ns >> WHEEL_TICK_SHIFT) + (partial ? 1 : 0);
	wheel_place(w, t);
}

/* Tick at which something has to be done next: a timer fires or a higher slot is entered. */
static uint64_t wheel_next_tick(const struct wheel *w)
{
	unsigned int index, turn;
	uint64_t later, base;
	for (unsigned int level = 0; level < TOP; level++) {
		index = wheel_index(w->now, level);
		later = index == SLOT_MASK ? 0 : w->occupied[level] >> (index + 1) << (index + 1);
		if (!later)
			continue;
		base = w->now >> (SLOT_BITS * (level + 1)) << SLOT_BITS;
		return (base + (unsigned int)__builtin_ctzll(later)) << (SLOT_BITS * level);
	}
	if (!w->occupied[TOP])
		return UINT64_MAX;
	index = wheel_index(w->now, TOP);
	turn = (index + 1) & SLOT_MASK;
	later = w->occupied[TOP] >> turn;
	if (turn)
		later |= w->occupied[TOP] << (WHEEL_SLOTS - turn);
	base = (w->now >> (SLOT_BITS * TOP)) + 1 + (unsigned int)__builtin_ctzll(later);
	return base << (SLOT_BITS * TOP);
}

/* The clock has entered a new slot of every level whose lower digits are zero: place its timers again. */
static void wheel_enter(struct wheel *w)
{
	for (unsigned int level = TOP + 1; level-- > 0;) {
		unsigned int index = wheel_index(w->now, level);
		struct wheel_timer *t = w->slot[level][index], *next;
		uint64_t below = (UINT64_C(1) << (SLOT_BITS * level)) - 1;
		if ((w->now & below) != 0 || !t)
			continue;
		w->slot[level][index] = NULL;
		w->occupied[level] &= ~(UINT64_C(1) << index);
		for (; t; t = next) {
			next = t->next;
			wheel_place(w, t);
		}
	}
}

struct wheel_timer *wheel_pop(struct wheel *w, uint64_t now_ns)
{
	uint64_t target = now_ns >> WHEEL_TICK_SHIFT;
	struct wheel_timer *t;
	while (!w->expired && w->now < target) {
		uint64_t next = wheel_next_tick(w);
		w->now = next < target ? next : target;
		if (next <= target)
			wheel_enter(w);
	}
	t = w->expired;
	if (t)
		wheel_disarm(w, t);
	return t;
}

uint64_t wheel_next_ns(const struct wheel *w)
{
	uint64_t tick = w->expired ? w->now : wheel_next_tick(w);
	return tick > UINT64_MAX >> WHEEL_TICK_SHIFT ? UINT64_MAX : tick << WHEEL_TICK_SHIFT;
}
