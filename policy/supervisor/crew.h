/*
 * The crew of a hub: its workers from the first to the last, and what they say to the supervisor.
 * birth.h brings one to life, tell.h speaks to it, watch.h keeps it alive.
 */
#ifndef NATLOCK_SUPERVISOR_CREW_H
#define NATLOCK_SUPERVISOR_CREW_H

#include "hub.h"
#include "trouble.h"

/* What the generated dispatch hands to super_on_*: whose record it is. */
struct super_peer {
	struct worker *w;
};

/* Makes the hub's shared memory and socket pairs and starts its workers. 0, or -1 with *t; then
 * nothing is left. */
int crew_open(struct hub *hub, struct trouble *t);
/* Makes a worker's channel with us; *theirs is the worker's end, the caller's to close. 0 or
 * -errno. */
int crew_channel(struct worker *w, int *theirs);
/* Stops watching a worker and closes our end; its process must be gone. */
void crew_forget(struct worker *w);
/* Tells every worker to finish. */
void crew_drain(struct hub *hub);
/* After all processes are gone. */
void crew_close(struct hub *hub);
/* What workers' sockets would not take yet goes on when they do, whoever caused it. */
void crew_flush(struct hub *hub);
/* Leases that were queued in this turn go to disk and are answered. */
void crew_sync(struct hub *hub);

#endif
