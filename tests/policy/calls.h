/*
 * What processes asked of the kernel, as far as their policies look at it: the file that
 * policy-trace writes and policy-use reads. A line a call that differs from all before it:
 *
 *     alg run epoll_ctl 0x9 - 0x4 - - -
 *     ACTOR boot|run CALL and six arguments; "-" is one that no rule of ACTOR for CALL looks at
 *
 * "boot" was made before ACTOR's own filter was on, "run" behind it.
 */
#ifndef NATLOCK_TESTS_POLICY_CALLS_H
#define NATLOCK_TESTS_POLICY_CALLS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "parse.h"

enum {
	CALLS_POLICIES = 16,
	CALLS_SLOTS = 1 << 17, /* of the table; three quarters may be used */
};

struct call {
	uint8_t policy; /* index into struct policies */
	bool boot;
	uint8_t known; /* bit i: args[i] is known; unknown ones are 0 */
	char name[POLICY_CALL_BYTES];
	uint64_t args[WORDS_ARGUMENTS];
};

struct policies {
	unsigned int count;
	struct policy policy[CALLS_POLICIES];
	const char *path[CALLS_POLICIES];
};

/* Reads and parses one more file. False, and said on standard error, when it cannot be had. */
bool policies_add(struct policies *all, const char *path);
/* Index by the actor's name, or -1. */
int policies_find(const struct policies *all, const char *actor);
/* Forgets arguments that no rule of the policy looks at, and bits that the kernel does not. */
void call_mask(const struct policies *all, struct call *call);

/* Remembers a masked call. True when it was not there yet. Too many end the program. */
bool calls_add(const struct call *call);
void call_write(const struct policies *all, const struct call *call, FILE *out);
/* One line, with or without its newline. False when it is none, or its actor is not in `all`. */
bool call_read(const struct policies *all, const char *line, struct call *call);

#endif
