/* Back-off: doubles, and never leaves its bounds. Accusations: whose word costs whom the place. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "watch.h"

Test(watch, backoff)
{
	cr_assert_eq(watch_backoff_ms(100, 10000, 1), 100);
	cr_assert_eq(watch_backoff_ms(100, 10000, 2), 200);
	cr_assert_eq(watch_backoff_ms(100, 10000, 5), 1600);
	cr_assert_eq(watch_backoff_ms(100, 10000, 8), 10000);
	cr_assert_eq(watch_backoff_ms(100, 10000, UINT32_MAX), 10000);
	cr_assert_eq(watch_backoff_ms(0, 0, 3), 0);
	cr_assert_eq(watch_backoff_ms(100, UINT64_MAX, 10), 51200);
}

static struct hub hub = {.shards = 2};

/* The worker that would be killed, by its name: those condemned keep the reason. None of them has a process here. */
static const char *condemned(void)
{
	static char names[128];

	names[0] = '\0';
	for (unsigned int i = 0; i < hub.workers; i++)
		if (hub.worker[i].blame[0])
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
				names[0] ? " " : "", hub.worker[i].name);
	return names;
}

static void accuse(const char *from, const char *liar)
{
	watch_incident(hub_worker_by_name(&hub, from), liar, 0, "malformed");
}

/* A new process in its place. */
static void replaced(const char *name)
{
	struct worker *w = hub_worker_by_name(&hub, name);

	w->blame[0] = '\0';
	w->suspected = 0;
}

static void begin(void)
{
	hub_crew(&hub);
}
TestSuite(accusation, .init = begin);

Test(accusation, of_who_ends_alone_or_with_the_accuser_is_believed)
{
	static const char *const cases[][3] = {{"broker", "dhcpd", "dhcpd"},
		{"broker", "netstack", "netstack.0"}, {"natproxy.1", "alg", "alg.1"},
		{"netstack.1", "natproxy", "natproxy.1"}, {"natproxy.0", "netstack", "netstack.0"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		hub_crew(&hub);
		accuse(cases[i][0], cases[i][1]);
		cr_expect_str_eq(condemned(), cases[i][2]);
	}
}

Test(accusation, from_below_costs_the_accuser_its_place_first)
{
	static const char *const cases[][2] = {
		{"dhcpd", "broker"}, {"netstack.1", "broker"}, {"alg.1", "natproxy"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		hub_crew(&hub);
		for (int word = 0; word < 1000; word++)
			accuse(cases[i][0], cases[i][1]);
		cr_expect_str_eq(condemned(), cases[i][0]);
	}
}

Test(accusation, of_its_successor_too_is_believed_and_both_are_replaced)
{
	accuse("alg.0", "natproxy");
	replaced("alg.0");
	cr_assert_str_eq(condemned(), "");
	accuse("alg.0", "natproxy");
	cr_assert_str_eq(condemned(), "natproxy.0 alg.0");
	replaced("natproxy.0");
	replaced("alg.0");
	accuse("alg.0", "natproxy");
	cr_assert_str_eq(condemned(), "alg.0", "nobody has suspected this natproxy");
}

Test(accusation, is_forgotten_in_time)
{
	accuse("dhcpd", "broker");
	hub_worker_by_name(&hub, "broker")->suspected -= WATCH_SUSPECT_SECONDS + 1;
	replaced("dhcpd");
	accuse("dhcpd", "broker");
	cr_assert_str_eq(condemned(), "dhcpd");
}

Test(accusation, of_a_predecessor_does_not_hit_the_successor)
{
	hub.edge[0] = EDGE_LOST;
	accuse("broker", "netstack");
	cr_assert_str_eq(condemned(), "");
	hub.edge[0] = EDGE_CLEARED;
	accuse("broker", "netstack");
	cr_assert_str_eq(condemned(), "netstack.0");
}

Test(accusation, of_a_stranger_costs_the_accuser_its_place)
{
	accuse("alg.0", "broker");
	cr_assert_str_eq(condemned(), "alg.0");
	accuse("dhcpd", "nobody");
	cr_assert_str_eq(condemned(), "dhcpd alg.0");
}

Test(watch, who_does_not_read_is_ended)
{
	struct worker *w;
	int status;

	hub_crew(&hub);
	w = hub_worker_by_name(&hub, "dhcpd");
	w->pid = fork();
	if (w->pid == 0) {
		pause();
		_exit(0);
	}
	w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
	cr_assert_geq(w->pidfd, 0);
	watch_deaf(&hub);
	cr_assert_eq(waitpid(w->pid, &status, WNOHANG), 0);
	w->chan.refused = 1;
	watch_deaf(&hub);
	cr_assert_eq(waitpid(w->pid, &status, 0), w->pid);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	cr_assert_str_eq(w->blame, "it does not read its channel");
}
