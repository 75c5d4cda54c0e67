/* softether.c: a real file, and texts that are not one. */
#include <criterion/criterion.h>

#include "softether.h"
#include "support.h"

struct counts {
	size_t opened, closed, values;
	int deepest;
};

static int walk(const char *text, size_t bytes, struct counts *counts, struct softether *s)
{
	struct softether_item item;
	int more;

	*counts = (struct counts){0};
	softether_init(s, text, bytes);
	while ((more = softether_next(s, &item)) == 1) {
		counts->opened += item.kind == SOFTETHER_OPEN;
		counts->closed += item.kind == SOFTETHER_CLOSE;
		counts->values += item.kind == SOFTETHER_VALUE;
		counts->deepest = item.depth > counts->deepest ? item.depth : counts->deepest;
	}
	return more;
}

Test(softether, a_real_file)
{
	static char text[SOFTETHER_TEXT_MAX];
	FILE *f = fopen(VECTORS "/import/vpn_server.config", "r");
	struct counts counts;
	struct softether s;
	size_t bytes;

	cr_assert_not_null(f);
	bytes = fread(text, 1, sizeof(text), f);
	fclose(f);
	cr_assert_eq(walk(text, bytes, &counts, &s), 0, "line %d: %s", s.line, s.error);
	cr_assert_eq(counts.opened, 86);
	cr_assert_eq(counts.closed, counts.opened);
	cr_assert_eq(counts.values, 597);
	cr_assert_eq(counts.deepest, 8);
	/* Cut anywhere but in the last line, it is no whole file. */
	for (size_t cut = 1000; cut < bytes - 10; cut += 997)
		cr_expect_eq(walk(text, cut, &counts, &s), -22);
}

Test(softether, escapes_and_blanks)
{
	static const char text[] = "declare Old$20hub\r\n  {\r\n\tstring A $\n string B a$2cb $24\n"
				   "# string C x\n\n\tuint $44 7\n}\n";
	struct softether s;
	struct softether_item item;

	softether_init(&s, text, sizeof(text) - 1);
	cr_assert_eq(softether_next(&s, &item), 1);
	cr_assert_str_eq(item.name, "Old hub");
	cr_assert_eq(item.depth, 1);
	cr_assert_eq(softether_next(&s, &item), 1);
	cr_assert_str_eq(item.value, "");
	cr_assert_eq(softether_next(&s, &item), 1);
	cr_assert_str_eq(item.value, "a,b $");
	cr_assert_eq(item.line, 4);
	cr_assert_eq(softether_next(&s, &item), 1);
	cr_assert_str_eq(item.name, "D");
	cr_assert_str_eq(item.type, "uint");
	cr_assert_eq(softether_next(&s, &item), 1);
	cr_assert_eq(item.kind, SOFTETHER_CLOSE);
	cr_assert_eq(softether_next(&s, &item), 0);
}

Test(softether, what_is_refused)
{
	static const struct {
		const char *text, *error;
		int line;
	} cases[] = {
		{"}\n", "there is no section that this } could close", 1},
		{"uint A 1\n", "a value stands outside of every section", 1},
		{"declare\n{\n}\n", "\"declare\" needs one name after it", 1},
		{"declare a b\n{\n}\n", "\"declare\" needs one name after it", 1},
		{"declare a\n\nuint B 1\n", "a section must begin with {", 3},
		{"declare a\n{\nuint\n}\n",
			"neither a value (TYPE NAME VALUE) nor a section (declare NAME)", 3},
		{"declare a\n{\n", "the file ends inside a section: it is cut off", 2},
		{"declare a\n{\nsixteenbytesormore A 1\n}\n",
			"neither a value (TYPE NAME VALUE) nor a section (declare NAME)", 3},
	};
	struct counts counts;
	struct softether s;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(walk(cases[i].text, strlen(cases[i].text), &counts, &s), -22);
		cr_expect_str_eq(s.error, cases[i].error, "%s", cases[i].text);
		cr_expect_eq(s.line, cases[i].line, "%s", cases[i].text);
	}
}

Test(softether, bounds)
{
	char text[4096] = "declare a\n{\nstring A ";
	struct softether s;
	struct softether_item item;
	struct counts counts;

	memset(text + strlen(text), 'x', 2000);
	strcat(text, "\n}\n");
	softether_init(&s, text, strlen(text));
	softether_next(&s, &item);
	cr_assert_eq(softether_next(&s, &item), 1);
	cr_assert(item.cut);
	cr_assert_eq(strlen(item.value), SOFTETHER_VALUE_BYTES - 1);
	text[0] = '\0';
	for (int i = 0; i <= SOFTETHER_DEPTH_MAX; i++)
		strcat(text, "declare a\n{\n");
	cr_assert_eq(walk(text, strlen(text), &counts, &s), -22);
	cr_assert_str_eq(s.error, "too many sections inside each other");
	cr_assert_eq(counts.opened, SOFTETHER_DEPTH_MAX);
}
