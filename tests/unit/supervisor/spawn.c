/* Fixed descriptors by topology.def, and a worker behind every lock of policy/lock.c, seen from
 * outside. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "process.h"
#include "spawn.h"

Test(spawn, fixed_descriptors)
{
	cr_assert_eq(spawn_fixed_fd(ACTOR_BROKER, "CH", "dhcpd"), BROKER_CH_DHCPD);
	cr_assert_eq(spawn_fixed_fd(ACTOR_NETSTACK, "BELL", "natproxy"), NETSTACK_BELL_NATPROXY);
	cr_assert_eq(spawn_fixed_fd(ACTOR_ALG, "BELL", "OWN"), -1);
	cr_assert_eq(spawn_fixed_fd(ACTOR_ALG, "CH", "broker"), -1);
	cr_assert_str_eq(spawn_actor_name(ACTOR_ALG), "alg");
	cr_assert_null(spawn_actor_name(ACTOR_COUNT));
	cr_assert_eq(spawn_actor_by_name("dhcpd"), ACTOR_DHCPD);
	cr_assert_eq(spawn_actor_by_name("DHCPD"), ACTOR_COUNT);
	cr_assert_eq(spawn_actor_by_name(NULL), ACTOR_COUNT);
}

static struct spawn_plan plan_for(enum actor_id id, int super_fd)
{
	struct spawn_plan plan = {.id = id, .super_fd = super_fd};

	memset(plan.channel, -1, sizeof(plan.channel));
	memset(plan.bell, -1, sizeof(plan.bell));
	return plan;
}

static void expect_limit(const char *limits, const char *name, const char *value)
{
	const char *at = strstr(limits, name);
	char found[32] = "";

	cr_assert_not_null(at, "%s", name);
	sscanf(at + strlen(name), " %31s", found);
	cr_assert_str_eq(found, value, "%s", name);
}

Test(spawn, a_worker_behind_its_locks)
{
	struct spawn_binaries b;
	struct process_facts facts;
	struct spawned born;
	struct trouble t;
	char path[64], text[FILES_TEXT];
	int pair[2];

	if (geteuid() != 0)
		cr_skip_test("uid maps for others need root; natlock.c covers the ordinary user");
	setenv("NATLOCK_LIBEXEC", FAKE_WORKERS, 1);
	cr_assert_eq(spawn_open_binaries(&b, false, &t), 0, "%s: %s", t.message, t.cause);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	struct spawn_plan plan = plan_for(ACTOR_ALG, pair[1]);
	plan.uid = 61300;
	cr_assert_eq(spawn_workers(&b, &plan, &born, 1, &t), 0, "%s: %s", t.message, t.cause);
	cr_assert(process_read(born.pid, &facts));
	cr_assert_eq(facts.caps, 0);
	cr_assert_str_eq(facts.root, "empty");
	cr_assert_str_eq(facts.namespaces, "user pid mnt net ipc uts cgroup");
	snprintf(path, sizeof(path), "/proc/%d/status", born.pid);
	cr_assert_gt(files_read(path, text, sizeof(text)), 0);
	cr_assert_not_null(strstr(text, "NoNewPrivs:\t1\n"));
	cr_assert_not_null(strstr(text, "Uid:\t61300\t61300\t61300\t61300\n"));
	cr_assert_not_null(strstr(text, "Groups:\t \n"));
	snprintf(path, sizeof(path), "/proc/%d/limits", born.pid);
	cr_assert_gt(files_read(path, text, sizeof(text)), 0);
	expect_limit(text, "Max processes", "0");
	expect_limit(text, "Max file size", "0");
	expect_limit(text, "Max core file size", "0");
	expect_limit(text, "Max open files", "32");
	snprintf(path, sizeof(path), "/proc/%d/environ", born.pid);
	cr_assert_eq(files_read(path, text, sizeof(text)), 0);
	kill(born.pid, SIGKILL);
	cr_assert_eq(spawn_wait(born.pidfd), 128 + SIGKILL);
}

Test(spawn, natproxy_alone_is_in_the_hosts_network)
{
	struct spawn_binaries b;
	struct process_facts facts;
	struct spawned born;
	struct trouble t;
	int pair[2];

	if (geteuid() != 0)
		cr_skip_test("needs root");
	setenv("NATLOCK_LIBEXEC", FAKE_WORKERS, 1);
	cr_assert_eq(spawn_open_binaries(&b, false, &t), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	struct spawn_plan plan = plan_for(ACTOR_NATPROXY, pair[1]);
	plan.uid = 61301;
	cr_assert_eq(spawn_workers(&b, &plan, &born, 1, &t), 0, "%s: %s", t.message, t.cause);
	cr_assert(process_read(born.pid, &facts));
	cr_assert_str_eq(facts.namespaces, "user pid mnt ipc uts cgroup");
	kill(born.pid, SIGKILL);
	spawn_wait(born.pidfd);
}

Test(spawn, a_lock_that_fails_is_named_and_leaves_no_process)
{
	struct spawn_binaries b;
	struct spawned born;
	struct trouble t;
	int pair[2];

	if (geteuid() != 0)
		cr_skip_test("needs root");
	setenv("NATLOCK_LIBEXEC", FAKE_WORKERS, 1);
	cr_assert_eq(spawn_open_binaries(&b, false, &t), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	struct spawn_plan plan = plan_for(ACTOR_ALG, pair[1]);
	plan.uid = 61302;
	b.fd[ACTOR_ALG] = b.null_fd; /* not a program */
	cr_assert_eq(spawn_workers(&b, &plan, &born, 1, &t), -1);
	cr_assert_str_eq(t.message, "cannot start alg: no the exec of its file");
	plan.super_fd = 999; /* not a descriptor */
	cr_assert_eq(spawn_workers(&b, &plan, &born, 1, &t), -1);
	cr_assert_str_eq(t.message, "cannot start alg: no its descriptors");
}

