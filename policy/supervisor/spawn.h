/*
 * How processes come to be: workers behind their locks, and plain children in namespaces.
 *
 * A worker's file is found and opened once at the start; later the supervisor has no need, and
 * perhaps no right, to open it again.
 */
#ifndef NATLOCK_SUPERVISOR_SPAWN_H
#define NATLOCK_SUPERVISOR_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "identity.h"
#include "topology.h"
#include "trouble.h"

struct spawn_binaries {
	int fd[ACTOR_COUNT];
	int null_fd; /* /dev/null, read-write */
};

/* "broker"; NULL for no actor. */
const char *spawn_actor_name(enum actor_id id);
/* By name; ACTOR_COUNT when there is none. */
enum actor_id spawn_actor_by_name(const char *name);

/*
 * Opens the five files: $NATLOCK_LIBEXEC if set and we are not privileged, else next to natlock,
 * else
 * ../libexec/natlock, else the build folder's layout (../../NAME/NAME). Syscalls: readlinkat openat
 */
int spawn_open_binaries(struct spawn_binaries *b, bool privileged, struct trouble *t);

struct spawn_plan {
	enum actor_id id;
	const char *name; /* argv[0]; NULL: the actor's */
	uid_t uid;	  /* in the supervisor's namespace, from identity_worker */
	int super_fd;	  /* the worker's end of its channel with the supervisor */
	/* By peer, and of a peer that has them by its shards, else [0]; -1. */
	int channel[ACTOR_COUNT][SHARD_MAX]; /* its end of the channel */
	int bell[ACTOR_COUNT][SHARD_MAX];    /* doorbells by owner, its own included */
	bool probe_echo;		     /* find out whether it may open ping sockets */
};

struct spawned {
	pid_t pid;
	int pidfd;
	int report_fd; /* private to spawn.c: where the child reports until its exec */
	bool echo_allowed;
};

/*
 * Clones, maps, locks and execs `count` workers, plan[i] to out[i], side by side. Returns 0 when
 * every exec has succeeded; -1 with *t saying which lock of which worker could not be put on; none
 * of them is left then. Syscalls: socketpair clone3 poll openat write read close kill waitid, and
 * those of lock_enter in the children
 */
int spawn_workers(const struct spawn_binaries *b, const struct spawn_plan *plan,
	struct spawned *out, unsigned int count, struct trouble *t);

/* The fixed descriptor of an actor by topology.def: ("CH", peer), ("BELL", peer); -1 if it has
 * none. */
int spawn_fixed_fd(enum actor_id id, const char *kind, const char *peer);

/* fork with namespaces: like fork(), with the child's pidfd. Syscalls: clone3 */
pid_t spawn_clone(uint64_t flags, int *pidfd);

/* Waits for a process by its pidfd and closes it: exit status as a shell says it (128 + signal). */
int spawn_wait(int pidfd);
/* The same of one that is dead, without waiting; -EAGAIN, and nothing closed, while a tracer (strace, gdb) has not yet heard of
 * its end: the kernel tells it first. Syscalls: waitid close */
int spawn_reap(int pidfd);

#endif
