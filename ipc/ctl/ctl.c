/*
 *   words ──verbs.c──▶ verb ──▶ OperatorRequest ──client.c──▶ supervisor
 *                                rows of one topic ◀── until `last`, or a text, or a failure
 *                                  └──rows.c──▶ render.c ──▶ standard output
 *
 * Standard output carries only what was asked for; summaries and errors go to standard error.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include "reflect.h"

int ctl_fail(const struct ctl *ctl, const struct failure *f)
{
	failure_print(ctl->err, f, ctl->format == FORMAT_JSON || ctl->format == FORMAT_JSONL);
	return (int)f->exit_code;
}

static int usage(const struct ctl *ctl, const char *cause, const char *format, const char *word)
{
	char message[160], shown[64];
	struct failure f;

	snprintf(message, sizeof(message), format, reflect_printable(shown, sizeof(shown), word));
	failure(&f, CTL_USAGE, "E0701", cause, "See: natlockctl help", "%s", message);
	return ctl_fail(ctl, &f);
}

static int set_format(struct ctl *ctl, const char *name)
{
	char cause[64];
	const char *meant;

	for (int i = 0; i < FORMAT_COUNT; i++) {
		if (strcmp(name, format_names[i]) == 0) {
			ctl->format = (enum format)i;
			return CTL_GO_ON;
		}
	}
	meant = reflect_suggest(name, format_names, FORMAT_COUNT);
	if (meant != NULL)
		snprintf(cause, sizeof(cause), "Did you mean \"%s\"?", meant);
	return usage(ctl,
		meant != NULL ? cause : "It is one of table, wide, json, jsonl, csv, cisco.",
		"unknown output format \"%s\"", name);
}

/* The value of option `name` at argv[*i], as --name=V, --name V; NULL when argv[*i] is another one.
 */
static const char *option_value(char **argv, int argc, int *i, const char *name)
{
	size_t length = strlen(name);

	if (strncmp(argv[*i], name, length) != 0)
		return NULL;
	if (argv[*i][length] == '=' && length > 2)
		return argv[*i] + length + 1;
	if (argv[*i][length] != '\0')
		return NULL;
	return *i + 1 < argc ? argv[++*i] : "";
}

/* An option at argv[*i]. */
static int parse_option(struct ctl *ctl, int argc, char **argv, int *i)
{
	const char *option = argv[*i], *value;

	if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) {
		verb_help(ctl->out);
		return CTL_OK;
	}
	if (strcmp(option, "--version") == 0) {
		fputs("natlockctl " NATLOCK_VERSION "\n", ctl->out);
		return CTL_OK;
	}
	if ((value = option_value(argv, argc, i, "--hub")) != NULL)
		ctl->hub = value;
	else if ((value = option_value(argv, argc, i, "--api")) != NULL)
		ctl->api = value;
	else if ((value = option_value(argv, argc, i, "-o")) != NULL ||
		 (value = option_value(argv, argc, i, "--output")) != NULL)
		return value[0] != '\0' ? set_format(ctl, value)
					: usage(ctl, NULL, "option \"%s\" needs a value", option);
	else
		return usage(ctl, NULL, "unknown option \"%s\"", option);
	if (value[0] == '\0')
		return usage(ctl, NULL, "option \"%s\" needs a value", option);
	return CTL_GO_ON;
}

/* What the words mean, and whether the format fits. */
static int parse_words(struct ctl *ctl, const char *const *words, size_t count)
{
	const char *meant;
	char cause[96];

	if (count == 0) {
		verb_help(ctl->err);
		return CTL_USAGE;
	}
	if (!verb_find(words, count, &ctl->choice, &meant)) {
		if (meant != NULL)
			snprintf(cause, sizeof(cause), "Did you mean \"%s\"?", meant);
		if (ctl->choice.verb != NULL && ctl->choice.verb->argument != NULL)
			return usage(ctl, "It takes one argument.", "wrong arguments for \"%s\"",
				ctl->choice.verb->words);
		if (ctl->choice.verb != NULL)
			return usage(ctl, "It takes no arguments.", "too many arguments for \"%s\"",
				ctl->choice.verb->words);
		return usage(ctl, meant != NULL ? cause : NULL, "unknown command \"%s\"", words[0]);
	}
	if (ctl->format == FORMAT_TABLE)
		ctl->format = ctl->choice.format;
	if (ctl->format == FORMAT_CISCO &&
		(ctl->choice.verb->kind != VERB_TABLE || ctl->choice.verb->topic != NL__TOPIC__NAT))
		return usage(ctl, NULL, "-o cisco is only for \"nat table\", not for \"%s\"",
			ctl->choice.verb->words);
	if (ctl->choice.verb->kind == VERB_HELP)
		verb_help(ctl->out);
	else if (ctl->choice.verb->kind == VERB_COMPLETION)
		verb_completion(ctl->out);
	else
		return CTL_GO_ON;
	return CTL_OK;
}

