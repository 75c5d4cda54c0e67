/*
 * Theory of operation
 *
 *     buffer   ......[len|frame][len|frame][len|fra.........
 *                    ▲ start                      ▲ end      one read takes in many small frames
 *
 * A socket has no frame boundaries, so one read fetches as much as fits and the frames are cut out
 * of it: for frames of an Ethernet's size that is one system call for dozens of frames. What is
 * left of the last one moves to the front before the next read when less than a whole frame would
 * fit behind it.
 */
#include "stream.h"

#include <errno.h>
#include <string.h>

void stream_init(struct stream *s)
{
	s->start = 0;
	s->end = 0;
}

uint8_t *stream_room(struct stream *s, size_t *bytes)
{
	if (s->start == s->end)
		stream_init(s);
	if (STREAM_BUFFER_BYTES - s->start < STREAM_PREFIX_BYTES + FRAME_BYTES_MAX) {
		memmove(s->buffer, s->buffer + s->start, s->end - s->start);
		s->end -= s->start;
		s->start = 0;
	}
	*bytes = STREAM_BUFFER_BYTES - s->end;
	return s->buffer + s->end;
}

void stream_filled(struct stream *s, size_t bytes)
{
	s->end += (uint32_t)bytes;
}

int stream_next(struct stream *s, const uint8_t **frame, uint32_t *bytes)
{
	uint32_t have = s->end - s->start;
	uint32_t length;
	if (have < STREAM_PREFIX_BYTES)
		return 0;
	length = stream_length(s->buffer + s->start);
	if (length == 0 || length > FRAME_BYTES_MAX)
		return -EPROTO;
	if (have - STREAM_PREFIX_BYTES < length)
		return 0;
	*frame = s->buffer + s->start + STREAM_PREFIX_BYTES;
	*bytes = length;
	s->start += STREAM_PREFIX_BYTES + length;
	return 1;
}
