/*
 * The crew of a hub: how its five workers are born, told what they need and let go.
 *
 *   Hello ▶            ◀ Boot{hub, filter, entropy} + shared memory
 *   Locked ▶           all of those that must start together are locked:
 *                      ◀ LeaseRestore, Resolvers, HostNetwork, PortAttach…   then Start
 */
#ifndef NATLOCK_SUPERVISOR_CREW_H
#define NATLOCK_SUPERVISOR_CREW_H

#include "hub.h"
#include "trouble.h"

/* Makes the hub's shared memory and socket pairs and starts its workers. 0, or -1 with *t; then
 * nothing is left. */
int crew_open(struct hub *hub, struct trouble *t);
/* Spawns one worker with the hub's present edges. 0, or -1 with *t. */
int crew_spawn(struct worker *w, struct trouble *t);
/* New edges for all that share rings: after their death, before they are spawned again. 0 or
 * -errno. */
int crew_renew_edges(struct hub *hub);
/* What was in flight to a dead worker is dropped; its neighbour by channel hears of the new one
 * when it is locked. */
void crew_flush_channels(struct hub *hub, enum actor_id dead);
/* Stops watching a worker and closes our end; its process must be gone. */
void crew_forget(struct worker *w);
/* Tells every worker to finish. */
void crew_drain(struct hub *hub);
/* After all processes are gone. */
void crew_close(struct hub *hub);

/* To natproxy, when what they say has changed and it is there to hear. */
void crew_tell_resolvers(struct hub *hub);
void crew_tell_host_network(struct hub *hub);
/* To the broker: a port, with a copy of its descriptor. 0, -EAGAIN when the broker is not running
 * (it is told at Start). */
int crew_tell_port(struct hub *hub, unsigned int port);
/* Asks a worker for a slice of a table. 0, or negative when it is not running. */
int crew_ask(struct worker *w, Nl__Topic topic, uint64_t cursor, uint32_t request);
/* Leases that were queued in this turn go to disk and are answered. */
void crew_sync(struct hub *hub);

/* Whether all workers that must start together with w (those of its rings; all at birth) are locked
 * or running. */
bool crew_group_locked(const struct hub *hub, enum actor_id id);

#endif
