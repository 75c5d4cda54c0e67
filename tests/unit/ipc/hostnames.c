/* Who may have which name. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostnames.h"

static const struct hash_key key = {9, 10};

static struct hostnames *table(void)
{
	struct hostnames *h = calloc(1, sizeof(*h));
	hostnames_init(h, &key);
	return h;
}

static uint32_t holder(const struct hostnames *h, const char *name, uint64_t now)
{
	const uint32_t i = hostnames_by_name(h, (const uint8_t *)name, strlen(name), now);
	return i ? h->host[i].ip_be : 0;
}

static const char *name_of(const struct hostnames *h, uint32_t ip, uint64_t now)
{
	const uint32_t i = hostnames_by_ip(h, ip, now);
	return i ? h->host[i].name : "";
}

Test(hostnames, a_label_is_letters_digits_and_hyphens)
{
	static const struct {
		const char *claimed, *label;
	} cases[] = {{"laptop", "laptop"}, {"LapTop-2", "laptop-2"}, {"3com", "3com"},
		{"pc.example.org", "pc"}, {"a", "a"}, {"", NULL}, {".a", NULL}, {"-a", NULL},
		{"a-", NULL}, {"a-.b", NULL}, {"a_b", NULL}, {"a b", NULL}, {"a\nb", NULL},
		{"\xc3\xa4", NULL}, {"192", NULL}, {"1-2", NULL}, {"localhost", NULL},
		{"LOCALHOST.x", NULL}, {"wpad", NULL}, {"Isatap", NULL}, {"gateway", NULL},
		{"wpad2", "wpad2"}};
	char label[HOSTNAMES_LABEL];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const bool is = hostnames_label(cases[i].claimed, label);
		cr_assert_eq(is, cases[i].label != NULL, "%s", cases[i].claimed);
		if (is)
			cr_assert_str_eq(label, cases[i].label);
	}
	char longest[HOSTNAMES_LABEL + 1];
	memset(longest, 'a', sizeof(longest));
	longest[HOSTNAMES_LABEL] = '\0';
	cr_assert_not(hostnames_label(longest, label));
	longest[HOSTNAMES_LABEL - 1] = '\0';
	cr_assert(hostnames_label(longest, label));
}

Test(hostnames, a_name_belongs_to_who_had_it_first_while_its_lease_lives)
{
	struct hostnames *h = table();
	cr_assert(hostnames_set(h, 1, "pc", 100, 0));
	cr_assert_not(hostnames_set(h, 2, "pc", 500, 50));
	cr_assert_eq(holder(h, "pc", 50), 1);
	cr_assert(hostnames_set(h, 1, "pc", 200, 60), "renewed");
	cr_assert_not(hostnames_set(h, 2, "pc", 500, 150));
	cr_assert_eq(holder(h, "pc", 200), 0, "over");
	cr_assert(hostnames_set(h, 2, "pc", 500, 200));
	cr_assert_eq(holder(h, "pc", 200), 2);
	cr_assert_str_eq(name_of(h, 1, 200), "");
	cr_assert_eq(h->count, 1);
	free(h);
}

Test(hostnames, another_name_ends_the_one_before)
{
	struct hostnames *h = table();
	hostnames_set(h, 1, "a", 100, 0);
	hostnames_set(h, 2, "b", 100, 0);
	cr_assert_not(hostnames_set(h, 1, "b", 100, 0));
	cr_assert_eq(holder(h, "a", 0), 0, "what it no longer claims is free");
	cr_assert_eq(holder(h, "b", 0), 2);
	hostnames_remove(h, 2);
	hostnames_remove(h, 77);
	cr_assert_eq(holder(h, "b", 0), 0);
	cr_assert_eq(h->count, 0);
	free(h);
}

Test(hostnames, a_reserved_name_is_for_ever)
{
	struct hostnames *h = table();
	hostnames_set(h, 1, "nt4", hostnames_for_ever, 0);
	cr_assert_not(hostnames_set(h, 2, "nt4", 100, UINT64_MAX - 1));
	cr_assert_not(hostnames_set(h, 1, "other", 100, 0));
	cr_assert(hostnames_set(h, 1, "nt4", 100, 0));
	hostnames_remove(h, 1);
	cr_assert_eq(holder(h, "nt4", UINT64_MAX - 1), 1);
	hostnames_clear(h);
	cr_assert_eq(holder(h, "nt4", 0), 0);
	free(h);
}

Test(hostnames, a_full_table_takes_the_places_of_those_that_are_over)
{
	struct hostnames *h = table();
	char name[16];
	for (uint32_t i = 1; i <= HOSTNAMES_MAX; i++) {
		snprintf(name, sizeof(name), "h%u", i);
		cr_assert(hostnames_set(h, i, name, i == 5 ? 10 : 100, 0));
	}
	cr_assert_not(hostnames_set(h, 9999, "late", 100, 0));
	cr_assert(hostnames_set(h, 9999, "late", 100, 10));
	cr_assert_not(hostnames_set(h, 9998, "later", 100, 10));
	cr_assert_eq(holder(h, "late", 10), 9999);
	cr_assert_eq(holder(h, "h4096", 10), 4096);
	free(h);
}
