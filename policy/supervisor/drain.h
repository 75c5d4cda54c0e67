/*
 * The slow end (DrainRequest): no new sessions, and natlock ends when none is left or when the time is over. It cannot be
 * taken back but by a restart; a later request only sets the time anew.
 */
#ifndef NATLOCK_SUPERVISOR_DRAIN_H
#define NATLOCK_SUPERVISOR_DRAIN_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "super.pb-c.h"

struct supervisor;
struct worker;

enum { DRAIN_TICK_MS = 500 };

struct drain { /* zeroed: not under way */
	bool on;
	struct ev_timer tick, limit;
	uint32_t round; /* number of the question whose answers are awaited (hub->drain_awaits) */
	uint64_t sessions; /* in those that have come */
};

/* for_ms 0: as long as it takes. */
void drain_begin(struct supervisor *s, uint64_t for_ms);
/* A worker's counts, asked for here or not. */
void drain_on_rows(struct supervisor *s, const struct worker *from, const Nl__ActorRows *rows);

#endif
