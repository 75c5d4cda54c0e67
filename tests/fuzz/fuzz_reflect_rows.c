/* Any bytes as rows of any table, in every format: what is printed is printable ASCII. First byte:
 * topic and format. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "render.h"
#include "rows.h"
#include "subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_printable(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if ((text[i] < 0x20 || text[i] > 0x7e) && text[i] != '\n' && text[i] != '\r')
			abort();
}

static void print_rows(const struct rows *rows, const struct verb *verb, enum format format)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	const struct render render = {out, out, format, "fuzz", 0};
	const struct rows none = {0};

	if (out == NULL)
		return;
	if (verb->kind == VERB_STATUS && format != FORMAT_CSV)
		render_status(&render, rows, &none, &none);
	else if (verb->kind == VERB_EVENTS)
		render_events(&render, rows, true);
	else
		render_rows(&render, verb, rows);
	fclose(out);
	check_printable(text, bytes);
	free(text);
}

/* A filter looks at any row without harm; all and nothing are told apart. */
static void match_row(const ProtobufCMessage *row, Nl__Topic topic)
{
	const struct filter all = {0};
	struct filter_subject subject;

	if (topic == NL__TOPIC__NAT)
		subject_of_session(&subject, (const Nl__NatRow *)row, 0);
	else
		subject_of_event(&subject, row);
	if (!filter_match(&all, &subject))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct verb *verb = NULL;
	struct rows rows;
	Nl__Topic topic;

	if (size < 2)
		return 0;
	topic = (Nl__Topic)(data[0] % (NL__TOPIC__CALLS + 1));
	for (size_t i = 0; i < verb_count && verb == NULL; i++)
		if ((verbs[i].kind == VERB_TABLE || verbs[i].kind == VERB_STATUS ||
			    verbs[i].kind == VERB_EVENTS) &&
			verbs[i].topic == topic)
			verb = &verbs[i];
	rows_init(&rows, topic);
	/* Rows of a length that the input tells, so that several may follow each other. */
	for (size_t at = 1; at < size; at += 1 + (size_t)data[at]) {
		size_t left = size - at - 1, bytes = data[at] < left ? data[at] : left;

		rows_add(&rows, data + at + 1, bytes);
	}
	for (int format = FORMAT_TABLE; format < FORMAT_CONNTRACK && verb != NULL; format++)
		print_rows(&rows, verb, (enum format)format);
	if (topic == NL__TOPIC__NAT && verb != NULL) {
		print_rows(&rows, verb, FORMAT_CONNTRACK);
		print_rows(&rows, verb, FORMAT_CISCO);
	}
	for (size_t i = 0; i < rows.count; i++)
		match_row(rows.row[i], topic);
	rows_free(&rows);
	return 0;
}
