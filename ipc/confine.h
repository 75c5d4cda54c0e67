/*
 * The locks that a worker puts on itself, after exec and as the last acts of boot: non-dumpable,
 * Landlock, seccomp. Everything else (namespaces, root, uid, capabilities, rlimits) was done by
 * policy/lock.c before the exec.
 */
#ifndef NATLOCK_IPC_CONFINE_H
#define NATLOCK_IPC_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/filter.h>

enum { CONFINE_FILTER_MAX = 4096 }; /* instructions: BPF_MAXINSNS */

/*
 * Landlock with no rule at all: no path can be opened, executed or changed; where the kernel knows
 * it also no device ioctl, no TCP bind or connect (deny_tcp), no signal to and no abstract socket
 * of anybody outside. Returns the kernel's Landlock ABI (1 or more), 0 when the kernel has none, or
 * -errno. Syscalls: landlock_create_ruleset landlock_restrict_self prctl close
 */
int confine_landlock(bool deny_tcp);

/* No ptrace by equals, no core file. Syscalls: prctl */
int confine_undumpable(void);

/*
 * Installs the compiled policy: count instructions, 1 to CONFINE_FILTER_MAX. After a 0 return only
 * what the filter allows can be called. -errno when the kernel refuses it. Syscalls: prctl seccomp
 */
int confine_filter(const struct sock_filter *filter, size_t count);

#endif
