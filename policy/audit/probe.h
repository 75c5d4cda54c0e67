/* `policy audit --probe`: what happens to who tries. */
#ifndef NATLOCK_AUDIT_PROBE_H
#define NATLOCK_AUDIT_PROBE_H

#include "check.h"

/*
 * Adds a line for each probe of probes.def in each worker's place, for each that must fail without
 * the filter too, and for what Landlock alone refuses. Takes some seconds. Syscalls: those of
 * sacrifice_make, openat
 */
void probe_all(struct checks *list, int landlock_abi);

#endif
