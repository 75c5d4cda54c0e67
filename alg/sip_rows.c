/*
 * Theory of operation. The table of calls has no list of what is in use, so it is walked by place: a call is there if its flow has
 * it in one of its lists, which its own place in them tells.
 */
#include "sip_rows.h"

/* Whether the place holds a call and not one that is over: what is over is behind nobody and before nobody. */
static bool is_there(const struct sip_calls *t, uint16_t ref)
{
	const struct sip_call *c = &t->call[ref];
	const struct sip_list *list = &t->flow[c->flow].list[c->busy];
	const struct sip_link *own = &c->link[1];
	return own->before ? t->call[own->before].link[1].after == ref : list->oldest == ref;
}

static bool is_call(const struct sip_call *c)
{
	return c->request[0].method == SIP_METHOD_INVITE ||
	       c->request[1].method == SIP_METHOD_INVITE;
}

static const char *state_of(const struct sip_call *c)
{
	if (!c->busy)
		return "no media";
	return c->answered_ms ? "answered" : "ringing";
}

static void add_opening(struct call_row *row, const struct sip_opening *o)
{
	call_row_add(row, &(struct call_row_opening){.kind = o->kind,
				  .pairs = o->pairs,
				  .guest_port = o->guest_port,
				  .outside_port = o->outside_port,
				  .armed = o->armed});
}

bool sip_calls_next(const struct sip_calls *t, uint32_t *cursor, struct call_row *row)
{
	uint32_t ref = *cursor + 1;
	if (*cursor >= SIP_CALLS)
		return false;
	while (ref <= t->fresh_call && (!is_there(t, (uint16_t)ref) || !is_call(&t->call[ref])))
		ref++;
	if (ref > t->fresh_call)
		return false;
	const struct sip_call *c = &t->call[ref];
	*cursor = ref;
	*row = (struct call_row){.id = ref,
		.flow = c->flow,
		.state = state_of(c),
		.answered_ms = c->answered_ms,
		.seen_ms = c->seen_ms};
	for (int place = 0; place < SIP_CALL_OPENINGS; place++)
		if (c->opening[place])
			add_opening(row, &t->opening[c->opening[place]]);
	return true;
}
