/*
 *   words ──alias.c──▶ our words ──verbs.c──▶ verb ──▶ its kind: a row of `kinds`
 *     prepare  parse.c, without a supervisor: filters, changes, files, help
 *     run      OperatorRequest ──client.c──▶ supervisor
 *                rows of one topic ◀── until `last`, or a text, or a failure
 *                  └──rows.c──▶ render.c ──▶ standard output
 *
 * Standard output carries only what was asked for; summaries and errors go to standard error.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "kinds.h"

const struct kind kinds[VERB_KINDS] = {
	[VERB_TABLE] = {table_run, PREPARE_FILTER, .may_watch = true},
	[VERB_RECORD] = {table_run_record, .may_watch = true},
	[VERB_STATUS] = {table_run_status, .may_watch = true},
	[VERB_NAT_STATUS] = {table_run_nat_status, .may_watch = true},
	[VERB_HEALTH] = {table_run_health, .may_watch = true},
	[VERB_POLICY] = {request_run_policy, .shape = SHAPE_TEXT},
	[VERB_VERSION] = {request_run_version, .shape = SHAPE_TEXT},
	[VERB_CONFIG] = {request_run_config, .shape = SHAPE_TEXT, .may_watch = true},
	[VERB_TEST] = {request_run_config, PREPARE_FILE, SHAPE_TEXT},
	[VERB_SHUTDOWN] = {request_run_shutdown, .shape = SHAPE_TEXT},
	[VERB_RESTART] = {request_run_restart, .shape = SHAPE_TEXT},
	[VERB_RELOAD] = {request_run_reload, .shape = SHAPE_TEXT},
	[VERB_DRAIN] = {request_run_drain, .shape = SHAPE_TEXT},
	[VERB_KICK] = {request_run_kick, .shape = SHAPE_TEXT},
	[VERB_RELEASE] = {order_run_release, .shape = SHAPE_TEXT},
	[VERB_FLUSH] = {order_run_flush, PREPARE_FILTER, SHAPE_TEXT},
	[VERB_SET] = {request_run_changes, PREPARE_CHANGES, SHAPE_TEXT, .may_save = true},
	[VERB_SWITCH] = {request_run_changes, PREPARE_CHANGES, SHAPE_TEXT, .may_save = true},
	[VERB_ALG] = {request_run_changes, PREPARE_CHANGES, SHAPE_TEXT, .may_save = true},
	[VERB_ADD] = {request_run_changes, PREPARE_CHANGES, SHAPE_TEXT, .may_save = true},
	[VERB_REMOVE] = {request_run_changes, PREPARE_CHANGES, SHAPE_TEXT, .may_save = true},
	[VERB_GATEWAYS] = {gateways_run, .may_watch = true},
	[VERB_EVENTS] = {events_run, PREPARE_FILTER},
	[VERB_METRICS] = {metrics_run, .shape = SHAPE_OWN, .may_watch = true},
	[VERB_EXPORT] = {export_run, .shape = SHAPE_OWN},
	[VERB_COMPLETION] = {NULL, PREPARE_COMPLETION, SHAPE_OWN},
	[VERB_DOCTOR] = {NULL, PREPARE_DOCTOR, SHAPE_OWN},
	[VERB_HELP] = {NULL, PREPARE_HELP, SHAPE_OWN},
	[VERB_IMPORT] = {NULL, .shape = SHAPE_OWN},
	[VERB_ALG_TEST] = {NULL, PREPARE_REPLAY},
	[VERB_AUDIT] = {NULL, PREPARE_AUDIT},
	[VERB_DECLARED] = {NULL, PREPARE_EXPORT},
};

int ctl_fail(const struct ctl *ctl, const struct failure *f)
{
	failure_print(ctl->err, f, ctl->format == FORMAT_JSON || ctl->format == FORMAT_JSONL);
	return (int)f->exit_code;
}

/* Until the next turn of --watch; at once if the gateway is gone, which the next question tells. */
static void wait_for_turn(const struct ctl *ctl)
{
	struct pollfd gone = {.fd = ctl->client.chan.fd, .events = POLLIN};

	poll(&gone, 1, ctl->watch_ms);
}

static int run_once(struct ctl *ctl, struct failure *f)
{
	int code;

	if (ctl->watch_ms != 0 && ctl->is_terminal)
		fputs("\x1b[H\x1b[2J", ctl->out);
	code = kinds[ctl->verb->kind].run(ctl, f);
	if (fflush(ctl->out) == 0 && !ferror(ctl->out))
		return code;
	return failure(f, CTL_FAILED, "E0709", strerror(errno), NULL, "cannot write the output");
}

int ctl_run(struct ctl *ctl, int fd)
{
	struct failure f = {0};
	int code;

	client_init(&ctl->client, fd);
	code = run_once(ctl, &f);
	while (ctl->watch_ms != 0 && (code == CTL_OK || code == CTL_NO_MATCH)) {
		wait_for_turn(ctl);
		code = run_once(ctl, &f);
	}
	return code != CTL_OK ? ctl_fail(ctl, &f) : CTL_OK;
}
