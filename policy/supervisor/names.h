/*
 * Which guest of a hub is found by which name: decided here from the leases and the configuration,
 * told to the hub's natproxies, who answer by it (ipc/hostnames.h). The table is as old as the hub, so
 * a natproxy that was restarted learns what the one before it knew.
 */
#ifndef NATLOCK_SUPERVISOR_NAMES_H
#define NATLOCK_SUPERVISOR_NAMES_H

#include "hub.h"

/*
 * Fills the table anew from the hub's reservations, whose names are theirs for ever, and its leases in
 * force, the oldest first; all natproxies that are there to hear are told. At start, and when the
 * reservations changed.
 */
void names_build(struct hub *hub);
/* A lease was stored: tells the natproxies what that changes. */
void names_learn(struct hub *hub, const Nl__Lease *lease);
/* Everything, to one natproxy: before its Start. */
void names_tell(struct worker *w);

#endif
