/*
 * Two passes over the rows: the first finds each column's width, the second prints. Nothing is kept
 * between them, so a table of any length costs only its rows. JSON and CSV come from the
 * descriptors, not from the columns: a field added to a row type appears there by itself.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conntrack.h"
#include "log.h"
#include "reflect.h"
#include "render.h"

enum { COLUMNS_MAX = 16, GAP = 2, NOTE_BYTES_MAX = 2048 };

static size_t longest(const struct column *column, const struct rows *rows, bool wide)
{
	char cell[CELL_BYTES_MAX];
	size_t width = 0;

	for (size_t i = 0; i < rows->count; i++) {
		size_t length = strlen(column_text(column, rows->row[i], wide, cell));

		if (length > width)
			width = length;
	}
	return width;
}

/* The width of each column, 0 of those that are not shown. */
static void measure(
	const struct column *columns, const struct rows *rows, bool wide, size_t width[COLUMNS_MAX])
{
	for (size_t c = 0; columns[c].title != NULL; c++) {
		size_t title = strlen(columns[c].title), cells = longest(&columns[c], rows, wide);

		width[c] = cells > title ? cells : title;
		if (!wide && (columns[c].when == COLUMN_WIDE ||
				     (columns[c].when == COLUMN_FILLED && cells <= strlen("-"))))
			width[c] = 0;
	}
}

/* One line; row NULL: the titles. The last column is not padded. */
static void print_line(FILE *out, const struct column *columns, const ProtobufCMessage *row,
	bool wide, const size_t width[COLUMNS_MAX])
{
	char cell[CELL_BYTES_MAX];
	int pad = 0;

	for (size_t c = 0; columns[c].title != NULL; c++) {
		const char *text = columns[c].title;

		if (width[c] == 0)
			continue;
		if (row != NULL)
			text = column_text(&columns[c], row, wide, cell);
		fprintf(out, "%*s%s", pad, "", text);
		pad = (int)(width[c] - strlen(text)) + GAP;
	}
	fputc('\n', out);
}

void render_columns(FILE *out, const struct column *columns, const struct rows *rows, bool wide)
{
	size_t width[COLUMNS_MAX] = {0};

	measure(columns, rows, wide, width);
	print_line(out, columns, NULL, wide, width);
	for (size_t i = 0; i < rows->count; i++)
		print_line(out, columns, rows->row[i], wide, width);
}

void render_summary(const struct render *r, const struct verb *verb, size_t count)
{
	fprintf(r->summary, "%zu %s shown.\n", count, count == 1 ? verb->noun : verb->nouns);
}

/* {"schema":...,"time":...,"hub":... without the closing brace */
static void open_json(const struct render *r, const char *schema)
{
	char time[REFLECT_TEXT_BYTES];

	fprintf(r->out, "{\"schema\":\"%s\",\"time\":", schema);
	reflect_json_string(r->out, reflect_iso_time(time, r->wall_ms));
	fputs(",\"hub\":", r->out);
	reflect_json_string(r->out, r->hub);
}

static void print_items(const struct render *r, const char *key, const struct rows *rows)
{
	fprintf(r->out, ",\"%s\":[", key);
	for (size_t i = 0; i < rows->count; i++) {
		fputs(i > 0 ? ",\n" : "\n", r->out);
		reflect_json(r->out, rows->row[i]);
	}
	fputc(']', r->out);
}

static void print_json(const struct render *r, const struct verb *verb, const struct rows *rows)
{
	open_json(r, verb->schema);
	print_items(r, "items", rows);
	fprintf(r->out, ",\"count\":%zu}\n", rows->count);
}

static void print_json_lines(const struct render *r, const struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++) {
		reflect_json(r->out, rows->row[i]);
		fputc('\n', r->out);
	}
}

/* RFC 4180 quoting. A text that a spreadsheet would take for a formula gets an apostrophe before
 * it. */
