/* Which flows are wanted, by which ALG and how. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "want.h"

static struct wants wants;

/* A configuration that outlives its making: one ALG switch, and access list 10 of 10.0.0.0/8. */
static Nl__Alg alg;
static Nl__AlgSwitch first, second;
static Nl__AlgList list[2], *lists[2] = {&list[0], &list[1]};
static Nl__Nat nat;
static Nl__AccessList ten, *access_lists[1] = {&ten};
static Nl__Subnet subnet, *permit[1] = {&subnet};
static uint32_t ports[] = {21, 2121, 65535}, others[] = {137, 138, 139};

static void reset(void)
{
	nl__alg__init(&alg);
	nl__alg_switch__init(&first);
	nl__alg_switch__init(&second);
	nl__nat__init(&nat);
	nl__access_list__init(&ten);
	nl__subnet__init(&subnet);
	for (int i = 0; i < 2; i++) {
		nl__alg_list__init(&list[i]);
		list[i].has_mode = list[i].has_guests = list[i].has_peers = true;
	}
	first.n_ports = 3;
	first.ports = ports;
	second.n_ports = 3;
	second.ports = others;
	first.lists = lists;
	ten.number = 10;
	subnet.ip_be = inet_addr("10.0.0.0");
	subnet.prefix = 8;
	ten.n_permit = 1;
	ten.permit = permit;
	nat.n_access_lists = 1;
	nat.access_lists = access_lists;
	alg.ftp = &first;
}

TestSuite(want, .init = reset);

static bool wanted(enum algs_transport t, uint16_t port, struct want *out)
{
	want_configure(&wants, &alg, &nat);
	return want_flow(&wants, t, port, inet_addr("10.1.1.1"), inet_addr("198.51.100.1"), out);
}

Test(want, listed_ports_by_their_transport_and_no_others)
{
	struct want w;
	cr_expect(wanted(ALGS_TCP, 21, &w) && w.alg == ALGS_FTP && !w.observe && !w.strict);
	cr_expect(wanted(ALGS_TCP, 65535, &w));
	cr_expect_not(wanted(ALGS_UDP, 21, &w));
	uint32_t found = 0;
	for (uint32_t port = 0; port < WANT_PORTS; port++)
		found += want_lists(&wants, ALGS_TCP, (uint16_t)port) +
			 want_lists(&wants, ALGS_UDP, (uint16_t)port);
	cr_expect_eq(found, 3);
}

Test(want, the_place_of_a_port_is_its_service)
{
	struct want w;
	alg.netbios = &second;
	cr_expect(wanted(ALGS_UDP, 137, &w) && w.alg == ALGS_NETBIOS && w.service == 0);
	cr_expect(wanted(ALGS_UDP, 138, &w) && w.service == 1);
	cr_expect(wanted(ALGS_TCP, 139, &w) && w.service == 2);
	cr_expect_not(wanted(ALGS_TCP, 137, &w));
	cr_expect_not(wanted(ALGS_UDP, 139, &w));
	cr_expect(wanted(ALGS_TCP, 2121, &w) && w.service == 0, "ftp's have no meaning each");
}

Test(want, one_port_may_be_two_algs_by_two_transports)
{
	struct want w;
	alg.tftp = &first;
	cr_expect(wanted(ALGS_TCP, 21, &w) && w.alg == ALGS_FTP);
	cr_expect(wanted(ALGS_UDP, 21, &w) && w.alg == ALGS_TFTP);
}

Test(want, nothing_where_it_is_off)
{
	struct want w;
	first.has_enable = true;
	cr_expect_not(wanted(ALGS_TCP, 21, &w));
	cr_expect_not(wants.alg[ALGS_FTP].active);
	first.enable = true;
	cr_expect(wanted(ALGS_TCP, 21, &w));
	first.has_mode = true;
	first.mode = NL__ALG_SWITCH__MODE__off;
	cr_expect_not(wanted(ALGS_TCP, 21, &w));
	cr_expect_not(wants.alg[ALGS_FTP].active);
	cr_expect_not(want_lists(&wants, ALGS_TCP, 21));
	want_configure(&wants, NULL, &nat);
	cr_expect_not(want_lists(&wants, ALGS_TCP, 21));
}

