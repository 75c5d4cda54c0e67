/* Access lists. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>

#include "acl.h"

static bool ask(const struct acl *a, const char *ip)
{
	return acl_permits(a, inet_addr(ip));
}

Test(acl, no_list_lets_everything_pass)
{
	struct acl a;
	acl_init(&a, 0);
	cr_assert(ask(&a, "8.8.8.8"));
	cr_assert(ask(&a, "0.0.0.0"));
}

Test(acl, what_no_prefix_holds_is_denied)
{
	struct acl a;
	acl_init(&a, 10);
	cr_assert_not(ask(&a, "8.8.8.8"));
	cr_assert_eq(acl_add(&a, inet_addr("10.0.0.0"), 8, true), 0);
	cr_assert(ask(&a, "10.255.0.1"));
	cr_assert_not(ask(&a, "11.0.0.1"));
}

Test(acl, the_longest_prefix_decides_in_whatever_order_they_come)
{
	static const struct {
		const char *ip;
		uint32_t prefix;
		bool permit;
	} rules[] = {{"10.1.2.0", 24, true}, {"10.0.0.0", 8, true}, {"10.1.2.3", 32, false},
		{"10.1.0.0", 16, false}};
	for (unsigned int first = 0; first < 4; first++) {
		struct acl a;
		acl_init(&a, 1);
		for (unsigned int i = 0; i < 4; i++)
			cr_assert_eq(acl_add(&a, inet_addr(rules[(first + i) % 4].ip),
					     rules[(first + i) % 4].prefix,
					     rules[(first + i) % 4].permit),
				0);
		cr_assert(ask(&a, "10.9.9.9"));
		cr_assert_not(ask(&a, "10.1.9.9"));
		cr_assert(ask(&a, "10.1.2.4"));
		cr_assert_not(ask(&a, "10.1.2.3"));
	}
}

Test(acl, permit_wins_where_both_have_the_prefix)
{
	struct acl a;
	acl_init(&a, 1);
	acl_add(&a, inet_addr("10.0.0.0"), 8, false);
	acl_add(&a, inet_addr("10.7.7.7"), 8, true);
	cr_assert(ask(&a, "10.1.1.1"), "bits behind the prefix do not matter");
}

Test(acl, a_prefix_of_none_is_everything)
{
	struct acl a;
	acl_init(&a, 1);
	acl_add(&a, 0, 0, true);
	acl_add(&a, inet_addr("255.255.255.255"), 32, false);
	cr_assert(ask(&a, "203.0.113.1"));
	cr_assert_not(ask(&a, "255.255.255.255"));
}

Test(acl, bounds)
{
	struct acl a;
	acl_init(&a, 1);
	cr_assert_eq(acl_add(&a, 0, 33, true), -EINVAL);
	for (uint32_t i = 0; i < ACL_PREFIXES; i++)
		cr_assert_eq(acl_add(&a, htonl(i), 32, true), 0);
	cr_assert_eq(acl_add(&a, 0, 0, false), -ENOSPC);
	cr_assert_eq(a.count, ACL_PREFIXES);
}
