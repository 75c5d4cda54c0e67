/*
 * Reading a policy: text in, rules out. Pure: no file, no allocation, no system call.
 *
 *     actor alg                                  # what the process is for
 *     stage run
 *     recvmsg  fd in CH_SUPER, CH_NATPROXY       # chan_recv: next message
 *     mmap     prot in READ|WRITE, flags = PRIVATE|ANONYMOUS, fd = NO_FD   # pool_grow: ...
 *     rare
 *     exit_group *                               # actor_die: after Drained or a bug
 *
 * One rule a line; several lines for one call mean "or".
 *
 *     arg = V         the whole argument is V            arg = A|B       exactly these two bits
 *     arg in A, B     each of the values                 arg in A|B      any subset of the bits,
 * none included arg in 4..15    a range                            arg in A|B, C   in a list, A|B
 * is one exact value
 *
 * Descriptor names come from topology.def and may be ranges. Both ends of a range are compared,
 * unsigned.
 */
#ifndef NATLOCK_POLICY_PARSE_H
#define NATLOCK_POLICY_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "words.h"

enum {
	POLICY_RULES = 192,
	POLICY_RANGES = 24, /* values of one condition */
	POLICY_CALL_BYTES = 32,
	POLICY_TEXT_BYTES = 400, /* a line of text; longer ones are refused */
};

enum policy_stage {
	POLICY_BOOT, /* before the filter is applied; not part of it, told for completeness */
	POLICY_RUN,  /* allowed; serving guests needs it, and the test suite makes this call */
	POLICY_RARE, /* allowed; only an end, an error or a whim of the kernel leads there */
};

/* Inclusive and unsigned, in the argument's width. */
struct policy_range {
	uint64_t first, last;
};

/* Demands on one argument: (value & mask) == 0 when subset, else value within one of the ranges. */
struct policy_condition {
	struct words_argument argument;
	bool subset;
	uint64_t forbidden_bits; /* subset: bits that must be zero */
	unsigned int ranges;
	struct policy_range range[POLICY_RANGES];
};

struct policy_rule {
	unsigned int line;
	enum policy_stage stage;
	char call[POLICY_CALL_BYTES];
	unsigned int conditions;
	struct policy_condition condition[WORDS_ARGUMENTS];
	char conditions_text[POLICY_TEXT_BYTES]; /* as written, "*" for none */
	char functions[POLICY_TEXT_BYTES];	 /* "chan_recv" or "chan_recv, chan_send" */
	char reason[POLICY_TEXT_BYTES];
};

struct policy {
	char actor[POLICY_CALL_BYTES];
	char purpose[POLICY_TEXT_BYTES];
	unsigned int rules;
	struct policy_rule rule[POLICY_RULES];
};

/* Where and why text was refused, and what to write instead. line and column count from 1. */
struct policy_error {
	unsigned int line, column;
	char cause[256];
	char fix[512];
};

/* Parses `text` (NUL-terminated). 0, or -EINVAL with *error filled; *policy is then of no use. */
int policy_parse(const char *text, struct policy *policy, struct policy_error *error);

/* Whether a value of an argument meets a condition, as the kernel would see it (32-bit arguments:
 * lower half). */
bool policy_condition_met(const struct policy_condition *c, uint64_t value);
/* Whether a call with these arguments is allowed after the lock (run or rare). */
bool policy_allows(
	const struct policy *policy, const char *call, const uint64_t args[WORDS_ARGUMENTS]);
/* The condition of a rule on an argument, or NULL. */
const struct policy_condition *policy_condition_on(
	const struct policy_rule *rule, const char *argument);
/* Different calls allowed after the lock. */
unsigned int policy_call_count(const struct policy *policy);
/* "boot", "run", "rare" */
const char *policy_stage_name(enum policy_stage stage);

#endif
