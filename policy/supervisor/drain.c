/*
 * Theory of operation. Workers take no new sessions because their hub says nat.new_sessions: false from now on. Every
 * DRAIN_TICK_MS each natproxy is asked what it counts; a round whose answers are all there and say nothing is the end.
 * A round that lost an answer, because a worker died, is given up by the next one. A natproxy that does not run has no
 * sessions. Each answers for itself only: one in a stranger's hands cannot end the sessions of others.
 */
#include "configure.h"
#include "drain.h"
#include "hublog.h"
#include "rows.h"
#include "tell.h"

static void end(struct supervisor *s)
{
	ev_timer_stop(s->loop, &s->drain.tick);
	ev_timer_stop(s->loop, &s->drain.limit);
	supervisor_shutdown(s);
}

/* One that runs and cannot be asked may have sessions. */
static void ask(struct hub *hub, struct drain *d)
{
	unsigned int i;

	hub->drain_awaits = 0;
	for (i = 0; i < hub->workers; i++) {
		struct worker *w = &hub->worker[i];

		if (w->id != ACTOR_NATPROXY || w->state != WORKER_RUNNING)
			continue;
		if (tell_dump(w, NL__TOPIC__HUBS, 0, d->round) == 0)
			hub->drain_awaits |= 1U << i;
		else
			d->sessions++;
	}
}

static void end_if_empty(struct supervisor *s)
{
	unsigned int h;

	for (h = 0; h < s->hubs; h++)
		if (s->hub[h].drain_awaits)
			return;
	if (s->drain.sessions == 0)
		end(s);
}

static void on_tick(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct supervisor *s = timer->data;
	unsigned int h;

	s->drain.round = ++s->op.next_request;
	s->drain.sessions = 0;
	for (h = 0; h < s->hubs; h++)
		ask(&s->hub[h], &s->drain);
	end_if_empty(s);
}

static void on_limit(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	end(timer->data);
}

static void start_timer(struct supervisor *s, struct ev_timer *timer,
	void (*on)(struct ev_loop *, struct ev_timer *, int), uint64_t ms, uint64_t again_ms)
{
	ev_timer_stop(s->loop, timer);
	ev_timer_init(timer, on, (double)ms / 1000.0, (double)again_ms / 1000.0);
	timer->data = s;
	if (ms)
		ev_timer_start(s->loop, timer);
}

void drain_begin(struct supervisor *s, uint64_t for_ms)
{
	struct drain *d = &s->drain;
	unsigned int i;

	start_timer(s, &d->limit, on_limit, for_ms, 0);
	if (d->on)
		return;
	d->on = true;
	configure_refresh(s);
	for (i = 0; i < s->hubs; i++)
		hublog_say(&s->hub[i], "draining",
			"SecureNAT: No new sessions are taken: natlock is to end.");
	supervisor_note(s, "draining: no new sessions");
	start_timer(s, &d->tick, on_tick, DRAIN_TICK_MS, DRAIN_TICK_MS);
}

void drain_on_rows(struct supervisor *s, const struct worker *from, const Nl__ActorRows *rows)
{
	struct drain *d = &s->drain;
	const uint32_t bit = 1U << (from - from->hub->worker);
	Nl__HubRow counted = NL__HUB_ROW__INIT;

	if (!d->on || rows->request != d->round || !(from->hub->drain_awaits & bit))
		return;
	from->hub->drain_awaits &= ~bit;
	if (rows->n_rows > 0)
		rows_count(&counted, from->id, &rows->rows[0]);
	d->sessions += (uint64_t)counted.tcp + counted.udp + counted.icmp;
	end_if_empty(s);
}
