/*
 * Frames on a byte stream as QEMU's `-netdev stream` sends them: a 4-byte big-endian length, then
 * that many bytes of frame, no virtio-net header. Pure: the caller reads into stream_room() and
 * says how much came.
 */
#ifndef NATLOCK_BROKER_STREAM_H
#define NATLOCK_BROKER_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

enum {
	STREAM_PREFIX_BYTES = 4,
	STREAM_BUFFER_BYTES = 2 * 65536, /* always room for the largest frame and its length */
};
_Static_assert(STREAM_BUFFER_BYTES >= STREAM_PREFIX_BYTES + FRAME_BYTES_MAX, "one frame fits");

struct stream {
	uint32_t start, end; /* bytes not yet taken: buffer[start..end) */
	uint8_t buffer[STREAM_BUFFER_BYTES];
};

void stream_init(struct stream *s);
/*
 * Where the next bytes go and how many fit: at least one byte as long as stream_next() was called
 * until it returned 0. Moves what is left to the front when the tail is short, so pointers from
 * stream_next() die here.
 */
uint8_t *stream_room(struct stream *s, size_t *bytes);
/* `bytes` more arrived in stream_room(). */
void stream_filled(struct stream *s, size_t bytes);
/*
 * Takes the next whole frame; it stays in the buffer, valid until stream_room(). 1 taken, 0 more
 * bytes are needed, -EPROTO when the length is zero or over FRAME_BYTES_MAX: the stream cannot be
 * read any further.
 */
int stream_next(struct stream *s, const uint8_t **frame, uint32_t *bytes);

/* Writes the length that goes in front of a frame. */
static inline void stream_prefix(uint8_t prefix[STREAM_PREFIX_BYTES], uint32_t bytes)
{
	prefix[0] = (uint8_t)(bytes >> 24);
	prefix[1] = (uint8_t)(bytes >> 16);
	prefix[2] = (uint8_t)(bytes >> 8);
	prefix[3] = (uint8_t)bytes;
}
static inline uint32_t stream_length(const uint8_t prefix[STREAM_PREFIX_BYTES])
{
	return (uint32_t)prefix[0] << 24 | (uint32_t)prefix[1] << 16 | (uint32_t)prefix[2] << 8 |
	       prefix[3];
}

#endif
