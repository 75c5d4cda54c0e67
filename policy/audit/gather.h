/* Which processes belong to a gateway, by the kernel's word alone. */
#ifndef NATLOCK_AUDIT_GATHER_H
#define NATLOCK_AUDIT_GATHER_H

#include "compare.h"
#include "look.h"

enum { GATHER_MAX = 512 };

/*
 * Who listens at the other end of a connected socket of natlock; -errno. Fills crew->socket, and
 * crew->is_run: whether it is the socket of a `natlock run`. Syscalls: getsockopt getpeername
 */
pid_t gather_supervisor(int fd, struct compare_crew *crew);

/*
 * Looks at the supervisor and at every process below it. crew->process is the heap's, gather_free
 * frees it. 0, or -errno: no such process; ETIMEDOUT: one cannot be stopped, and this program is to
 * end (stop.h). Waits up to a second until no worker can be in its birth any more. Syscalls: openat
 * getdents64 nanosleep, those of look.h, layers.h and peers.h
 */
int gather(struct compare_crew *crew, pid_t supervisor);
void gather_free(struct compare_crew *crew);

#endif
