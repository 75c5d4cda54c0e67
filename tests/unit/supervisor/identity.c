/* Who may be whom: grants and maps as text. Entering the namespace itself is shown by the tests of
 * natlock.c. */
#include <criterion/criterion.h>

#include "identity.h"

Test(identity, subid_grants)
{
	static const char text[] = "alice:100000:65536\nbob:5:15\n1003:200000:16\nroot:0:"
				   "65536\nbroken\nx::\nalic:1:99999\n";
	uint32_t first = 0;

	cr_assert(identity_subid(text, "alice", 1001, 16, &first));
	cr_assert_eq(first, 100000);
	cr_assert_not(identity_subid(text, "bob", 1002, 16, &first), "fifteen are too few");
	cr_assert(identity_subid(text, "carol", 1003, 16, &first), "by number");
	cr_assert_eq(first, 200000);
	cr_assert_not(identity_subid(text, "root", 0, 16, &first), "never the host's root");
	cr_assert_not(identity_subid(text, "ali", 7, 16, &first));
	cr_assert_not(identity_subid("", "alice", 1, 16, &first));
	cr_assert_not(identity_subid("alice:4294967290:100", "alice", 1, 16, &first), "wraps");
	cr_assert_not(identity_subid("alice:18446744073709551600:100", "alice", 1, 16, &first),
		"wraps twice");
}

Test(identity, mapped_ranges)
{
	cr_assert(identity_mapped("         0          0 4294967295\n", 61184, 4337));
	cr_assert_not(identity_mapped("0 1000 1\n1 100000 60000\n", 61184, 4337));
	cr_assert(identity_mapped("0 1000 1\n1 100000 65536\n", 61184, 4337));
	cr_assert_not(identity_mapped("nonsense", 0, 1));
}

Test(identity, workers_have_uids_of_their_own_where_there_are_any)
{
	struct identity id = {.uid = 1000, .private_uid = 100000, .has_private = true};

	cr_assert_neq(identity_worker(&id, 0), identity_worker(&id, 4));
	cr_assert_eq(identity_worker_host(&id, 4), 100004);
	id.has_private = false;
	cr_assert_eq(identity_worker(&id, 4), 0);
	cr_assert_eq(identity_worker_host(&id, 4), 1000);
}
