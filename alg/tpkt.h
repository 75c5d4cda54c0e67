/*
 * Messages in a stream (RFC 1006 6): packets of a version, an octet that is 0, their length in two octets, and the message. Pure.
 */
#ifndef NATLOCK_ALG_TPKT_H
#define NATLOCK_ALG_TPKT_H

#include "alg.h"

enum { TPKT_HEADER_BYTES = 4, TPKT_BYTES_MAX = 65535, TPKT_NONE = TPKT_BYTES_MAX + 1 };

/* frame() of a protocol in TPKTs (alg.h), header and all; TPKT_NONE: it is none, by the first octet that is wrong. */
size_t tpkt_frame(const void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, size_t seen);

#endif
