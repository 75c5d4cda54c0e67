/* verbs.c: the table finds what is typed, and the manuals name every row of it. */
#include <criterion/criterion.h>

#include "alias.h"
#include "support.h"
#include "verbs.h"

static const struct verb *find(const char *typed, size_t *used, const char **meant)
{
	const char *words[8];
	char copy[128], *save;
	size_t count = 0;

	snprintf(copy, sizeof(copy), "%s", typed);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		words[count++] = w;
	return verb_find(words, count, used, meant);
}

Test(verbs, are_found_by_their_words)
{
	const char *meant;
	size_t used;
	char typed[64];

	for (size_t i = 0; i < verb_count; i++) {
		snprintf(typed, sizeof(typed), "%s x", verbs[i].words);
		cr_expect_eq(find(typed, &used, &meant), &verbs[i], "%s", typed);
		cr_expect_gt(used, 0);
	}
	cr_expect_not_null(find("NAT TABLE", &used, &meant));
	cr_expect_null(find("nat", &used, &meant));
	cr_expect_null(find("nat tables", &used, &meant));
	cr_expect_str_eq(meant, "nat table");
}

Test(verbs, rows_are_whole)
{
	for (size_t i = 0; i < verb_count; i++) {
		const struct verb *v = &verbs[i];

		cr_expect_eq(v->arguments == NULL, v->most == 0, "%s", v->words);
		cr_expect_leq(v->least, v->most, "%s", v->words);
		cr_expect_not_null(v->schema, "%s", v->words);
		cr_expect_not_null(v->help, "%s", v->words);
		if (v->kind == VERB_TABLE || v->kind == VERB_RECORD)
			cr_expect_not_null(v->noun, "%s", v->words);
	}
}

static char *file_text(const char *name)
{
	char path[512], *text = calloc(1, 1 << 18);
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", DOCS, name);
	f = fopen(path, "r");
	cr_assert_not_null(f, "%s", path);
	cr_assert_gt(fread(text, 1, (1 << 18) - 1, f), 0);
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
		for (size_t i = 0; i < alias_count; i++)
			cr_expect_not_null(strstr(text, aliases[i].words), "%s: %s", manuals[m],
				aliases[i].words);
		free(text);
	}
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
	for (size_t i = 0; i < alias_count; i++)
		cr_expect_not_null(strstr(text, aliases[i].words));
	free(text);
}
