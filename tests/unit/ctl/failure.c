/* failure.c: the three lines and the JSON object. */
#include <criterion/criterion.h>

#include "failure.h"
#include "support.h"

static char *printed(bool json, const char *cause)
{
	struct failure f;
	struct capture c;

	cr_assert_eq(failure(&f, CTL_UNREACHABLE, "E0702", cause, NULL, "no running natlock at %s",
			     "/run"),
		CTL_UNREACHABLE);
	capture_open(&c);
	failure_print(c.file, &f, json);
	return capture_close(&c);
}

Test(failure, text_leaves_out_what_is_empty)
{
	char *text = printed(false, NULL);

	cr_expect_str_eq(text, "natlockctl: no running natlock at /run\n");
	free(text);
	text = printed(false, "x\ny");
	cr_expect_str_eq(text, "natlockctl: no running natlock at /run\n  cause: x?y\n");
	free(text);
}

Test(failure, json_keeps_every_key)
{
	char *text = printed(true, "a \"b\"");

	cr_expect_str_eq(text,
		"{\"error\":{\"code\":\"E0702\",\"message\":\"no running natlock at /run\","
		"\"cause\":\"a \\\"b\\\"\",\"fix\":null}}\n");
	free(text);
}
