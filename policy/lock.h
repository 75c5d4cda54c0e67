/*
 * The locks that a child of the supervisor puts on before it becomes a worker (docs/decisions/0001,
 * 2).
 *
 * What survives an exec is put on here; Landlock and the seccomp filter, which would forbid the
 * exec, are put on by the worker itself (ipc/confine.c). lock_enter runs in a process that was
 * cloned with user, pid, mount, ipc, uts, cgroup (and network) namespaces of its own and whose uid
 * map is written; it is the only thread, and nothing here allocates.
 */
#ifndef NATLOCK_POLICY_LOCK_H
#define NATLOCK_POLICY_LOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum {
	LOCK_FDS = 64,	       /* room for the numbers that are fixed for life (topology.def) */
	LOCK_PLACEHOLDER = -1, /* the number is taken by /dev/null */
	LOCK_FREE = -2,	       /* the number stays free: the worker's epoll */
};

/* The steps, in the order in which they are done: a failure names one. */
enum lock_step {
	LOCK_STEP_WAIT,
	LOCK_STEP_IDENTITY,
	LOCK_STEP_SESSION,
	LOCK_STEP_ROOT,
	LOCK_STEP_HOSTNAME,
	LOCK_STEP_DESCRIPTORS,
	LOCK_STEP_LIMITS,
	LOCK_STEP_CAPABILITIES,
	LOCK_STEP_PRIVILEGES,
	LOCK_STEP_EXEC,
};

struct lock_plan {
	const char *name; /* argv[0] of the worker */
	uid_t uid;	  /* inside the worker's own user namespace */
	gid_t gid;
	int fixed;	  /* numbers below this are fixed for life: 1..LOCK_FDS */
	int fd[LOCK_FDS]; /* what each of them becomes: a descriptor of the caller, or LOCK_* above
			   */
	int null_fd;	  /* /dev/null, read-write */
	int binary_fd;	  /* the static-pie file, close-on-exec */
	rlim_t nofile;
};

/*
 * Puts every lock on and becomes the worker. Does not return on success; otherwise -errno with the
 * step that failed in *step, and the process must exit at once. Syscalls: setgroups setresgid
 * setresuid setsid mount chdir pivot_root umount2 sethostname fcntl dup3 close close_range
 * prlimit64 prctl capset getppid execveat
 */
int lock_enter(const struct lock_plan *plan, enum lock_step *step);

/* "an empty root": what the step was about, for messages. */
const char *lock_step_name(enum lock_step step);

/*
 * Drops every capability of this process, bounding set included. Also used by the supervisor's
 * short-lived helpers. 0 or -errno. Syscalls: prctl capset
 */
int lock_capabilities(void);

#endif
