/*
 * Theory of operation
 *
 * A policy can be well-formed and still hand out too much. Each function here is one promise of
 * docs/policy.md, checked against every rule; the first that is broken stops the build. They judge
 * what the filter will allow (the parsed conditions), never the spelling.
 *
 * Workers (actors of topology.def) face all promises, and so does what a sanitizer adds to them in
 * tests/sanitize. The supervisor and the tool make processes, open files and know their descriptors
 * only at run time; for them remain: a reason on each rule, no executable memory, no call whose
 * whole meaning lies in an argument left open, a bar on the count. The loader of a sanitized worker
 * maps code: what it may map executable it may not map writable.
 */
#include "lint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct bar {
	const char *actor;
	unsigned int calls;
};

static const struct bar bars[] = {
	{"alg", 12},
	{"dhcpd", 12},
	{"broker", 14},
	{"netstack", 16},
	{"natproxy", 30},
	{"supervisor", 88},
	{"ctl", 24},
	{"sanitizer", 12},
	{"loader", 12},
};

/* What leads to a rule of the stage rare. docs/policy.md explains each. */
static const char *const causes[] = {
	"end", "error", "lie", "kernel", "load", "change", "order", "restart"};

unsigned int lint_bar(const char *actor)
{
	for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++)
		if (strcmp(bars[i].actor, actor) == 0)
			return bars[i].calls;
	return 0;
}

static int __attribute__((format(printf, 4, 5)))
refuse(struct policy_error *error, unsigned int line, const char *fix, const char *fmt, ...)
{
	va_list ap;
	memset(error, 0, sizeof(*error));
	error->line = line;
	error->column = 1;
	va_start(ap, fmt);
	vsnprintf(error->cause, sizeof(error->cause), fmt, ap);
	va_end(ap);
	snprintf(error->fix, sizeof(error->fix), "%s", fix);
	return -EINVAL;
}

static bool admits_bit(const struct policy_condition *c, uint64_t bit)
{
	if (c->subset)
		return (c->forbidden_bits & bit) == 0;
	for (unsigned int i = 0; i < c->ranges; i++)
		if (c->range[i].first != c->range[i].last || (c->range[i].first & bit))
			return true;
	return false;
}

/* Memory that is writable now and code later is how an exploit begins; a worker is static and maps
 * no code. */
static int refuse_exec(
	const struct policy *policy, const struct policy_rule *rule, struct policy_error *error)
{
	bool loads = strcmp(policy->actor, "loader") == 0;
	struct words_argument prot;
	if (!words_argument(rule->call, "prot", &prot))
		return 0;
	const struct policy_condition *c = policy_condition_on(rule, "prot");
	if (c && (!admits_bit(c, PROT_EXEC) || (loads && !admits_bit(c, PROT_WRITE))))
		return 0;
	return refuse(error, rule->line, "add: prot in READ|WRITE", "%s may make executable memory",
		rule->call);
}

static int refuse_socket(
	const struct policy *policy, const struct policy_rule *rule, struct policy_error *error)
{
	bool makes = strcmp(rule->call, "socket") == 0 || strcmp(rule->call, "socketpair") == 0;
	if (!makes || strcmp(policy->actor, "natproxy") == 0 ||
		strcmp(policy->actor, "supervisor") == 0)
		return 0;
	return refuse(error, rule->line, "ask natproxy or the supervisor over the edge",
		"%s may make sockets: only natproxy and the supervisor may", policy->actor);
}

static int refuse_kind(const struct policy_rule *rule, struct policy_error *error)
{
	enum words_kind kind = WORDS_PLAIN;
	words_call(rule->call, &kind);
	if (kind == WORDS_PATH)
		return refuse(error, rule->line,
			"let the supervisor open it and pass the descriptor",
			"%s reaches into a file system after the lock", rule->call);
	if (kind == WORDS_POWER)
		return refuse(error, rule->line, "move it to 'stage boot' or into the supervisor",
			"%s is power that no worker may hold", rule->call);
	return 0;
}

/* Every descriptor, and every argument that decides what the call does. */
static int refuse_unpinned(const struct policy_rule *rule, bool worker, struct policy_error *error)
{
	struct words_argument a;
	for (unsigned int i = 0; words_argument_at(rule->call, i, &a); i++) {
		if (!a.must_pin || (a.is_fd && !worker) || policy_condition_on(rule, a.name))
			continue;
		return refuse(error, rule->line,
			"add: ARGUMENT = VALUE, or: ARGUMENT in VALUE, VALUE",
			"%s leaves '%s' open", rule->call, a.name);
	}
	return 0;
}

/* -1 read as unsigned is above every bound; only an anonymous mapping has a use for it. */
static int refuse_wide_fd(const struct policy_rule *rule, struct policy_error *error)
{
	for (unsigned int i = 0; i < rule->conditions; i++) {
		const struct policy_condition *c = &rule->condition[i];
		if (c->argument.is_fd && policy_condition_met(c, UINT32_MAX) &&
			strcmp(rule->call, "mmap") != 0)
			return refuse(error, rule->line, "name the descriptor",
				"%s accepts descriptor -1", rule->call);
	}
	return 0;
}

