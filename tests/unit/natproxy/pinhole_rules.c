/* The rows themselves: what an ALG may ask for, and what none may. */
#include <criterion/criterion.h>
#include <string.h>

#include "pinhole.h"

Test(pinhole_rules, no_row_is_wider_than_the_safety_rules)
{
	for (int alg = 0; alg < ALGS_COUNT; alg++) {
		const struct pinhole_rule *rule = pinhole_rule(alg);
		const char *name = algs_name(alg);
		const bool calls = rule->account == PINHOLE_CALLS;
		cr_assert_leq(rule->life_ms, calls ? 300000 : 60000, "%s", name);
		cr_assert_eq(rule->named || rule->keep_ms || rule->hold_ms, calls, "%s", name);
		cr_assert_not(rule->named & ~rule->kinds, "%s", name);
		cr_assert_leq(rule->keep_ms, 900000, "%s", name);
		cr_assert_leq(rule->hold_ms, alg == ALGS_H323 ? 86400000 : 7200000, "%s", name);
		cr_assert_eq(rule->latch, alg == ALGS_SIP, "%s", name);
		cr_assert_eq(rule->inspects, alg == ALGS_H323, "%s", name);
		cr_assert_eq(rule->serve_port, alg == ALGS_H323 ? 1720 : 0, "%s", name);
		cr_assert_eq(rule->serve_ms, alg == ALGS_H323 ? 86400000 : 0, "%s", name);
		cr_assert_eq(rule->watches, alg == ALGS_H323 ? 64 : 0, "%s", name);
		cr_assert_leq(rule->pairs, calls ? PINHOLE_PAIRS : 1, "%s", name);
		cr_assert_eq(rule->pairs != 0, (rule->kinds & 1 << PINHOLE_UDP_PAIR) != 0, "%s", name);
		cr_assert_leq(rule->pending, rule->total, "%s", name);
		cr_assert_leq(rule->total, pinhole_share(rule->account)->most, "%s", name);
		cr_assert_eq(!rule->kinds, !rule->total, "%s", name);
		cr_assert_eq(!rule->kinds, !rule->life_ms, "%s", name);
		cr_assert(!rule->kinds || rule->port_first >= (alg == ALGS_RCMD ? 512 : 1024), "%s",
			name);
		cr_assert_lt(rule->kinds, 1 << PINHOLE_KINDS, "%s", name);
	}
	cr_assert_not(pinhole_rule(ALGS_DNS)->kinds);
	cr_assert_not(pinhole_rule(ALGS_NETBIOS)->kinds);
	cr_assert_not(pinhole_rule(ALGS_LDAP)->kinds);
	cr_assert_eq(pinhole_share(PINHOLE_COMMON)->most, 512);
	cr_assert_eq(pinhole_share(PINHOLE_COMMON)->rate, 50);
}

Test(pinhole_rules, services_are_denied_and_their_neighbours_are_not)
{
	static const uint32_t denied[] = {1719, 1720, 2049, 3306, 3389, 5060, 5061, 5432, 5900,
		6000, 6063, 6566, 8080, 10080, 65536, UINT32_MAX},
			      allowed[] = {1024, 1718, 1721, 2050, 5059, 5062, 5999, 6064, 8081,
				      10079, 65535};
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		cr_assert(pinhole_port_denied(denied[i], false), "port %u", denied[i]);
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		cr_assert_not(pinhole_port_denied(allowed[i], false), "port %u", allowed[i]);
	cr_assert(pinhole_port_denied(5060, true));
	cr_assert_not(pinhole_port_denied(6000, true), "media of telephones, and no X11");
}

Test(pinhole_rules, every_kind_has_its_names)
{
	for (int kind = 0; kind < PINHOLE_KINDS; kind++) {
		cr_assert(strlen(pinhole_kind_name(kind)));
		cr_assert(strlen(pinhole_kind_text(kind)));
	}
}
