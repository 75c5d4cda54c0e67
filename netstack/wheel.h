/*
 * Hierarchical timer wheel: arm, disarm and "when is the next one" in constant time, no memory of its own.
 *
 * One tick is 2^20 ns (about 1.05 ms). Four levels of 64 slots reach 2^24 ticks (4.9 hours); a later deadline
 * is cut to that and the owner, who knows the true one, arms again when it fires. Timers are intrusive. Pure.
 */
#ifndef NATLOCK_NETSTACK_WHEEL_H
#define NATLOCK_NETSTACK_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

enum { WHEEL_TICK_SHIFT = 20, WHEEL_LEVELS = 4, WHEEL_SLOTS = 64 };

struct wheel_timer {
	struct wheel_timer *next;
	struct wheel_timer **link; /* what points at us; NULL when not armed */
	uint64_t tick;
};

struct wheel {
	uint64_t now;			 /* tick up to which everything has fired */
	uint64_t occupied[WHEEL_LEVELS]; /* bit set: slot is not empty */
	struct wheel_timer *slot[WHEEL_LEVELS][WHEEL_SLOTS];
	struct wheel_timer *expired;
};

/* Prepares an empty wheel whose clock stands at now_ns. */
void wheel_init(struct wheel *w, uint64_t now_ns);
/* Arms or moves t to fire at the first tick not before deadline_ns; a past deadline fires at the next pop. */
void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t deadline_ns);
void wheel_disarm(struct wheel *w, struct wheel_timer *t);
static inline bool wheel_armed(const struct wheel_timer *t)
{
	return t->link != NULL;
}
/* Moves the clock to now_ns and takes out one timer that is due, disarmed; NULL when none is left. */
struct wheel_timer *wheel_pop(struct wheel *w, uint64_t now_ns);
/* When wheel_pop should be called next, in ns; UINT64_MAX when nothing is armed. Never later than a deadline. */
uint64_t wheel_next_ns(const struct wheel *w);

#endif
