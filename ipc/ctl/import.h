/*
 * natlockctl import softether FILE: SoftEther's configuration becomes natlock's. Hubs, the virtual
 * host, NAT, DHCP server, limits, administrators' options and local bridges to a TAP have
 * counterparts (seed 3.7.2 to 3.7.5); users, listeners, cascades and the like belong to the VPN.
 */
#ifndef NATLOCK_CTL_IMPORT_H
#define NATLOCK_CTL_IMPORT_H

#include <stddef.h>
#include <stdio.h>

#include "failure.h"

/*
 * Writes YAML that `natlock check` accepts to `out`, and to `notes` a line for each thing that has
 * no counterpart or had to be changed. `name` is what an error calls the file. Any text. Returns an
 * exit code, with *f filled unless CTL_OK: CTL_CONFIG for a text that is no such configuration,
 * CTL_NO_MATCH for one without hubs. Nothing is written to `out` then. No system call of its own.
 */
int import_softether(const char *name, const char *text, size_t bytes, FILE *out, FILE *notes,
	struct failure *f);

/*
 * The command: opens and reads the file, gives up everything (lockdown.h), then imports. Exit code.
 * Syscalls: openat read, those of lockdown, write
 */
int import_command(const char *path, FILE *out, FILE *err, struct failure *f);

#endif