static void print_csv_text(FILE *out, const char *text)
{
	fputc('"', out);
	if (text[0] != '\0' && strchr("=+-@", text[0]) != NULL)
		fputc('\'', out);
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '"')
			fputs("\"\"", out);
		else if (*c >= 0x20 && *c < 0x7f)
			fputc(*c, out);
		else
			fprintf(out, "\\x%02x", (unsigned char)*c);
	}
	fputc('"', out);
}

static void print_csv_strings(FILE *out, size_t count, char *const *texts)
{
	char joined[1024] = "";

	for (size_t i = 0; i < count; i++) {
		size_t used = strlen(joined);

		snprintf(joined + used, sizeof(joined) - used, "%s%s", i > 0 ? "; " : "", texts[i]);
	}
	print_csv_text(out, joined);
}

static void print_csv_cell(
	FILE *out, const ProtobufCMessage *row, const ProtobufCFieldDescriptor *field)
{
	const struct column plain = {field->name, field->name, NULL, CELL_PLAIN, false};
	const uint8_t *at = (const uint8_t *)row + field->offset;
	char cell[CELL_BYTES_MAX], *const *texts;
	const char *text;
	size_t count;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		memcpy(&count, (const uint8_t *)row + field->quantifier_offset, sizeof(count));
		memcpy(&texts, at, sizeof(texts));
		print_csv_strings(out, count, texts);
		return;
	}
	if (field->type == PROTOBUF_C_TYPE_STRING) {
		memcpy(&text, at, sizeof(text));
		print_csv_text(out, text != NULL ? text : "");
		return;
	}
	text = column_text(&plain, row, true, cell);
	fputs(strcmp(text, "-") == 0 ? "" : text, out);
}

static void print_csv(FILE *out, const struct rows *rows, bool titles)
{
	const ProtobufCMessageDescriptor *type = rows->type;

	for (unsigned int f = 0; f < type->n_fields && titles; f++)
		fprintf(out, "%s%s%s", f > 0 ? "," : "", type->fields[f].name,
			f + 1 == type->n_fields ? "\r\n" : "");
	for (size_t i = 0; i < rows->count; i++) {
		for (unsigned int f = 0; f < type->n_fields; f++) {
			fputs(f > 0 ? "," : "", out);
			print_csv_cell(out, rows->row[i], &type->fields[f]);
		}
		fputs("\r\n", out);
	}
}

/* What programs read. False: this format is for people. */
static bool print_for_programs(
	const struct render *r, const struct verb *verb, const struct rows *rows)
{
	switch (r->format) {
	case FORMAT_JSON: print_json(r, verb, rows); return true;
	case FORMAT_JSONL: print_json_lines(r, rows); return true;
	case FORMAT_CSV: print_csv(r->out, rows, true); return true;
	case FORMAT_TABLE:
	case FORMAT_WIDE:
	case FORMAT_CONNTRACK:
	case FORMAT_CISCO:
	case FORMAT_COUNT: break;
	}
	return false;
}

void render_table(const struct render *r, const struct verb *verb, const struct column *columns,
	const struct rows *rows)
{
	if (print_for_programs(r, verb, rows))
		return;
	if (r->format == FORMAT_CONNTRACK)
		conntrack_print(r->out, rows);
	else
		render_columns(r->out, columns, rows, r->format == FORMAT_WIDE);
	render_summary(r, verb, rows->count);
}

void render_rows(const struct render *r, const struct verb *verb, const struct rows *rows)
{
	render_table(r, verb, columns_of(verb->topic), rows);
}

void render_with_totals(const struct render *r, const struct verb *verb,
	const struct column *columns, const struct rows *rows, const struct rows *totals)
{
	if (r->format == FORMAT_JSON) {
		open_json(r, verb->schema);
		print_items(r, "items", rows);
		print_items(r, "totals", totals);
		fprintf(r->out, ",\"count\":%zu}\n", rows->count);
		return;
	}
	render_table(r, verb, columns, rows);
	if (r->format != FORMAT_TABLE && r->format != FORMAT_WIDE)
		return;
	fputc('\n', r->out);
	render_columns(r->out, columns_of(verb->topic), totals, r->format == FORMAT_WIDE);
}

