/* Names for the operator. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dnsnames.h"

static const struct hash_key key = {3, 4};
static const uint8_t name[] = "\3www\7Example\3org";

static struct dnsnames *names(void)
{
	struct dnsnames *n = calloc(1, sizeof(*n));
	dnsnames_init(n, &key);
	return n;
}

Test(dnsnames, the_guest_that_asked_has_the_name)
{
	struct dnsnames *n = names();
	dnsnames_note(n, 1, 7, name, sizeof(name));
	cr_assert_str_eq(dnsnames_of(n, 1, 7), "www.Example.org");
	cr_assert_null(dnsnames_of(n, 1, 8));
	cr_assert_null(dnsnames_of(n, 2, 7));
	dnsnames_note(n, 1, 7, (const uint8_t *)"\1a", 3);
	cr_assert_str_eq(dnsnames_of(n, 1, 7), "a", "the last one counts");
	free(n);
}

Test(dnsnames, nothing_that_would_need_escaping_is_noted)
{
	struct dnsnames *n = names();
	static const uint8_t bad[] = {' ', '"', '\n', '\\', '\'', 0, 0x1b, 0x80, '.', '(', '%'};
	uint8_t one[4] = {2, 'a', 0, 0};
	for (size_t i = 0; i < sizeof(bad); i++) {
		one[2] = bad[i];
		dnsnames_note(n, 1, 7, one, sizeof(one));
		cr_assert_null(dnsnames_of(n, 1, 7), "byte %u", bad[i]);
	}
	dnsnames_note(n, 1, 7, (const uint8_t *)"", 1);
	cr_assert_null(dnsnames_of(n, 1, 7), "the root");
	one[0] = 9;
	dnsnames_note(n, 1, 7, one, sizeof(one));
	cr_assert_null(dnsnames_of(n, 1, 7), "a label longer than the name");
	free(n);
}

Test(dnsnames, the_longest_name_fits)
{
	struct dnsnames *n = names();
	uint8_t longest[255];
	memset(longest, 'a', sizeof(longest));
	longest[0] = longest[64] = longest[128] = 63;
	longest[192] = 61;
	longest[254] = 0;
	dnsnames_note(n, 1, 7, longest, sizeof(longest));
	cr_assert_eq(strlen(dnsnames_of(n, 1, 7)), 253);
	free(n);
}

Test(dnsnames, the_oldest_makes_room_and_others_keep_theirs)
{
	struct dnsnames *n = names();
	uint32_t quiet = 2;
	/* one that the hash does not put onto the same shelf */
	dnsnames_note(n, 1, 7, name, sizeof(name));
	for (;; quiet++) {
		dnsnames_note(n, quiet, 7, name, sizeof(name));
		uint32_t used = 0;
		for (uint32_t s = 0; s < DNSNAMES_SHELVES; s++)
			used += n->shelf[s].count > 0;
		if (used > 1)
			break;
	}
	for (uint32_t ip = 100; ip < 10000; ip++)
		dnsnames_note(n, 1, ip, name, sizeof(name));
	cr_assert_null(dnsnames_of(n, 1, 7));
	cr_assert_not_null(dnsnames_of(n, 1, 9999));
	cr_assert_not_null(dnsnames_of(n, 1, 9999 - DNSNAMES_SHELF + 1));
	cr_assert_not_null(dnsnames_of(n, quiet, 7));
	free(n);
}
