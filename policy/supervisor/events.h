/*
 * Those who follow the events of the security log (EventsRequest, `natlockctl log follow`): each gets a row of EVENTS for each event from its
 * request on. A follower that does not read loses events, never holds anybody up: they are counted, and a row
 * tells how many once it reads again.
 */
#ifndef NATLOCK_SUPERVISOR_EVENTS_H
#define NATLOCK_SUPERVISOR_EVENTS_H

#include <stdint.h>

#include "operator.pb-c.h"

struct supervisor;
struct operator_peer;

enum { EVENTS_FOLLOWERS = 8, EVENTS_ROW = 8192, EVENTS_HUB = 64 };

struct events_follower {
	struct operator_peer *peer; /* NULL: free */
	char hub[EVENTS_HUB];	    /* empty: all */
	uint64_t missed;	    /* since the last row that went */
};

/* Zeroed: nobody. */
struct events {
	struct events_follower follower[EVENTS_FOLLOWERS];
};

/* An event happened; its strings are clean and it packs to at most EVENTS_ROW bytes. Syscalls: sendmsg */
void events_publish(struct supervisor *s, const Nl__EventRow *e);
/* This client is gone. */
void events_forget(struct supervisor *s, const struct operator_peer *p);

#endif
