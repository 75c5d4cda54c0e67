/* Calls as policies see them: masking, telling apart, one line of text each. */
#include "calls.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES = 1 << 17 };

bool policies_add(struct policies *all, const char *path)
{
	static char text[FILE_BYTES];
	struct policy_error error = {0};
	FILE *file = all->count < CALLS_POLICIES ? fopen(path, "r") : NULL;
	size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	text[n] = '\0';
	if (file)
		fclose(file);
	if (n && policy_parse(text, &all->policy[all->count], &error) == 0) {
		all->path[all->count++] = path;
		return true;
	}
	fprintf(stderr, "%s:%u: cannot be read as a policy: %s\n", path, error.line, error.cause);
	return false;
}

int policies_find(const struct policies *all, const char *actor)
{
	for (unsigned int i = 0; i < all->count; i++)
		if (strcmp(all->policy[i].actor, actor) == 0)
			return (int)i;
	return -1;
}

/* Whether a rule of the stage looks at the argument, and at how many bits. */
static unsigned int bits_looked_at(
	const struct policy *policy, const struct call *call, unsigned int index)
{
	for (unsigned int i = 0; i < policy->rules; i++) {
		const struct policy_rule *rule = &policy->rule[i];

		if ((rule->stage == POLICY_BOOT) != call->boot ||
			strcmp(rule->call, call->name) != 0)
			continue;
		for (unsigned int j = 0; j < rule->conditions; j++)
			if (rule->condition[j].argument.index == index)
				return rule->condition[j].argument.bits;
	}
	return 0;
}

void call_mask(const struct policies *all, struct call *call)
{
	call->known = 0;
	for (unsigned int i = 0; i < WORDS_ARGUMENTS; i++) {
		unsigned int bits = bits_looked_at(&all->policy[call->policy], call, i);

		call->known |= (uint8_t)((bits != 0) << i);
		call->args[i] &= bits == 64 ? UINT64_MAX : bits == 32 ? UINT32_MAX : 0;
	}
}

static uint64_t hash_of(const struct call *c)
{
	uint64_t hash = c->policy * 2u + c->boot;

	for (const char *p = c->name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	for (unsigned int i = 0; i < WORDS_ARGUMENTS; i++)
		hash = (hash ^ c->args[i] ^ hash >> 29) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

static bool same(const struct call *a, const struct call *b)
{
	return a->policy == b->policy && a->boot == b->boot && strcmp(a->name, b->name) == 0 &&
	       memcmp(a->args, b->args, sizeof(a->args)) == 0;
}

bool calls_add(const struct call *call)
{
	static struct call *table[CALLS_SLOTS];
	static unsigned int used;
	uint64_t slot = hash_of(call) % CALLS_SLOTS;

	while (table[slot] && !same(table[slot], call))
		slot = (slot + 1) % CALLS_SLOTS;
	if (table[slot])
		return false;
	table[slot] = malloc(sizeof(*call));
	if (!table[slot] || ++used > CALLS_SLOTS / 4 * 3) {
		fprintf(stderr,
			"more different calls than fit: CALLS_SLOTS in tests/policy/calls.h\n");
		exit(2);
	}
	*table[slot] = *call;
	return true;
}

void call_write(const struct policies *all, const struct call *call, FILE *out)
{
	fprintf(out, "%s %s %s", all->policy[call->policy].actor, call->boot ? "boot" : "run",
		call->name);
	for (unsigned int i = 0; i < WORDS_ARGUMENTS; i++) {
		if (call->known >> i & 1)
			fprintf(out, " 0x%" PRIx64, call->args[i]);
		else
			fputs(" -", out);
	}
	fputc('\n', out);
}

bool call_read(const struct policies *all, const char *line, struct call *call)
{
	char actor[POLICY_CALL_BYTES], stage[8], word[WORDS_ARGUMENTS][24];
	int index;

	memset(call, 0, sizeof(*call));
	if (sscanf(line, "%31s %7s %31s %23s %23s %23s %23s %23s %23s", actor, stage, call->name,
		    word[0], word[1], word[2], word[3], word[4], word[5]) != 3 + WORDS_ARGUMENTS)
		return false;
	index = policies_find(all, actor);
	if (index < 0)
		return false;
	call->policy = (uint8_t)index;
	call->boot = strcmp(stage, "boot") == 0;
	for (unsigned int i = 0; i < WORDS_ARGUMENTS; i++) {
		bool known = strcmp(word[i], "-") != 0;

		call->known |= (uint8_t)(known << i);
		call->args[i] = known ? strtoull(word[i], NULL, 16) : 0;
	}
	return true;
}
