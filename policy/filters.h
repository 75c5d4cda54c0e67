/*
 * The compiled policies, as the supervisor carries them: generated at build time from *.policy by
 * compile.c.
 *
 * A worker gets its filter in Boot and applies it last; the supervisor keeps this copy to compare
 * with what the kernel reports of a live process (docs/policy.md, "Audit").
 */
#ifndef NATLOCK_POLICY_FILTERS_H
#define NATLOCK_POLICY_FILTERS_H

#include <linux/filter.h>
#include <stdint.h>

struct policy_filter {
	const char *name;		 /* "alg": the actor */
	const struct sock_filter *insns; /* the program, default kill-process */
	unsigned count;			 /* instructions, at most BPF_MAXINSNS (4096) */
	unsigned syscalls;		 /* different calls that it allows */
	const char
		*listing; /* the policy for a reader: one line a rule, with numbers and reasons */
	uint64_t hash;	  /* hash_sip, key {0, 0}, of the instructions as bytes */
};

/* Every policy, in the order of the build; the last has a NULL name. */
extern const struct policy_filter policy_filters[];

/* The filter of an actor, "supervisor" or "ctl"; NULL if it has none. */
const struct policy_filter *policy_filter_find(const char *name);

#endif
