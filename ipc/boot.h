/* What an actor does with the descriptors that came with Boot: check, map, close. Before the lock.
 */
#ifndef NATLOCK_IPC_BOOT_H
#define NATLOCK_IPC_BOOT_H

#include "actor.h"

struct boot_fds {
	int fd[BOOT_FDS_MAX];
	int count;
};

/* Fills edges and all that belongs to an edge from topology.def: as many edges as there could be shards. Pure. */
void boot_topology(struct actor *a, enum actor_id self);

/*
 * Waits for Boot, which is the first message, and for the rest of its descriptors if one record does not hold them.
 * What it returns stays valid for life; NULL: this is no Boot. The end of the supervisor is the end. Syscalls:
 * poll recvmsg
 */
const Nl__ActorBoot *boot_await(struct actor *a, struct boot_fds *fds);

/*
 * Takes the descriptors in the order that super.proto gives for ActorBoot and a->shards asks for, maps what
 * they are and closes them; -1 stands for one that did not come. boot->hub->data_path says which arenas this
 * actor maps; a hub without one is shared. Each must be large enough and sealed against growing and shrinking,
 * or a neighbour could make this process fault. Sets up link[], links[], arena and view. 0 or -errno; -EPROTO
 * when descriptors are missing or left over. Syscalls: fstat fcntl mmap close
 */
int boot_map(struct actor *a, const Nl__ActorBoot *boot, const int *fds, int count);

#endif
