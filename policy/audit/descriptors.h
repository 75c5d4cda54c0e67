/* The descriptors of a live process, by copies that exist for the blink of an eye. */
#ifndef NATLOCK_AUDIT_DESCRIPTORS_H
#define NATLOCK_AUDIT_DESCRIPTORS_H

#include "found.h"

/*
 * Fills f->fds from 0 to f->status.fd_slots, by pidfd_getfd (Linux 5.6), which asks for what ptrace
 * asks for. f->kind tells which numbers the process may close: for those it is stopped for moments,
 * of which f->stopped_ns keeps the longest. f->fds_error is ETIMEDOUT if it cannot be stopped
 * (stop.h). Syscalls: pidfd_open pidfd_getfd newfstatat getsockopt readlink close nanosleep, those
 * of stop.h
 */
void descriptors_look(struct found *f);

#endif
