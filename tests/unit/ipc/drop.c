/* Each reason has a name and a sentence of its own. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

#include "drop.h"

Test(drop, names_and_meanings_are_there_and_differ)
{
	for (int i = 0; i < DROP_COUNT; i++) {
		const char *name = drop_name((enum drop)i);

		cr_assert_gt(strlen(drop_meaning((enum drop)i)), 8, "%s", name);
		for (const char *c = name; *c; c++)
			cr_assert(isupper(*c) || isdigit(*c) || *c == '_', "%s", name);
		for (int j = 0; j < i; j++) {
			cr_assert_str_neq(name, drop_name((enum drop)j));
			cr_assert_str_neq(drop_meaning((enum drop)i), drop_meaning((enum drop)j));
		}
	}
	cr_assert_str_eq(drop_name(DROP_MAC_SPOOF), "MAC_SPOOF");
}

Test(drop, counting_touches_one_counter)
{
	struct drops d = {{0}};

	drop_count(&d, DROP_ARP_BAD);
	drop_count(&d, DROP_ARP_BAD);
	for (int i = 0; i < DROP_COUNT; i++)
		cr_assert_eq(d.count[i], i == DROP_ARP_BAD ? 2 : 0);
}
