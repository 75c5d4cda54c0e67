/* The cursor's errors stick, and the checksum is RFC 1071's, whatever the pieces. */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <string.h>

#include "wire/wire.h"

/* The definition, word by word. */
static uint16_t plain_checksum(const uint8_t *p, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint64_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

Test(wire, checksum_of_any_length_and_alignment)
{
	static uint8_t bytes[70000];
	uint32_t seed = 7;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
	for (size_t n = 0; n < 200; n++)
		for (size_t at = 0; at < 9; at++)
			cr_assert_eq(wire_fold(wire_sum(0, bytes + at, n)),
				plain_checksum(bytes + at, n));
	cr_assert_eq(wire_fold(wire_sum(0, bytes, 65535)), plain_checksum(bytes, 65535));
}

Test(wire, checksum_of_all_ones_does_not_lose_carries)
{
	static uint8_t bytes[65536];

	memset(bytes, 0xff, sizeof(bytes));
	cr_assert_eq(
		wire_fold(wire_sum(0, bytes, sizeof(bytes))), plain_checksum(bytes, sizeof(bytes)));
	cr_assert_eq(wire_fold(wire_sum(0xffffffff, bytes, 65535)), plain_checksum(bytes, 65535));
}

Test(wire, pieces_add_up)
{
	static const char text[] = "the quick brown fox jumps over the lazy dog";
	uint32_t sum = 0;

	for (size_t at = 0; at + 6 <= 42; at += 6)
		sum = wire_sum(sum, text + at, 6);
	cr_assert_eq(
		wire_fold(wire_sum(sum, text + 42, 1)), plain_checksum((const uint8_t *)text, 43));
}

Test(wire, example_of_rfc_1071)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	cr_assert_eq(wire_fold(wire_sum(0, bytes, sizeof(bytes))), (uint16_t)~0xddf2);
}

Test(wire, pseudo_header_of_a_known_datagram)
{
	/* 10.0.0.1 -> 10.0.0.2, UDP 1 -> 2, no payload. */
	uint8_t whole[20] = {10, 0, 0, 1, 10, 0, 0, 2, 0, 17, 0, 8, 0, 1, 0, 2, 0, 8, 0, 0};
	uint32_t sum = wire_pseudo_sum(inet_addr("10.0.0.1"), inet_addr("10.0.0.2"), 17, 8);

	cr_assert_eq(wire_fold(wire_sum(sum, whole + 12, 8)), plain_checksum(whole, sizeof(whole)));
}

Test(wire, reading_past_the_end_sticks)
{
	static const uint8_t bytes[] = {1, 2, 3, 4, 5};
	struct wire_in in = wire_in(bytes, sizeof(bytes));

	cr_assert_eq(wire_u16(&in), 0x0102);
	cr_assert(wire_ok(&in));
	cr_assert_eq(wire_u32(&in), 0);
	cr_assert_not(wire_ok(&in));
	cr_assert_eq(wire_u8(&in), 0, "even what would fit is gone");
	cr_assert_eq(wire_left(&in), 0);
	cr_assert_not(wire_ok(&in));
}

Test(wire, writing_past_the_end_sticks_and_writes_nothing)
{
	uint8_t bytes[5] = {0};
	struct wire_out out = wire_out(bytes, 4);

	wire_put_u16(&out, 0x0102);
	wire_put_u32(&out, 0xffffffff);
	cr_assert(out.overflow);
	cr_assert_eq(wire_written(&out), 2);
	cr_assert_eq(bytes[1], 2);
	for (int i = 2; i < 5; i++)
		cr_assert_eq(bytes[i], 0);
}
