/* policy/audit/declare.c: it must say what the supervisor does. */
#include <criterion/criterion.h>
#include <linux/capability.h>

#include "declare.h"

Test(declare, names)
{
	cr_expect_eq(declare_kind("natlock-alg"), ACTOR_ALG);
	cr_expect_eq(declare_kind("alg"), ACTOR_ALG);
	cr_expect_eq(declare_kind("netstack.7"), ACTOR_NETSTACK);
	cr_expect_eq(declare_kind("algae"), FOUND_STRANGER);
	cr_expect_eq(declare_kind("natlock"), FOUND_STRANGER);
	cr_expect_eq(declare_kind(""), FOUND_STRANGER);
	cr_expect_str_eq(declare_name(FOUND_SUPERVISOR), "supervisor");
	cr_expect_null(declare_name(FOUND_KEEPER));
}

Test(declare, descriptors)
{
	struct declare_fd fd = declare_fd(ACTOR_ALG, 3);

	cr_expect(fd.required && fd.kinds == 1U << FOUND_CHANNEL);
	fd = declare_fd(ACTOR_ALG, 9);
	cr_expect(fd.required && fd.kinds == 1U << FOUND_EPOLL);
	fd = declare_fd(ACTOR_NETSTACK, 6);
	cr_expect(fd.required && fd.kinds == 1U << FOUND_EVENT);
	fd = declare_fd(ACTOR_ALG, 0);
	cr_expect(fd.required && fd.kinds == 1U << FOUND_NULL);
	fd = declare_fd(ACTOR_ALG, ALG_STRAY_FIRST);
	cr_expect(!fd.required && fd.kinds == 0);
	fd = declare_fd(ACTOR_BROKER, BROKER_PORT_LAST);
	cr_expect(!fd.required && fd.kinds & 1U << FOUND_TAP && !(fd.kinds & 1U << FOUND_TCP));
	fd = declare_fd(ACTOR_NATPROXY, NATPROXY_SOCK_LAST);
	cr_expect(!fd.required && fd.kinds & 1U << FOUND_TCP && !(fd.kinds & 1U << FOUND_PACKET));
	fd = declare_fd(ACTOR_NATPROXY, NATPROXY_SOCK_LAST + 1);
	cr_expect_eq(fd.kinds, 0);
	cr_expect_eq(declare_first_free(ACTOR_BROKER), BROKER_PORT_FIRST);
	cr_expect_eq(declare_first_free(ACTOR_ALG), ALG_STRAY_FIRST);
	cr_expect_eq(declare_nofile(ACTOR_ALG), 32);
	cr_expect_eq(declare_nofile(ACTOR_NATPROXY), 65536);
}

Test(declare, the_rest)
{
	cr_expect_not(declare_own_namespace(ACTOR_NATPROXY, FOUND_NET));
	cr_expect(declare_own_namespace(ACTOR_NATPROXY, FOUND_PID) &&
		  declare_own_namespace(ACTOR_BROKER, FOUND_NET));
	cr_expect(declare_shares_memory(ACTOR_NETSTACK) && !declare_shares_memory(ACTOR_DHCPD));
	cr_expect_eq(declare_supervisor_capabilities(false) ^ declare_supervisor_capabilities(true),
		UINT64_C(1) << CAP_SETFCAP);
}
