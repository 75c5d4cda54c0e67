/* The map of a guest's namespace: every id onto itself, and only those that the caller has. */
#include <criterion/criterion.h>

#include "guest.h"

Test(guest, identity_map)
{
	char out[128];

	cr_assert_gt(guest_identity_map("         0          0 4294967295\n", out, sizeof(out)), 0);
	cr_assert_str_eq(out, "0 0 4294967295\n");
	cr_assert_gt(guest_identity_map("0 1000 1\n1 100000 65536\n", out, sizeof(out)), 0);
	cr_assert_str_eq(out, "0 0 1\n1 1 65536\n");
	cr_assert_eq(guest_identity_map("junk", out, sizeof(out)), 0);
	cr_assert_eq(guest_identity_map("0 0 1\n1 1 1\n2 2 2\n", out, 10), 0, "no room");
}
