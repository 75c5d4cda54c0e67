/* quote.c: whatever is typed stays one value. */
#include <criterion/criterion.h>

#include "quote.h"
#include "reflect_core.h"
#include "support.h"

static const char *quoted(const char *typed, bool is_list)
{
	static char out[512];
	char why[QUOTE_WHY];
	struct quote q;

	quote_open(&q, out, sizeof(out));
	return quote_value(&q, typed, is_list, why) == 0 ? out : NULL;
}

Test(quote, texts_and_lists)
{
	cr_expect_str_eq(quoted("30s", false), "\"30s\"");
	cr_expect_str_eq(quoted("", false), "\"\"");
	cr_expect_str_eq(quoted("a\"b\\c", false), "\"a\\\"b\\\\c\"");
	cr_expect_str_eq(quoted("10.0.0.1", true), "[\"10.0.0.1\"]");
	cr_expect_str_eq(
		quoted("10.0.0.1, 10.0.0.2 ,x", true), "[\"10.0.0.1\", \"10.0.0.2\", \"x\"]");
	cr_expect_str_eq(quoted("none", true), "[]");
	cr_expect_str_eq(quoted("", true), "[]");
	cr_expect_str_eq(quoted("[]", true), "[]");
	cr_expect_str_eq(quoted("[a, b]", true), "[\"a\", \"b\"]");
	cr_expect_str_eq(quoted("[{to: 10.0.0.0/8, via: 192.168.30.2}]", true),
		"[{\"to\": \"10.0.0.0/8\", \"via\": \"192.168.30.2\"}]");
}

/* Laid over a section, no value may touch another key. */
Test(quote, nothing_typed_becomes_another_key)
{
	static const char *const attempts[] = {"30s\nenable: false", "30s, enable: false",
		"30s}\nenable: false", "\"30s\"\nenable: false", "\", enable: false, x: \"",
		"[], enable: false", "[a]\nenable: false", "{a: b}, enable: false", "[a]: b",
		"{a: b}: c", "&a 30s", "*a", "!!str 30s", "# 30s", "- a", "30s # x", "? a", "|\n a",
		"%TAG", "---\nenable: false", "[a] b", "[a", "{a", "]", "}", "[a]]", "@", "`",
		"\x1b[2J", "\xff", "\xc3\xa9", "[\"\\\"], enable: false, x: [\\\"\"]"};
	char text[700];

	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		for (int is_list = 0; is_list < 2; is_list++) {
			const char *value = quoted(attempts[i], is_list);
			struct reflect_error error;
			struct node_tree tree;

			if (value == NULL)
				continue;
			snprintf(text, sizeof(text), "{before: 1, key: %s, after: 2}", value);
			cr_assert_eq(node_tree_read(&tree, text, strlen(text), &error), 0, "%s: %s",
				text, error.text);
			cr_expect_eq(tree.node[0].child_count, 3, "%s", text);
			node_tree_free(&tree);
		}
	}
}

Test(quote, what_cannot_be_said)
{
	char out[8], why[QUOTE_WHY] = "", longer[400];
	struct quote q;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cr_expect_null(quoted("a\nb", false));
	cr_expect_null(quoted("\xff", true));
	cr_expect_null(quoted("[a", false));
	cr_expect_null(quoted("{a: b}: c", false));
	cr_expect_null(quoted(longer, true));
	quote_open(&q, out, sizeof(out));
	cr_expect_lt(quote_value(&q, "1234567", false, why), 0);
	cr_expect_eq(strlen(out), sizeof(out) - 1);
	cr_expect_not_null(strstr(why, "too long"));
}
