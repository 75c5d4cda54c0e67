/*
 * Theory of operation
 *
 * A line is cut at its first '#': words left of it are the rule, words right of it the reason. A
 * recursive-descent reader walks the left part with one cursor (struct reader) that knows its line,
 * its column and the first error; after an error every step is a no-op, so the grammar below reads
 * straight through.
 *
 *     line       = [ "actor" NAME | ["stage"] ("boot" | "run" | "rare") | rule ] [ "#" text ]
 *     rule       = CALL ( "*" | condition { "," condition } )
 *     condition  = ARGUMENT "=" value | ARGUMENT "in" value { "," value }
 *     value      = CONSTANT ".." CONSTANT | CONSTANT { "|" CONSTANT }
 *
 * A comma may go on with the list or start the next condition; it is the next condition if the word
 * after it is followed by "=" or "in". Nothing has a default: an unknown word is an error, and so
 * is a rule before its stage.
 */
#include "parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_BYTES = 48, NAMES_BYTES = 320 };

struct reader {
	const char *line_start, *p, *end; /* the rule part of the line */
	unsigned int line;
	bool have_stage;
	enum policy_stage stage;
	struct policy *policy;
	struct policy_error *error;
	bool failed;
};

static void __attribute__((format(printf, 2, 3))) fail(struct reader *r, const char *fmt, ...)
{
	va_list ap;
	if (r->failed)
		return;
	r->failed = true;
	r->error->line = r->line;
	r->error->column = (unsigned int)(r->p - r->line_start) + 1;
	va_start(ap, fmt);
	vsnprintf(r->error->cause, sizeof(r->error->cause), fmt, ap);
	va_end(ap);
}

/* What to do about the failure just reported. */
static void __attribute__((format(printf, 2, 3))) advise(struct reader *r, const char *fmt, ...)
{
	va_list ap;
	if (!r->failed || r->error->fix[0])
		return;
	va_start(ap, fmt);
	vsnprintf(r->error->fix, sizeof(r->error->fix), fmt, ap);
	va_end(ap);
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static void skip_blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t'))
		r->p++;
}

static bool at_end(struct reader *r)
{
	skip_blanks(r);
	return r->failed || r->p >= r->end;
}

/* Copies the word at p without moving; returns its length, 0 when there is none. */
static size_t peek_word(const struct reader *r, const char *p, char *out, size_t cap)
{
	size_t n = 0;
	while (p + n < r->end && is_word(p[n]))
		n++;
	size_t copied = n < cap ? n : cap - 1;
	memcpy(out, p, copied);
	out[copied] = '\0';
	return n;
}

static bool take_word(struct reader *r, char *out, size_t cap, const char *what)
{
	skip_blanks(r);
	size_t n = r->failed ? 0 : peek_word(r, r->p, out, cap);
	if (n == 0 || n >= cap) {
		fail(r, n ? "%s is too long" : "%s is missing here", what);
		advise(r, "write it as: call argument = VALUE  # function: reason");
		return false;
	}
	r->p += n;
	return true;
}

static bool take_sign(struct reader *r, char sign)
{
	if (at_end(r) || *r->p != sign)
		return false;
	r->p++;
	return true;
}

/* After a comma: does a new condition begin ("word =" or "word in"), or does the list go on? */
static bool condition_follows(const struct reader *r)
{
	char word[WORD_BYTES];
	const char *p = r->p;
	while (p < r->end && (*p == ' ' || *p == '\t'))
		p++;
	p += peek_word(r, p, word, sizeof(word));
	while (p < r->end && (*p == ' ' || *p == '\t'))
		p++;
	if (p < r->end && *p == '=')
		return true;
	return peek_word(r, p, word, sizeof(word)) == 2 && strcmp(word, "in") == 0;
}

static uint64_t width_mask(unsigned int bits)
{
	return bits == 64 ? UINT64_MAX : UINT32_MAX;
}

static bool take_number(const char *word, uint64_t *value)
{
	char *end;
	if (word[0] < '0' || word[0] > '9')
		return false;
	errno = 0;
	*value = strtoull(word, &end, 0);
	return errno == 0 && *end == '\0';
}

static void unknown_constant(struct reader *r, const struct words_argument *a, const char *word)
{
	char names[NAMES_BYTES];
	fail(r, "'%s' is no value that I know for '%s'", word, a->name);
	if (a->is_fd && words_has_topology(r->policy->actor))
		advise(r, "descriptors of %s in ipc/topology.def: %s", r->policy->actor,
			words_descriptor_names(r->policy->actor, names, sizeof(names)));
	else
		advise(r,
			"use the kernel's name (%s... may drop that prefix) or add it to "
			"policy/words.c",
			a->prefix[0] ? a->prefix : "its prefix ");
}

