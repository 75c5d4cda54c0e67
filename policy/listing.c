/*
 * Theory of operation
 *
 * The listing shows what the filter compares, not what the author wrote: names are followed by the
 * numbers they stand for on this machine, so that an auditor can hold it next to a disassembly.
 *
 *     alg: bytes in, verdicts out
 *     8 system calls in 9 rules (6 run, 3 rare), 61 instructions; everything else kills the process
 *     boot: ...; run: ...; rare: ...
 *     run   recvmsg     fd in CH_SUPER, CH_NATPROXY [3, 4]        chan_recv: next message
 */
#include "listing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct listing {
	char *out;
	size_t used, cap;
	bool full;
};

static void __attribute__((format(printf, 2, 3))) put(struct listing *l, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(l->out + l->used, l->cap - l->used, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= l->cap - l->used)
		l->full = true;
	else
		l->used += (size_t)n;
}

static void put_number(struct listing *l, uint64_t value)
{
	if (value > 65535)
		put(l, "0x%" PRIx64, value);
	else
		put(l, "%" PRIu64, value);
}

static void put_condition(struct listing *l, const struct policy_condition *c)
{
	if (c->subset)
		put(l, "no bit of 0x%" PRIx64, c->forbidden_bits);
	for (unsigned int i = 0; i < c->ranges; i++) {
		put(l, "%s", i ? ", " : "");
		put_number(l, c->range[i].first);
		if (c->range[i].first != c->range[i].last) {
			put(l, "-");
			put_number(l, c->range[i].last);
		}
	}
}

static void put_rule(struct listing *l, const struct policy_rule *rule)
{
	put(l, "%-5s %-14s %s", policy_stage_name(rule->stage), rule->call, rule->conditions_text);
	for (unsigned int i = 0; i < rule->conditions; i++) {
		put(l, "%s", i ? "; " : " [");
		put_condition(l, &rule->condition[i]);
	}
	put(l, "%s  # %s: %s\n", rule->conditions ? "]" : "", rule->functions, rule->reason);
}

int listing_write(const struct policy *policy, unsigned int insns, char *out, size_t cap)
{
	struct listing l = {.out = out, .cap = cap};
	unsigned int rules[3] = {0};
	for (unsigned int i = 0; i < policy->rules; i++)
		rules[policy->rule[i].stage]++;
	put(&l, "%s: %s\n", policy->actor, policy->purpose);
	put(&l,
		"%u system calls in %u rules (%u run, %u rare), %u instructions; everything else "
		"kills the process\n",
		policy_call_count(policy), rules[POLICY_RUN] + rules[POLICY_RARE],
		rules[POLICY_RUN], rules[POLICY_RARE], insns);
	put(&l, "boot: before the filter, no longer possible; run: every day; rare: only what the "
		"reason begins with leads there\n");
	for (unsigned int i = 0; i < policy->rules; i++)
		put_rule(&l, &policy->rule[i]);
	return l.full ? -ENOSPC : 0;
}
