/*
 * What a natlock that was killed left in the runtime folder: the sockets run-PID and admin-run-PID and the file
 * resolv-PID of `natlock run`. (The names of `natlock up` do not change: sockname.h takes them over.)
 */
#ifndef NATLOCK_SUPERVISOR_LEFTOVER_H
#define NATLOCK_SUPERVISOR_LEFTOVER_H

#include <sys/types.h>

/* The PID in a name that `natlock run` gives, or 0: it is not one. Pure; any text. */
pid_t leftover_pid(const char *name);
/*
 * Removes such names from `folder` when no process has that PID and, of a socket, nobody listens. What belongs to
 * another user, is of another kind, or is in doubt stays. Syscalls: openat getdents64 kill newfstatat socket connect
 * close unlink
 */
void leftover_clear(const char *folder, uid_t uid);

#endif
