/* reflect_yaml.c: hostile YAML is refused early, with its place; nothing of it is executed,
 * expanded or leaked. */
#include <criterion/criterion.h>
#include <time.h>

#include "support.h"

static const char *says(const char *text)
{
	return conf_says(text, strlen(text));
}

Test(reflect_yaml, empty_texts_are_the_defaults)
{
	cr_expect_str_empty(says(""));
	cr_expect_str_empty(says("# only a comment\n"));
	cr_expect_str_empty(says("---\n...\n"));
	cr_expect_str_empty(says("{}\n"));
	cr_expect_str_empty(says("\xef\xbb\xbflog: {style: json}\n"));
}

Test(reflect_yaml, syntax_errors_have_a_place)
{
	cr_expect_str_eq(says("log: {style: json\n"),
		"natlock.yaml:2:1: not valid YAML: did not find expected ',' or '}' (while parsing "
		"a flow mapping that began in line 1)");
	cr_expect_str_eq(says("log:\n\tstyle: json\n"),
		"natlock.yaml:2:1: not valid YAML: found character that cannot start any token "
		"(while scanning for the next token that began in line 2)");
	cr_expect_str_eq(says("log: \"abc\n"),
		"natlock.yaml:2:1: not valid YAML: found unexpected end of stream (while scanning "
		"a quoted scalar that began in line 1)");
}

Test(reflect_yaml, duplicate_keys)
{
	cr_expect_str_eq(says("log:\n  style: json\n  file: auto\n  style: logfmt\n"),
		"natlock.yaml:4:3: key \"style\" is given twice (first in line 2)");
	cr_expect_str_eq(says("hubs:\n  a: {}\n  a: {}\n"),
		"natlock.yaml:3:3: key \"a\" is given twice (first in line 2)");
}

Test(reflect_yaml, anchors_aliases_and_tags)
{
	static const char refusal[] =
		": anchors, aliases and tags are not used here: write the value out";
	static const char *const texts[] = {"a: &x [1]\n", "a: *x\n", "a: !!str 5\n", "a: !x {}\n",
		"&x a: 1\n", "? *x\n: 1\n", "a: !<tag:yaml.org,2002:int> 1\n"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_expect_not_null(
			strstr(says(texts[i]), refusal), "%s: %s", texts[i], says(texts[i]));
}

Test(reflect_yaml, billion_laughs_ends_at_the_first_anchor)
{
	static const char text[] = "a: &a [l, l]\nb: &b [*a, *a]\nc: &c [*b, *b]\nhubs: *c\n";

	cr_assert_str_eq(says(text), "natlock.yaml:1:4: anchors, aliases and tags are not used "
				     "here: write the value out");
}

Test(reflect_yaml, deep_nesting)
{
	size_t bytes = 200000;
	char *text = malloc(bytes + 1);
	clock_t start = clock();

	memset(text, '[', bytes);
	text[bytes] = '\0';
	cr_expect_str_eq(says(text), "natlock.yaml:1:13: nested too deeply (at most 12 levels)");
	for (size_t i = 0; i + 1 < bytes; i += 2)
		memcpy(text + i, "? ", 2);
	cr_expect_str_not_empty(says(text));
	for (size_t i = 0; i + 1 < bytes; i += 2)
		memcpy(text + i, "- ", 2);
	cr_expect_str_not_empty(says(text));
	cr_expect_lt(clock() - start, 2 * CLOCKS_PER_SEC);
	free(text);
}

Test(reflect_yaml, huge_scalars)
{
	static char text[100032];

	strcpy(text, "log: {file: ");
	memset(text + 12, 'x', 100000);
	strcpy(text + 100012, "}\n");
	cr_expect_str_eq(says(text), "natlock.yaml:1:13: longer than 255 bytes");
	text[0] = '\0';
	memset(text, 'k', 300);
	strcpy(text + 300, ": 1\n");
	cr_expect_str_eq(says(text), "natlock.yaml:1:1: longer than 255 bytes");
}

Test(reflect_yaml, too_many_values)
{
	size_t bytes = 120000;
	char *text = malloc(bytes + 64), *at;

	strcpy(text, "hubs: {default: {dhcp: {dns: [");
	for (at = text + strlen(text); at < text + bytes; at += 2)
		memcpy(at, "1,", 2);
	strcpy(at, "]}}}\n");
	cr_expect_not_null(strstr(says(text), "too many entries in one place (at most 1024)"));
	strcpy(text, "a: [");
	at = text + 4;
	for (int i = 0; i < 1000 && at < text + bytes - 64; i++) {
		*at++ = '[';
		for (int n = 0; n < 40; n++)
			at = stpcpy(at, "1,");
		at = stpcpy(at, "],");
	}
	strcpy(at, "]\n");
	cr_expect_not_null(strstr(says(text), "too many values (at most 16384)"), "%s", says(text));
	free(text);
}

Test(reflect_yaml, too_long)
{
	size_t bytes = REFLECT_YAML_MAX + 1;
	char *text = malloc(bytes);

	memset(text, '\n', bytes);
	cr_expect_str_eq(conf_says(text, bytes), "natlock.yaml: longer than 256 KiB");
	cr_expect_str_empty(conf_says(text, bytes - 1));
	free(text);
}

Test(reflect_yaml, nul_bytes)
{
	static const char raw[] = "log: {file: a\0b}\n";

	cr_expect_not_null(
		strstr(conf_says(raw, sizeof(raw) - 1), "natlock.yaml:1:14: not valid YAML"), "%s",
		conf_says(raw, sizeof(raw) - 1));
	cr_expect_str_eq(
		says("log: {file: \"/a\\0b\"}\n"), "natlock.yaml:1:13: contains a NUL byte");
	cr_expect_str_eq(says("log: {\"fi\\0le\": x}\n"), "natlock.yaml:1:7: contains a NUL byte");
}

Test(reflect_yaml, bytes_that_are_not_utf8)
{
	cr_expect_str_eq(says("log:\n  file: \xff\xfe\n"),
		"natlock.yaml:2:9: not valid YAML: invalid leading UTF-8 octet");
	cr_expect_str_not_empty(says("log:\n  file: \xc0\xaf\n"));
	cr_expect_str_not_empty(says("log:\n  file: \xed\xa0\x80\n"));
	cr_expect_str_not_empty(conf_says("l\0o\0g\0:\0", 8));
}

Test(reflect_yaml, further_documents)
{
	cr_expect_str_eq(says("log: {}\n---\nlog: {}\n"),
		"natlock.yaml:2:1: a second document begins here: only one is read");
}

Test(reflect_yaml, keys_that_are_no_words)
{
	cr_expect_str_eq(says("[a]: 1\n"), "natlock.yaml:1:1: a key must be a single word");
	cr_expect_str_eq(says("{a: 1}: 1\n"), "natlock.yaml:1:1: a key must be a single word");
}

/* Every prefix and every single changed byte of a valid text is accepted or refused, never a crash.
 */
Test(reflect_yaml, mutations)
{
	const char *text = conf_defaults_text();
	size_t bytes = strlen(text);
	char *copy = strdup(text);

	for (size_t cut = 0; cut < bytes; cut += 7)
		conf_says(text, cut);
	for (size_t i = 0; i < bytes; i += 3) {
		char old = copy[i];

		copy[i] = "\"'[]{}:,&*!-\n\t #\x01\x80"[i % 18];
		conf_says(copy, bytes);
		copy[i] = old;
	}
	free(copy);
}
