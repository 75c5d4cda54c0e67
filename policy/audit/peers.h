/* Which Unix socket is connected to which: the kernel's list of all of a network namespace. */
#ifndef NATLOCK_AUDIT_PEERS_H
#define NATLOCK_AUDIT_PEERS_H

#include <sys/types.h>

#include "compare.h"

enum { PEERS_MAX = 1 << 18 }; /* sockets of a machine that are looked at */

/*
 * Fills crew->pair, sorted, from the network namespace of `supervisor`, in which it made its
 * channels; crew->pairs_error says why not. EPERM: that namespace is not ours, and we are not root;
 * EOPNOTSUPP: a kernel without CONFIG_UNIX_DIAG. The pairs are the heap's, peers_free frees them.
 * Syscalls: openat setns socket bind sendmsg recvmsg getsockname setsockopt close
 */
void peers_look(struct compare_crew *crew, pid_t supervisor);
void peers_free(struct compare_crew *crew);

#endif
