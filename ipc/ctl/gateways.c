/* alg list and alg stats: the same rows, by different columns. */
#include "gateways.h"

#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "kinds.h"

/* Adds up a number that may be missing on either side. */
static void add(protobuf_c_boolean *has, uint64_t *to, protobuf_c_boolean has_more, uint64_t more)
{
	*has = *has || has_more;
	*to += has_more ? more : 0;
}

/* Takes a text over that the other row has no use for any more. */
static void take(char **to, char **from)
{
	if (*to != NULL)
		return;
	*to = *from;
	*from = NULL;
}

static void merge(Nl__AlgRow *to, Nl__AlgRow *from)
{
	uint64_t open = to->open;

#define ADD(FIELD) add(&to->has_##FIELD, &to->FIELD, from->has_##FIELD, from->FIELD)
	ADD(flows);
	ADD(messages);
	ADD(edits);
	ADD(bytes);
	ADD(granted);
	ADD(refused);
	ADD(used);
	ADD(expired);
	ADD(violations);
	ADD(gave_up);
	ADD(left_alone);
	ADD(to_guests);
	ADD(to_outside);
#undef ADD
	add(&to->has_open, &open, from->has_open, from->open);
	to->open = (uint32_t)open;
	take(&to->mode, &from->mode);
	take(&to->ports, &from->ports);
	take(&to->lists, &from->lists);
}

static bool has_name(const ProtobufCMessage *row, const void *wanted)
{
	const Nl__AlgRow *alg = (const Nl__AlgRow *)row;

	return alg->alg != NULL && strcmp(alg->alg, wanted) == 0;
}

/* The row before `end` that has the name of the one at `end`, or that one. */
static size_t first_of(const struct rows *rows, size_t end)
{
	const Nl__AlgRow *row = (const Nl__AlgRow *)rows->row[end];
	size_t i = 0;

	while (row->alg != NULL && i < end && !has_name(rows->row[i], row->alg))
		i++;
	return row->alg != NULL ? i : end;
}

void gateways_merge(struct rows *rows)
{
	size_t kept = 0;

	for (size_t i = 0; i < rows->count; i++) {
		ProtobufCMessage *row = rows->row[i];
		size_t first;

		rows->row[kept] = row;
		first = first_of(rows, kept);
		if (first == kept) {
			kept++;
			continue;
		}
		merge((Nl__AlgRow *)rows->row[first], (Nl__AlgRow *)row);
		protobuf_c_message_free_unpacked(row, NULL);
	}
	rows->count = kept;
}

int gateways_run(struct ctl *ctl, struct failure *f)
{
	const char *name = ctl->arguments > 0 ? ctl->argument[0] : NULL;
	struct render render = ask_render(ctl);
	struct rows rows;
	int code = ask_table(ctl, NL__TOPIC__ALG_STATS, ctl->hub, &rows, f);

	if (code == CTL_OK) {
		gateways_merge(&rows);
		if (name != NULL)
			rows_keep(&rows, has_name, name);
		render_table(&render, ctl->verb,
			ctl->verb->key != NULL ? columns_alg_settings()
					       : columns_of(NL__TOPIC__ALG_STATS),
			&rows);
		if (rows.count == 0 && name != NULL)
			code = failure(f, CTL_NO_MATCH, "E0712", NULL, "See: natlockctl alg list",
				"no %s %s", ctl->verb->noun, name);
	}
	rows_free(&rows);
	return code;
}