/* One named or numeric constant. Descriptors of an actor with a topology have names only. */
static void take_constant(
	struct reader *r, const struct words_argument *a, struct policy_range *out)
{
	char word[WORD_BYTES] = "";
	uint32_t first, last;
	uint64_t value = 0;
	skip_blanks(r);
	const char *start = r->p;
	if (!take_word(r, word, sizeof(word), "a value"))
		return;
	if (a->is_fd && words_descriptor(r->policy->actor, word, &first, &last)) {
		*out = (struct policy_range){first, last};
		return;
	}
	bool numbers = !(a->is_fd && words_has_topology(r->policy->actor));
	if (!words_constant(word, a->prefix, &value) && !(numbers && take_number(word, &value))) {
		r->p = start;
		unknown_constant(r, a, word);
		return;
	}
	value &= width_mask(a->bits);
	*out = (struct policy_range){value, value};
}

/* CONSTANT or CONSTANT ".." CONSTANT. */
static void take_range(struct reader *r, const struct words_argument *a, struct policy_range *out)
{
	struct policy_range last;
	take_constant(r, a, out);
	if (at_end(r) || r->end - r->p < 2 || r->p[0] != '.' || r->p[1] != '.')
		return;
	r->p += 2;
	take_constant(r, a, &last);
	if (!r->failed && last.last < out->first) {
		fail(r, "the range ends before it begins");
		advise(r, "write the smaller number first");
	}
	out->last = r->failed ? out->last : last.last;
}

/* value = range { "|" CONSTANT }; *joined says whether there was a '|'. */
static void take_value(
	struct reader *r, const struct words_argument *a, struct policy_range *out, bool *joined)
{
	struct policy_range more;
	*joined = false;
	take_range(r, a, out);
	while (take_sign(r, '|')) {
		*joined = true;
		take_constant(r, a, &more);
		if (r->failed)
			return;
		if (out->first != out->last || more.first != more.last) {
			fail(r, "a range has no bits to join with '|'");
			advise(r, "separate the values by a comma");
			return;
		}
		out->first = out->last = out->first | more.first;
	}
}

/* Goes past a comma if another value of the same list comes after it. */
static bool list_goes_on(struct reader *r)
{
	if (!take_sign(r, ','))
		return false;
	if (!condition_follows(r))
		return true;
	r->p--;
	return false;
}

static void take_set(struct reader *r, struct policy_condition *c)
{
	bool joined = false;
	do {
		if (c->ranges == POLICY_RANGES) {
			fail(r, "more than %d values in one condition", POLICY_RANGES);
			advise(r, "write a second line for the same call");
			return;
		}
		take_value(r, &c->argument, &c->range[c->ranges], &joined);
		c->ranges += !r->failed;
	} while (list_goes_on(r));
	if (joined && c->ranges == 1) {
		c->subset = true;
		c->forbidden_bits = ~c->range[0].first & width_mask(c->argument.bits);
		c->ranges = 0;
	}
}

/* The argument's name, looked up in the call's row. */
static bool take_argument(
	struct reader *r, const struct policy_rule *rule, struct words_argument *out)
{
	char word[WORD_BYTES] = "", names[NAMES_BYTES];
	skip_blanks(r);
	const char *start = r->p;
	if (!take_word(r, word, sizeof(word), "an argument's name"))
		return false;
	if (!words_argument(rule->call, word, out)) {
		r->p = start;
		fail(r, "%s has no argument '%s'", rule->call, word);
		advise(r, "its arguments are: %s",
			words_argument_names(rule->call, names, sizeof(names)));
	} else if (policy_condition_on(rule, word)) {
		r->p = start;
		fail(r, "a second condition on '%s'", word);
		advise(r,
			"list the values after one 'in', or write a second line for the same call");
	}
	return !r->failed;
}

static void take_condition(struct reader *r, struct policy_rule *rule)
{
	char word[WORD_BYTES] = "";
	struct policy_condition *c = &rule->condition[rule->conditions];
	bool joined;
	if (!take_argument(r, rule, &c->argument))
		return;
	if (take_sign(r, '=')) {
		take_value(r, &c->argument, &c->range[0], &joined);
		c->ranges = 1;
	} else if (peek_word(r, r->p, word, sizeof(word)) == 2 && strcmp(word, "in") == 0) {
		r->p += 2;
		take_set(r, c);
	} else {
		fail(r, "'=' or 'in' must come after '%s'", c->argument.name);
		advise(r, "write: %s = VALUE, or: %s in VALUE, VALUE", c->argument.name,
			c->argument.name);
	}
	rule->conditions += !r->failed;
}

