/* The words of SIP's grammar: what is taken, and what leaves the cursor where it was. */
#include <criterion/criterion.h>
#include <string.h>

#include "sip_text.h"

static struct text of(const char *t)
{
	return text(t, strlen(t));
}

static bool is(struct text t, const char *as)
{
	return text_left(&t) == strlen(as) && !memcmp(t.p, as, strlen(as));
}

Test(sip_text, tokens)
{
	struct text word;
	for (int c = 0; c < 256; c++) {
		const char known[] = "-.!%*_+`'~";
		const bool alnum =
			(c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		cr_expect_eq(sip_is_token((uint8_t)c), alnum || (c && strchr(known, c)), "%d", c);
	}
	struct text t = of("a.b%c d");
	cr_expect(sip_token(&t, &word) && is(word, "a.b%c") && is(t, " d"));
	cr_expect_not(sip_token(&t, &word));
	sip_space(&t);
	cr_expect(is(t, "d"));
	t = of("\r\n \t\n x");
	sip_space(&t);
	cr_expect(is(t, "x"));
}

Test(sip_text, quoted)
{
	static const struct {
		const char *t, *behind; /* NULL: it is none */
	} cases[] = {{"\"\"", ""}, {"\"a\\\"b\\\\\"c", "c"}, {"\"\xff\x01;,<>\"\"", "\""},
		{"\"a", NULL}, {"\"a\\\"", NULL}, {"\"a\\", NULL}, {"\"", NULL}, {"", NULL},
		{"a\"b\"", NULL}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text t = of(cases[i].t);
		cr_expect_eq(sip_quoted(&t), cases[i].behind != NULL, "%s", cases[i].t);
		cr_expect(is(t, cases[i].behind ? cases[i].behind : cases[i].t), "%s", cases[i].t);
	}
}

Test(sip_text, parameters)
{
	static const struct {
		const char *t, *name, *value, *behind;
	} cases[] = {{";a", "a", "", ""}, {" ; a = b ;c", "a", "b", " ;c"},
		{";a=\"b;\\\"\",", "a", "\"b;\\\"\"", ","}, {";a ,b", "a", "", " ,b"},
		{";a\r\n =\r\n b>", "a", "b", ">"}, {";a=b=c?d", "a", "b=c", "?d"},
		{";r=[::1]:5", "r", "[::1]:5", ""}, {";%6C%72;n", "%6C%72", "", ";n"}};
	const char *none[] = {"", "a", ";", "; ", ";;a", ";=a", ";a=", ";a=;b", ";a=\"b", ";\"a\"",
		";<a>", ";\x7f"};
	struct text name, value;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text t = of(cases[i].t);
		cr_expect(sip_parameter(&t, &name, &value) && is(name, cases[i].name) &&
				  is(value, cases[i].value) && is(t, cases[i].behind),
			"%s", cases[i].t);
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		struct text t = of(none[i]);
		cr_expect(!sip_parameter(&t, &name, &value) && is(t, none[i]), "%s", none[i]);
	}
}

Test(sip_text, parameters_are_found_once)
{
	struct text value;
	cr_expect(
		sip_parameter_find(of(";x;TAG=1;y=tag, ;tag=2"), "TAG", &value) && is(value, "1"));
	cr_expect(sip_parameter_find(of(";lr"), "LR", &value) && is(value, ""));
	cr_expect_not(sip_parameter_find(of(";tag=1;tag=1"), "TAG", &value));
	cr_expect_not(sip_parameter_find(of(";tags=1;x=\";tag=1\""), "TAG", &value));
	cr_expect_not(sip_parameter_find(of("tag=1"), "TAG", &value));
}

Test(sip_text, numbers)
{
	uint32_t n;
	cr_expect(sip_number(of("0"), &n) && n == 0);
	cr_expect(sip_number(of("000000000000000042"), &n) && n == 42);
	cr_expect(sip_number(of("4294967294"), &n) && n == UINT32_MAX - 1);
	const char *bad[] = {"", "4294967295", "18446744073709551617", "1 ", "+1", "-1", "1x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_not(sip_number(of(bad[i]), &n), "%s", bad[i]);
}
