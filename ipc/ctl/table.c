/* Commands that show rows: whole tables, some of their rows, one row a line a field. */
#include <string.h>

#include "ask.h"
#include "cisco.h"
#include "kinds.h"
#include "subject.h"
#include "table.h"

struct wanted {
	const struct filter *filter;
	uint64_t now_ms;
};

static bool keep_session(const ProtobufCMessage *row, const void *wanted)
{
	const struct wanted *w = wanted;
	struct filter_subject subject;

	subject_of_session(&subject, (const Nl__NatRow *)row, w->now_ms);
	return filter_match(w->filter, &subject);
}

void table_filter(struct rows *rows, const struct filter *filter, uint64_t now_ms)
{
	const struct wanted wanted = {filter, now_ms};

	if (filter->count > 0)
		rows_keep(rows, keep_session, &wanted);
}

static bool keep_named(const ProtobufCMessage *row, const void *wanted)
{
	const char *const *pair = wanted; /* field, value */
	const char *text = rows_text(row, pair[0]);

	return text != NULL && strcmp(text, pair[1]) == 0;
}

static int fail_no_match(const struct ctl *ctl, const char *name, struct failure *f)
{
	if (name != NULL)
		return failure(
			f, CTL_NO_MATCH, "E0712", NULL, NULL, "no %s %s", ctl->verb->noun, name);
	return failure(f, CTL_NO_MATCH, "E0712", NULL, NULL, "no %s matches", ctl->verb->noun);
}

/* What is fixed stands there too, as on IOS, unless sessions are chosen by a filter. */
static int run_translations(struct ctl *ctl, struct failure *f)
{
	struct render render = ask_render(ctl);
	struct rows sessions, forwards = {0};
	int code = ask_table(ctl, NL__TOPIC__NAT, ctl->hub, &sessions, f);

	if (code == CTL_OK && ctl->filter.count == 0)
		code = ask_table(ctl, NL__TOPIC__FORWARDS, ctl->hub, &forwards, f);
	if (code == CTL_OK) {
		table_filter(&sessions, &ctl->filter, render.wall_ms);
		cisco_translations(ctl->out, &forwards, &sessions);
		render_summary(&render, ctl->verb, sessions.count);
		if (sessions.count == 0 && ctl->filter.count > 0)
			code = fail_no_match(ctl, NULL, f);
	}
	rows_free(&sessions);
	rows_free(&forwards);
	return code;
}

/* A table of which a filter left nothing is printed all the same: that is what a program reads. */
int table_run(struct ctl *ctl, struct failure *f)
{
	const char *const kind[] = {ctl->verb->key, ctl->verb->value};
	struct render render = ask_render(ctl);
	struct rows rows;
	int code;

	if (ctl->format == FORMAT_CISCO)
		return run_translations(ctl, f);
	code = ask_table(ctl, ctl->verb->topic, ctl->hub, &rows, f);
	if (code == CTL_OK) {
		if (ctl->verb->value != NULL)
			rows_keep(&rows, keep_named, kind);
		table_filter(&rows, &ctl->filter, render.wall_ms);
		render_rows(&render, ctl->verb, &rows);
		if (rows.count == 0 && ctl->filter.count > 0)
			code = fail_no_match(ctl, NULL, f);
	}
	rows_free(&rows);
	return code;
}

/* The row that the argument names, or all. */
static int fetch_named(struct ctl *ctl, struct rows *rows, struct failure *f)
{
	const char *name = ctl->arguments > 0 ? ctl->argument[0] : NULL;
	const char *pair[] = {ctl->verb->key, name};
	int code = ask_table(ctl, ctl->verb->topic, ctl->hub, rows, f);

	if (code != CTL_OK)
		return code;
	if (name != NULL)
		rows_keep(rows, keep_named, pair);
	return rows->count > 0 ? CTL_OK : fail_no_match(ctl, name != NULL ? name : ctl->hub, f);
}

int table_run_record(struct ctl *ctl, struct failure *f)
{
	struct render render = ask_render(ctl);
	struct rows rows;
	int code = fetch_named(ctl, &rows, f);

	if (code == CTL_OK)
		render_records(&render, ctl->verb, &rows);
	rows_free(&rows);
	return code;
}

int table_run_nat_status(struct ctl *ctl, struct failure *f)
{
	struct render render = ask_render(ctl);
	struct rows hubs, forwards = {0};
	int code = fetch_named(ctl, &hubs, f);

	if (code == CTL_OK && ctl->format == FORMAT_CISCO)
		code = ask_table(ctl, NL__TOPIC__FORWARDS, ctl->hub, &forwards, f);
	if (code == CTL_OK && ctl->format == FORMAT_CISCO)
		cisco_statistics(ctl->out, &hubs, &forwards);
	else if (code == CTL_OK)
		render_records(&render, ctl->verb, &hubs);
	rows_free(&hubs);
	rows_free(&forwards);
	return code;
}

int table_run_status(struct ctl *ctl, struct failure *f)
{
	static const Nl__Topic topics[] = {
		NL__TOPIC__STATUS, NL__TOPIC__PROCESSES, NL__TOPIC__HUBS};
	struct render render = ask_render(ctl);
	struct rows rows[3] = {0};
	int code = CTL_OK;

	for (int i = 0; i < 3 && code == CTL_OK; i++)
		code = ask_table(ctl, topics[i], ctl->hub, &rows[i], f);
	if (code == CTL_OK && ctl->format == FORMAT_CSV)
		render_rows(&render, ctl->verb, &rows[0]);
	else if (code == CTL_OK)
		render_status(&render, &rows[0], &rows[1], &rows[2]);
	for (int i = 0; i < 3; i++)
		rows_free(&rows[i]);
	return code;
}

int table_run_health(struct ctl *ctl, struct failure *f)
{
	struct render render = ask_render(ctl);
	const char *health = NULL;
	struct rows rows;
	int code = ask_table(ctl, NL__TOPIC__STATUS, ctl->hub, &rows, f);

	if (code == CTL_OK && rows.count > 0)
		health = rows_text(rows.row[0], "health");
	if (code == CTL_OK) {
		render_health(&render, ctl->verb, &rows);
		if (health == NULL || strcmp(health, "OK") != 0)
			code = failure(f, CTL_FAILED, "E0713", health,
				"See: natlockctl process list", "natlock is not well");
	}
	rows_free(&rows);
	return code;
}
