/*
 * natlockctl policy audit and policy export: another program's work. An auditor traces processes and
 * reads /proc, which natlockctl's own lock forbids, and the kernel shows live filters only to a
 * process that wears none (docs/decisions/0019-audit.md). So natlockctl becomes natlock-audit, before
 * it has read a byte from anybody.
 */
#ifndef NATLOCK_CTL_AUDIT_H
#define NATLOCK_CTL_AUDIT_H

#include "ctl.h"

enum { AUDIT_SOCKET_FD = 3 }; /* where natlock-audit finds the connection */

/* Does not return on success; else an exit code with *f. Syscalls: readlink dup3 execve, those of
 * client_connect */
int audit_command(struct ctl *ctl, struct failure *f);

#endif
