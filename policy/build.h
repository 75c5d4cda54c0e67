/* From parsed rules to the BPF program that the kernel runs. Build-time only: needs libseccomp. */
#ifndef NATLOCK_POLICY_BUILD_H
#define NATLOCK_POLICY_BUILD_H

#include <linux/filter.h>

#include "parse.h"

enum { BUILD_MAX_INSNS = 4096 }; /* BPF_MAXINSNS: the kernel takes no longer program */

enum build_action {
	BUILD_KILL, /* what ships: kill-process */
	BUILD_TRAP, /* for a debugger: SIGSYS stops at the call (docs/policy.md) */
};

/*
 * Compiles the run and rare rules for the native architecture. Writes at most BUILD_MAX_INSNS
 * instructions to `out`. Returns their number, or -errno with *error filled.
 */
int build_filter(const struct policy *policy, enum build_action action, struct sock_filter *out,
	struct policy_error *error);

#endif
