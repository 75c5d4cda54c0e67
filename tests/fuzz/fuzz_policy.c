/*
 * Any bytes as the text of a policy, as policy-compile and natlock-audit read it. What is refused has a place, a cause and a
 * fix; what is accepted can be linted, listed and asked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lint.h"
#include "listing.h"
#include "parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_error(const struct policy_error *e)
{
	require(e->line >= 1 && e->column >= 1 && e->cause[0] && e->fix[0]);
	require(memchr(e->cause, 0, sizeof(e->cause)) && memchr(e->fix, 0, sizeof(e->fix)));
}

/* A value that one condition names is met by it, and the whole rule by such values. */
static void ask(const struct policy *p)
{
	for (unsigned int i = 0; i < p->rules; i++) {
		const struct policy_rule *r = &p->rule[i];
		uint64_t args[WORDS_ARGUMENTS] = {0};
		require(r->conditions <= WORDS_ARGUMENTS && r->reason[0]);
		for (unsigned int k = 0; k < r->conditions; k++) {
			const struct policy_condition *c = &r->condition[k];
			require(c->ranges <= POLICY_RANGES && c->argument.index < WORDS_ARGUMENTS);
			args[c->argument.index] = c->subset ? 0 : c->range[0].first;
			require(policy_condition_met(c, args[c->argument.index]));
		}
		require(r->stage == POLICY_BOOT || policy_allows(p, r->call, args));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policy policy;
	static char listing[LISTING_BYTES];
	struct policy_error error = {0};
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	if (policy_parse(text, &policy, &error)) {
		check_error(&error);
	} else {
		require(policy.rules <= POLICY_RULES && policy_call_count(&policy) <= policy.rules);
		if (lint_policy(&policy, &error))
			check_error(&error);
		if (listing_write(&policy, 42, listing, sizeof(listing)) == 0)
			require(memchr(listing, 0, sizeof(listing)));
		ask(&policy);
	}
	free(text);
	return 0;
}
