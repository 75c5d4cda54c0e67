/* Commands that are one request, answered by a text or a failure. */
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "kinds.h"
#include "textout.h"

/* A request of this case: the members of its union are pointers to messages, all alike. */
static Nl__OperatorRequest request_of(Nl__OperatorRequest__MsgCase what, void *message)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;

	request.msg_case = what;
	request.table = message;
	return request;
}

static int run(struct ctl *ctl, Nl__OperatorRequest__MsgCase what, void *message, struct failure *f)
{
	const Nl__OperatorRequest request = request_of(what, message);

	return ask_and_print(ctl, &request, -1, f);
}

static char *ask_policy(struct ctl *ctl, const char *name, struct failure *f)
{
	Nl__PolicyRequest policy = NL__POLICY_REQUEST__INIT;
	const Nl__OperatorRequest request = request_of(NL__OPERATOR_REQUEST__MSG_POLICY, &policy);

	policy.process = ask_string(name);
	return ask_text(ctl, &request, -1, f);
}

/* The policy of one process, or one after the other; what has none is left out. */
int request_run_policy(struct ctl *ctl, struct failure *f)
{
	static const char *const all[] = {
#define ACTOR(ID, name) #name,
#include "topology.def"
		"supervisor",
		"ctl",
	};
	enum { ALL = sizeof(all) / sizeof(all[0]) };
	const char *const *names = ctl->arguments > 0 ? ctl->argument : all;
	size_t count = ctl->arguments > 0 ? 1 : (size_t)ALL, bytes;
	struct render render = ask_render(ctl);
	struct textout joined;
	char *text;
	int code = CTL_OK;

	if (textout_open(&joined) == NULL)
		return failure(f, CTL_FAILED, "E0708", NULL, NULL, "out of memory");
	for (size_t i = 0; i < count && code == CTL_OK; i++) {
		char *policy = ask_policy(ctl, names[i], f);

		if (policy != NULL)
			fprintf(joined.file, "%s%s", i > 0 ? "\n" : "", policy);
		else if (count == 1 || f->exit_code != CTL_NO_MATCH)
			code = (int)f->exit_code;
		free(policy);
	}
	text = textout_close(&joined, &bytes);
	if (text == NULL && code == CTL_OK)
		code = failure(f, CTL_FAILED, "E0708", NULL, NULL, "out of memory");
	if (code == CTL_OK)
		render_text(&render, ctl->verb, text);
	free(text);
	return code;
}

/* Ours and the gateway's: where an answer cannot be read they differ. */
int request_run_version(struct ctl *ctl, struct failure *f)
{
	Nl__VersionRequest version = NL__VERSION_REQUEST__INIT;
	const Nl__OperatorRequest request = request_of(NL__OPERATOR_REQUEST__MSG_VERSION, &version);
	struct render render = ask_render(ctl);
	char *theirs = ask_text(ctl, &request, -1, f), both[128];

	if (theirs == NULL)
		return (int)f->exit_code;
	snprintf(both, sizeof(both), "natlockctl " NATLOCK_VERSION "\n%.64s", theirs);
	free(theirs);
	render_text(&render, ctl->verb, both);
	return CTL_OK;
}

/* "nat" and "mtu": "nat.mtu"; either may be missing. */
static void join_path(char *out, size_t cap, const char *section, const char *key)
{
	const char *dot = section[0] != '\0' && key != NULL ? "." : "";

	snprintf(out, cap, "%s%s%s", section, dot, key != NULL ? key : "");
}

/* The name of the first hub, into `name`: without one the whole configuration would be meant. */
static int find_hub(struct ctl *ctl, char *name, size_t cap, struct failure *f)
{
	struct rows rows;
	int code = ask_table(ctl, NL__TOPIC__HUBS, NULL, &rows, f);
	const char *first =
		code == CTL_OK && rows.count > 0 ? rows_text(rows.row[0], "name") : NULL;

	snprintf(name, cap, "%s", first != NULL ? first : "");
	rows_free(&rows);
	return code;
}

