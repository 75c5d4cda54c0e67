/*
 * H.323's messages by table: where in a message of RAS, H.225 or H.245 (ITU-T H.225.0, H.245; aligned PER, ITU-T X.691) the things stand
 * that h323.schema marks. Nothing is decoded into a tree and nothing is encoded: what is not marked is stepped over, bit-exactly,
 * and so are additions of later versions. Bounded in depth and steps, without allocation. Pure.
 */
#ifndef NATLOCK_ALG_H323_WALK_H
#define NATLOCK_ALG_H323_WALK_H

#include <stddef.h>
#include <stdint.h>

#include "h323_schema.h" /* generated from h323.schema: enum h323_root, enum h323_field */

/* Something that the schema marks. Marks come in the order in which they begin; one that holds others comes before them. */
struct h323_mark {
	uint16_t field; /* enum h323_field: what it is, and on which path it stood */
	uint32_t at,
		bytes; /* the octets that hold it: of a transport address its 4 octets and port, 6 in all; of anything that
			     * has no octets of its own those in which its bits lie */
	uint32_t
		value; /* of a choice its index (of an extension alternative: the root's number of alternatives and up), of an
			     * integer its value, of a boolean 0 or 1, else 0 */
};

/*
 * Reads one message of this type from p[0..n), all of it; n is below 2^32. Of H.245 messages may follow one another, as some endpoints
 * send them. Returns how many marks there are, or -1: it is no such message, it has more than `room` marks, or is deeper (24 levels)
 * or of more parts (8192) than the bounds. IPv6 and other kinds of addresses have no mark. After -1 mark[] means nothing.
 */
int h323_walk(enum h323_root root, const uint8_t *p, size_t n, struct h323_mark *mark, size_t room);

#endif