int ctl_parse(struct ctl *ctl, int argc, char **argv)
{
	const char *words[CTL_WORDS_MAX];
	size_t count = 0;

	for (int i = 1; i < argc; i++) {
		int code = CTL_GO_ON;

		if (argv[i][0] == '-' && argv[i][1] != '\0')
			code = parse_option(ctl, argc, argv, &i);
		else if (count == CTL_WORDS_MAX)
			return usage(ctl, NULL, "too many words: \"%s\"", argv[i]);
		else
			words[count++] = argv[i];
		if (code != CTL_GO_ON)
			return code;
	}
	return parse_words(ctl, words, count);
}

/* The supervisor's failure as ours. Its exit code is taken only if it is one. */
static int take_failure(struct failure *f, const Nl__Failure *theirs)
{
	uint32_t code = theirs->exit_code >= CTL_FAILED && theirs->exit_code <= CTL_TIMED_OUT
				? theirs->exit_code
				: CTL_FAILED;

	return failure(f, (enum ctl_exit)code, theirs->code != NULL ? theirs->code : "E0500",
		theirs->cause, theirs->fix, "%s",
		theirs->message != NULL ? theirs->message : "refused without a reason");
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

/* One whole table into rows (initialised here). An exit code. */
static int fetch(struct ctl *ctl, Nl__Topic topic, struct rows *rows, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__TableRequest table = NL__TABLE_REQUEST__INIT;
	const Nl__OperatorAnswer *answer;
	char hub[64];
	int code;

	rows_init(rows, topic);
	snprintf(hub, sizeof(hub), "%s", ctl->hub != NULL ? ctl->hub : "");
	table.has_topic = 1;
	table.topic = topic;
	table.hub = ctl->hub != NULL ? hub : NULL;
	request.msg_case = NL__OPERATOR_REQUEST__MSG_TABLE;
	request.table = &table;
	code = client_ask(&ctl->client, &request, f);
	while (code == CTL_OK) {
		answer = client_answer(&ctl->client, f);
		if (answer == NULL)
			return (int)f->exit_code;
		if (answer->msg_case == NL__OPERATOR_ANSWER__MSG_FAILURE)
			return take_failure(f, answer->failure);
		if (answer->msg_case != NL__OPERATOR_ANSWER__MSG_ROWS ||
			answer->rows->topic != topic)
			return failure(f, CTL_FAILED, "E0706", NULL, "Compare: natlockctl version",
				"the gateway answered something else");
		code = add_rows(rows, answer->rows, f);
		if (answer->rows->last)
			break;
	}
	return code;
}

static uint64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct render render_of(const struct ctl *ctl)
{
	return (struct render){ctl->out, ctl->err, ctl->format, ctl->hub, wall_ms()};
}

static int run_table(struct ctl *ctl, struct failure *f)
{
	struct render render = render_of(ctl);
	struct rows rows;
	int code = fetch(ctl, ctl->choice.verb->topic, &rows, f);

	if (code == CTL_OK)
		render_rows(&render, ctl->choice.verb, &rows);
	rows_free(&rows);
	return code;
}

static int run_status(struct ctl *ctl, struct failure *f)
{
	static const Nl__Topic topics[] = {
		NL__TOPIC__STATUS, NL__TOPIC__PROCESSES, NL__TOPIC__HUBS};
	struct render render = render_of(ctl);
	struct rows rows[3] = {0};
	int code = CTL_OK;

	for (int i = 0; i < 3 && code == CTL_OK; i++)
		code = fetch(ctl, topics[i], &rows[i], f);
	if (code == CTL_OK && ctl->format == FORMAT_CSV)
		render_rows(&render, ctl->choice.verb, &rows[0]);
	else if (code == CTL_OK)
		render_status(&render, &rows[0], &rows[1], &rows[2]);
	for (int i = 0; i < 3; i++)
		rows_free(&rows[i]);
	return code;
}

/* One request whose answer is a text, valid until the next one. NULL with *f. */
static const char *ask_text(struct ctl *ctl, const Nl__OperatorRequest *request, struct failure *f)
{
	const Nl__OperatorAnswer *answer = NULL;

	if (client_ask(&ctl->client, request, f) == CTL_OK)
		answer = client_answer(&ctl->client, f);
	if (answer == NULL)
		return NULL;
	if (answer->msg_case == NL__OPERATOR_ANSWER__MSG_DONE)
		return answer->done->text != NULL ? answer->done->text : "";
	if (answer->msg_case == NL__OPERATOR_ANSWER__MSG_FAILURE)
		take_failure(f, answer->failure);
	else
		failure(f, CTL_FAILED, "E0706", NULL, "Compare: natlockctl version",
			"the gateway answered something else");
	return NULL;
}

static const char *ask_policy(struct ctl *ctl, const char *name, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__PolicyRequest policy = NL__POLICY_REQUEST__INIT;
	char process[64];

	snprintf(process, sizeof(process), "%s", name);
	policy.process = process;
	request.msg_case = NL__OPERATOR_REQUEST__MSG_POLICY;
	request.policy = &policy;
	return ask_text(ctl, &request, f);
}

/* The policy of one process, or one after the other; what has none is left out. */
static int run_policy(struct ctl *ctl, struct failure *f)
{
	static const char *const all[] = {
#define ACTOR(ID, name) #name,
#include "topology.def"
		"supervisor",
		"ctl",
	};
	enum { ALL = sizeof(all) / sizeof(all[0]) };
	const char *const *names = ctl->choice.argument != NULL ? &ctl->choice.argument : all;
	size_t count = ctl->choice.argument != NULL ? 1 : (size_t)ALL, bytes;
	struct render render = render_of(ctl);
	FILE *joined;
	char *text = NULL;
	int code = CTL_OK;

	joined = open_memstream(&text, &bytes);
	if (joined == NULL)
		return failure(f, CTL_FAILED, "E0708", NULL, NULL, "out of memory");
	for (size_t i = 0; i < count && code == CTL_OK; i++) {
		const char *policy = ask_policy(ctl, names[i], f);

		if (policy != NULL)
			fprintf(joined, "%s%s", i > 0 ? "\n" : "", policy);
		else if (count == 1 || f->exit_code != CTL_NO_MATCH)
			code = (int)f->exit_code;
	}
	fclose(joined);
	if (code == CTL_OK)
		render_text(&render, ctl->choice.verb, text);
	free(text);
	return code;
}

/* restart, shutdown, version */
static int run_text(struct ctl *ctl, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__RestartRequest restart = NL__RESTART_REQUEST__INIT;
	Nl__ShutdownRequest shutdown = NL__SHUTDOWN_REQUEST__INIT;
	Nl__VersionRequest version = NL__VERSION_REQUEST__INIT;
	struct render render = render_of(ctl);
	const char *text;
	char process[64], hub[64];

	if (ctl->choice.verb->kind == VERB_RESTART) {
		snprintf(process, sizeof(process), "%s", ctl->choice.argument);
		restart.process = process;
		snprintf(hub, sizeof(hub), "%s", ctl->hub != NULL ? ctl->hub : "");
		restart.hub = ctl->hub != NULL ? hub : NULL;
		request.msg_case = NL__OPERATOR_REQUEST__MSG_RESTART;
		request.restart = &restart;
	} else if (ctl->choice.verb->kind == VERB_SHUTDOWN) {
		request.msg_case = NL__OPERATOR_REQUEST__MSG_SHUTDOWN;
		request.shutdown = &shutdown;
	} else {
		request.msg_case = NL__OPERATOR_REQUEST__MSG_VERSION;
		request.version = &version;
	}
	text = ask_text(ctl, &request, f);
	if (text == NULL)
		return (int)f->exit_code;
	render_text(&render, ctl->choice.verb, text);
	return CTL_OK;
}

int ctl_run(struct ctl *ctl, int fd)
{
	struct failure f = {0};
	int code;

	client_init(&ctl->client, fd);
	if (ctl->choice.verb->kind == VERB_TABLE)
		code = run_table(ctl, &f);
	else if (ctl->choice.verb->kind == VERB_STATUS)
		code = run_status(ctl, &f);
	else if (ctl->choice.verb->kind == VERB_POLICY)
		code = run_policy(ctl, &f);
	else
		code = run_text(ctl, &f);
	if (code != CTL_OK)
		return ctl_fail(ctl, &f);
	if (fflush(ctl->out) == 0 && !ferror(ctl->out))
		return CTL_OK;
	failure(&f, CTL_FAILED, "E0709", strerror(errno), NULL, "cannot write the output");
	return ctl_fail(ctl, &f);
}
