/*
 * Theory of operation. A row goes into the follower's channel; what its socket does not take waits in the channel's queue
 * (OPERATOR_QUEUE), and when that is full the row is missed. So memory is bounded, and the hub never waits for a terminal.
 */
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "events.h"
#include "operator.h"
#include "operator_dispatch.h"
#include "supervisor.h"

/* 0 sent or queued, -EAGAIN the follower does not read, -EPIPE it is gone: its own watcher ends it. */
static int send_rows(struct operator_peer *p, ProtobufCBinaryData *rows, size_t n)
{
	Nl__OperatorAnswer a = NL__OPERATOR_ANSWER__INIT;
	Nl__TableRows t = NL__TABLE_ROWS__INIT;
	int error;

	t.has_topic = t.has_last = true;
	t.topic = NL__TOPIC__EVENTS;
	t.n_rows = n;
	t.rows = rows;
	a.msg_case = NL__OPERATOR_ANSWER__MSG_ROWS;
	a.rows = &t;
	error = chan_send_message(&p->chan, &a.base, NULL, 0);
	if (p->chan.queue_bytes > 0)
		ev_io_start(p->op->super->loop, &p->out_io);
	return error;
}

static int send_event(struct operator_peer *p, const Nl__EventRow *e)
{
	uint8_t bytes[EVENTS_ROW];
	ProtobufCBinaryData row = {nl__event_row__pack(e, bytes), bytes};

	return send_rows(p, &row, 1);
}

/* The row that stands for those that were missed. */
static int send_missed(struct events_follower *f, const Nl__EventRow *next)
{
	static char process[] = "supervisor", event[] = "events_missed";
	Nl__EventRow e = NL__EVENT_ROW__INIT;
	char text[96];

	snprintf(text, sizeof(text), "SecureNAT: %llu events were not read in time.",
		(unsigned long long)f->missed);
	e.has_at_ms = e.has_count = true;
	e.at_ms = next->at_ms;
	e.hub = next->hub;
	e.process = process;
	e.event = event;
	e.text = text;
	e.count = f->missed;
	return send_event(f->peer, &e);
}

static void tell(struct events_follower *f, const Nl__EventRow *e)
{
	if (f->missed && send_missed(f, e) < 0) {
		f->missed++;
		return;
	}
	f->missed = send_event(f->peer, e) < 0 ? 1 : 0;
}

void events_publish(struct supervisor *s, const Nl__EventRow *e)
{
	unsigned int i;

	for (i = 0; i < EVENTS_FOLLOWERS; i++) {
		struct events_follower *f = &s->events.follower[i];

		if (f->peer && (!f->hub[0] || strcmp(f->hub, e->hub) == 0))
			tell(f, e);
	}
}

void events_forget(struct supervisor *s, const struct operator_peer *p)
{
	unsigned int i;

	for (i = 0; i < EVENTS_FOLLOWERS; i++)
		if (s->events.follower[i].peer == p)
			s->events.follower[i].peer = NULL;
}

static struct events_follower *free_place(struct events *events)
{
	unsigned int i;

	for (i = 0; i < EVENTS_FOLLOWERS; i++)
		if (!events->follower[i].peer)
			return &events->follower[i];
	return NULL;
}

int operator_on_events_request(
	struct operator_peer *p, const Nl__EventsRequest *m, struct chan_in *in)
{
	struct supervisor *s = p->op->super;
	struct events_follower *f;
	struct trouble t;

	events_forget(s, p); /* a second request replaces the first */
	f = free_place(&s->events);
	if (!supervisor_hub(s, m->hub))
		return answer_no_hub(p, m->hub);
	if (!f) {
		trouble(&t, EXIT_REFUSED, "E0532", "%d others follow the events already",
			EVENTS_FOLLOWERS);
		trouble_fix(&t, "End one of them.");
		return answer_failure(p, &t);
	}
	*f = (struct events_follower){.peer = p};
	snprintf(f->hub, sizeof(f->hub), "%s", m->hub ? m->hub : "");
	send_rows(p, NULL, 0); /* what happens from here on is told */
	return 0;
}
