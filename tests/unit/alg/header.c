/* Messages of HTTP's kind: how long they are, what is none, lines folded and not. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "header.h"

static size_t frame(const char *t)
{
	return header_frame((const uint8_t *)t, strlen(t));
}

static bool split(const char *t, struct header *h)
{
	return header_split((const uint8_t *)t, strlen(t), h);
}

static bool is(struct text t, const char *as)
{
	return text_left(&t) == strlen(as) && !memcmp(t.p, as, strlen(as));
}

Test(header, frames_end_where_the_body_does)
{
	const char *whole = "S\r\nA: 1\r\nContent-Length: 3\r\n\r\nabcS\r\n";
	const size_t length = strlen(whole) - 3;
	for (size_t n = 1; n <= strlen(whole); n++) {
		size_t got = header_frame((const uint8_t *)whole, n);
		cr_expect_eq(got, n < length - 3 ? 0 : length, "%zu of %zu", got, n);
	}
	cr_expect_eq(frame("S\n\nrest"), 3, "no header, no body");
	cr_expect_eq(frame("S\r\nA:\r\n\r\nrest"), 9);
	const char *far = "S\r\ncontent-LENGTH \t: \t 999999999\r\n\r\n";
	cr_expect_eq(frame(far), strlen(far) + 999999999);
}

Test(header, what_is_no_message_is_refused)
{
	const char *bad[] = {
		"S\r\n A: 1\r\n\r\n",	   /* continues nothing */
		"S\r\nA\r\n\r\n",	   /* no colon */
		"S\r\n: 1\r\n\r\n",	   /* no name */
		"S\r\nA b: 1\r\n\r\n",	   /* two words */
		"S\r\nA: 1\rB: 2\r\n\r\n", /* a line for some, two for others */
		"S\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		"S\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\nx",
		"S\r\nContent-Length: +1\r\n\r\nx",
		"S\r\nContent-Length: 1x\r\n\r\nx",
		"S\r\nContent-Length: -1\r\n\r\nx",
		"S\r\nContent-Length: 1, 1\r\n\r\nx",
		"S\r\nContent-Length: 0000000001\r\n\r\nx",
		"S\r\nContent-Length:\r\n\r\nx",
		"S\r\nContent-Length: 1\r\n 2\r\n\r\nx",
		"S\r\nContent-Length: 2\r\n\r\nx", /* short */
		"S\r\n\r\nx",			   /* long */
		"S\r\nA: 1\r\n",		   /* no end */
		"S",
	};
	struct header h;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_not(split(bad[i], &h), "%s", bad[i]);
	cr_expect_not(header_split((const uint8_t *)"S\r\nA: \0\r\n\r\n", 11, &h), "NUL");
	cr_expect_eq(frame("S\r\nA\r\nB: 1\r\n\r\n"), 6, "to the end of the line that shows it");
}

Test(header, lines_are_counted)
{
	static char text_of[4 * HEADER_LINES + 64];
	struct header h;
	for (int lines = HEADER_LINES; lines <= HEADER_LINES + 1; lines++) {
		size_t n = (size_t)sprintf(text_of, "S\n");
		for (int i = 0; i < lines; i++)
			n += (size_t)sprintf(text_of + n, i % 2 ? " x\n" : "a:\n");
		sprintf(text_of + n, "\n");
		cr_expect_eq(split(text_of, &h), lines == HEADER_LINES);
		cr_expect_gt(frame(text_of), 0);
	}
}

Test(header, blocks_are_read_without_their_bodies)
{
	static const char t[] = "S\r\nContent-Length: 7\r\nContent-Length: x\r\n\r\nabc";
	const size_t end = strlen(t) - 3;
	struct header h;
	size_t length;
	for (size_t n = 1; n <= strlen(t); n++)
		cr_expect_eq(header_read((const uint8_t *)t, n, false, &h, &length),
			n < end ? HEADER_SHORT : HEADER_WHOLE, "%zu", n);
	cr_expect(length == end && is(h.start, "S") &&
		  is(h.lines, "Content-Length: 7\r\nContent-Length: x\r\n"));
	cr_expect_eq(header_read((const uint8_t *)"S\nA\nB", 5, false, &h, &length), HEADER_BAD);
	cr_expect_eq(length, 4);
}

Test(header, a_nul_stands_behind_a_backslash_or_nowhere)
{
	static const char escaped[] = "S\nA: \\\0\n\n", bare[] = "S\nA: \0\n\n";
	struct header h;
	size_t length;
	for (int escapes = 0; escapes < 2; escapes++) {
		cr_expect_eq(header_read((const uint8_t *)escaped, sizeof(escaped) - 1, escapes, &h,
				     &length),
			escapes ? HEADER_WHOLE : HEADER_BAD);
		cr_expect_eq(
			header_read((const uint8_t *)bare, sizeof(bare) - 1, escapes, &h, &length),
			HEADER_BAD);
	}
}

Test(header, lines_without_a_start_line)
{
	static char many[4 * HEADER_LINES + 64];
	struct text lines, value;
	struct header h = {0};
	cr_assert(header_lines(text("A: 1\r\nB: 2\n x", 13), false, &h.lines));
	cr_expect(header_find(&h, "B", &value) && is(value, "2\n x"));
	cr_assert(header_lines(text("A: 1\n\nB", 7), false, &lines) && is(lines, "A: 1\n"));
	cr_assert(header_lines(text("", 0), false, &lines) && is(lines, ""));
	cr_expect_not(header_lines(text("A: 1\nB", 6), false, &lines));
	cr_expect_not(header_lines(text(" A: 1", 5), false, &lines));
	for (int count = HEADER_LINES; count <= HEADER_LINES + 1; count++) {
		size_t n = 0;
		for (int i = 0; i < count; i++)
			n += (size_t)sprintf(many + n, "a:\n");
		cr_expect_eq(header_lines(text(many, n), false, &lines), count == HEADER_LINES);
	}
}

Test(header, lines_are_found_whatever_they_look_like)
{
	struct header h;
	struct header_line line;
	struct text value;
	uint32_t number;
	cr_assert(split("START here\r\nA: 1\nfolded :\tx,\r\n\ty \r\nEMPTY:\r\nnumber: "
			"42\r\nb:1\r\nB:1\r\n\r\n",
		&h));
	cr_expect(is(h.start, "START here"));
	cr_expect(header_find(&h, "A", &value) && is(value, "1"));
	cr_expect(header_find(&h, "FOLDED", &value) && is(value, "x,\r\n\ty"));
	cr_expect(header_find(&h, "EMPTY", &value) && is(value, ""));
	cr_expect(header_number(&h, "NUMBER", &number) && number == 42);
	cr_expect_not(header_number(&h, "FOLDED", &number));
	cr_expect_not(header_find(&h, "B", &value), "which of the two?");
	cr_expect_not(header_find(&h, "NONE", &value));
	struct text lines = h.lines;
	unsigned int count = 0;
	while (header_next(&lines, &line))
		count++;
	cr_expect_eq(count, 6);
}
