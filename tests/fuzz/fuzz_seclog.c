/* Any bytes as an event that a worker sends: whatever the style, printable lines, and as many as there should be. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "seclog_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Line ends only where `lines` records end; the rest is printable. */
static void check_lines(const struct seclog_record *r, unsigned int lines)
{
	for (size_t i = 0; i < r->bytes; i++) {
		if (r->text[i] == '\n')
			lines--;
		else if (r->text[i] < ' ' || r->text[i] > '~')
			abort();
	}
	if (lines != 0)
		abort();
}

/* Of the subset that we write: strings and numbers in one object. The index behind the string that begins at i. */
static size_t skip_string(const struct seclog_record *r, size_t i)
{
	if (r->text[i++] != '"')
		abort();
	while (r->text[i] != '"') {
		i += r->text[i] == '\\' ? 2 : 1;
		if (i >= r->bytes)
			abort();
	}
	return i + 1;
}

static void check_json(const struct seclog_record *r)
{
	size_t i = 0;

	if (r->text[i] != '{')
		abort();
	do {
		i = skip_string(r, i + 1);
		if (r->text[i++] != ':')
			abort();
		if (r->text[i] == '"')
			i = skip_string(r, i);
		else
			i += strspn(r->text + i, "0123456789");
	} while (r->text[i] == ',');
	if (i + 2 != r->bytes || memcmp(r->text + i, "}\n", 2) != 0)
		abort();
}

/* Each line a field name of journald's (capitals and '_'), '=' and a value. */
static void check_journal(const struct seclog_record *r)
{
	unsigned int lines = 0;

	for (size_t i = 0; i < r->bytes; lines++) {
		const char *line = r->text + i, *end = memchr(line, '\n', r->bytes - i);

		if (!end || line[strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")] != '=')
			abort();
		i += (size_t)(end - line) + 1;
	}
	check_lines(r, lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seclog_record r;
	Nl__EventRow *e = nl__event_row__unpack(NULL, size, data);

	if (!e)
		return 0;
	seclog_line(&r, NL__LOG__STYLE__securenat, e);
	check_lines(&r, e->more ? 2 : 1);
	seclog_line(&r, NL__LOG__STYLE__logfmt, e);
	check_lines(&r, 1);
	seclog_line(&r, NL__LOG__STYLE__json, e);
	check_lines(&r, 1);
	check_json(&r);
	seclog_syslog(&r, NL__LOG__STYLE__json, e, 1);
	check_lines(&r, 0);
	seclog_syslog(&r, NL__LOG__STYLE__securenat, e, 1);
	check_lines(&r, 0);
	seclog_journal(&r, e);
	check_journal(&r);
	nl__event_row__free_unpacked(e, NULL);
	return 0;
}
