/*
 * What of SCCP's calls a flow knows: streams to and from the station, and the openings that serve them. A stream is known by its
 * conference and party, as the manager has numbered them, its media and its way. Bounded: all of it lies in the flow's state. Pure.
 */
#ifndef NATLOCK_ALG_SKINNY_CALLS_H
#define NATLOCK_ALG_SKINNY_CALLS_H

#include "alg.h"
#include "skinny_table.h"

enum {
	SKINNY_STREAMS = 24,
	SKINNY_OPENINGS = 16,	  /* of a flow; each at most one act an answer */
	SKINNY_CALL_OPENINGS = 4, /* of those with one conference */
};
_Static_assert(SKINNY_OPENINGS <= (int)ALG_ACTS, "all can be closed at once");

enum skinny_way { SKINNY_IN, SKINNY_OUT }; /* as the station has it */

struct skinny_stream {
	uint32_t conference, party, reference;
	uint32_t peer_ip_be;	    /* at the other end, as the manager said last; 0: it did not */
	uint32_t token;		    /* of its opening; 0: none */
	uint32_t begun_ms, said_ms; /* since the flow's first message */
	uint16_t guest_port, outside_port; /* outside_port 0: it is being asked for */
	uint8_t media, way;		   /* enum skinny_media, skinny_way */
	bool used;
	bool asked; /* the manager wants the station's port */
	bool pair;
	bool moved; /* while it was being asked for another peer was named */
	bool over;  /* while it was being asked for the stream ended */
};

struct skinny {
	uint64_t begun_ms; /* alg_flow.now_ms of the first message */
	uint32_t token;	   /* the last one */
	uint8_t version;   /* that both ends know; until RegisterAck the station's */
	bool opened;	   /* the station's first message was there */
	bool registering, registered;
	struct skinny_stream stream[SKINNY_STREAMS];
};
_Static_assert(sizeof(struct skinny) <= ALG_STATE_BYTES, "fits a flow");

/* This stream; NULL: it is not known. */
struct skinny_stream *skinny_find(struct skinny *s, enum skinny_media media, enum skinny_way way,
	uint32_t conference, uint32_t party);
/* One of this party, of whatever conference. */
struct skinny_stream *skinny_find_party(
	struct skinny *s, enum skinny_media media, enum skinny_way way, uint32_t party);
/* The same as skinny_find, or a new one, in the place of the one without an opening of which nobody has spoken for longest; NULL: all
 * have openings. */
struct skinny_stream *skinny_take(struct skinny *s, const struct alg_flow *f,
	enum skinny_media media, enum skinny_way way, uint32_t conference, uint32_t party);
/* Whether it may have an opening: there is room for one in flow and conference. */
bool skinny_has_room(const struct skinny *s, const struct skinny_stream *which);
/* Its opening begins: it has a token, and waits for its outside port. */
void skinny_open(struct skinny *s, struct skinny_stream *which, uint16_t guest_port, bool pair);
/* It has none any more. */
void skinny_shut(struct skinny_stream *which);
/* Which is being asked for; NULL: none. There is one at most, as one message asks for one. */
struct skinny_stream *skinny_pending(struct skinny *s);
/* One whose opening holds the guest's port, or has this one outside; NULL: none. */
const struct skinny_stream *skinny_holds(const struct skinny *s, uint32_t guest_port);
const struct skinny_stream *skinny_holds_outside(const struct skinny *s, uint32_t outside_port);

#endif
