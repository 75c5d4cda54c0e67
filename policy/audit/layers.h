/* The live filters of a process. */
#ifndef NATLOCK_AUDIT_LAYERS_H
#define NATLOCK_AUDIT_LAYERS_H

#include "found.h"

/*
 * Stops the process, copies its filters out of the kernel, lets it go on: f->layer[0..layers), and
 * how long it stood if that is longer than f->stopped_ns. Fails with f->layers_error: ETIMEDOUT if
 * it cannot be stopped (stop.h), EPERM without CAP_SYS_ADMIN, EACCES behind a filter of our own.
 * Syscalls: ptrace, those of stop.h
 */
void layers_look(struct found *f);
/* 0, or the errno with which layers_look would fail for every process. */
int layers_allowed(const struct found_status *self);

#endif
