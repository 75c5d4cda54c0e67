/* completion.c: the scripts in docs are those that are printed, and what they offer is what there is. */
#include <criterion/criterion.h>

#include "completion.h"
#include "support.h"
#include "verbs.h"

static char *printed(const char *shell)
{
	struct capture c;
	bool known;

	capture_open(&c);
	known = completion_print(c.file, shell);
	if (known)
		return capture_close(&c);
	free(capture_close(&c));
	return NULL;
}

Test(completion, scripts_in_docs_are_those_that_are_printed)
{
	static const char *const shells[] = {"bash", "zsh", "fish"};

	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		char path[512], *text = calloc(1, 65536), *script = printed(shells[i]);
		FILE *f;

		snprintf(path, sizeof(path), "%s/completion/natlockctl.%s", DOCS, shells[i]);
		f = fopen(path, "r");
		cr_assert_not_null(f, "%s", path);
		cr_assert_gt(fread(text, 1, 65535, f), 0);
		fclose(f);
		cr_expect_str_eq(script, text);
		free(script);
		free(text);
	}
	cr_expect_null(printed("csh"));
}

/* Runs the script in bash: what it offers after `typed`. */
static const char *offered(const char *typed)
{
	static char text[2048];
	char command[4096];
	FILE *p;

	snprintf(command, sizeof(command),
		"bash -c 'source %s/completion/natlockctl.bash; COMP_WORDS=(natlockctl %s); "
		"COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _natlockctl; echo -n \"${COMPREPLY[*]}\"'",
		DOCS, typed);
	p = popen(command, "r");
	cr_assert_not_null(p);
	text[fread(text, 1, sizeof(text) - 1, p)] = '\0';
	pclose(p);
	return text;
}

Test(completion, bash_offers_the_next_word)
{
	cr_expect_str_eq(offered("nat publish \"\""), "list add del");
	cr_expect_str_eq(offered("--hub x nat st"), "status static");
	cr_expect_str_eq(offered("na"), "nat");
	cr_expect_str_eq(offered("-o c"), "csv conntrack cisco");
	cr_expect_str_eq(offered("completion \"\""), "bash zsh fish");
	cr_expect_str_eq(offered("status \"\""), "");
}
