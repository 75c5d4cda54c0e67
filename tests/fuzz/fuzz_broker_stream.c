/*
 * QEMU's framing fed in portions that the input chooses: the frames found must be those that a
 * reader of the whole finds, whatever the portions, and a broken length is noticed at the same
 * frame.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct stream s;

/* Frame number n of the whole stream by plain reading: 1, 0 or -EPROTO. */
static int plain(const uint8_t *wire, size_t bytes, size_t *at, uint32_t *length)
{
	if (bytes - *at < STREAM_PREFIX_BYTES)
		return 0;
	*length = stream_length(wire + *at);
	if (*length == 0 || *length > FRAME_BYTES_MAX)
		return -EPROTO;
	if (bytes - *at - STREAM_PREFIX_BYTES < *length)
		return 0;
	*at += STREAM_PREFIX_BYTES + *length;
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	size_t portion, fed = 0, at = 0;
	if (bytes < 2)
		return 0;
	portion = 1 + (data[0] | (size_t)data[1] << 8);
	data += 2;
	bytes -= 2;
	stream_init(&s);
	while (fed < bytes) {
		const uint8_t *frame;
		uint32_t length, expected;
		size_t room, n = bytes - fed < portion ? bytes - fed : portion;
		uint8_t *to = stream_room(&s, &room);
		int found;
		if (room == 0)
			abort();
		n = n < room ? n : room;
		memcpy(to, data + fed, n);
		stream_filled(&s, n);
		fed += n;
		while ((found = stream_next(&s, &frame, &length)) == 1) {
			if (plain(data, fed, &at, &expected) != 1 || expected != length)
				abort();
			if (memcmp(frame, data + at - length, length))
				abort();
		}
		if (plain(data, fed, &at, &expected) != found)
			abort();
		if (found < 0)
			return 0;
	}
	return 0;
}