/* Whether `name` is one of the words of the list. */
static bool is_listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = list; at != NULL && *at != '\0'; at += strspn(at, " ")) {
		size_t word = strcspn(at, " ");

		if (word == length && strncmp(at, name, length) == 0)
			return true;
		at += word;
	}
	return list == NULL;
}

static bool ends_in(const char *name, const char *end)
{
	size_t length = strlen(name), tail = strlen(end);

	return length > tail && strcmp(name + length - tail, end) == 0;
}

/* How a field is shown, by its name: docs/operator.md, "Formats". */
static enum cell cell_of(const char *name)
{
	static const struct {
		const char *end;
		enum cell cell;
	} ends[] = {{"created_ms", CELL_CLOCK}, {"expires_ms", CELL_CLOCK},
		{"cpu_ms", CELL_SECONDS}, {"_ms", CELL_SPAN}, {"_bytes", CELL_BYTES}};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcmp(name, ends[i].end) == 0 || ends_in(name, ends[i].end))
			return ends[i].cell;
	return CELL_PLAIN;
}

static void print_record(FILE *out, const ProtobufCMessage *row, const char *fields)
{
	enum { TITLE = 12 };
	const ProtobufCMessageDescriptor *type = row->descriptor;
	char cell[CELL_BYTES_MAX];

	for (unsigned int f = 0; f < type->n_fields; f++) {
		const char *name = type->fields[f].name;
		const struct column column = {name, name, NULL, cell_of(name), false};

		if (type->fields[f].label == PROTOBUF_C_LABEL_REPEATED || !is_listed(fields, name))
			continue;
		column_text(&column, row, true, cell);
		if (strcmp(cell, "-") != 0)
			fprintf(out, "%-*s %s\n", TITLE, name, cell);
	}
}

void render_records(const struct render *r, const struct verb *verb, const struct rows *rows)
{
	if (print_for_programs(r, verb, rows))
		return;
	for (size_t i = 0; i < rows->count; i++) {
		fputs(i > 0 ? "\n" : "", r->out);
		print_record(r->out, rows->row[i], verb->value);
	}
}

static void print_event(const struct render *r, const ProtobufCMessage *row)
{
	static const struct column moment = {"", "at_ms", NULL, CELL_MOMENT, false};
	static const char *const lines[] = {"text", "more"};
	char at[CELL_BYTES_MAX], shown[1024];

	column_text(&moment, row, true, at);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *text = rows_text(row, lines[i]), *hub = rows_text(row, "hub"),
			   *process = rows_text(row, "process");

		if (text == NULL || text[0] == '\0')
			continue;
		fputs(at, r->out);
		if (r->format == FORMAT_WIDE)
			fprintf(r->out, " %s",
				reflect_printable(shown, 64, hub != NULL ? hub : "-"));
		if (r->format == FORMAT_WIDE)
			fprintf(r->out, " %s",
				reflect_printable(shown, 64, process != NULL ? process : "-"));
		fprintf(r->out, " %s\n", log_escape(shown, sizeof(shown), text, strlen(text)));
	}
}

void render_events(const struct render *r, const struct rows *rows, bool first)
{
	if (r->format == FORMAT_CSV) {
		print_csv(r->out, rows, first);
		return;
	}
	if (r->format == FORMAT_JSON || r->format == FORMAT_JSONL) {
		print_json_lines(r, rows);
		return;
	}
	for (size_t i = 0; i < rows->count; i++)
		print_event(r, rows->row[i]);
}

/* Notes are sentences: longer than a cell of a table, and with quotes in them. */
static void print_notes(FILE *out, const Nl__StatusRow *s)
{
	char shown[NOTE_BYTES_MAX];

	for (size_t i = 0; i < s->n_notes; i++)
		fprintf(out, "  %s\n", reflect_printable(shown, sizeof(shown), s->notes[i]));
}

