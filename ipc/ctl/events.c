/*
 * Events as they happen: one request, then rows without end. Each row is printed by itself, in the
 * words of the security log, so nothing is kept and no column waits for another row.
 */
#include <string.h>

#include "ask.h"
#include "kinds.h"
#include "subject.h"

/* "natproxy.1" is of the worker natproxy. */
static bool is_of(const char *process, const char *worker)
{
	size_t length = strlen(worker);

	return process != NULL && strncmp(process, worker, length) == 0 &&
	       (process[length] == '\0' || process[length] == '.');
}

struct wanted {
	const struct filter *filter;
	const char *worker;
};

static bool keep_event(const ProtobufCMessage *row, const void *wanted)
{
	const struct wanted *w = wanted;
	struct filter_subject subject;

	if (w->worker != NULL && !is_of(rows_text(row, "process"), w->worker))
		return false;
	subject_of_event(&subject, row);
	return filter_match(w->filter, &subject);
}

static int ask(struct ctl *ctl, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__EventsRequest events = NL__EVENTS_REQUEST__INIT;

	events.hub = ask_string(ctl->hub);
	request.msg_case = NL__OPERATOR_REQUEST__MSG_EVENTS;
	request.events = &events;
	return client_ask(&ctl->client, &request, -1, f);
}

/* Prints the rows of one answer; the format json is one object a line, as nothing ever closes a list. */
static int print_next(struct ctl *ctl, bool *first, struct failure *f)
{
	const struct wanted wanted = {&ctl->filter, ctl->verb->key};
	const Nl__OperatorAnswer *answer = client_answer(&ctl->client, f);
	struct render render = ask_render(ctl);
	struct rows rows;
	int code;

	if (answer == NULL)
		return (int)f->exit_code;
	rows_init(&rows, NL__TOPIC__EVENTS);
	code = ask_take_rows(answer, NL__TOPIC__EVENTS, &rows, f);
	rows_keep(&rows, keep_event, &wanted);
	if (code == CTL_OK && rows.count > 0) {
		render_events(&render, &rows, *first);
		*first = false;
	}
	rows_free(&rows);
	if (code == CTL_OK && fflush(ctl->out) != 0)
		code = failure(f, CTL_FAILED, "E0709", NULL, NULL, "cannot write the output");
	return code;
}

int events_run(struct ctl *ctl, struct failure *f)
{
	bool first = true;
	int code = ask(ctl, f);

	ctl->client.timeout_ms = -1;
	while (code == CTL_OK)
		code = print_next(ctl, &first, f);
	return code;
}
