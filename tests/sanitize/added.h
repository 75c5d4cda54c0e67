/*
 * A product's filter with policy/sanitizer.policy in front. Pure.
 */
#ifndef NATLOCK_TESTS_SANITIZE_ADDED_H
#define NATLOCK_TESTS_SANITIZE_ADDED_H

#include <stdbool.h>

#include "filters.h"

/* Compiled from policy/sanitizer.policy and policy/loader.policy; the last has a NULL name. */
extern const struct policy_filter sanitizer_filters[];

/*
 * Puts the compiled policy NAME (sanitizer, loader) in front of `own`: what it does not allow is
 * judged by the instructions of `own`, which follow unchanged. insns has room for BPF_MAXINSNS and
 * holds the program afterwards; *out equals *own but for the program and its hash. False, and both
 * unspecified: nobody knows that name, or the program is too long.
 */
bool added_before(const struct policy_filter *own, const char *name, struct sock_filter *insns,
	struct policy_filter *out);

#endif
