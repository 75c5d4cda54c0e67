/* The walker over BER: what it reads, where it stops, and that enclosing lengths follow an edit. */
#include <criterion/criterion.h>
#include <string.h>

#include "ber.h"

static struct alg_answer answer;

static struct ber_walk begin(const void *p, size_t n)
{
	struct ber_walk w;
	answer.edit_count = 0;
	ber_begin(&w, p, n, &answer);
	return w;
}

/* The message with the answer's edits. */
static size_t apply(const uint8_t *p, size_t n, uint8_t *out)
{
	size_t from = 0, length = 0;
	for (unsigned int i = 0; i < answer.edit_count; i++) {
		const struct alg_edit *e = &answer.edit[i];
		cr_assert(e->at >= from && e->at + e->old_bytes <= n, "edit %u", i);
		memcpy(out + length, p + from, e->at - from);
		length += e->at - from;
		memcpy(out + length, e->text, e->bytes);
		length += e->bytes;
		from = e->at + e->old_bytes;
	}
	memcpy(out + length, p + from, n - from);
	return length + n - from;
}

Test(ber, sizes)
{
	const struct {
		size_t n, size;
		uint8_t p[8];
	} cases[] = {
		{1, 0, {0x30}},
		{2, 2, {0x30, 0}},
		{2, 129, {0x30, 0x7f}},
		{2, SIZE_MAX, {0x30, 0x80}}, /* indefinite */
		{2, 0, {0x30, 0x81}},
		{3, 3, {0x30, 0x81, 0}},
		{4, 4 + 0x1234, {0x30, 0x82, 0x12, 0x34}},
		{6, 6 + 0xffffffffull, {0x30, 0x84, 0xff, 0xff, 0xff, 0xff}},
		{2, SIZE_MAX, {0x30, 0x85}},
		{2, SIZE_MAX, {0x30, 0xff}},
		{2, SIZE_MAX, {0x3f, 0x01}}, /* a tag of several octets */
		{2, SIZE_MAX, {0x1f, 0x01}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(ber_size(cases[i].p, cases[i].n), cases[i].size, "case %zu", i);
}

Test(ber, numbers_are_small_and_not_negative)
{
	const struct {
		uint8_t p[8];
		size_t n;
		bool good;
		uint32_t value;
	} cases[] = {
		{{2, 1, 0}, 3, true, 0},
		{{2, 1, 0x7f}, 3, true, 127},
		{{2, 2, 0, 0x80}, 4, true, 128},
		{{2, 4, 0x7f, 0xff, 0xff, 0xff}, 6, true, 0x7fffffff},
		{{2, 4, 0, 0, 0, 5}, 6, true, 5},
		{{2, 1, 0x80}, 3, false, 0},
		{{2, 4, 0xff, 0xff, 0xff, 0xff}, 6, false, 0},
		{{2, 5, 0, 0, 0, 0, 1}, 7, false, 0},
		{{2, 0}, 2, false, 0},
		{{4, 1, 1}, 3, false, 0},
		{{2, 2, 1}, 3, false, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ber_walk w = begin(cases[i].p, cases[i].n);
		const uint32_t value = ber_number(&w, BER_INTEGER);
		cr_expect_eq(ber_end(&w), cases[i].good, "case %zu", i);
		cr_expect(!cases[i].good || value == cases[i].value, "case %zu", i);
	}
}

Test(ber, an_element_stays_within_what_holds_it)
{
	const uint8_t longer[] = {0x30, 3, 4, 2, 'a', 'b'},
		      left_over[] = {0x30, 3, 4, 1, 'a', 4, 0};
	struct ber_walk w = begin(longer, sizeof(longer));
	ber_enter(&w, BER_SEQUENCE);
	cr_expect(ber_more(&w));
	const struct ber e = ber_take(&w, BER_OCTET_STRING);
	cr_expect(w.failed && !e.bytes && !ber_more(&w) && !ber_end(&w));
	w = begin(left_over, sizeof(left_over));
	ber_enter(&w, BER_SEQUENCE);
	cr_expect_eq(ber_take(&w, BER_OCTET_STRING).at, 4);
	cr_expect_not(ber_more(&w));
	ber_leave(&w);
	cr_expect_eq(ber_take_any(&w).tag, BER_OCTET_STRING);
	cr_expect(ber_end(&w));
	w = begin(left_over, sizeof(left_over));
	ber_enter(&w, BER_SEQUENCE);
	ber_leave(&w);
	cr_expect_not(ber_end(&w), "left before all of it was read");
	w = begin(left_over, sizeof(left_over));
	ber_take(&w, BER_SEQUENCE);
	cr_expect_not(ber_end(&w), "the message goes on");
	w = begin(left_over, sizeof(left_over));
	ber_skip(&w);
	cr_expect(ber_end(&w));
}

Test(ber, not_deeper_than_it_may)
{
	for (int levels = BER_DEPTH - 1; levels <= BER_DEPTH + 1; levels++) {
		uint8_t p[2 * (BER_DEPTH + 1)];
		for (int i = 0; i < levels; i++) {
			p[2 * i] = BER_SEQUENCE;
			p[2 * i + 1] = (uint8_t)(2 * (levels - i - 1));
		}
		struct ber_walk w = begin(p, 2 * (size_t)levels);
		while (ber_more(&w))
			ber_enter(&w, BER_SEQUENCE);
		cr_expect_eq(ber_end(&w), levels <= BER_DEPTH, "%d levels", levels);
	}
}

/* 30 { 30 { "old" } 04 "x" } with lengths in so many octets, and so much filler in the outer one; "old" gets new contents. */
static void expect_replaced(unsigned int octets, size_t filler, const char *with)
{
	static uint8_t p[70000], out[70000], expected[70000];
	uint8_t *const buffers[] = {p, expected};
	size_t n[2];
	for (int i = 0; i < 2; i++) {
		const char *text = i ? with : "old";
		uint8_t *b = buffers[i];
		const size_t inner = 1 + octets + strlen(text);
		size_t length[3] = {inner + 1 + octets + 4 + filler, inner, strlen(text)}, at = 0;
		for (int l = 0; l < 3; l++) {
			b[at++] = l < 2 ? BER_SEQUENCE : BER_OCTET_STRING;
			/* grows where it must and the other does not */
			unsigned int count = octets;
			if (l == 0)
				count = length[0] > 0xffff		 ? 4
					: length[0] > 0xff && octets < 3 ? 3
									 : octets;
			if (l == 0 && octets == 1 && length[0] > 0x7f && length[0] <= 0xff)
				count = 2;
			if (count > 1)
				b[at++] = (uint8_t)(0x80 | (count - 1));
			for (unsigned int k = count > 1 ? count - 1 : 1; k; k--)
				b[at++] = (uint8_t)(length[l] >> 8 * (k - 1));
		}
		memcpy(b + at, text, strlen(text));
		at += strlen(text);
		const uint8_t tail[4] = {4, 0x82, (uint8_t)(filler >> 8), (uint8_t)filler};
		memcpy(b + at, tail, 4);
		memset(b + at + 4, 'x', filler);
		n[i] = at + 4 + filler;
	}
	struct ber_walk w = begin(p, n[0]);
	ber_enter(&w, BER_SEQUENCE);
	ber_enter(&w, BER_SEQUENCE);
	const struct ber e = ber_take(&w, BER_OCTET_STRING);
	cr_assert_eq(e.bytes, 3);
	ber_replace(&w, &e, with, strlen(with));
	ber_leave(&w);
	ber_take(&w, BER_OCTET_STRING);
	cr_assert(ber_end(&w));
	cr_assert_eq(apply(p, n[0], out), n[1], "%u octets, %zu filler, %s", octets, filler, with);
	cr_expect(!memcmp(out, expected, n[1]), "%u octets, %zu filler, %s", octets, filler, with);
	cr_expect(strlen(with) != 3 || answer.edit_count == 1, "no length changes");
}

Test(ber, lengths_follow_and_keep_their_form)
{
	const char *texts[] = {"new", "longer than it was", "", "a", "abcd"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (unsigned int octets = 1; octets <= BER_LENGTH_OCTETS; octets++)
			expect_replaced(octets, 50, texts[i]);
		expect_replaced(
			1, 110, texts[i]); /* 127 at most: the outer length grows by an octet */
		expect_replaced(2, 235, texts[i]);
		expect_replaced(3, 65510, texts[i]);
	}
}

Test(ber, a_replacement_of_growing_length)
{
	const uint8_t p[] = {0x30, 5, 4, 3, 'o', 'l', 'd'};
	uint8_t with[BER_CONTENTS_MAX], out[100];
	memset(with, 'y', sizeof(with));
	struct ber_walk w = begin(p, sizeof(p));
	ber_enter(&w, BER_SEQUENCE);
	const struct ber e = ber_take(&w, BER_OCTET_STRING);
	ber_replace(&w, &e, with, sizeof(with));
	cr_assert(ber_end(&w));
	cr_expect_eq(apply(p, sizeof(p), out), sizeof(with) + 4);
	cr_expect_eq(out[1], sizeof(with) + 2);
	cr_expect_eq(out[3], sizeof(with));
}

Test(ber, more_edits_than_fit_are_none)
{
	for (unsigned int values = ALG_EDITS - 1; values <= ALG_EDITS; values++) {
		uint8_t p[3 + 3 * ALG_EDITS] = {BER_SEQUENCE, 0x81, (uint8_t)(3 * values)};
		for (unsigned int i = 0; i < values; i++)
			memcpy(p + 3 + 3 * i, "\x04\x01v", 3);
		struct ber_walk w = begin(p, 3 + 3 * values);
		ber_enter(&w, BER_SEQUENCE);
		while (ber_more(&w)) {
			const struct ber e = ber_take_any(&w);
			ber_replace(&w, &e, "vv", 2);
		}
		cr_expect(ber_end(&w), "the message is sound");
		cr_expect_eq(answer.edit_count, values < ALG_EDITS ? ALG_EDITS : 0,
			"%u values and the length of what holds them", values);
	}
}

Test(ber, an_error_takes_the_edits_with_it)
{
	const uint8_t p[] = {0x30, 4, 4, 1, 'v', 4};
	struct ber_walk w = begin(p, sizeof(p));
	ber_enter(&w, BER_SEQUENCE);
	const struct ber e = ber_take(&w, BER_OCTET_STRING);
	ber_replace(&w, &e, "w", 1);
	cr_expect_eq(answer.edit_count, 1);
	ber_take_any(&w);
	cr_expect(!ber_end(&w) && !answer.edit_count);
	ber_replace(&w, &e, "w", 1);
	cr_expect_eq(answer.edit_count, 0);
}
