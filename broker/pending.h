/*
 * What a port would not take yet: a bounded byte queue over memory fixed at boot. Pure.
 *
 * A record is a 4-byte big-endian length and the bytes: on a stream port that is the wire format
 * itself, elsewhere the length keeps the frames apart. Frames that do not fit whole are refused
 * whole.
 */
#ifndef NATLOCK_BROKER_PENDING_H
#define NATLOCK_BROKER_PENDING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "frame.h"

/* Enough for some 340 frames of an Ethernet's size: about a bandwidth-delay product of a busy
 * virtual machine. */
enum { PENDING_BYTES = 512 * 1024 };
_Static_assert(
	PENDING_BYTES >= 4 + WIRE_VNET_BYTES + FRAME_BYTES_MAX, "the rest of any frame fits");

struct pending {
	uint32_t head; /* index of the oldest byte */
	uint32_t used;
	uint8_t bytes[PENDING_BYTES];
};

static inline bool pending_is_empty(const struct pending *p)
{
	return p->used == 0;
}
/* Empties the queue. */
void pending_init(struct pending *p);
/* Appends the pieces as they are, but for the first `skip` bytes. False, and nothing done, when
 * they do not fit. */
bool pending_put(struct pending *p, const struct iovec *piece, int pieces, uint32_t skip);
/* The oldest record without its length, in one or two pieces (the queue wraps); returns how many, 0
 * when empty. */
int pending_record(struct pending *p, struct iovec piece[2]);
/* Drops the oldest record. */
void pending_record_done(struct pending *p);
/* All that is queued, lengths included, in one or two pieces; returns how many, 0 when empty. */
int pending_all(struct pending *p, struct iovec piece[2]);
/* Drops the oldest `bytes` bytes (at most what is queued). */
void pending_done(struct pending *p, uint32_t bytes);

#endif
