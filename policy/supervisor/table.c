/*
 * Theory of operation. A table is answered at once from what the supervisor knows, or streamed from those that hold
 * its rows:
 *
 *   TableRequest ─▶ first worker of the topic ─▶ ActorDump(cursor) … ActorRows ─▶ TableRows to the client
 *                           ▲                                          │
 *                           │            next cursor, when the client's queue is empty
 *                   next worker of the topic ◀── cursor 0 ─────────────┘
 *   no worker left: TableRows{last}
 */
#include <errno.h>
#include <stdio.h>

#include "answer.h"
#include "operator_dispatch.h"
#include "rows.h"
#include "supervisor.h"
#include "table.h"
#include "tell.h"

enum { ROWS_A_RECORD = 64 }; /* of at most some 500 bytes each */

/* A table that is there as a whole, in as many records as it takes. */
static void answer_all(struct operator_peer *p, struct rows *rows)
{
	size_t sent = 0, n;

	do {
		n = rows->count - sent < ROWS_A_RECORD ? rows->count - sent : ROWS_A_RECORD;
		answer_rows(p, rows->row + sent, n, sent + n == rows->count);
		sent += n;
	} while (sent < rows->count);
}

/* Which workers hold rows of a topic: a set of 1 << enum actor_id. */
static unsigned int holders(Nl__Topic topic)
{
	switch (topic) {
	case NL__TOPIC__SESSIONS: return 1U << ACTOR_BROKER;
	case NL__TOPIC__NAT:
	case NL__TOPIC__FORWARDS:
	case NL__TOPIC__EXPECTATIONS: return 1U << ACTOR_NATPROXY;
	case NL__TOPIC__DHCP: return 1U << ACTOR_DHCPD;
	case NL__TOPIC__CALLS: return 1U << ACTOR_ALG;
	case NL__TOPIC__DROPS: return (1U << ACTOR_COUNT) - 1;
	case NL__TOPIC__ALG_STATS: return 1U << ACTOR_ALG | 1U << ACTOR_NATPROXY;
	case NL__TOPIC__HUBS: return 1U << ACTOR_BROKER | 1U << ACTOR_NATPROXY | 1U << ACTOR_DHCPD;
	case NL__TOPIC__STATUS:
	case NL__TOPIC__PROCESSES:
	case NL__TOPIC__EVENTS:
	case _NL__TOPIC_IS_INT_SIZE: break;
	}
	return 0;
}

static void stream_from(struct operator_peer *p, unsigned int first);

/* The row of the present hub, then the next hub; false when that was the last one. */
static bool next_hub(struct operator_peer *p)
{
	const struct supervisor *s = p->op->super;
	struct rows rows;

	rows_hub(&rows, s, p->hub, &p->counted);
	answer_rows(p, rows.row, rows.count, false);
	rows_free(&rows);
	if (++p->hub == s->hub + s->hubs)
		return false;
	nl__hub_row__init(&p->counted);
	stream_from(p, 0);
	return true;
}

static void stream_end(struct operator_peer *p)
{
	if (p->topic == NL__TOPIC__HUBS && next_hub(p))
		return;
	p->worker = NULL;
	p->asked = false;
	ev_timer_stop(p->op->super->loop, &p->patience);
	answer_rows(p, NULL, 0, true);
}

/* Asks the next worker from `first` on that holds rows and runs; ends the stream when there is
 * none. A recursion by stream_end is as deep as there are hubs. */
static void stream_from(struct operator_peer *p, unsigned int first)
{
	unsigned int i;

	for (i = first; i < p->hub->workers; i++) {
		struct worker *w = &p->hub->worker[i];

		p->request = ++p->op->next_request;
		if (!(holders(p->topic) & 1U << w->id) || tell_dump(w, p->topic, 0, p->request) < 0)
			continue;
		p->worker = w;
		p->asked = true;
		return;
	}
	stream_end(p);
}

static void stream_after(struct operator_peer *p, const struct worker *w)
{
	stream_from(p, (unsigned int)(w - p->hub->worker) + 1);
}

/* The client has taken everything: the next slice. */
void table_on(struct operator_peer *p)
{
	if (!p->worker || p->asked || p->chan.queue_bytes > 0)
		return;
	if (p->cursor == 0 || ++p->slices > OPERATOR_SLICES) {
		stream_after(p, p->worker);
		return;
	}
	p->request = ++p->op->next_request;
	p->asked = tell_dump(p->worker, p->topic, p->cursor, p->request) == 0;
	if (!p->asked)
		stream_after(p, p->worker);
}

void table_on_rows(struct operator* op, struct worker *from, const Nl__ActorRows *rows)
{
	unsigned int i;

	for (i = 0; i < OPERATOR_CLIENTS; i++) {
		struct operator_peer *p = &op->peer[i];

		if (!p->used || p->worker != from || !p->asked || p->request != rows->request)
			continue;
		p->asked = false;
		p->cursor = rows->next_cursor;
		if (rows->n_rows > 0 && p->topic == NL__TOPIC__HUBS)
			rows_count(&p->counted, from->id, &rows->rows[0]);
		else if (rows->n_rows > 0)
			answer_rows(p, rows->rows, rows->n_rows, false);
		table_on(p);
	}
}

void table_worker_gone(struct operator* op, const struct worker *w)
{
	unsigned int i;

	for (i = 0; i < OPERATOR_CLIENTS; i++)
		if (op->peer[i].used && op->peer[i].worker == w && op->peer[i].asked)
			stream_after(&op->peer[i], w);
}

int operator_on_table_request(
	struct operator_peer *p, const Nl__TableRequest *m, struct chan_in *in)
{
	struct supervisor *s = p->op->super;
	struct hub *hub = supervisor_hub(s, m->hub);
	struct rows rows = {0};

	if (p->worker || (unsigned int)m->topic > NL__TOPIC__CALLS)
		return -EPROTO;
	if (!hub)
		return answer_no_hub(p, m->hub);
	p->topic = m->topic;
	if (holders(m->topic)) {
		p->hub = m->topic == NL__TOPIC__HUBS ? s->hub : hub;
		nl__hub_row__init(&p->counted);
		p->slices = 0;
		operator_wait(p);
		stream_from(p, 0);
		return 0;
	}
	rows_make(&rows, s, m->topic);
	answer_all(p, &rows);
	rows_free(&rows);
	return 0;
}
