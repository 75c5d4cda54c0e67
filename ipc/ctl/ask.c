/* Questions over the client. The supervisor's failures become ours here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ask.h"
#include "textout.h"

char *ask_string(const char *text)
{
	return (char *)(uintptr_t)text;
}

static const char *or_else(const char *text, const char *otherwise)
{
	return text != NULL && text[0] != '\0' ? text : otherwise;
}

/* The supervisor's failure as ours. Its exit code is taken only if it is one. */
static int take_failure(struct failure *f, const Nl__Failure *theirs)
{
	uint32_t code = theirs->exit_code >= CTL_FAILED && theirs->exit_code <= CTL_TIMED_OUT
				? theirs->exit_code
				: CTL_FAILED;

	return failure(f, (enum ctl_exit)code, or_else(theirs->code, "E0500"), theirs->cause,
		theirs->fix, "%s", or_else(theirs->message, "refused without a reason"));
}

static int fail_other(struct failure *f)
{
	return failure(f, CTL_FAILED, "E0706", NULL, "Compare: natlockctl version",
		"the gateway answered something else");
}

static int fail_memory(struct failure *f)
{
	return failure(f, CTL_FAILED, "E0708", NULL, NULL, "out of memory");
}

static int add_rows(struct rows *rows, const Nl__TableRows *slice, struct failure *f)
{
	for (size_t i = 0; i < slice->n_rows; i++) {
		int error = rows_add(rows, slice->rows[i].data, slice->rows[i].len);

		if (error == -ENOSPC)
			return failure(f, CTL_FAILED, "E0708", NULL, NULL,
				"the table has more than %d rows", ROWS_MAX);
		if (error != 0)
			return failure(f, CTL_FAILED, "E0706",
				"A worker packed something else, or versions differ.",
				"Compare: natlockctl version", "row %zu cannot be read",
				rows->count + 1);
	}
	return CTL_OK;
}

int ask_take_rows(
	const Nl__OperatorAnswer *answer, Nl__Topic topic, struct rows *rows, struct failure *f)
{
	if (answer->msg_case == NL__OPERATOR_ANSWER__MSG_FAILURE)
		return take_failure(f, answer->failure);
	if (answer->msg_case != NL__OPERATOR_ANSWER__MSG_ROWS || answer->rows->topic != topic)
		return fail_other(f);
	return add_rows(rows, answer->rows, f);
}

/* Processes and hubs are told of all hubs; of one process, the supervisor, no hub has it to itself. */
static bool keep_hub(const ProtobufCMessage *row, const void *wanted)
{
	const char *hub =
		rows_text(row, row->descriptor == &nl__hub_row__descriptor ? "name" : "hub");

	return hub == NULL || strcmp(hub, wanted) == 0;
}

int ask_table(
	struct ctl *ctl, Nl__Topic topic, const char *hub, struct rows *rows, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__TableRequest table = NL__TABLE_REQUEST__INIT;
	const Nl__OperatorAnswer *answer;
	bool last = false;
	int code;

	rows_init(rows, topic);
	table.has_topic = 1;
	table.topic = topic;
	table.hub = ask_string(hub);
	request.msg_case = NL__OPERATOR_REQUEST__MSG_TABLE;
	request.table = &table;
	code = client_ask(&ctl->client, &request, -1, f);
	while (code == CTL_OK && !last) {
		answer = client_answer(&ctl->client, f);
		if (answer == NULL)
			return (int)f->exit_code;
		code = ask_take_rows(answer, topic, rows, f);
		last = code == CTL_OK && answer->rows->last;
	}
	if (hub != NULL && (topic == NL__TOPIC__PROCESSES || topic == NL__TOPIC__HUBS))
		rows_keep(rows, keep_hub, hub);
	return code;
}

/* A piece of a text into `out`; *last: it was the last one; *count: what Done says. An exit code. */
static int take_text(const Nl__OperatorAnswer *answer, struct textout *out, bool *last,
	uint64_t *count, struct failure *f)
{
	const char *text;

	*last = true;
	if (answer->msg_case == NL__OPERATOR_ANSWER__MSG_FAILURE)
		return take_failure(f, answer->failure);
	if (answer->msg_case == NL__OPERATOR_ANSWER__MSG_DONE) {
		text = answer->done->text;
		*count = answer->done->count;
	} else if (answer->msg_case == NL__OPERATOR_ANSWER__MSG_TEXT) {
		text = answer->text->text;
		*last = answer->text->last;
	} else {
		return fail_other(f);
	}
	if (text != NULL)
		fputs(text, out->file);
	fflush(out->file);
	if (out->bytes > ASK_TEXT_MAX)
		return failure(f, CTL_FAILED, "E0708", NULL, NULL,
			"the text is longer than %d bytes", ASK_TEXT_MAX);
	return CTL_OK;
}

char *ask_counted(struct ctl *ctl, const Nl__OperatorRequest *request, int file, uint64_t *count,
	struct failure *f)
{
	const Nl__OperatorAnswer *answer;
	struct textout joined;
	bool last = false;
	size_t bytes;
	char *text;
	int code = client_ask(&ctl->client, request, file, f);

	*count = 0;
	if (code != CTL_OK)
		return NULL;
	if (textout_open(&joined) == NULL) {
		fail_memory(f);
		return NULL;
	}
	while (code == CTL_OK && !last) {
		answer = client_answer(&ctl->client, f);
		code = answer != NULL ? take_text(answer, &joined, &last, count, f)
				      : (int)f->exit_code;
	}
	text = textout_close(&joined, &bytes);
	if (text == NULL && code == CTL_OK)
		code = fail_memory(f);
	if (code == CTL_OK)
		return text;
	free(text);
	return NULL;
}

char *ask_text(struct ctl *ctl, const Nl__OperatorRequest *request, int file, struct failure *f)
{
	uint64_t count;

	return ask_counted(ctl, request, file, &count, f);
}

static uint64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct render ask_render(const struct ctl *ctl)
{
	return (struct render){ctl->out, ctl->err, ctl->format, ctl->hub, wall_ms()};
}

int ask_and_print(struct ctl *ctl, const Nl__OperatorRequest *request, int file, struct failure *f)
{
	struct render render = ask_render(ctl);
	char *text = ask_text(ctl, request, file, f);

	if (text == NULL)
		return (int)f->exit_code;
	render_text(&render, ctl->verb, text);
	free(text);
	return CTL_OK;
}