Test(want, modes_and_strictness)
{
	struct want w;
	first.has_mode = first.has_strict = first.strict = true;
	first.mode = NL__ALG_SWITCH__MODE__observe;
	cr_expect(wanted(ALGS_TCP, 21, &w) && w.observe && w.strict);
}

Test(want, the_first_list_that_has_both_decides)
{
	struct want w;
	first.n_lists = 2;
	list[0].guests = 10;
	list[0].peers = 10;
	list[0].mode = NL__ALG_SWITCH__MODE__off;
	list[1].guests = 10;
	list[1].mode = NL__ALG_SWITCH__MODE__observe;
	cr_expect(wanted(ALGS_TCP, 21, &w) && w.observe, "the peer is not of the first");
	list[0].peers = 0;
	cr_expect_not(wanted(ALGS_TCP, 21, &w));
	list[0].guests = list[1].guests = 11;
	cr_expect(wanted(ALGS_TCP, 21, &w) && !w.observe, "a list that is not there has nobody");
}

Test(want, a_list_may_switch_on_what_is_off)
{
	struct want w;
	first.has_mode = true;
	first.mode = NL__ALG_SWITCH__MODE__off;
	first.n_lists = 1;
	list[0].guests = 10;
	list[0].mode = NL__ALG_SWITCH__MODE__fix;
	cr_expect(wanted(ALGS_TCP, 21, &w) && !w.observe);
	cr_expect_not(want_flow(&wants, ALGS_TCP, 21, inet_addr("192.168.30.10"), 1, &w));
}

Test(want, dns_only_where_addresses_are_mapped)
{
	struct want w;
	Nl__Static one = NL__STATIC__INIT, *all[1] = {&one};
	alg.ftp = NULL;
	alg.dns = &first;
	cr_expect_not(wanted(ALGS_UDP, 21, &w));
	nat.n_static_ = 1;
	nat.static_ = all;
	cr_expect(wanted(ALGS_UDP, 21, &w) && w.alg == ALGS_DNS);
	cr_expect(wanted(ALGS_TCP, 21, &w));
}

Test(want, no_more_ports_and_lists_than_there_is_room_for)
{
	static uint32_t many[100];
	static Nl__AlgList *many_lists[100];
	for (uint32_t i = 0; i < 100; i++) {
		many[i] = i * 1000; /* 0 and those beyond 65535 are none */
		many_lists[i] = &list[0];
	}
	first.n_ports = first.n_lists = 100;
	first.ports = many;
	first.lists = many_lists;
	want_configure(&wants, &alg, &nat);
	cr_expect_eq(wants.ports, ALGS_PORTS - 1);
	cr_expect_eq(wants.alg[ALGS_FTP].lists, WANT_LISTS);
}

Test(want, a_derived_connection_has_the_modes_of_its_alg_today)
{
	const struct want said = {.alg = ALGS_H323, .service = 3, .link = 77};
	const uint32_t ten_one = inet_addr("10.1.1.1"), other = inet_addr("11.1.1.1"),
		       peer = inet_addr("198.51.100.1");
	struct want w;
	want_configure(&wants, &alg, &nat);
	cr_expect_not(want_derived(&wants, &said, ten_one, peer, &w), "it is not switched on");
	alg.h323 = &second;
	second.n_lists = 1;
	second.lists = lists;
	second.has_strict = second.strict = true;
	list[0].guests = 10;
	list[0].mode = NL__ALG_SWITCH__MODE__off;
	want_configure(&wants, &alg, &nat);
	cr_expect_not(want_derived(&wants, &said, ten_one, peer, &w));
	cr_assert(want_derived(&wants, &said, other, peer, &w));
	cr_expect(w.alg == ALGS_H323 && w.service == 3 && w.derived && w.link == 77 && w.strict &&
		  !w.observe);
	list[0].mode = NL__ALG_SWITCH__MODE__observe;
	want_configure(&wants, &alg, &nat);
	cr_expect(want_derived(&wants, &said, ten_one, peer, &w) && w.observe);
	cr_expect(wanted(ALGS_TCP, 137, &w) && !w.derived && !w.link, "as its port says");
}
