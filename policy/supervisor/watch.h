/*
 * Keeps the workers of a hub alive: ends, lies of neighbours, back-off.
 *
 * dhcpd and alg are replaced alone. netstack and natproxy of a shard share rings and are replaced
 * together while the broker goes on; without their broker all of them are (docs/decisions/0009).
 * Back-off doubles from policy.restart_backoff_min to _max while
 * a worker does not stay up for WATCH_STABLE_SECONDS; it never gives up.
 */
#ifndef NATLOCK_SUPERVISOR_WATCH_H
#define NATLOCK_SUPERVISOR_WATCH_H

#include "hub.h"

enum {
	WATCH_STABLE_SECONDS = 10,
	WATCH_BOOT_SECONDS = 10,
	WATCH_DRAIN_SECONDS = 3,
	WATCH_END_SECONDS = 1,	    /* from the end of its channel to that of the process */
	WATCH_REAP_MS = 20,	    /* until a dead one is looked at again that somebody traces */
	WATCH_SUSPECT_SECONDS = 60, /* how long an accusation from below is remembered */
};

/* Follows a fresh process: its end, and its patience to be locked. */
void watch_begin(struct worker *w);
void watch_end(struct worker *w);
/* It is locked or running: no more patience needed. */
void watch_started(struct worker *w);
/* A worker broke the rules of its channel, or a neighbour says so: it is killed, which its end then
 * reports. */
void watch_condemn(struct worker *w, const char *why);
/* Its channel came to an end, as it does when a process ends; but an empty record looks the same, so one that is still there
 * after WATCH_END_SECONDS is condemned. */
void watch_closed(struct worker *w);
/* Condemns those of a hub whose channel is full: so much waits only for one that has stopped reading. */
void watch_deaf(struct hub *hub);
/*
 * A worker of the hub reports a neighbour, of which it may name the shard if it knows several; believed only of a neighbour by
 * topology.def. It is one's word against another's: an accused with whom no more ends than with the accuser is replaced; one
 * with whom more would end (the broker by a netstack or dhcpd, natproxy by alg) is suspected, and the accuser replaced. When one
 * from below says it again within WATCH_SUSPECT_SECONDS, the accuser's successor or another, it is believed, and both are replaced.
 */
void watch_incident(struct worker *from, const char *liar, unsigned int shard, const char *what);
/* It was told to drain: kill it if it does not. */
void watch_draining(struct worker *w);
/* Whether any worker of the hub has a process. */
bool watch_alive(const struct hub *hub);
/* Calls supervisor_hub_gone when no worker of the hub is left. */
void watch_end_if_last(struct hub *hub);
/* natlockctl process restart NAME. */
void watch_restart(struct worker *w);

/* Delay in ms before the restart that follows `failures` failures in a row (1..). Pure. */
uint64_t watch_backoff_ms(uint64_t min_ms, uint64_t max_ms, uint32_t failures);

#endif
