/*
 * Taking a worker's place to try what it may not: a process that is locked by the same code as a
 * worker (policy/lock.c, ipc/confine.c, the compiled filter), makes one probe of probes.def, and
 * ends. For `policy audit --probe` and for tests/escape.
 */
#ifndef NATLOCK_AUDIT_SACRIFICE_H
#define NATLOCK_AUDIT_SACRIFICE_H

#include "../filters.h"
#include "probes.h"

/* How the process is locked. */
struct sacrifice {
	const char *name;
	bool outside;	     /* no lock at all, in private namespaces: the control */
	bool as_root;	     /* with outside: not even in a user namespace of its own */
	bool landlock_alone; /* as outside, but for Landlock */
	bool natproxy;	     /* a place in which sockets are a worker's job */
	const struct policy_filter *filter; /* NULL: none */
	struct sock_filter control[4];	    /* instead of it when control_count is not 0 */
	unsigned int control_count;
};

/* What it needs: the intruder's file and /dev/null, both open. */
struct sacrifice_tools {
	int intruder_fd, null_fd;
};

/*
 * Makes probe `index` in one such process. Its wait status, or -errno: it could not be made.
 * Syscalls: socketpair clone3 openat write send wait4, those of lock_enter in the child
 */
int sacrifice_make(
	const struct sacrifice_tools *tools, const struct sacrifice *s, unsigned int index);

/* What probes.def says of it. */
enum outcome sacrifice_expected(const struct sacrifice *s, const struct probe *probe);
/* Whether the process came as far as the probe. */
bool sacrifice_reached(int status);
/* Whether what became of it is an outcome. */
bool sacrifice_matches(int status, enum outcome expected);
/* "killed by the filter", "Operation not permitted"; returns out. */
const char *sacrifice_describe(int status, char *out, size_t cap);

#endif
