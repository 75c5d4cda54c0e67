/*
 * escape INTRUDER: takes each worker's place and tries everything in probes.def.
 *
 *     outside      not confined, in private namespaces: the probe works, or "contained" would prove
 *                  nothing. What root of a user namespace may not is tried by root, where we are that
 *     control      locked; a filter answers just the probe's call with an errno of our own: the
 *                  probe makes that call
 *     unfiltered   locked, no filter: the second wall
 *     ACTOR        locked, Landlock, and the filter that the supervisor hands to that worker
 *
 * Locked means policy/lock.c: the same code, the same order, as for a worker, under a user
 * namespace of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filters.h"
#include "sacrifice.h"
#include "topology.h"

enum { CONTROL_ERRNO = EHWPOISON }; /* no call that we make answers so by itself */

static const char *const actors[] = {
#define ACTOR(ID, name) #name,
#include "topology.def"
};

static unsigned int failures;
static struct sacrifice_tools tools;

static int run_probe(const struct sacrifice *p, unsigned int index)
{
	int status = sacrifice_make(&tools, p, index);
	if (status >= 0)
		return status;
	fprintf(stderr, "clone3: %s: user namespaces are needed\n", strerror(-status));
	exit(2);
}

static void judge(
	const struct sacrifice *p, const struct probe *probe, int status, enum outcome expected)
{
	static const char *const wanted[] = {"killed", "dead", "refused", "success", "anything"};
	char text[80];
	if (sacrifice_reached(status) && sacrifice_matches(status, expected))
		return;
	printf("FAILED: %s: %s: %s, expected: %s\n", p->name, probe->name,
		sacrifice_describe(status, text, sizeof(text)), wanted[expected]);
	failures++;
}

static void try_all(const struct sacrifice *p)
{
	unsigned int killed = 0, refused = 0, worked = 0;
	for (unsigned int i = 0; i < probe_count; i++) {
		int status = run_probe(p, i);
		judge(p, &probes[i], status, sacrifice_expected(p, &probes[i]));
		killed += WIFSIGNALED(status);
		refused += WIFEXITED(status) && WEXITSTATUS(status) != 0;
		worked += WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	printf("%-10s %u probes: %u killed, %u refused, %u worked\n", p->name, probe_count, killed,
		refused, worked);
}

static bool works_for_root(unsigned int index)
{
	const struct sacrifice root = {.name = "root", .outside = true, .as_root = true};
	return geteuid() == 0 && sacrifice_matches(run_probe(&root, index), SUCCEEDED);
}

static void try_outside(void)
{
	const struct sacrifice p = {.name = "outside", .outside = true};
	unsigned int worked = 0, by_root = 0;
	char without[1024] = "";
	for (unsigned int i = 0; i < probe_count; i++) {
		int status = run_probe(&p, i);
		judge(&p, &probes[i], status, probes[i].outside);
		if (sacrifice_matches(status, SUCCEEDED)) {
			worked++;
		} else if (works_for_root(i)) {
			by_root++;
		} else {
			strncat(without, " ", sizeof(without) - strlen(without) - 1);
			strncat(without, probes[i].name, sizeof(without) - strlen(without) - 1);
		}
	}
	printf("%-10s %u of %u probes have a control: %u work, %u more for root; without:%s\n",
		p.name, worked + by_root, probe_count, worked, by_root, without);
}

/* The i386 entry may be missing from this kernel: then there is nothing to control. */
static bool made_its_call(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) == CONTROL_ERRNO
				 : WTERMSIG(status) == SIGSEGV;
}

static void control_all(void)
{
	unsigned int made = 0;
	for (unsigned int i = 0; i < probe_count; i++) {
		char text[80];
		struct sacrifice p = {
			.name = "control",
			.control = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					    offsetof(struct seccomp_data, nr)),
				BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)probes[i].call, 0,
					1),
				BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | CONTROL_ERRNO),
				BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)},
			.control_count = 4,
		};
		int status = run_probe(&p, i);
		if (probes[i].others == DEAD || made_its_call(status)) {
			made++;
			continue;
		}
		printf("FAILED: control: %s does not make call %d: %s\n", probes[i].name,
			probes[i].call, sacrifice_describe(status, text, sizeof(text)));
		failures++;
	}
	printf("%-10s %u of %u probes make the call that they name\n", "control", made,
		probe_count);
}

int main(int argc, char **argv)
{
	unsigned int tried = 0;
	tools.intruder_fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	tools.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (tools.intruder_fd < 0 || tools.null_fd < 0) {
		fprintf(stderr, "usage: escape INTRUDER\n");
		return 2;
	}
	try_outside();
	control_all();
	try_all(&(struct sacrifice){.name = "unfiltered"});
	for (unsigned int i = 0; i < ACTOR_COUNT; i++) {
		struct sacrifice p = {.name = actors[i],
			.filter = policy_filter_find(actors[i]),
			.natproxy = i == ACTOR_NATPROXY};
		if (!p.filter)
			continue;
		try_all(&p);
		tried++;
	}
	printf("%u workers' places taken, %u failures\n", tried, failures);
	return failures || tried == 0;
}
