/* QEMU's framing: every split position, every broken length, the largest frame at every place of
 * the buffer. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "stream.h"

static struct stream s;

static void feed(const uint8_t *bytes, size_t n)
{
	while (n) {
		size_t room, take;
		uint8_t *to = stream_room(&s, &room);
		cr_assert_gt(room, 0);
		take = n < room ? n : room;
		memcpy(to, bytes, take);
		stream_filled(&s, take);
		bytes += take;
		n -= take;
	}
}

/* Appends a frame whose bytes follow from its number. */
static size_t append(uint8_t *to, uint32_t bytes, uint32_t number)
{
	stream_prefix(to, bytes);
	for (uint32_t i = 0; i < bytes; i++)
		to[4 + i] = (uint8_t)(i * 31 + number);
	return 4 + bytes;
}

static void expect(uint32_t bytes, uint32_t number)
{
	const uint8_t *frame;
	uint32_t got;
	cr_assert_eq(stream_next(&s, &frame, &got), 1);
	cr_assert_eq(got, bytes);
	for (uint32_t i = 0; i < bytes; i++)
		cr_assert_eq(frame[i], (uint8_t)(i * 31 + number));
}

static int nothing(void)
{
	const uint8_t *frame;
	uint32_t got;
	return stream_next(&s, &frame, &got);
}

Test(stream, three_frames_at_every_split)
{
	uint8_t wire[400];
	size_t n = append(wire, 60, 1);
	n += append(wire + n, 1, 2);
	n += append(wire + n, 200, 3);
	for (size_t split = 0; split <= n; split++) {
		static const uint32_t sizes[] = {60, 1, 200};
		const uint8_t *frame;
		uint32_t got, seen = 0;
		stream_init(&s);
		feed(wire, split);
		while (stream_next(&s, &frame, &got) == 1) {
			cr_assert_eq(got, sizes[seen]);
			cr_assert_eq(memcmp(frame, wire + (frame - s.buffer), got), 0);
			seen++;
		}
		cr_assert_eq(nothing(), 0);
		feed(wire + split, n - split);
		for (; seen < 3; seen++)
			expect(sizes[seen], seen + 1);
		cr_assert_eq(nothing(), 0);
	}
}

Test(stream, byte_by_byte)
{
	uint8_t wire[100];
	size_t n = append(wire, 90, 9);
	stream_init(&s);
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(nothing(), 0);
		feed(wire + i, 1);
	}
	expect(90, 9);
}

Test(stream, broken_lengths)
{
	static const uint32_t bad[] = {
		0, FRAME_BYTES_MAX + 1, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t prefix[4];
		stream_init(&s);
		stream_prefix(prefix, bad[i]);
		feed(prefix, 3);
		cr_assert_eq(nothing(), 0);
		feed(prefix + 3, 1);
		cr_assert_eq(nothing(), -EPROTO);
		cr_assert_eq(nothing(), -EPROTO, "and stays so");
	}
}

Test(stream, largest_frames_wherever_they_begin)
{
	static uint8_t wire[8 * (FRAME_BYTES_MAX + 4) + 8 * 1000];
	static const uint32_t small[] = {1, 60, 777, 2, 999, 14, 500, 3};
	size_t n = 0, fed = 0, chunk = 30011;
	uint32_t next = 0;
	for (uint32_t i = 0; i < 8; i++) {
		n += append(wire + n, FRAME_BYTES_MAX, i);
		n += append(wire + n, small[i], i);
	}
	stream_init(&s);
	while (fed < n) {
		const uint8_t *frame;
		uint32_t got;
		size_t take = n - fed < chunk ? n - fed : chunk;
		feed(wire + fed, take);
		fed += take;
		while (stream_next(&s, &frame, &got) == 1) {
			cr_assert_eq(got, next & 1 ? small[next / 2] : (uint32_t)FRAME_BYTES_MAX);
			for (uint32_t i = 0; i < got; i++)
				cr_assert_eq(frame[i], (uint8_t)(i * 31 + next / 2));
			next++;
		}
	}
	cr_assert_eq(next, 16);
}
