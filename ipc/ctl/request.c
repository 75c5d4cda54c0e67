/* Commands that are one request, answered by a text or a failure. */
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "kinds.h"

static char *ask_policy(struct ctl *ctl, const char *name, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__PolicyRequest policy = NL__POLICY_REQUEST__INIT;

	policy.process = ask_string(name);
	request.msg_case = NL__OPERATOR_REQUEST__MSG_POLICY;
	request.policy = &policy;
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
	FILE *joined;
	char *text = NULL;
	int code = CTL_OK;

	joined = open_memstream(&text, &bytes);
	if (joined == NULL)
		return failure(f, CTL_FAILED, "E0708", NULL, NULL, "out of memory");
	for (size_t i = 0; i < count && code == CTL_OK; i++) {
		char *policy = ask_policy(ctl, names[i], f);

		if (policy != NULL)
			fprintf(joined, "%s%s", i > 0 ? "\n" : "", policy);
		else if (count == 1 || f->exit_code != CTL_NO_MATCH)
			code = (int)f->exit_code;
		free(policy);
	}
	fclose(joined);
	if (code == CTL_OK)
		render_text(&render, ctl->verb, text);
	free(text);
	return code;
}

int request_run_version(struct ctl *ctl, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__VersionRequest version = NL__VERSION_REQUEST__INIT;

	request.msg_case = NL__OPERATOR_REQUEST__MSG_VERSION;
	request.version = &version;
	return ask_and_print(ctl, &request, -1, f);
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
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__ConfigRequest config = NL__CONFIG_REQUEST__INIT;
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
	request.msg_case = NL__OPERATOR_REQUEST__MSG_CONFIG;
	request.config = &config;
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
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__ShutdownRequest shutdown = NL__SHUTDOWN_REQUEST__INIT;

	request.msg_case = NL__OPERATOR_REQUEST__MSG_SHUTDOWN;
	request.shutdown = &shutdown;
	return ask_and_print(ctl, &request, -1, f);
}

int request_run_restart(struct ctl *ctl, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__RestartRequest restart = NL__RESTART_REQUEST__INIT;

	restart.process = ask_string(ctl->argument[0]);
	restart.hub = ask_string(ctl->hub);
	request.msg_case = NL__OPERATOR_REQUEST__MSG_RESTART;
	request.restart = &restart;
	return ask_and_print(ctl, &request, -1, f);
}

int request_run_reload(struct ctl *ctl, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__ReloadRequest reload = NL__RELOAD_REQUEST__INIT;

	request.msg_case = NL__OPERATOR_REQUEST__MSG_RELOAD;
	request.reload = &reload;
	return ask_and_print(ctl, &request, -1, f);
}

int request_run_drain(struct ctl *ctl, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__DrainRequest drain = NL__DRAIN_REQUEST__INIT;

	drain.has_for_ms = ctl->drain_for != NULL;
	drain.for_ms = ctl->drain_ms;
	request.msg_case = NL__OPERATOR_REQUEST__MSG_DRAIN;
	request.drain = &drain;
	return ask_and_print(ctl, &request, -1, f);
}

int request_run_kick(struct ctl *ctl, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__KickRequest kick = NL__KICK_REQUEST__INIT;

	kick.hub = ask_string(ctl->hub);
	kick.session = ask_string(ctl->argument[0]);
	request.msg_case = NL__OPERATOR_REQUEST__MSG_KICK;
	request.kick = &kick;
	return ask_and_print(ctl, &request, -1, f);
}

int request_run_changes(struct ctl *ctl, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__ChangeRequest change = NL__CHANGE_REQUEST__INIT;

	change.hub = ask_string(ctl->hub);
	change.n_changes = ctl->changes.count;
	change.changes = ctl->changes.pointer;
	change.has_save = 1;
	change.save = ctl->save;
	request.msg_case = NL__OPERATOR_REQUEST__MSG_CHANGE;
	request.change = &change;
	return ask_and_print(ctl, &request, -1, f);
}
