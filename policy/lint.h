/*
 * The rules that every policy obeys, whatever its author wrote. Pure.
 *
 * docs/policy.md lists them with their reasons; `workers` are the actors of topology.def.
 */
#ifndef NATLOCK_POLICY_LINT_H
#define NATLOCK_POLICY_LINT_H

#include "parse.h"

/* 0, or -EINVAL with the first violation in *error (column 1). */
int lint_policy(const struct policy *policy, struct policy_error *error);
/* How many different calls the process may make; 0 when nobody set a bar for that name. */
unsigned int lint_bar(const char *actor);

#endif
