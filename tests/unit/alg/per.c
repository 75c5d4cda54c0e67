/* The reader of aligned PER: what numbers and lengths look like (X.691), and that nothing is read outside of what there is. */
#include <criterion/criterion.h>

#include "per.h"

static struct per r;

#define BEGIN(...)                                                                                 \
	static const uint8_t octets[] = {__VA_ARGS__};                                             \
	per_begin(&r, octets, sizeof(octets))

static void expect_failed(void)
{
	size_t at = r.at;
	cr_expect(r.failed);
	cr_expect(!per_bits(&r, 1) && !per_range(&r, 9) && !per_length(&r) && !per_small(&r) &&
		  !per_small_length(&r));
	per_skip(&r, 1);
	per_align(&r);
	cr_expect_eq(r.at, at, "nothing moves after an error");
}

Test(per, bits_across_octets)
{
	BEGIN(0xa5, 0x3c, 0xff, 0x00, 0x81);
	cr_expect_eq(per_bits(&r, 3), 5);
	cr_expect_eq(per_bits(&r, 0), 0);
	cr_expect_eq(per_bits(&r, 32), 0x29e7f804);
	cr_expect_eq(r.began, 3);
	cr_expect_eq(per_bits(&r, 5), 1);
	cr_expect(!r.failed && r.at == r.end);
	cr_expect_eq(per_bits(&r, 0), 0);
	cr_expect(!r.failed);
	per_bits(&r, 1);
	expect_failed();
}

Test(per, bits_that_are_not_all_there_are_not_read)
{
	BEGIN(0xff, 0xff);
	per_skip(&r, 9);
	cr_expect_eq(per_bits(&r, 8), 0);
	expect_failed();
}

Test(per, passing_over)
{
	BEGIN(0x10, 0x80);
	per_skip(&r, 3);
	cr_expect(
		per_bit_at(&r, 3) && per_bit_at(&r, 8) && !per_bit_at(&r, 2) && !per_bit_at(&r, 9));
	per_align(&r);
	cr_expect_eq(r.at, 8);
	per_align(&r);
	cr_expect_eq(r.at, 8);
	per_skip(&r, UINT64_MAX);
	expect_failed();
}

Test(per, whole_numbers_by_their_range)
{
	const struct {
		uint32_t range, value;
		size_t bits;
		uint8_t octets[6];
	} cases[] = {
		{0, 0, 1, {0xff}},
		{1, 1, 2, {0x40}},
		{3, 2, 3, {0x40}},
		{8, 8, 5, {0x40}},
		{254, 254, 9, {0x7f, 0x00}},
		{255, 254, 16, {0x7f, 0xfe}},	    /* of 256 values: an octet */
		{256, 256, 24, {0x7f, 0x01, 0x00}}, /* more: two */
		{65535, 65535, 24, {0x7f, 0xff, 0xff}},
		{65536, 3, 16, {0x1f, 0x03}}, /* more: their number first, here 1 of 1..3 */
		{65536, 65536, 32, {0x5f, 0x01, 0, 0}},
		{0xffffff, 0x123, 24, {0x3f, 0x01, 0x23}},
		{0xffffffff, 0x12345678, 40, {0x7f, 0x12, 0x34, 0x56, 0x78}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		per_begin(&r, cases[i].octets, sizeof(cases[i].octets));
		per_bits(&r, 1);
		cr_expect_eq(per_range(&r, cases[i].range), cases[i].value, "case %zu", i);
		cr_expect(!r.failed && r.at == cases[i].bits, "case %zu: %zu", i, r.at);
	}
}

Test(per, whole_numbers_out_of_range)
{
	const struct {
		uint32_t range;
		uint8_t octets[5];
	} cases[] = {
		{8, {0x90}},
		{4, {0xa0}},
		{300, {0x01, 0x2d}},
		{65536, {0xc0, 1, 0, 0}}, /* four octets of 1..3 */
		{65536, {0x80, 1, 0, 1}},
		{0x7fffffff, {0xc0, 0x80, 0, 0, 0}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		per_begin(&r, cases[i].octets, sizeof(cases[i].octets));
		cr_expect_eq(per_range(&r, cases[i].range), 0, "case %zu", i);
		cr_expect(r.failed, "case %zu", i);
	}
}

Test(per, lengths)
{
	BEGIN(0x80, 0x7f, 0x80, 0x80, 0xbf, 0xff, 0x80, 0x00, 0xc1, 0x00);
	per_bits(&r, 1);
	cr_expect_eq(per_length(&r), 0x7f);
	cr_expect_eq(per_length(&r), 0x80);
	cr_expect_eq(per_length(&r), 0x3fff);
	cr_expect_eq(per_length(&r), 0);
	cr_expect(!r.failed);
	per_length(&r);
	expect_failed();
}

Test(per, normally_small_numbers)
{
	BEGIN(0x3f, 0x80, 0x01, 0x40, 0xff, 0x02, 0x01, 0x00, 0x80, 0x04, 0xff, 0xff, 0xff, 0xff,
		0x80, 0x05, 0, 0, 0, 0, 0);
	cr_expect_eq(per_small(&r), 0x1f);
	per_bits(&r, 1);
	cr_expect_eq(per_small(&r), 0x40);
	cr_expect_eq(per_small(&r), 0x100);
	cr_expect_eq(per_small(&r), UINT32_MAX);
	cr_expect(!r.failed);
	per_small(&r);
	expect_failed();
}

Test(per, normally_small_numbers_without_octets)
{
	BEGIN(0x80, 0x00, 0x01);
	per_small(&r);
	expect_failed();
}

Test(per, normally_small_lengths)
{
	BEGIN(0x7e, 0x80, 0x41);
	cr_expect_eq(per_small_length(&r), 64);
	per_bits(&r, 1);
	cr_expect_eq(per_small_length(&r), 65);
	cr_expect(!r.failed && r.at == r.end);
	per_small_length(&r);
	expect_failed();
}

Test(per, nothing_is_read_behind_an_open_type)
{
	BEGIN(0x02, 0xaa, 0xbb, 0xcc);
	size_t outer = per_enter(&r, per_length(&r));
	cr_expect_eq(per_bits(&r, 8), 0xaa);
	per_leave(&r, outer);
	cr_expect_eq(per_bits(&r, 8), 0xcc, "what was not read is passed over");
	per_begin(&r, octets, sizeof(octets));
	outer = per_enter(&r, per_length(&r));
	cr_expect_eq(per_bits(&r, 17), 0);
	expect_failed();
	per_leave(&r, outer);
	expect_failed();
}

Test(per, an_open_type_that_is_longer_than_what_it_is_in)
{
	BEGIN(0x03, 0x02, 0xaa, 0xbb, 0xcc, 0xdd);
	per_enter(&r, per_length(&r));
	per_enter(&r, per_length(&r));
	per_enter(&r, 1);
	cr_expect(!r.failed);
	per_enter(&r, 2);
	expect_failed();
}
