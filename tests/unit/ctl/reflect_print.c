/* reflect_print.c: quoting. Round trips of whole configurations are in conf.c. */
#include <criterion/criterion.h>

#include "support.h"

/* Prints log.file with this value and reads it back. */
static void round_trip(char *value, const char *printed)
{
	Nl__Log log = NL__LOG__INIT, *back = malloc(sizeof(*back));
	struct reflect_error error;
	struct capture c;
	char *text;

	log.file = value;
	capture_open(&c);
	reflect_print(c.file, &log.base);
	text = capture_close(&c);
	cr_expect_str_eq(text, printed);
	nl__log__init(back);
	cr_expect_eq(
		reflect_yaml(&back->base, text, strlen(text), NULL, &error), 0, "%s", error.text);
	cr_expect(reflect_equal(&log.base, &back->base), "%s", text);
	nl__log__free_unpacked(back, NULL);
	free(text);
}

Test(reflect_print, strings_are_quoted_where_yaml_would_see_something_else)
{
	static char plain[] = "/var/log/natlock", word[] = "true", number[] = "8080",
		    quote[] = "a \"b\" \\", colon[] = "tap:nl0", hash[] = "a #b", blank[] = "",
		    dash[] = "-", umlaut[] = "/tmp/\xc3\xa4";

	round_trip(plain, "file: /var/log/natlock\n");
	round_trip(word, "file: \"true\"\n");
	round_trip(number, "file: \"8080\"\n");
	round_trip(quote, "file: \"a \\\"b\\\" \\\\\"\n");
	round_trip(colon, "file: \"tap:nl0\"\n");
	round_trip(hash, "file: \"a #b\"\n");
	round_trip(blank, "file: \"\"\n");
	round_trip(dash, "file: \"-\"\n");
	round_trip(umlaut, "file: \"/tmp/\xc3\xa4\"\n");
}
