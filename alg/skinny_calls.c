/*
 * Theory of operation. A list that is walked: a telephone has few calls, and it is walked for messages about media only.
 */
#include "skinny_calls.h"

static bool is_being_asked(const struct skinny_stream *w)
{
	return w->token && !w->outside_port;
}

static bool is_one(const struct skinny_stream *w, enum skinny_media media, enum skinny_way way)
{
	return w->used && !w->over && w->media == media && w->way == way;
}

struct skinny_stream *skinny_find(struct skinny *s, enum skinny_media media, enum skinny_way way,
	uint32_t conference, uint32_t party)
{
	for (int i = 0; i < SKINNY_STREAMS; i++) {
		struct skinny_stream *w = &s->stream[i];
		if (is_one(w, media, way) && w->conference == conference && w->party == party)
			return w;
	}
	return NULL;
}

struct skinny_stream *skinny_find_party(
	struct skinny *s, enum skinny_media media, enum skinny_way way, uint32_t party)
{
	for (int i = 0; i < SKINNY_STREAMS; i++) {
		struct skinny_stream *w = &s->stream[i];
		if (is_one(w, media, way) && w->party == party)
			return w;
	}
	return NULL;
}

/* A free one, or the one without an opening that was spoken of least lately. */
static struct skinny_stream *place_for(struct skinny *s)
{
	struct skinny_stream *found = NULL;
	for (int i = 0; i < SKINNY_STREAMS; i++) {
		struct skinny_stream *w = &s->stream[i];
		if (!w->used)
			return w;
		if (!w->token && (!found || w->said_ms < found->said_ms))
			found = w;
	}
	return found;
}

struct skinny_stream *skinny_take(struct skinny *s, const struct alg_flow *f,
	enum skinny_media media, enum skinny_way way, uint32_t conference, uint32_t party)
{
	const uint32_t now_ms = (uint32_t)(f->now_ms - s->begun_ms);
	struct skinny_stream *w = skinny_find(s, media, way, conference, party);
	if (!w) {
		w = place_for(s);
		if (!w)
			return NULL;
		*w = (struct skinny_stream){.used = true,
			.media = (uint8_t)media,
			.way = (uint8_t)way,
			.conference = conference,
			.party = party,
			.begun_ms = now_ms};
	}
	w->said_ms = now_ms;
	return w;
}

bool skinny_has_room(const struct skinny *s, const struct skinny_stream *which)
{
	int all = 0, here = 0;
	for (int i = 0; i < SKINNY_STREAMS; i++) {
		const struct skinny_stream *w = &s->stream[i];
		all += w->token != 0;
		here += w->token && w->conference == which->conference;
	}
	return all < SKINNY_OPENINGS && here < SKINNY_CALL_OPENINGS;
}

void skinny_open(struct skinny *s, struct skinny_stream *which, uint16_t guest_port, bool pair)
{
	s->token += s->token == UINT32_MAX ? 2 : 1;
	which->token = s->token;
	which->guest_port = guest_port;
	which->outside_port = 0;
	which->pair = pair;
	which->moved = false;
}

void skinny_shut(struct skinny_stream *which)
{
	which->token = 0;
	which->guest_port = which->outside_port = 0;
}

struct skinny_stream *skinny_pending(struct skinny *s)
{
	for (int i = 0; i < SKINNY_STREAMS; i++)
		if (is_being_asked(&s->stream[i]))
			return &s->stream[i];
	return NULL;
}

static bool is_among(const struct skinny_stream *w, uint16_t first, uint32_t port)
{
	return w->outside_port && port >= first && port <= (uint32_t)first + w->pair;
}

const struct skinny_stream *skinny_holds(const struct skinny *s, uint32_t guest_port)
{
	for (int i = 0; i < SKINNY_STREAMS; i++)
		if (is_among(&s->stream[i], s->stream[i].guest_port, guest_port))
			return &s->stream[i];
	return NULL;
}

const struct skinny_stream *skinny_holds_outside(const struct skinny *s, uint32_t outside_port)
{
	for (int i = 0; i < SKINNY_STREAMS; i++)
		if (is_among(&s->stream[i], s->stream[i].outside_port, outside_port))
			return &s->stream[i];
	return NULL;
}
