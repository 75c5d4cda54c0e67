/* policy/audit/compare_edges.c: an edge that leads elsewhere, to nobody, or to one more. */
#include <errno.h>

#include "crew.h"

TestSuite(compare_edges, .init = crew_make);

static void expect_found(unsigned int who, const char *what, const char *found)
{
	struct checks list = {0};

	compare_edges(&list, &crew, &crew_process[who]);
	cr_expect_eq(crew_line(&list, who, what)->result, CHECK_DRIFT);
	cr_expect_str_eq(crew_line(&list, who, what)->found, found);
	check_free(&list);
}

static void expect_unknown(unsigned int who, const char *needs)
{
	struct checks list = {0};

	compare_edges(&list, &crew, &crew_process[who]);
	cr_expect_eq(crew_line(&list, who, "channels")->result, CHECK_UNKNOWN);
	cr_expect_str_eq(crew_line(&list, who, "channels")->needs, needs);
	check_free(&list);
}

Test(compare_edges, as_declared)
{
	struct checks list = {0};

	crew_expect_nothing();
	compare_edges(&list, &crew, &crew_process[NETSTACK]);
	cr_expect_str_eq(crew_line(&list, NETSTACK, "channels")->found, "3, all of them");
	cr_expect_str_eq(crew_line(&list, NETSTACK, "doorbells")->found, "3, all of them");
	compare_edges(&list, &crew, &crew_process[ALG]);
	cr_expect_str_eq(crew_line(&list, ALG, "channels")->found, "2, all of them");
	check_free(&list);
}

Test(compare_edges, a_worker_that_is_missing)
{
	crew_process[CREW - 1].fds = 0; /* dhcpd: nobody has its end */
	expect_found(BROKER, "channels", "5 ends nowhere: no dhcpd runs");
	crew_make();
	crew.count--;
	crew_expect(BROKER, "channels");
}

Test(compare_edges, an_end_that_is_closed)
{
	crew.pairs = 0;
	expect_found(ALG, "channels", "3 does not end at the supervisor");
	crew_make();
	crew_fd_at(ALG, ALG_CH_NATPROXY)->id = 5;
	expect_found(ALG, "channels", "4 ends nowhere: no natproxy runs");
}

Test(compare_edges, a_channel_to_the_wrong_worker)
{
	crew_connect(ALG, ALG_CH_NATPROXY, DHCPD, DHCPD_CH_BROKER);
	expect_found(ALG, "channels", "4 ends at dhcpd (105), its 4");
	crew_make();
	crew_connect(ALG, ALG_CH_NATPROXY, NATPROXY, NATPROXY_CH_NETSTACK);
	expect_found(ALG, "channels", "4 ends at natproxy (102), its 4");
	crew_make();
	crew_connect(ALG, FD_SUPER, BROKER, BROKER_CH_DHCPD);
	expect_found(ALG, "channels", "3 ends at broker (101), its 5");
}

Test(compare_edges, an_end_that_two_have)
{
	crew_fd_at(DHCPD, DHCPD_CH_BROKER)->id = crew_fd_at(ALG, ALG_CH_NATPROXY)->id;
	expect_found(ALG, "channels", "4 is also dhcpd's (105) 4");
	crew_make();
	crew_fd_at(DHCPD, FD_SUPER)->id = crew_fd_at(SUPERVISOR, 10 + ALG)->id;
	expect_found(ALG, "channels", "3 ends at dhcpd (105), its 3");
}

Test(compare_edges, a_bell_that_is_no_neighbours)
{
	crew_fd_at(BROKER, BROKER_BELL_NETSTACK_FIRST)->id =
		crew_fd_at(NATPROXY, NATPROXY_BELL_OWN)->id;
	expect_found(BROKER, "doorbells", "32 is no neighbour's: no netstack hears it");
	expect_found(NATPROXY, "doorbells", "6 is also broker's (101) 32");
	crew_make();
	crew_fd_at(NETSTACK, NETSTACK_BELL_NATPROXY)->id = 77;
	expect_found(NETSTACK, "doorbells", "8 is no neighbour's: no natproxy hears it");
}

/* As a bell of the right kind, but of a hub that there is no channel to. */
Test(compare_edges, a_bell_without_a_channel)
{
	crew_connect(BROKER, BROKER_CH_NETSTACK_FIRST, SUPERVISOR, 0);
	expect_found(BROKER, "doorbells", "6 is also netstack's (104) 7");
	expect_found(NETSTACK, "doorbells", "6 is also broker's (101) 32");
}

Test(compare_edges, what_the_kernel_does_not_say)
{
	crew.pairs_error = EPERM;
	expect_unknown(ALG, "root");
	crew_make();
	crew_process[DHCPD].fds_error = EPERM;
	expect_unknown(ALG, "root");
	crew_make();
	crew_process[DHCPD].gone = true;
	expect_unknown(ALG, "the process, which ended: ask again");
}
