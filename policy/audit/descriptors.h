/* The descriptors of a live process, by copies that exist for the blink of an eye. */
#ifndef NATLOCK_AUDIT_DESCRIPTORS_H
#define NATLOCK_AUDIT_DESCRIPTORS_H

#include "found.h"

/*
 * Fills f->fds from 0 to f->status.fd_slots, by pidfd_getfd (Linux 5.6), which asks for what ptrace
 * asks for but does not stop anybody. Syscalls: pidfd_open pidfd_getfd newfstatat getsockopt
 * readlink close
 */
void descriptors_look(struct found *f);

#endif
