/* reflect.c: suggestions, copies, comparison, marks. */
#include <criterion/criterion.h>

#include "support.h"

Test(reflect, suggestions)
{
	static const char *const known[] = {
		"enable", "mtu", "tcp_timeout", "udp_timeout", "icmp", NULL};
	static const struct {
		const char *word, *meant;
	} cases[] = {
		{"mtuu", "mtu"},
		{"mut", "mtu"},
		{"tcp_timout", "tcp_timeout"},
		{"tcptimeout", "tcp_timeout"},
		{"enabled", "enable"},
		{"imcp", "icmp"},
		{"zzz", NULL},
		{"", NULL},
		{"x", NULL},
		{"a_word_that_is_far_longer_than_any_key_that_could_be_meant", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *meant = reflect_suggest(cases[i].word, known, 6);

		if (cases[i].meant == NULL)
			cr_expect_null(meant, "%s: %s", cases[i].word, meant);
		else
			cr_expect(meant != NULL && strcmp(meant, cases[i].meant) == 0, "%s: %s",
				cases[i].word, meant != NULL ? meant : "nothing");
	}
}

static Nl__Config *defaults(void)
{
	struct conf_error error;

	return conf_parse("test", "", 0, &error);
}

Test(reflect, a_copy_is_equal_until_either_changes)
{
	Nl__Config *a = defaults(), *b = (Nl__Config *)reflect_copy(&a->base);

	cr_assert(reflect_equal(&a->base, &b->base));
	b->hubs[0]->dhcp->dns[0]->be++;
	cr_assert_not(reflect_equal(&a->base, &b->base));
	b->hubs[0]->dhcp->dns[0]->be--;
	a->hubs[0]->nat->has_mtu = 0;
	cr_assert_not(reflect_equal(&a->base, &b->base));
	a->hubs[0]->nat->has_mtu = 1;
	a->log->file[0] = 'X';
	cr_assert_not(reflect_equal(&a->base, &b->base));
	conf_free(a);
	conf_free(b);
}

Test(reflect, marks_tell_where_values_stand)
{
	static const char text[] =
		"hubs:\n  a:\n    nat: {mtu: 1400}\n    dhcp: {dns: [1.1.1.1, 2.2.2.2]}\n";
	struct reflect_marks marks = {0};
	struct reflect_error error;
	const struct reflect_mark *mark;
	Nl__Config *config = defaults();

	cr_assert_eq(reflect_yaml(&config->base, text, strlen(text), &marks, &error), 0);
	mark = reflect_where(&marks, &config->hubs[0]->nat->base, "mtu", REFLECT_WHOLE);
	cr_assert(mark != NULL && mark->line == 3 && mark->column == 16);
	mark = reflect_where(&marks, &config->hubs[0]->dhcp->base, "dns", 1);
	cr_assert(mark != NULL && mark->line == 4 && mark->column == 27);
	cr_assert_null(reflect_where(&marks, &config->hubs[0]->nat->base, "icmp", REFLECT_WHOLE));
	cr_assert_null(reflect_where(NULL, &config->hubs[0]->nat->base, "mtu", REFLECT_WHOLE));
	reflect_marks_free(&marks);
	conf_free(config);
}

Test(reflect, printable_escapes_and_cuts)
{
	char out[6];

	cr_expect_str_eq(reflect_printable(out, sizeof(out), "a\x1b[2J"), "a?[2J");
	cr_expect_str_eq(reflect_printable(out, sizeof(out),
				 "\xc3\xa4"
				 "bcdefgh"),
		"??bcd");
}
