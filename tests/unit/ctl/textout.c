/* textout.c: a text of any length, and of nothing. What becomes of it without memory is in nomemory.c. */
#include <criterion/criterion.h>

#include "textout.h"

Test(textout, what_was_written_is_there)
{
	struct textout t;
	size_t bytes = 0;
	char *text;
	FILE *out = textout_open(&t);

	cr_assert_not_null(out);
	for (int i = 0; i < 10000; i++)
		fprintf(out, "line %d\n", 10000 + i);
	text = textout_close(&t, &bytes);
	cr_assert_not_null(text);
	cr_expect_eq(bytes, 110000);
	cr_expect_eq(strlen(text), bytes);
	for (int i = 0; i < 10000; i++)
		cr_assert_eq(atoi(text + 11 * i + 5), 10000 + i);
	free(text);
}

Test(textout, nothing_is_an_empty_text)
{
	struct textout t;
	size_t bytes = 1;
	char *text;

	cr_assert_not_null(textout_open(&t));
	text = textout_close(&t, &bytes);
	cr_assert_not_null(text);
	cr_expect_str_empty(text);
	cr_expect_eq(bytes, 0);
	free(text);
}
