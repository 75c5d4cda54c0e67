/*
 * policy-use POLICY... -- FILE...: which rules nobody used, by what policy-trace saw.
 *
 * Theory of operation. Every rule is cut into what it permits one by one: each value of a list,
 * each bit of a set, or the call itself where nothing is pinned. A call of a process uses, in every
 * rule that admits it, the values and bits that it has. Then
 *
 *     run   each value and bit must have been used: what is never used need not be allowed
 *     boot  the same, and each call that was made before the filter must have its line (in a policy
 *           that has this stage: the linter demands it of workers)
 *     rare  the same if what leads there is a change, an order or a restart: a test can make those
 *           happen. Ends, errors, lies, loads and whims of kernels are only counted
 *
 * A policy of which nothing was seen at all is refused as well: the test then proves nothing.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"

enum { ITEMS = POLICY_RANGES, ITEM_BYTES = 128, LINE_BYTES = 512 };

/* One value or bit of a condition, as it is written. */
struct item {
	char name[ITEM_BYTES];
	uint64_t bits; /* of a set; 0 for a value of a list */
	bool used;
};

struct use {
	bool called;
	unsigned int items[WORDS_ARGUMENTS]; /* of each condition */
	struct item item[WORDS_ARGUMENTS][ITEMS];
};

static struct policies policies;
static struct use uses[CALLS_POLICIES][POLICY_RULES];
static bool seen[CALLS_POLICIES];
static unsigned int findings;

static uint64_t constant(const char *name, const char *prefix)
{
	uint64_t value = 0;

	if (!words_constant(name, prefix, &value))
		value = strtoull(name, NULL, 0);
	return value;
}

/* What is left out here would count as used, and move the values behind it. */
static void __attribute__((noreturn)) too_large(const char *text, size_t n)
{
	fprintf(stderr, "policy-use: raise ITEM_BYTES or ITEMS: no room for %.*s\n", (int)n, text);
	exit(2);
}

static void add_item(struct use *use, unsigned int condition, const char *text, size_t n)
{
	struct item *item = &use->item[condition][use->items[condition]];

	while (n && isspace((unsigned char)*text))
		text++, n--;
	while (n && isspace((unsigned char)text[n - 1]))
		n--;
	if (n == 0)
		return;
	if (n >= sizeof(item->name) || use->items[condition] == ITEMS)
		too_large(text, n);
	memcpy(item->name, text, n);
	use->items[condition]++;
}

/* Where the values begin in a piece between commas: after the argument if it begins a condition. */
static size_t values_at(const char *piece, size_t n, bool *begins)
{
	const char *equals = memchr(piece, '=', n), *in = memmem(piece, n, " in ", 4);

	*begins = equals || in;
	if (equals)
		return (size_t)(equals - piece) + 1;
	return in ? (size_t)(in - piece) + 4 : 0;
}

static void add_bits(const struct policy_condition *c, struct use *use, unsigned int condition,
	const char *text, size_t n)
{
	while (n) {
		const char *bar = memchr(text, '|', n);
		size_t word = bar ? (size_t)(bar - text) : n;
		struct item *item = &use->item[condition][use->items[condition]];

		add_item(use, condition, text, word);
		item->bits = constant(item->name, c->argument.prefix);
		if (item->bits == 0 && use->items[condition]) /* "none of them" is no permission */
			memset(&use->item[condition][--use->items[condition]], 0, sizeof(*item));
		text += word + (bar != NULL);
		n -= word + (bar != NULL);
	}
}

/* Cuts the conditions of a rule, which stand in the text in their order, into items. */
static void cut(const struct policy_rule *rule, struct use *use)
{
	const char *text = rule->conditions_text;
	unsigned int condition = 0;
	bool first = true;

	while (rule->conditions && *text) {
		size_t n = strcspn(text, ","), at;
		bool begins;

		at = values_at(text, n, &begins);
		condition += begins && !first;
		first = false;
		if (rule->condition[condition].subset)
			add_bits(&rule->condition[condition], use, condition, text + at, n - at);
		else
			add_item(use, condition, text + at, n - at);
		text += n + (text[n] == ',');
	}
}

static bool admits(const struct policy_rule *rule, const struct call *call)
{
	if ((rule->stage == POLICY_BOOT) != call->boot || strcmp(rule->call, call->name) != 0)
		return false;
	for (unsigned int i = 0; i < rule->conditions; i++) {
		unsigned int index = rule->condition[i].argument.index;

		if ((call->known >> index & 1) &&
			!policy_condition_met(&rule->condition[i], call->args[index]))
			return false;
	}
	return true;
}

static void mark(const struct policy_rule *rule, struct use *use, const struct call *call)
{
	use->called = true;
	for (unsigned int i = 0; i < rule->conditions; i++) {
		const struct policy_condition *c = &rule->condition[i];
		uint64_t value = call->args[c->argument.index];

		for (unsigned int j = 0; j < use->items[i]; j++) {
			struct item *item = &use->item[i][j];

			if (!(call->known >> c->argument.index & 1))
				continue;
			if (c->subset)
				item->used |= (value & item->bits) == item->bits;
			else
				item->used |=
					value >= c->range[j].first && value <= c->range[j].last;
		}
	}
}