static bool same_conditions(const struct policy_rule *a, const struct policy_rule *b)
{
	return strcmp(a->call, b->call) == 0 && strcmp(a->conditions_text, b->conditions_text) == 0;
}

/* A line that adds nothing hides what the policy really says. */
static int refuse_repeated(
	const struct policy *policy, unsigned int index, struct policy_error *error)
{
	const struct policy_rule *rule = &policy->rule[index];
	for (unsigned int i = 0; i < policy->rules; i++) {
		const struct policy_rule *other = &policy->rule[i];
		if (i == index || other->stage == POLICY_BOOT ||
			strcmp(other->call, rule->call) != 0)
			continue;
		if ((i < index && same_conditions(other, rule)) ||
			(other->conditions == 0 && rule->conditions))
			return refuse(error, rule->line, "keep one of the two lines",
				"line %u already allows this %s", other->line, rule->call);
	}
	return 0;
}

/* SOCK_STREAM is 1, SOCK_DGRAM 2: "in SOCK_STREAM|SOCK_DGRAM" would admit 3, SOCK_RAW. */
static int refuse_joined(const struct policy_rule *rule, struct policy_error *error)
{
	for (unsigned int i = 0; i < rule->conditions; i++) {
		const struct policy_condition *c = &rule->condition[i];
		if (c->subset && c->argument.is_choice)
			return refuse(error, rule->line,
				"list each value that is meant, separated by commas",
				"%s admits any mixture of the bits of '%s', which is a number",
				rule->call, c->argument.name);
	}
	return 0;
}

/* What is allowed and not needed every day is where a captured process looks first. */
static int refuse_groundless(const struct policy_rule *rule, struct policy_error *error)
{
	char fix[256] = "begin the reason, after the function, with one of:";
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		size_t n = strlen(causes[i]), used = strlen(fix);
		if (strncmp(rule->reason, causes[i], n) == 0 && rule->reason[n] == ':' &&
			strlen(rule->reason + n) > 5)
			return 0;
		snprintf(fix + used, sizeof(fix) - used, " %s:", causes[i]);
	}
	return refuse(error, rule->line, fix, "%s is rare, and nothing says what leads there",
		rule->call);
}

static bool faces_all(const struct policy *policy)
{
	return words_has_topology(policy->actor) || strcmp(policy->actor, "sanitizer") == 0;
}

static int lint_rule(const struct policy *policy, unsigned int index, struct policy_error *error)
{
	const struct policy_rule *rule = &policy->rule[index];
	bool worker = faces_all(policy);
	int ret = rule->stage == POLICY_BOOT && !worker ? 0 : refuse_exec(policy, rule, error);
	if (rule->stage == POLICY_BOOT)
		return ret;
	if (ret == 0)
		ret = refuse_joined(rule, error);
	if (ret == 0 && rule->stage == POLICY_RARE)
		ret = refuse_groundless(rule, error);
	if (ret == 0)
		ret = refuse_socket(policy, rule, error);
	if (ret == 0 && worker)
		ret = refuse_kind(rule, error);
	if (ret == 0)
		ret = refuse_unpinned(rule, worker, error);
	if (ret == 0 && worker)
		ret = refuse_wide_fd(rule, error);
	if (ret == 0)
		ret = refuse_repeated(policy, index, error);
	return ret;
}

static bool has_stage(const struct policy *policy, enum policy_stage stage)
{
	for (unsigned int i = 0; i < policy->rules; i++)
		if (policy->rule[i].stage == stage)
			return true;
	return false;
}

int lint_policy(const struct policy *policy, struct policy_error *error)
{
	const uint64_t any[WORDS_ARGUMENTS] = {0};
	for (unsigned int i = 0; i < policy->rules; i++) {
		int ret = lint_rule(policy, i, error);
		if (ret)
			return ret;
	}
	unsigned int bar = lint_bar(policy->actor), calls = policy_call_count(policy);
	if (bar == 0)
		return refuse(error, 1, "set its bar in policy/lint.c",
			"nobody knows an actor '%s'", policy->actor);
	if (calls > bar)
		return refuse(error, 1,
			"take calls away; the bar is a promise of README and docs/SECURITY.md",
			"%u system calls, the bar of %s is %u", calls, policy->actor, bar);
	if (!policy_allows(policy, "exit_group", any))
		return refuse(error, 1, "add: exit_group *  # function: why", "%s cannot even exit",
			policy->actor);
	if (words_has_topology(policy->actor) && !has_stage(policy, POLICY_BOOT))
		return refuse(error, 1, "add 'stage boot' with what it calls before its filter",
			"nothing says what %s does before it is locked", policy->actor);
	return 0;
}
