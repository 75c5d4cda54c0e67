/*
 * A frame on its way through the broker: a virtio-net header and the frame's bytes in pieces.
 *
 * The pieces point into arenas or into private memory and belong to whoever made the frame; a frame
 * lives for one call. Whatever was found in a neighbour's or a guest's hands is checked before it
 * becomes a struct frame: `bytes` is the sum of the pieces, and `vnet` passed vnet_ok().
 */
#ifndef NATLOCK_BROKER_FRAME_H
#define NATLOCK_BROKER_FRAME_H

#include <stdint.h>
#include <sys/uio.h>

#include "wire/wire.h"

enum {
	FRAME_PIECES = 6,    /* a rewritten header, the rest of the first piece, four segments of a
				descriptor */
	FRAME_TAG_BYTES = 4, /* an 802.1Q tag does not count against the MTU */
	FRAME_BYTES_MAX = ETH_HEADER_BYTES + FRAME_TAG_BYTES + 65535, /* the largest IPv4 packet */
	PORTS_MAX = 64, /* ports of one broker, named by slots 0..PORTS_MAX - 1 */
};

struct frame {
	struct wire_vnet vnet;
	struct iovec
		piece[FRAME_PIECES]; /* the first holds all headers, if the frame is well-formed */
	int pieces;
	uint32_t bytes; /* without the virtio-net header */
};

#endif