/* The supervisor knows the descriptor, not its name, and calls it FILE. */
static void name_file(struct failure *f, const char *name)
{
	static const char its[] = "FILE:";
	char rest[sizeof(f->message)];

	if (strncmp(f->message, its, strlen(its)) != 0)
		return;
	strcpy(rest, f->message + strlen(its));
	snprintf(f->message, sizeof(f->message), "%.200s:%.300s", name, rest);
}

int request_run_config(struct ctl *ctl, struct failure *f)
{
	Nl__ConfigRequest config = NL__CONFIG_REQUEST__INIT;
	const Nl__OperatorRequest request = request_of(NL__OPERATOR_REQUEST__MSG_CONFIG, &config);
	struct render render = ask_render(ctl);
	char path[CHANGE_PATH], hub[64], *text;
	int code = CTL_OK;

	config.has_what = config.has_json = 1;
	config.what = (Nl__ConfigRequest__What)ctl->verb->what;
	config.json = ctl->format == FORMAT_JSON || ctl->format == FORMAT_JSONL;
	config.hub = ask_string(ctl->hub);
	if (ctl->verb->kind == VERB_CONFIG) {
		join_path(path, sizeof(path), ctl->verb->key,
			ctl->arguments > 0 ? ctl->argument[0] : NULL);
		config.path = path;
	}
	if (ctl->verb->value != NULL && ctl->hub == NULL) {
		code = find_hub(ctl, hub, sizeof(hub), f);
		config.hub = hub;
	}
	if (code != CTL_OK)
		return code;
	text = ask_text(ctl, &request, ctl->file, f);
	if (text == NULL && ctl->verb->kind == VERB_TEST)
		name_file(f, ctl->argument[0]);
	if (text == NULL)
		return (int)f->exit_code;
	render_config(&render, ctl->verb, text);
	free(text);
	return CTL_OK;
}

int request_run_shutdown(struct ctl *ctl, struct failure *f)
{
	Nl__ShutdownRequest shutdown = NL__SHUTDOWN_REQUEST__INIT;

	return run(ctl, NL__OPERATOR_REQUEST__MSG_SHUTDOWN, &shutdown, f);
}

int request_run_restart(struct ctl *ctl, struct failure *f)
{
	Nl__RestartRequest restart = NL__RESTART_REQUEST__INIT;

	restart.process = ask_string(ctl->argument[0]);
	restart.hub = ask_string(ctl->hub);
	return run(ctl, NL__OPERATOR_REQUEST__MSG_RESTART, &restart, f);
}

int request_run_reload(struct ctl *ctl, struct failure *f)
{
	Nl__ReloadRequest reload = NL__RELOAD_REQUEST__INIT;

	return run(ctl, NL__OPERATOR_REQUEST__MSG_RELOAD, &reload, f);
}

int request_run_drain(struct ctl *ctl, struct failure *f)
{
	Nl__DrainRequest drain = NL__DRAIN_REQUEST__INIT;

	drain.has_for_ms = ctl->drain_for != NULL;
	drain.for_ms = ctl->drain_ms;
	return run(ctl, NL__OPERATOR_REQUEST__MSG_DRAIN, &drain, f);
}

int request_run_kick(struct ctl *ctl, struct failure *f)
{
	Nl__KickRequest kick = NL__KICK_REQUEST__INIT;

	kick.hub = ask_string(ctl->hub);
	kick.session = ask_string(ctl->argument[0]);
	return run(ctl, NL__OPERATOR_REQUEST__MSG_KICK, &kick, f);
}

int request_run_changes(struct ctl *ctl, struct failure *f)
{
	Nl__ChangeRequest change = NL__CHANGE_REQUEST__INIT;

	change.hub = ask_string(ctl->hub);
	change.n_changes = ctl->changes.count;
	change.changes = ctl->changes.pointer;
	change.has_save = 1;
	change.save = ctl->save;
	return run(ctl, NL__OPERATOR_REQUEST__MSG_CHANGE, &change, f);
}