static void tell_unlisted(const struct policy *policy, const char *path, const struct call *call)
{
	struct words_argument a;

	findings++;
	printf("%s: %s made %s(", path, policy->actor, call->name);
	for (unsigned int i = 0, n = 0; words_argument_at(call->name, i, &a); i++)
		if (call->known >> i & 1)
			printf("%s%s 0x%" PRIx64, n++ ? ", " : "", a.name, call->args[i]);
	printf(")%s\n", call->boot ? " before its filter, which no line of 'stage boot' tells"
				   : " behind its filter, which does not allow it");
}

/* The supervisor's does not: until it is locked it is whoever started it. */
static bool tells_of_boot(const struct policy *policy)
{
	for (unsigned int i = 0; i < policy->rules; i++)
		if (policy->rule[i].stage == POLICY_BOOT)
			return true;
	return false;
}

static void take_call(const struct call *call)
{
	const struct policy *policy = &policies.policy[call->policy];
	bool admitted = false;

	seen[call->policy] |= !call->boot;
	for (unsigned int i = 0; i < policy->rules; i++) {
		if (!admits(&policy->rule[i], call))
			continue;
		mark(&policy->rule[i], &uses[call->policy][i], call);
		admitted = true;
	}
	if (!admitted && (!call->boot || tells_of_boot(policy)))
		tell_unlisted(policy, policies.path[call->policy], call);
}

static bool take_file(const char *path)
{
	char line[LINE_BYTES];
	struct call call;
	FILE *file = fopen(path, "r");

	if (!file) {
		fprintf(stderr, "policy-use: cannot read %s\n", path);
		return false;
	}
	while (fgets(line, sizeof(line), file))
		if (call_read(&policies, line, &call) && calls_add(&call))
			take_call(&call);
	fclose(file);
	return true;
}

/* Names what of a rule was never used; true when all of it was. */
static bool tell_rule(const char *path, const struct policy_rule *rule, const struct use *use)
{
	unsigned int unused = 0;

	if (!use->called) {
		printf("%s:%u: nobody makes this call: %s %s\n", path, rule->line, rule->call,
			rule->conditions_text);
		return false;
	}
	for (unsigned int i = 0; i < rule->conditions; i++)
		for (unsigned int j = 0; j < use->items[i]; j++) {
			if (use->item[i][j].used)
				continue;
			if (unused++ == 0)
				printf("%s:%u: nobody uses of %s:", path, rule->line, rule->call);
			printf("%s %s %s", unused > 1 ? "," : "", rule->condition[i].argument.name,
				use->item[i][j].name);
		}
	if (unused)
		putchar('\n');
	return unused == 0;
}

static bool must_be_used(const struct policy_rule *rule)
{
	static const char *const causes[] = {"change:", "order:", "restart:"};

	if (rule->stage != POLICY_RARE)
		return true;
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (strncmp(rule->reason, causes[i], strlen(causes[i])) == 0)
			return true;
	return false;
}

static void judge(unsigned int index)
{
	const struct policy *policy = &policies.policy[index];
	unsigned int rules[3] = {0}, rare_used = 0;

	if (!seen[index]) {
		findings++;
		printf("%s: %s was never seen behind its filter\n", policies.path[index],
			policy->actor);
		return;
	}
	for (unsigned int i = 0; i < policy->rules; i++) {
		const struct policy_rule *rule = &policy->rule[i];

		rules[rule->stage]++;
		rare_used += rule->stage == POLICY_RARE && uses[index][i].called;
		if (must_be_used(rule))
			findings += !tell_rule(policies.path[index], rule, &uses[index][i]);
	}
	printf("%-10s %3u boot rules, %2u run, %2u rare (%u of them made here)\n", policy->actor,
		rules[POLICY_BOOT], rules[POLICY_RUN], rules[POLICY_RARE], rare_used);
}

int main(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (!policies_add(&policies, argv[i]))
			return 2;
	if (i == 1 || i + 1 >= argc) {
		fprintf(stderr, "usage: policy-use POLICY... -- FILE...\n");
		return 2;
	}
	for (unsigned int p = 0; p < policies.count; p++)
		for (unsigned int r = 0; r < policies.policy[p].rules; r++)
			cut(&policies.policy[p].rule[r], &uses[p][r]);
	while (++i < argc)
		if (!take_file(argv[i]))
			return 2;
	for (unsigned int p = 0; p < policies.count; p++)
		judge(p);
	if (findings)
		printf("%u findings. What nobody uses: remove it, or move it to 'stage rare' with "
		       "what leads there, or let "
		       "tests/integration/test_policy_use.py use it.\n",
			findings);
	return findings ? 1 : 0;
}
