/*
 *   packet = 3 0 length(2) message          length: of all of it, 4 .. 65535
 *
 * The header may come alone in a segment of its own (NetMeeting), in pieces, or with several packets behind it: a stream knows of no
 * segments.
 */
#include "tpkt.h"

enum { VERSION = 3 };

size_t tpkt_frame(const void *state, const struct alg_flow *flow, enum alg_direction from,
	const uint8_t *p, size_t n, size_t seen)
{
	if (p[0] != VERSION || (n > 1 && p[1] != 0))
		return TPKT_NONE;
	if (n < TPKT_HEADER_BYTES)
		return 0;
	const size_t length = (size_t)p[2] << 8 | p[3];
	return length < TPKT_HEADER_BYTES ? TPKT_NONE : length;
}
