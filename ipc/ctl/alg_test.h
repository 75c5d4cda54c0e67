/*
 * natlockctl alg test NAME FILE: a capture is played through an application-level gateway's parser,
 * without a gateway: what it would change, what it would open, where it would give up. With --write
 * the packets as they would leave are the output, as pcapng, and the report goes to standard error.
 */
#ifndef NATLOCK_CTL_ALG_TEST_H
#define NATLOCK_CTL_ALG_TEST_H

#include <stddef.h>

#include "ctl.h"

enum { ALG_TEST_BYTES = 64 << 20 /* of a capture */ };

/* Checks the words and options before anything is opened; an exit code, CTL_OK if they make sense. */
int alg_test_check(const struct ctl *ctl, struct failure *f);
/*
 * Plays the capture and prints. Any bytes. An exit code, with *f filled unless CTL_OK: CTL_FAILED
 * for what is no capture, CTL_NO_MATCH where it has no flow of this gateway. Syscalls: brk mmap
 * munmap write
 */
int alg_test_run(struct ctl *ctl, const void *bytes, size_t size, struct failure *f);
/*
 * The command: opens and reads the file, gives up everything (lockdown.h), then plays it. Exit code.
 * Syscalls: openat read ioctl, those of lockdown, those of alg_test_run
 */
int alg_test_command(struct ctl *ctl, struct failure *f);

#endif
