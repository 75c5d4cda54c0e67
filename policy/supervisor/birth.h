/*
 * How a hub's workers come to life.
 *
 *   Hello ▶            ◀ Boot{hub, filter, entropy} + shared memory
 *   Locked ▶           all of those that must start together are locked:
 *                      ◀ LeaseRestore, Resolvers, HostNetwork, PortAttach…   then Start
 */
#ifndef NATLOCK_SUPERVISOR_BIRTH_H
#define NATLOCK_SUPERVISOR_BIRTH_H

#include "hub.h"
#include "trouble.h"

/* Spawns workers w[0] to w[count - 1] of a hub with its present edges, all or none. 0, or -1 with
 * *t. */
int birth_spawn(struct worker *w, unsigned int count, struct trouble *t);
/* Whether all workers that must start together with w (those of its rings; all at birth) are locked
 * or running. */
bool birth_group_locked(const struct worker *w);

#endif
