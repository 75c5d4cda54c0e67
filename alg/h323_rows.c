/*
 * Theory of operation. The table of calls is walked by place: a call that is there has a link. What is kept in it of registrations has a
 * reference that no call has.
 */
#include "h323_rows.h"

static bool is_call(const struct h323_call *c)
{
	return c->link && c->reference < H323_REFERENCES && (c->flow != H323_NO_FLOW || c->control);
}

/* Where its signalling is over, its H.245 connection is there still. */
static uint16_t flow_of(const struct h323_call *c)
{
	return c->flow != H323_NO_FLOW ? c->flow : (uint16_t)(c->control - 1);
}

static void add_openings(
	const struct h323_calls *t, const struct h323_call *c, struct call_row *row)
{
	for (int place = 0; place < H323_CALL_OPENINGS; place++) {
		const struct h323_opening *o = &t->opening[c->opening[place]];
		if (!c->opening[place] || o->kind == ALG_TCP_WATCH)
			continue;
		call_row_add(row, &(struct call_row_opening){.kind = (enum alg_kind)o->kind,
					  .guest_port = o->guest_port,
					  .outside_port = o->outside_port,
					  .armed = o->armed});
	}
}

bool h323_calls_next(const struct h323_calls *t, uint32_t *cursor, struct call_row *row)
{
	uint32_t ref = *cursor + 1;
	if (*cursor >= H323_CALLS)
		return false;
	while (ref <= t->fresh_call && !is_call(&t->call[ref]))
		ref++;
	if (ref > t->fresh_call)
		return false;
	const struct h323_call *c = &t->call[ref];
	*cursor = ref;
	*row = (struct call_row){.id = ref,
		.flow = flow_of(c),
		.answered_ms = c->answered_ms,
		.seen_ms = c->seen_ms};
	add_openings(t, c, row);
	row->state = c->answered_ms ? row->media[0] ? "answered" : "no media" : "ringing";
	return true;
}
