/* Commands that read a file that may come from a stranger, and need no gateway for it. */
#ifndef NATLOCK_CTL_CONFINED_H
#define NATLOCK_CTL_CONFINED_H

#include <stddef.h>

#include "failure.h"

/*
 * Opens the file and reads it whole into *text (freed by the caller, also of a failure), at most `most`
 * bytes, then gives up everything (lockdown.h). An exit code; `hint` is for who named a file that
 * cannot be read. Syscalls: openat read, those of lockdown
 */
int confined_read(const char *path, size_t most, const char *hint, void **text, size_t *bytes,
	struct failure *f);

#endif
