/* `policy export json|systemd|oci [PROC]`, by which others use what is declared. */
#ifndef NATLOCK_AUDIT_EXPORT_COMMAND_H
#define NATLOCK_AUDIT_EXPORT_COMMAND_H

#include <stdio.h>

/* Writes one policy, or with process NULL all of them. format: "json", "systemd", "oci". An exit code: 2, with a line
 * on standard error, for a process that has none. No system call but write. */
int export_command(FILE *out, const char *format, const char *process);

#endif