/* Plans of alg and dhcpd over one pair of sockets. */
static void plan_two(struct spawn_plan plan[2], struct spawn_binaries *b, struct trouble *t)
{
	int pair[2];

	setenv("NATLOCK_LIBEXEC", FAKE_WORKERS, 1);
	cr_assert_eq(spawn_open_binaries(b, false, t), 0, "%s: %s", t->message, t->cause);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	plan[0] = plan_for(ACTOR_ALG, pair[1]);
	plan[1] = plan_for(ACTOR_DHCPD, pair[1]);
	plan[0].uid = 61303;
	plan[1].uid = 61304;
}

Test(spawn, workers_born_side_by_side_share_nothing)
{
	struct spawn_binaries b;
	struct spawn_plan plan[2];
	struct spawned born[2];
	struct process_facts facts;
	struct trouble t;
	char path[64], net[2][64] = {""};

	if (geteuid() != 0)
		cr_skip_test("needs root");
	plan_two(plan, &b, &t);
	cr_assert_eq(spawn_workers(&b, plan, born, 2, &t), 0, "%s: %s", t.message, t.cause);
	for (int i = 0; i < 2; i++) {
		cr_assert(process_read(born[i].pid, &facts));
		cr_assert_str_eq(facts.namespaces, "user pid mnt net ipc uts cgroup");
		cr_assert_eq(facts.caps, 0);
		snprintf(path, sizeof(path), "/proc/%d/ns/net", born[i].pid);
		cr_assert_gt(readlink(path, net[i], sizeof(net[i]) - 1), 0);
	}
	cr_assert_str_neq(net[0], net[1]);
	for (int i = 0; i < 2; i++) {
		kill(born[i].pid, SIGKILL);
		cr_assert_eq(spawn_wait(born[i].pidfd), 128 + SIGKILL);
	}
}

Test(spawn, one_that_fails_takes_the_others_with_it)
{
	struct spawn_binaries b;
	struct spawn_plan plan[2];
	struct spawned born[2];
	struct trouble t;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	plan_two(plan, &b, &t);
	b.fd[ACTOR_DHCPD] = b.null_fd; /* not a program */
	cr_assert_eq(spawn_workers(&b, plan, born, 2, &t), -1);
	cr_assert_str_eq(t.message, "cannot start dhcpd: no the exec of its file");
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
	cr_assert_eq(errno, ECHILD);
}

Test(spawn, missing_files_are_told)
{
	struct spawn_binaries b;
	struct trouble t;

	setenv("NATLOCK_LIBEXEC", "/nowhere", 1);
	cr_assert_eq(spawn_open_binaries(&b, false, &t), -1);
	cr_assert_str_eq(t.message, "cannot open the worker broker");
}
