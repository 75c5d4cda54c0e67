/* What an actor does with the descriptors that came with Boot: check, map, close. Before the lock.
 */
#ifndef NATLOCK_IPC_BOOT_H
#define NATLOCK_IPC_BOOT_H

#include "actor.h"

/* Fills peer, edges and edge_is_ring from topology.def. Pure. */
void boot_topology(struct actor *a, enum actor_id self);

/*
 * Takes the descriptors in the order that super.proto gives for ActorBoot, maps what they are and
 * closes them. boot->hub->data_path says which arenas this actor maps; a hub without one is shared. Each must be large enough and sealed against growing and shrinking, or a neighbour
 * could make this process fault. Sets up link[], links[], arena and view. 0 or -errno; -EPROTO when
 * descriptors are missing or left over. Syscalls: fstat fcntl mmap close
 */
int boot_map(struct actor *a, const Nl__ActorBoot *boot, struct chan_in *in);

#endif
