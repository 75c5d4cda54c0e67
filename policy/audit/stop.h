/* Stopping another process for as long as must be, and no longer. */
#ifndef NATLOCK_AUDIT_STOP_H
#define NATLOCK_AUDIT_STOP_H

#include <stdint.h>
#include <sys/types.h>

struct stop {
	pid_t pid;
	uint64_t since_ns;
};

/*
 * The process stands still afterwards. 0, or the errno: EPERM, ESRCH; ETIMEDOUT when it does not
 * come out of the kernel within a second: it is to be traced no longer then, which only the end of
 * this program makes sure of. If this program dies, the kernel lets the other go on. Syscalls:
 * ptrace wait4 rt_sigaction setitimer sched_setscheduler
 */
int stop_begin(struct stop *s, pid_t pid);
/* It goes on. How long it stood still, in ns. */
uint64_t stop_end(const struct stop *s);
/* How long it has been standing still, in ns. */
uint64_t stop_length(const struct stop *s);

#endif
