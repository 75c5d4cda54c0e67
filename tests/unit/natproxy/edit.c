/* An ALG's edits: what is applied, what is refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "edit.h"

static const uint8_t text[] = "PORT 192,168,30,10,200,10\r\n";
enum { AT = 1000, TEXT = sizeof(text) - 1 };

static int check(const struct edit *e, size_t n)
{
	size_t out;
	return edit_check(e, n, AT, AT + TEXT, &out);
}

Test(edit, replaces_and_changes_the_length)
{
	const struct edit e[] = {{AT + 5, 13, (const uint8_t *)"10,99,0,2", 9},
		{AT + 19, 6, (const uint8_t *)"4,1", 3}};
	uint8_t out[64] = {0};
	size_t n;
	cr_assert_eq(edit_check(e, 2, AT, AT + TEXT, &n), 0);
	edit_apply(e, 2, AT, text, TEXT, out);
	cr_assert_eq(n, strlen("PORT 10,99,0,2,4,1\r\n"));
	cr_assert_str_eq((char *)out, "PORT 10,99,0,2,4,1\r\n");
}

Test(edit, none_changes_nothing)
{
	uint8_t out[64] = {0};
	size_t n;
	cr_assert_eq(edit_check(NULL, 0, AT, AT + TEXT, &n), 0);
	edit_apply(NULL, 0, AT, text, TEXT, out);
	cr_assert_eq(n, TEXT);
	cr_assert(memcmp(out, text, TEXT) == 0);
}

Test(edit, inserts_at_both_ends_and_deletes_everything)
{
	const struct edit ends[] = {
		{AT, 0, (const uint8_t *)"<", 1}, {AT + TEXT, 0, (const uint8_t *)">", 1}};
	const struct edit gone[] = {{AT, TEXT, NULL, 0}};
	uint8_t out[64] = {0};
	size_t n;
	cr_assert_eq(edit_check(ends, 2, AT, AT + TEXT, &n), 0);
	edit_apply(ends, 2, AT, text, TEXT, out);
	cr_assert_eq(out[0], '<');
	cr_assert_eq(out[n - 1], '>');
	cr_assert_eq(edit_check(gone, 1, AT, AT + TEXT, &n), 0);
	cr_assert_eq(n, 0);
}

Test(edit, refuses_what_is_outside_or_out_of_order)
{
	const struct edit before[] = {{AT - 1, 1, text, 1}};
	const struct edit beyond[] = {{AT + TEXT - 1, 2, text, 1}};
	const struct edit after[] = {{AT + TEXT + 1, 0, text, 1}};
	const struct edit wrap[] = {{AT + 5, UINT32_MAX, text, 1}};
	const struct edit far[] = {{UINT64_MAX, 5, text, 1}};
	const struct edit overlap[] = {{AT, 5, text, 1}, {AT + 4, 1, text, 1}};
	const struct edit backward[] = {{AT + 9, 1, text, 1}, {AT + 2, 1, text, 1}};
	cr_assert_eq(check(before, 1), -EPROTO);
	cr_assert_eq(check(beyond, 1), -EPROTO);
	cr_assert_eq(check(after, 1), -EPROTO);
	cr_assert_eq(check(wrap, 1), -EPROTO);
	cr_assert_eq(check(far, 1), -EPROTO);
	cr_assert_eq(check(overlap, 2), -EPROTO);
	cr_assert_eq(check(backward, 2), -EPROTO);
}

Test(edit, refuses_growth_without_measure_and_endless_lists)
{
	static uint8_t much[EDIT_GROWTH_MAX + 1];
	const struct edit big[] = {{AT, 0, much, sizeof(much)}};
	const struct edit fits[] = {{AT, 0, much, EDIT_GROWTH_MAX}};
	const struct edit twice[] = {{AT, 0, much, EDIT_GROWTH_MAX}, {AT, 0, much, 1}};
	struct edit many[EDIT_MAX + 1] = {{0}};
	for (size_t i = 0; i < EDIT_MAX + 1; i++)
		many[i].at = AT;
	cr_assert_eq(check(big, 1), -EPROTO);
	cr_assert_eq(check(fits, 1), 0);
	cr_assert_eq(check(twice, 2), -EPROTO);
	cr_assert_eq(check(many, EDIT_MAX + 1), -EPROTO);
	cr_assert_eq(check(many, EDIT_MAX), 0);
}