static void print_gateway(FILE *out, const Nl__StatusRow *s)
{
	char text[4][CELL_BYTES_MAX], up[24];
	const char *const fields[] = {s->version, s->config, s->health, s->fence};

	for (int i = 0; i < 4; i++)
		log_escape(text[i], sizeof(text[i]), fields[i] != NULL ? fields[i] : "-",
			fields[i] != NULL ? strlen(fields[i]) : 1);
	fprintf(out, "natlock %s  up %s  config %s  health %s  fence %s\n", text[0],
		column_span(s->uptime_ms, up), text[1], text[2], text[3]);
	print_notes(out, s);
}

static void print_hub(FILE *out, const ProtobufCMessage *row)
{
	const struct column *columns = columns_of(NL__TOPIC__HUBS);
	const char *const labels[] = {"HUB ", "", "", "ports ", "tcp ", "udp ", "icmp ", "dns ",
		"leases ", "data path ", "shards "};
	char cell[CELL_BYTES_MAX];

	for (size_t c = 0; c < sizeof(labels) / sizeof(labels[0]); c++)
		fprintf(out, "%s%s%s", c > 0 ? "  " : "", labels[c],
			column_text(&columns[c], row, false, cell));
	fputc('\n', out);
}

void render_status(const struct render *r, const struct rows *status, const struct rows *processes,
	const struct rows *hubs)
{
	if (r->format == FORMAT_JSONL) {
		print_json_lines(r, status);
		print_json_lines(r, processes);
		print_json_lines(r, hubs);
		return;
	}
	if (r->format == FORMAT_JSON) {
		open_json(r, "natlock.status/1");
		print_items(r, "items", status);
		print_items(r, "processes", processes);
		print_items(r, "hubs", hubs);
		fprintf(r->out, ",\"count\":%zu}\n", status->count);
		return;
	}
	for (size_t i = 0; i < status->count; i++)
		print_gateway(r->out, (const Nl__StatusRow *)status->row[i]);
	render_columns(
		r->out, columns_of(NL__TOPIC__PROCESSES), processes, r->format == FORMAT_WIDE);
	for (size_t i = 0; i < hubs->count; i++)
		print_hub(r->out, hubs->row[i]);
}

static void print_text(FILE *out, const char *text)
{
	size_t length = strlen(text);

	for (const char *c = text; *c != '\0'; c++)
		fputc((*c >= 0x20 && *c < 0x7f) || *c == '\n' || *c == '\t' ? *c : '?', out);
	if (length > 0 && text[length - 1] != '\n')
		fputc('\n', out);
}

void render_text(const struct render *r, const struct verb *verb, const char *text)
{
	if (r->format != FORMAT_JSON && r->format != FORMAT_JSONL) {
		print_text(r->out, text);
		return;
	}
	open_json(r, verb->schema);
	fputs(",\"text\":", r->out);
	reflect_json_string(r->out, text);
	fputs("}\n", r->out);
}

void render_config(const struct render *r, const struct verb *verb, const char *text)
{
	if (r->format != FORMAT_JSON && r->format != FORMAT_JSONL) {
		print_text(r->out, text);
		return;
	}
	open_json(r, verb->schema);
	fputs(",\"config\":", r->out);
	print_text(r->out, text[0] != '\0' ? text : "null");
	fputs("}\n", r->out);
}

void render_health(const struct render *r, const struct verb *verb, const struct rows *status)
{
	char shown[CELL_BYTES_MAX];

	if (print_for_programs(r, verb, status))
		return;
	for (size_t i = 0; i < status->count; i++) {
		const Nl__StatusRow *row = (const Nl__StatusRow *)status->row[i];
		const char *health = row->health != NULL ? row->health : "-";

		fprintf(r->out, "%s\n", log_escape(shown, sizeof(shown), health, strlen(health)));
		print_notes(r->out, row);
	}
}
