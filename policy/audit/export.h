/*
 * Declared policies in other programs' languages. Pure but for the FILE. `policy` is one that the
 * build accepted (parse.h), `filter` what it became.
 */
#ifndef NATLOCK_AUDIT_EXPORT_H
#define NATLOCK_AUDIT_EXPORT_H

#include <stdio.h>

#include "../filters.h"
#include "parse.h"

/* One process as an object: rules, argument tests, the compiled program, and its other locks. */
void export_json(FILE *out, const struct policy *policy, const struct policy_filter *filter);
/* A drop-in for a unit that runs this process, with what a unit cannot say as comments. */
void export_systemd(FILE *out, const struct policy *policy);
/* A seccomp profile of the OCI runtime specification (linux.seccomp): the filter, whole. */
void export_oci(FILE *out, const struct policy *policy);

#endif
