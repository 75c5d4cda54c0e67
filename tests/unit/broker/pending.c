/* The queue of a port that is not ready: order, refusal of what does not fit, wrap-around against a
 * plain model. */
#include <criterion/criterion.h>
#include <string.h>

#include "pending.h"
#include "stream.h"

static struct pending p;

static bool put(uint32_t bytes, uint8_t value)
{
	static uint8_t body[70000];
	uint8_t prefix[4];
	memset(body, value, bytes);
	stream_prefix(prefix, bytes);
	return pending_put(&p,
		(struct iovec[]){{prefix, 4}, {body, bytes / 3}, {body, bytes - bytes / 3}}, 3, 0);
}

static void take(uint32_t bytes, uint8_t value)
{
	struct iovec piece[2];
	int pieces = pending_record(&p, piece);
	size_t total = 0;
	cr_assert(pieces == 1 || pieces == 2);
	for (int i = 0; i < pieces; i++) {
		for (size_t k = 0; k < piece[i].iov_len; k++)
			cr_assert_eq(((uint8_t *)piece[i].iov_base)[k], value);
		total += piece[i].iov_len;
	}
	cr_assert_eq(total, bytes);
	pending_record_done(&p);
}

Test(pending, keeps_order)
{
	struct iovec piece[2];
	pending_init(&p);
	cr_assert_eq(pending_record(&p, piece), 0);
	cr_assert_eq(pending_all(&p, piece), 0);
	put(100, 1);
	put(1, 2);
	put(1514, 3);
	take(100, 1);
	take(1, 2);
	take(1514, 3);
	cr_assert(pending_is_empty(&p));
}

Test(pending, refuses_whole_frames_when_full_and_loses_none_that_it_took)
{
	uint32_t n = 0;
	pending_init(&p);
	while (put(1514, (uint8_t)n))
		n++;
	cr_assert_eq(n, PENDING_BYTES / 1518);
	cr_assert_not(put(1514, 99));
	for (uint32_t i = 0; i < n; i++)
		take(1514, (uint8_t)i);
	cr_assert(pending_is_empty(&p));
}

Test(pending, wraps_around_like_a_plain_queue)
{
	static uint32_t sizes[100000];
	uint32_t first = 0, last = 0, seed = 7, used = 0;
	pending_init(&p);
	for (int i = 0; i < 20000; i++) {
		uint32_t bytes;
		seed = seed * 1664525 + 1013904223;
		bytes = 1 + (seed >> 8) % 9000;
		if (seed >> 31 || first == last) {
			bool fits = used + 4 + bytes <= PENDING_BYTES;
			cr_assert_eq(put(bytes, (uint8_t)last), fits);
			if (fits) {
				sizes[last++] = bytes;
				used += 4 + bytes;
			}
		} else {
			take(sizes[first], (uint8_t)first);
			used -= 4 + sizes[first++];
		}
		cr_assert_eq(p.used, used);
	}
}

Test(pending, skips_what_was_already_written)
{
	struct iovec piece[2];
	uint8_t bytes[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
	for (uint32_t skip = 0; skip < 10; skip++) {
		pending_init(&p);
		pending_put(
			&p, (struct iovec[]){{bytes, 4}, {bytes + 4, 3}, {bytes + 7, 3}}, 3, skip);
		cr_assert_eq(pending_all(&p, piece), 1);
		cr_assert_eq(piece[0].iov_len, 10 - skip);
		cr_assert_eq(memcmp(piece[0].iov_base, bytes + skip, 10 - skip), 0);
		pending_done(&p, 10 - skip);
		cr_assert(pending_is_empty(&p));
	}
}