/* Copies text without blanks around it. */
static void copy_trimmed(char *out, size_t cap, const char *from, const char *to)
{
	while (from < to && (*from == ' ' || *from == '\t'))
		from++;
	while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
		to--;
	size_t n = (size_t)(to - from) < cap ? (size_t)(to - from) : cap - 1;
	memcpy(out, from, n);
	out[n] = '\0';
}

/* "chan_recv" or "chan_recv, chan_send": C identifiers. */
static bool is_function_list(const char *text)
{
	bool inside = false;
	for (; *text; text++) {
		if (!inside && (!is_word(*text) || (*text >= '0' && *text <= '9')))
			return false;
		inside = true;
		if (*text == ',' && text[1] == ' ') {
			inside = false;
			text++;
		} else if (!is_word(*text)) {
			return false;
		}
	}
	return inside;
}

/* The comment of a rule: "function: reason". `from` is just after '#', NULL when there is none. */
static void take_reason(
	struct reader *r, const char *from, const char *to, struct policy_rule *rule)
{
	const char *colon = from ? memchr(from, ':', (size_t)(to - from)) : NULL;
	r->p = from ? from : r->end;
	if (colon) {
		copy_trimmed(rule->functions, sizeof(rule->functions), from, colon);
		copy_trimmed(rule->reason, sizeof(rule->reason), colon + 1, to);
	}
	if (!colon || !is_function_list(rule->functions) || strlen(rule->reason) < 4)
		fail(r, "%s has no reason", rule->call);
	advise(r, "end the line with '# function: why', the function that makes the call first");
}

static void take_call(struct reader *r, struct policy_rule *rule)
{
	const char *start = r->p;
	if (!take_word(r, rule->call, sizeof(rule->call), "a system call"))
		return;
	if (words_call(rule->call, NULL))
		return;
	const char *nearest = words_nearest_call(rule->call);
	r->p = start;
	fail(r, "I do not know the system call '%s'", rule->call);
	if (nearest)
		advise(r, "did you mean '%s'?", nearest);
	advise(r, "add a row for it to policy/words.c");
}

static void take_conditions(struct reader *r, struct policy_rule *rule)
{
	skip_blanks(r);
	copy_trimmed(rule->conditions_text, sizeof(rule->conditions_text), r->p, r->end);
	if (!take_sign(r, '*')) {
		do {
			take_condition(r, rule);
		} while (take_sign(r, ','));
	}
	if (!at_end(r)) {
		fail(r, "something is left over after the conditions of %s", rule->call);
		advise(r, "separate conditions by a comma; '*' stands alone");
	}
}

static void take_rule(struct reader *r, const char *comment, const char *comment_end)
{
	struct policy *policy = r->policy;
	struct policy_rule *rule = &policy->rule[policy->rules];
	if (policy->actor[0] == '\0') {
		fail(r, "a rule before the actor is named");
		advise(r, "begin the file with 'actor NAME  # purpose'");
	} else if (!r->have_stage) {
		fail(r, "a rule before any stage");
		advise(r, "write 'stage boot', 'stage run' or 'stage rare' before it");
	} else if (comment_end - r->line_start >= POLICY_TEXT_BYTES) {
		fail(r, "a line of more than %d bytes", POLICY_TEXT_BYTES - 1);
		advise(r, "write a second line for the same call");
	} else if (policy->rules == POLICY_RULES) {
		fail(r, "more than %d rules", POLICY_RULES);
		advise(r, "a process that needs so many calls should be two processes");
	} else {
		rule->line = r->line;
		rule->stage = r->stage;
		take_call(r, rule);
		take_conditions(r, rule);
		take_reason(r, comment, comment_end, rule);
		policy->rules += !r->failed;
	}
}

static void take_actor(struct reader *r, const char *comment, const char *comment_end)
{
	if (r->policy->actor[0]) {
		fail(r, "a second actor in one file");
		advise(r, "one policy a process, one file a policy");
		return;
	}
	take_word(r, r->policy->actor, sizeof(r->policy->actor), "the actor's name");
	if (comment)
		copy_trimmed(r->policy->purpose, sizeof(r->policy->purpose), comment, comment_end);
}

