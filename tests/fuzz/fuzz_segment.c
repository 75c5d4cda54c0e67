/*
 * Any header and any frame, in pieces that the input cuts: a cut yields no more segments than
 * allowed, none longer than headers and step, and all payload exactly once in order. The frame
 * itself is never written to (its memory is read-only here).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "segment.h"
#include "vnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static uint8_t out_bytes[70000];

static void check_payload(
	const struct frame *out, const struct segment *s, const uint8_t *frame, size_t at)
{
	size_t n = 0;
	for (int i = 1; i < out->pieces; i++) {
		memcpy(out_bytes + n, out->piece[i].iov_base, out->piece[i].iov_len);
		n += out->piece[i].iov_len;
	}
	require(n == out->bytes - s->headers);
	require(!memcmp(out_bytes, frame + s->headers + at, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct segment s;
	struct frame f = {0}, out;
	size_t cut, at = 0;
	uint32_t count = 0;
	if (bytes < 2 + WIRE_VNET_BYTES || bytes - 2 - WIRE_VNET_BYTES > FRAME_BYTES_MAX)
		return 0;
	cut = data[0] | (size_t)data[1] << 8;
	memcpy(&f.vnet, data + 2, WIRE_VNET_BYTES);
	data += 2 + WIRE_VNET_BYTES;
	f.bytes = (uint32_t)(bytes - 2 - WIRE_VNET_BYTES);
	cut = cut < f.bytes ? cut : f.bytes;
	f.piece[0] = (struct iovec){(uint8_t *)(uintptr_t)data, cut};
	f.piece[1] = (struct iovec){(uint8_t *)(uintptr_t)data + cut, f.bytes - cut};
	f.pieces = 2;
	if (!vnet_ok(&f.vnet, f.bytes) || !vnet_unfinished(&f.vnet) || segment_open(&s, &f))
		return 0;
	while (segment_next(&s, &out)) {
		require(++count <= SEGMENTS_MAX);
		require(!s.step || out.bytes <= s.headers + s.step);
		check_payload(&out, &s, data, at);
		at += out.bytes - s.headers;
	}
	require(at == f.bytes - s.headers);
	return 0;
}
