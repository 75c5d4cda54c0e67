/*
 * Theory of operation.
 *
 *   OrderRequest ─▶ each worker that can do it ─▶ ActorOrder(request) … ActorAnswer(count) ─▶ one Done with the sum
 *
 * Which workers have still to answer is a set of bits in the client (p->ordered). One that dies meanwhile has nothing
 * left to end. What a worker claims to have done is believed: it could as well not have done it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "answer.h"
#include "operator_dispatch.h"
#include "order.h"
#include "supervisor.h"
#include "tell.h"

_Static_assert(HUB_WORKERS <= 32, "a bit of p->ordered for each worker");

unsigned int order_doers(const Nl__Order *order)
{
	if (!order)
		return 0;
	switch (order->what_case) {
	case NL__ORDER__WHAT_SESSIONS_END: return 1U << ACTOR_NATPROXY;
	case NL__ORDER__WHAT_LEASE_RELEASE: return 1U << ACTOR_DHCPD;
	case NL__ORDER__WHAT__NOT_SET:
	case _NL__ORDER__WHAT__CASE_IS_INT_SIZE: break;
	}
	return 0;
}

static void finish(struct operator_peer *p)
{
	bool sessions = p->order_ends_sessions;
	struct trouble t;
	char text[64];

	ev_timer_stop(p->op->super->loop, &p->patience);
	if (p->reached == 0) {
		trouble(&t, EXIT_NO_MATCH, "E0510", "no such %s", sessions ? "session" : "lease");
		trouble_fix(&t, "See: natlockctl %s table", sessions ? "nat" : "dhcp");
		answer_failure(p, &t);
		return;
	}
	snprintf(text, sizeof(text), "%" PRIu64 " %s%s %s", p->reached,
		sessions ? "session" : "lease", p->reached == 1 ? "" : "s",
		sessions ? "ended" : "released");
	answer_count(p, text, p->reached);
}

/* Worker i of the peer's hub has done what it could. */
static void done(struct operator_peer *p, unsigned int i, uint64_t count)
{
	p->ordered &= ~(1U << i);
	p->reached += count;
	if (p->ordered == 0)
		finish(p);
}

static bool awaits(const struct operator_peer *p, const struct worker *w)
{
	return p->used && p->ordered && p->hub == w->hub && p->ordered & 1U << (w - w->hub->worker);
}

void order_on_answer(struct operator* op, const struct worker *from, const Nl__ActorAnswer *answer)
{
	unsigned int i;

	for (i = 0; i < OPERATOR_CLIENTS; i++)
		if (awaits(&op->peer[i], from) && op->peer[i].request == answer->request)
			done(&op->peer[i], (unsigned int)(from - from->hub->worker), answer->count);
}

void order_worker_gone(struct operator* op, const struct worker *w)
{
	unsigned int i;

	for (i = 0; i < OPERATOR_CLIENTS; i++)
		if (awaits(&op->peer[i], w))
			done(&op->peer[i], (unsigned int)(w - w->hub->worker), 0);
}

/* NULL: this order can be passed on; else what is wrong with it. Session numbers count in each process. */
static const char *wrong(const Nl__OrderRequest *m, const struct hub *hub)
{
	const Nl__SessionsEnd *end;

	if (!order_doers(m->order))
		return "this natlock knows no such order";
	if (m->order->what_case == NL__ORDER__WHAT_LEASE_RELEASE)
		return m->order->lease_release->has_ip_be || m->order->lease_release->mac.len == 6
			       ? NULL
			       : "name the lease by its IP address or its MAC address";
	end = m->order->sessions_end;
	if (end->n_id > ORDER_SESSIONS)
		return "at most 4096 sessions can be named at once";
	if (!end->all && end->n_id == 0)
		return "name the sessions, or all of them";
	if (!end->all && !m->process && hub->shards > 1)
		return "this hub has several processes for NAT, each with numbers of its own: "
		       "name the process";
	return NULL;
}

static void nobody(struct operator_peer *p)
{
	struct trouble t;

	trouble(&t, EXIT_FAILED, "E0514", "the process that could do it is being restarted");
	trouble_fix(&t, "Try again; see: natlockctl process list");
	answer_failure(p, &t);
}

static void pass_on(struct operator_peer *p, const Nl__OrderRequest *m, const struct worker *only)
{
	const unsigned int doers = order_doers(m->order);
	unsigned int i;

	p->request = ++p->op->next_request;
	p->reached = 0;
	p->order_ends_sessions = m->order->what_case == NL__ORDER__WHAT_SESSIONS_END;
	for (i = 0; i < p->hub->workers; i++) {
		struct worker *w = &p->hub->worker[i];

		if (!(doers & 1U << w->id) || (only && w != only))
			continue;
		if (tell_order(w, m->order, p->request) == 0)
			p->ordered |= 1U << i;
	}
	if (p->ordered)
		operator_wait(p);
	else
		nobody(p);
}

int operator_on_order_request(
	struct operator_peer *p, const Nl__OrderRequest *m, struct chan_in *in)
{
	struct hub *hub = supervisor_hub(p->op->super, m->hub);
	const struct worker *only;
	const char *why;
	struct trouble t;

	if (answer_needs_admin(p))
		return 0;
	if (!hub)
		return answer_no_hub(p, m->hub);
	why = wrong(m, hub);
	if (why) {
		trouble(&t, EXIT_USAGE, "E0511", "%s", why);
		return answer_failure(p, &t);
	}
	only = m->process ? hub_worker_by_name(hub, m->process) : NULL;
	if (m->process && !only)
		return answer_no_process(p, hub, m->process);
	p->hub = hub;
	pass_on(p, m, only);
	return 0;
}