static bool stage_of(const char *word, enum policy_stage *stage)
{
	for (enum policy_stage s = POLICY_BOOT; s <= POLICY_RARE; s++) {
		if (strcmp(policy_stage_name(s), word) == 0) {
			*stage = s;
			return true;
		}
	}
	return false;
}

static void take_stage(struct reader *r)
{
	char word[WORD_BYTES] = "";
	skip_blanks(r);
	const char *start = r->p;
	take_word(r, word, sizeof(word), "boot, run or rare");
	if (r->failed || stage_of(word, &r->stage)) {
		r->have_stage = true;
		return;
	}
	r->p = start;
	fail(r, "there is no stage '%s'", word);
	advise(r, "the stages are boot, run and rare");
}

/* Dispatches on the first word; `r` spans the rule part of the line. */
static void take_line(struct reader *r, const char *comment, const char *comment_end)
{
	char word[WORD_BYTES];
	enum policy_stage stage;
	if (at_end(r))
		return;
	size_t n = peek_word(r, r->p, word, sizeof(word));
	if (strcmp(word, "actor") == 0) {
		r->p += n;
		take_actor(r, comment, comment_end);
	} else if (strcmp(word, "stage") == 0) {
		r->p += n;
		take_stage(r);
	} else if (stage_of(word, &stage)) {
		take_stage(r);
	} else {
		take_rule(r, comment, comment_end);
		return;
	}
	if (!at_end(r)) {
		fail(r, "something is left over after '%s'", word);
		advise(r, "a header has a line of its own");
	}
}

int policy_parse(const char *text, struct policy *policy, struct policy_error *error)
{
	struct reader r = {.policy = policy, .error = error};
	memset(policy, 0, sizeof(*policy));
	memset(error, 0, sizeof(*error));
	while (*text && !r.failed) {
		const char *line_end = text + strcspn(text, "\n");
		const char *hash = memchr(text, '#', (size_t)(line_end - text));
		r.line++;
		r.line_start = r.p = text;
		r.end = hash ? hash : line_end;
		take_line(&r, hash ? hash + 1 : NULL, line_end);
		text = line_end + (*line_end == '\n');
	}
	if (policy->rules == 0) {
		r.line++;
		r.line_start = r.p = text;
		fail(&r, "no rule in the whole file");
		advise(&r, "a process that may call nothing cannot even exit: allow exit_group");
	}
	return r.failed ? -EINVAL : 0;
}

bool policy_condition_met(const struct policy_condition *c, uint64_t value)
{
	value &= width_mask(c->argument.bits);
	if (c->subset)
		return (value & c->forbidden_bits) == 0;
	for (unsigned int i = 0; i < c->ranges; i++)
		if (value >= c->range[i].first && value <= c->range[i].last)
			return true;
	return false;
}

static bool rule_allows(const struct policy_rule *rule, const uint64_t args[WORDS_ARGUMENTS])
{
	for (unsigned int i = 0; i < rule->conditions; i++)
		if (!policy_condition_met(
			    &rule->condition[i], args[rule->condition[i].argument.index]))
			return false;
	return true;
}

bool policy_allows(
	const struct policy *policy, const char *call, const uint64_t args[WORDS_ARGUMENTS])
{
	for (unsigned int i = 0; i < policy->rules; i++) {
		const struct policy_rule *rule = &policy->rule[i];
		if (rule->stage != POLICY_BOOT && strcmp(rule->call, call) == 0 &&
			rule_allows(rule, args))
			return true;
	}
	return false;
}

const struct policy_condition *policy_condition_on(
	const struct policy_rule *rule, const char *argument)
{
	for (unsigned int i = 0; i < rule->conditions; i++)
		if (strcmp(rule->condition[i].argument.name, argument) == 0)
			return &rule->condition[i];
	return NULL;
}

static bool first_of_its_call(const struct policy *policy, unsigned int index)
{
	for (unsigned int i = 0; i < index; i++)
		if (policy->rule[i].stage != POLICY_BOOT &&
			strcmp(policy->rule[i].call, policy->rule[index].call) == 0)
			return false;
	return policy->rule[index].stage != POLICY_BOOT;
}

unsigned int policy_call_count(const struct policy *policy)
{
	unsigned int count = 0;
	for (unsigned int i = 0; i < policy->rules; i++)
		count += first_of_its_call(policy, i);
	return count;
}

const char *policy_stage_name(enum policy_stage stage)
{
	static const char *const names[] = {"boot", "run", "rare"};
	return names[stage];
}
