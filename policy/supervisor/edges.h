/*
 * The edges of a hub: the socket pairs that join its workers. Both ends are kept here, so that a
 * worker's successor can be given the same end and its neighbour keeps its own.
 */
#ifndef NATLOCK_SUPERVISOR_EDGES_H
#define NATLOCK_SUPERVISOR_EDGES_H

#include "hub.h"
#include "spawn.h"

/* A SOCK_SEQPACKET pair with room for a burst of whole messages. 0 or -errno. Syscalls: socketpair
 * setsockopt */
int edges_pair(int pair[2]);
/*
 * Has the kernel refuse descriptors to whoever sends them to `fd` (EPERM to the sender). To close one that nobody asked for is not
 * harmless: the last close of a socket with SO_LINGER waits for a far end of the sender's choice. Kernels before 6.16 can't;
 * there it is as before. Syscalls: setsockopt
 */
void edges_take_no_descriptors(int fd);
/* Makes the shared memory and every pair. 0 or -errno; what was made is closed by edges_close. */
int edges_open(struct hub *hub);
/* New memory and new pairs for all that share rings: after their death, before they are spawned
 * again. 0 or -errno. */
int edges_renew(struct hub *hub);
/* The same for a shard's netstack and natproxy while the broker goes on: their edge with it stays. */
int edges_renew_shard(struct hub *hub, unsigned int shard);
/* What was in flight to or from a dead worker by channel is dropped. */
void edges_flush(const struct worker *dead);
void edges_close(struct hub *hub);
/* The worker's ends and doorbells, for its birth. */
void edges_plan(const struct worker *w, struct spawn_plan *plan);

#endif
