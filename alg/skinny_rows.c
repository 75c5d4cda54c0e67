/* Theory of operation. A call is shown at the place of its first stream, with what is known of all of them. A port that the station keeps for
 * all calls is none. */
#include "skinny_rows.h"

static bool is_call(const struct skinny_stream *w)
{
	return w->used && w->media != SKINNY_OWN;
}

static bool is_first(const struct skinny *s, uint32_t place)
{
	if (!is_call(&s->stream[place]))
		return false;
	for (uint32_t i = 0; i < place; i++)
		if (is_call(&s->stream[i]) &&
			s->stream[i].conference == s->stream[place].conference)
			return false;
	return true;
}

static void add_stream(const struct skinny *s, const struct skinny_stream *w, struct call_row *row)
{
	const uint64_t begun_ms = s->begun_ms + w->begun_ms, said_ms = s->begun_ms + w->said_ms;
	if (begun_ms < row->answered_ms)
		row->answered_ms = begun_ms;
	if (said_ms > row->seen_ms)
		row->seen_ms = said_ms;
	if (w->outside_port)
		call_row_add(row,
			&(struct call_row_opening){.kind = w->pair ? ALG_UDP_PAIR : ALG_UDP_ONE,
				.guest_port = w->guest_port,
				.outside_port = w->outside_port,
				.armed = true});
}

bool skinny_calls_next(const struct skinny *s, uint32_t *cursor, struct call_row *row)
{
	uint32_t place = *cursor;
	while (place < SKINNY_STREAMS && !is_first(s, place))
		place++;
	if (place >= SKINNY_STREAMS)
		return false;
	*row = (struct call_row){.id = place, .answered_ms = UINT64_MAX};
	for (uint32_t i = place; i < SKINNY_STREAMS; i++)
		if (is_call(&s->stream[i]) &&
			s->stream[i].conference == s->stream[place].conference)
			add_stream(s, &s->stream[i], row);
	row->state = row->media[0] ? "answered" : "no media";
	*cursor = place + 1;
	return true;
}
