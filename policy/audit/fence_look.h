/* The fence around natproxy as the kernel has it (supervisor/fence.h). Nothing is changed. */
#ifndef NATLOCK_AUDIT_FENCE_LOOK_H
#define NATLOCK_AUDIT_FENCE_LOOK_H

#include "found.h"

/*
 * Fills *out for a supervisor that was looked at (look_at): only one with a netfilter socket has
 * a fence. Our own network namespace is left for a moment, to ask in the supervisor's. Syscalls:
 * openat setns socket sendto recvfrom close
 */
void fence_look(struct found_fence *out, const struct found *supervisor);

#endif
