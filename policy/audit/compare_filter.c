/*
 * Theory of operation. A process wears its own filter, and whatever it was born under: a worker
 * that was restarted the supervisor's, everybody those of whoever started natlock (a container, a
 * service manager). Of several the kernel takes the strictest answer, so a layer more can only take
 * away; what counts is that the declared one is among them, instruction for instruction.
 */
#include <stdio.h>
#include <string.h>

#include "compare.h"
#include "declare.h"

static const struct policy_filter *declared_filter(
	const struct policy_filter *filters, const char *name)
{
	while (filters->name && strcmp(filters->name, name) != 0)
		filters++;
	return filters->name ? filters : NULL;
}

static unsigned int first_difference(const struct found_layer *l, const struct policy_filter *want)
{
	unsigned int i = 0;

	while (i < l->count && i < want->count &&
		memcmp(&l->insns[i], &want->insns[i], sizeof(l->insns[i])) == 0)
		i++;
	return i;
}

static bool equals(const struct found_layer *l, const struct policy_filter *want)
{
	return want && l->count == want->count && first_difference(l, want) == want->count;
}

/* How the live program that comes nearest differs from the declared one. */
static void tell_difference(struct checks *list, struct check *c, const struct found *f,
	const struct policy_filter *want)
{
	const struct found_layer *nearest = &f->layer[0];
	unsigned int at = first_difference(nearest, want), i;

	for (i = 1; i < f->layers; i++)
		if (first_difference(&f->layer[i], want) > at)
			at = first_difference(nearest = &f->layer[i], want);
	if (at == nearest->count || at == want->count)
		check_found(
			list, c, false, "%u instructions, the same up to %u", nearest->count, at);
	else
		check_found(list, c, false,
			"%u instructions; %u is {%04x,%u,%u,%08x}, declared {%04x,%u,%u,%08x}",
			nearest->count, at, nearest->insns[at].code, nearest->insns[at].jt,
			nearest->insns[at].jf, nearest->insns[at].k, want->insns[at].code,
			want->insns[at].jt, want->insns[at].jf, want->insns[at].k);
}

void compare_layers(struct checks *list, const struct found *f, const struct policy_filter *filters)
{
	const char *name = declare_name(f->kind);
	const struct policy_filter *own = declared_filter(filters, name);
	const struct policy_filter *parent = declared_filter(filters, "supervisor");
	unsigned int i, own_layers = 0, inherited = 0, others = 0;
	char declared[CHECK_TEXT];
	struct check *c;

	snprintf(declared, sizeof(declared), "%s, %u instructions, %u calls", name,
		own ? own->count : 0, own ? own->syscalls : 0);
	c = check_add(list, f, "filter", declared);
	if (f->layers_error) {
		check_unknown(list, c, f->layers_error);
		return;
	}
	for (i = 0; i < f->layers; i++) {
		own_layers += equals(&f->layer[i], own);
		inherited += own != parent && equals(&f->layer[i], parent);
		others += !equals(&f->layer[i], own) && !equals(&f->layer[i], parent);
	}
	if (f->layers == 0 || !own)
		check_found(list, c, false, "no filter");
	else if (own_layers == 0)
		tell_difference(list, c, f, own);
	else
		check_found(list, c, true, "the same, instruction for instruction%s%s",
			inherited ? ", below it the supervisor's" : "",
			others ? ", and one that natlock was started under" : "");
}
