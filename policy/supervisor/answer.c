/*
 * Theory of operation. An answer is one record; what is longer goes in pieces, each when the client has taken the one
 * before (operator.c calls answer_text_on then), so that a client that does not read costs no more than its text.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "supervisor.h"

void answer_send(struct operator_peer *p, const Nl__OperatorAnswer *a)
{
	if (chan_send_message(&p->chan, &a->base, NULL, 0) < 0)
		p->chan.error = -EPIPE;
	if (p->chan.queue_bytes > 0)
		ev_io_start(p->op->super->loop, &p->out_io);
}

int answer_failure(struct operator_peer *p, const struct trouble *t)
{
	Nl__OperatorAnswer a = NL__OPERATOR_ANSWER__INIT;
	Nl__Failure f = NL__FAILURE__INIT;

	f.code = (char *)(uintptr_t)t->code;
	f.message = (char *)(uintptr_t)t->message;
	f.cause = (char *)(uintptr_t)t->cause;
	f.fix = (char *)(uintptr_t)t->fix;
	f.has_exit_code = true;
	f.exit_code = t->exit_code;
	a.msg_case = NL__OPERATOR_ANSWER__MSG_FAILURE;
	a.failure = &f;
	answer_send(p, &a);
	return 0;
}

static int send_done(struct operator_peer *p, const char *text, const uint64_t *count)
{
	Nl__OperatorAnswer a = NL__OPERATOR_ANSWER__INIT;
	Nl__Done d = NL__DONE__INIT;

	d.text = (char *)(uintptr_t)text;
	d.has_count = count != NULL;
	d.count = count ? *count : 0;
	a.msg_case = NL__OPERATOR_ANSWER__MSG_DONE;
	a.done = &d;
	answer_send(p, &a);
	return 0;
}

int answer_done(struct operator_peer *p, const char *text)
{
	return send_done(p, text, NULL);
}

int answer_count(struct operator_peer *p, const char *text, uint64_t count)
{
	return send_done(p, text, &count);
}

void answer_rows(struct operator_peer *p, ProtobufCBinaryData *rows, size_t n, bool last)
{
	Nl__OperatorAnswer a = NL__OPERATOR_ANSWER__INIT;
	Nl__TableRows t = NL__TABLE_ROWS__INIT;

	t.has_topic = t.has_last = true;
	t.topic = p->topic;
	t.n_rows = n;
	t.rows = rows;
	t.last = last;
	a.msg_case = NL__OPERATOR_ANSWER__MSG_ROWS;
	a.rows = &t;
	answer_send(p, &a);
}

int answer_no_hub(struct operator_peer *p, const char *name)
{
	struct trouble t;

	trouble(&t, EXIT_NO_MATCH, "E0504", "no hub %s", name);
	trouble_fix(&t, "See: natlockctl hub list");
	return answer_failure(p, &t);
}

int answer_no_process(struct operator_peer *p, const struct hub *hub, const char *name)
{
	struct trouble t;
	char names[256];
	size_t n = 0;
	unsigned int i;

	for (i = 0; i < hub->workers && n < sizeof(names); i++)
		n += (size_t)snprintf(names + n, sizeof(names) - n, " %s", hub->worker[i].name);
	trouble(&t, EXIT_NO_MATCH, "E0506", "no process %s", name ? name : "");
	trouble_fix(&t, "Processes are:%s.", names);
	return answer_failure(p, &t);
}

bool answer_needs_admin(struct operator_peer *p)
{
	struct trouble t;

	if (p->admin)
		return false;
	trouble(&t, EXIT_REFUSED, "E0501", "this needs the user that natlock runs as, or root");
	trouble_fix(&t, "Ask as %s, or with sudo.", p->op->super->identity.user);
	answer_failure(p, &t);
	return true;
}

void answer_text_on(struct operator_peer *p)
{
	char piece[ANSWER_TEXT_PIECE + 1];

	while (p->text && p->chan.queue_bytes == 0 && !p->chan.error) {
		Nl__OperatorAnswer a = NL__OPERATOR_ANSWER__INIT;
		Nl__TextPart part = NL__TEXT_PART__INIT;
		size_t left = p->text_bytes - p->text_sent;
		size_t n = left < ANSWER_TEXT_PIECE ? left : ANSWER_TEXT_PIECE;

		memcpy(piece, p->text + p->text_sent, n);
		piece[n] = '\0';
		p->text_sent += n;
		part.text = piece;
		part.has_last = true;
		part.last = n == left;
		a.msg_case = NL__OPERATOR_ANSWER__MSG_TEXT;
		a.text = &part;
		answer_send(p, &a);
		if (!part.last)
			continue;
		free(p->text);
		p->text = NULL;
	}
}

int answer_text(struct operator_peer *p, char *text, size_t bytes)
{
	struct trouble t;

	if (!text) {
		trouble(&t, EXIT_FAILED, "E0520", "no memory for the answer");
		trouble_fix(&t, "Ask again, or for less at a time.");
		return answer_failure(p, &t);
	}
	p->text = text;
	p->text_bytes = bytes;
	p->text_sent = 0;
	answer_text_on(p);
	return 0;
}
