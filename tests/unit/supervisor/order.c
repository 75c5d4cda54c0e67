/* order.c: who can do what. What is answered is tested with a running natlock (tests/integration/test_changes.py). */
#include <criterion/criterion.h>

#include "order.h"

Test(order, doers)
{
	Nl__Order order = NL__ORDER__INIT;

	cr_expect_eq(order_doers(NULL), 0);
	cr_expect_eq(order_doers(&order), 0);
	order.what_case = NL__ORDER__WHAT_SESSIONS_END;
	cr_expect_eq(order_doers(&order), 1U << ACTOR_NATPROXY);
	order.what_case = NL__ORDER__WHAT_LEASE_RELEASE;
	cr_expect_eq(order_doers(&order), 1U << ACTOR_DHCPD);
	order.what_case = (Nl__Order__WhatCase)77;
	cr_expect_eq(order_doers(&order), 0);
}
