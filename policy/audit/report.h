/* An audit's lines for a person and for a program. */
#ifndef NATLOCK_AUDIT_REPORT_H
#define NATLOCK_AUDIT_REPORT_H

#include <stdio.h>

#include "check.h"

/* One line a check, in columns. What a process could have chosen is shown escaped. */
void report_table(FILE *out, const struct checks *list);
/* The same as {"schema":"natlock.policy.audit/1",...}; now_ms: since 1970;
 * slowest_ns: the longest stop of a process. */
void report_json(FILE *out, const struct checks *list, uint64_t now_ms, uint64_t slowest_ns);
/* For standard error: how many of each, and the command that tells
 * the rest. socket: where natlock listens, any text. */
void report_summary(FILE *err, const struct checks *list, uint64_t slowest_ns, const char *socket);

/* Text between quotes, as JSON has it. Any bytes. */
void report_json_string(FILE *out, const char *text);

#endif
