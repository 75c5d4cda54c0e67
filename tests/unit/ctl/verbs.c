/* verbs.c: the table finds what is typed, and the manuals name every row of it. */
#include <criterion/criterion.h>

#include "support.h"
#include "verbs.h"

static bool find(const char *typed, struct verb_choice *choice)
{
	const char *words[8], *meant;
	char copy[128], *save;
	size_t count = 0;

	snprintf(copy, sizeof(copy), "%s", typed);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		words[count++] = w;
	*choice = (struct verb_choice){0};
	return verb_find(words, count, choice, &meant);
}

Test(verbs, are_found_by_their_words)
{
	struct verb_choice choice;
	char typed[64];

	for (size_t i = 0; i < verb_count; i++) {
		snprintf(typed, sizeof(typed), "%s %s", verbs[i].words,
			verbs[i].argument != NULL ? "x" : "");
		cr_expect(find(typed, &choice), "%s", typed);
		cr_expect_eq(choice.verb, &verbs[i], "%s", typed);
	}
}

Test(verbs, aliases_mean_verbs)
{
	struct verb_choice choice;

	for (size_t i = 0; i < verb_alias_count; i++) {
		cr_expect(find(verb_aliases[i].words, &choice), "%s", verb_aliases[i].words);
		cr_assert_not_null(choice.verb);
		cr_expect_str_eq(choice.verb->words, verb_aliases[i].means);
		cr_expect_eq(choice.format, verb_aliases[i].format);
	}
	cr_expect(find("SHOW IP NAT TRANSLATIONS VERBOSE", &choice));
	cr_expect_eq(choice.format, FORMAT_WIDE);
}

Test(verbs, arguments)
{
	struct verb_choice choice;

	cr_expect(find("policy show", &choice));
	cr_expect(find("policy show alg", &choice));
	cr_expect_not(find("policy show alg x", &choice));
	cr_expect_not(find("process restart", &choice));
	cr_expect_not(find("nat", &choice));
	cr_expect_not(find("nat tables", &choice));
}

static char *file_text(const char *name)
{
	char path[512], *text = calloc(1, 65536);
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", DOCS, name);
	f = fopen(path, "r");
	cr_assert_not_null(f, "%s", path);
	cr_assert_gt(fread(text, 1, 65535, f), 0);
	fclose(f);
	return text;
}

Test(verbs, manuals_name_every_verb_with_its_help)
{
	static const char *const manuals[] = {"operator.md", "man/natlockctl.1"};

	for (size_t m = 0; m < 2; m++) {
		char *text = file_text(manuals[m]);

		for (size_t i = 0; i < verb_count; i++) {
			cr_expect_not_null(
				strstr(text, verbs[i].words), "%s: %s", manuals[m], verbs[i].words);
			cr_expect_not_null(
				strstr(text, verbs[i].help), "%s: %s", manuals[m], verbs[i].help);
		}
		for (size_t i = 0; i < verb_alias_count; i++)
			cr_expect_not_null(strstr(text, verb_aliases[i].words), "%s: %s",
				manuals[m], verb_aliases[i].words);
		free(text);
	}
}

Test(verbs, the_completion_in_docs_is_the_one_that_is_printed)
{
	char *text = file_text("completion/natlockctl.bash"), *printed;
	struct capture c;

	capture_open(&c);
	verb_completion(c.file);
	printed = capture_close(&c);
	cr_expect_str_eq(printed, text);
	free(printed);
	free(text);
}

Test(verbs, help_names_every_verb)
{
	struct capture c;
	char *text;

	capture_open(&c);
	verb_help(c.file);
	text = capture_close(&c);
	for (size_t i = 0; i < verb_count; i++)
		cr_expect_not_null(strstr(text, verbs[i].help));
	free(text);
}
