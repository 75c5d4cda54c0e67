/*
 * What an actor does with the descriptors that came with Boot: check, map, close. Before the lock.
 *
 * The C library calls for itself before main, and for memory until the lock:
 * Syscalls: brk arch_prctl set_tid_address set_robust_list rseq prlimit64 readlink getrandom mprotect mmap
 *
 * libev for its loop, and this process to see that it lies at EPOLL: Syscalls: epoll_create1 fcntl
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
 * when descriptors are missing or left over. Of rings: Syscalls: newfstatat fcntl mmap close
 */
int boot_map(struct actor *a, const Nl__ActorBoot *boot, const int *fds, int count);

#endif
