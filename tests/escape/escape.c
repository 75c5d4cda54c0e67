/*
 * escape INTRUDER: takes each worker's place and tries everything in probes.def.
 *
 *     outside      not confined, in private namespaces: the probe works, or "contained" would prove
 * nothing control      locked; a filter answers just the probe's call with an errno of our own: the
 * probe makes that call unfiltered   locked, no filter: the second wall ACTOR        locked,
 * Landlock, and the filter that the supervisor hands to that worker
 *
 * Locked means policy/lock.c: the same code, the same order, as for a worker, under a user
 * namespace of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filters.h"
#include "lock.h"
#include "probes.h"
#include "topology.h"

enum {
	INSIDE_ID = 1000,	   /* a worker's uid in its own namespace */
	WORKER_ID = 200001,	   /* what that is outside when root runs the test */
	CONTROL_ERRNO = EHWPOISON, /* no call that we make answers so by itself */
	NOFILE = 64,
};

static const char *const actors[] = {
#define ACTOR(ID, name) #name,
#include "topology.def"
};

struct posture {
	const char *name;
	bool outside;
	const struct policy_filter *filter; /* NULL: none */
	bool natproxy;
	struct sock_filter control[4]; /* used when control_count is not 0 */
	unsigned int control_count;
};

static unsigned int failures;
static int intruder_fd, null_fd;

static void write_file(pid_t pid, const char *name, const char *text)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	close(fd);
}

static void write_maps(pid_t pid, bool outside)
{
	char map[64];
	bool root = geteuid() == 0;
	unsigned int inside = outside ? 0 : INSIDE_ID;
	unsigned int uid = root && !outside ? WORKER_ID : geteuid(),
		     gid = root && !outside ? WORKER_ID : getegid();
	if (!root)
		write_file(pid, "setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", inside, uid);
	write_file(pid, "uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", inside, gid);
	write_file(pid, "gid_map", map);
}

static void __attribute__((noreturn)) become_worker(const struct posture *p, int channel)
{
	struct lock_plan plan = {
		.name = p->name,
		.uid = INSIDE_ID,
		.gid = INSIDE_ID,
		.null_fd = null_fd,
		.binary_fd = intruder_fd,
		.nofile = NOFILE,
		.fixed = FD_FIRST_FREE,
	};
	enum lock_step step;
	for (int i = 0; i < plan.fixed; i++)
		plan.fd[i] = LOCK_PLACEHOLDER;
	plan.fd[FD_SUPER] = channel;
	int error = lock_enter(&plan, &step);
	fprintf(stderr, "%s: %s\n", lock_step_name(step), strerror(-error));
	_exit(PROBE_NOT_REACHED + 3);
}

/* The machine must not feel the probes that work: everything happens in namespaces that end with
 * this child. */
static void __attribute__((noreturn)) run_outside(const struct probe *probe)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("none", "/tmp", "tmpfs", 0, NULL))
		_exit(PROBE_NOT_REACHED + 4);
	close(open("/tmp/victim", O_CREAT | O_WRONLY, 0600));
	int status = probe_status(probe->run(true));
	syscall(SYS_exit_group, status);
	abort();
}

static void __attribute__((noreturn))
child(const struct posture *p, const struct probe *probe, int channel)
{
	char go;
	alarm(10);
	if (recv(channel, &go, 1, 0) != 1)
		_exit(PROBE_NOT_REACHED + 5);
	if (p->outside)
		run_outside(probe);
	become_worker(p, channel);
}

static void send_order(int channel, const struct posture *p, unsigned int index)
{
	static struct probe_order order;
	order.probe = index;
	order.prepare = p->control_count || !p->filter || p->natproxy;
	order.deny_tcp = !p->natproxy;
	order.count = p->filter ? p->filter->count : p->control_count;
	if (order.count)
		memcpy(order.insns, p->filter ? p->filter->insns : p->control,
			order.count * sizeof(order.insns[0]));
	send(channel, "g", 1, MSG_NOSIGNAL);
	if (!p->outside)
		send(channel, &order,
			offsetof(struct probe_order, insns) + order.count * sizeof(order.insns[0]),
			MSG_NOSIGNAL);
}

/* One probe in one posture; wait status of the process that made it. */
static int run_probe(const struct posture *p, unsigned int index)
{
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS |
			 CLONE_NEWIPC | CLONE_NEWCGROUP,
		.exit_signal = SIGCHLD,
	};
	int pair[2], status = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		perror("socketpair");
		exit(2);
	}
	fflush(stdout);
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0) {
		perror("clone3: user namespaces are needed");
		exit(2);
	}
	if (pid == 0)
		child(p, &probes[index], pair[1]);
	close(pair[1]);
	write_maps(pid, p->outside);
	send_order(pair[0], p, index);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close(pair[0]);
	return status;
}

static bool reached(int status)
{
	return !WIFEXITED(status) || WEXITSTATUS(status) < PROBE_NOT_REACHED;
}

static bool matches(int status, enum outcome expected)
{
	switch (expected) {
	case KILLED: return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
	case DEAD: return WIFSIGNALED(status) && WTERMSIG(status) != SIGALRM;
	case REFUSED: return WIFEXITED(status) && WEXITSTATUS(status) != 0;
	case SUCCEEDED: return WIFEXITED(status) && WEXITSTATUS(status) == 0;
	case ANYTHING: return !WIFSIGNALED(status) || WTERMSIG(status) != SIGALRM;
	}
	return false;
}

static const char *describe(int status, char *out, size_t cap)
{
	if (WIFSIGNALED(status))
		snprintf(out, cap, "died by %s", strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 0)
		snprintf(out, cap, "succeeded");
	else if (WEXITSTATUS(status) >= PROBE_NOT_REACHED)
		snprintf(out, cap, "never came to the probe (%d)", WEXITSTATUS(status));
	else
		snprintf(out, cap, "%s", strerror(WEXITSTATUS(status)));
	return out;
}

static void judge(
	const struct posture *p, const struct probe *probe, int status, enum outcome expected)
{
	static const char *const wanted[] = {"killed", "dead", "refused", "success", "anything"};
	char text[80];
	if (reached(status) && matches(status, expected))
		return;
	printf("FAILED: %s: %s: %s, expected: %s\n", p->name, probe->name,
		describe(status, text, sizeof(text)), wanted[expected]);
	failures++;
}

static enum outcome expectation(const struct posture *p, const struct probe *probe)
{
	if (p->outside)
		return probe->outside;
	if (!p->filter)
		return probe->unfiltered;
	return p->natproxy ? probe->natproxy : probe->others;
}

static void try_all(const struct posture *p)
{
	unsigned int killed = 0, refused = 0, worked = 0;
	for (unsigned int i = 0; i < probe_count; i++) {
		int status = run_probe(p, i);
		judge(p, &probes[i], status, expectation(p, &probes[i]));
		killed += WIFSIGNALED(status);
		refused += WIFEXITED(status) && WEXITSTATUS(status) != 0;
		worked += WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	printf("%-10s %u probes: %u killed, %u refused, %u worked\n", p->name, probe_count, killed,
		refused, worked);
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
		struct posture p = {
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
			probes[i].call, describe(status, text, sizeof(text)));
		failures++;
	}
	printf("%-10s %u of %u probes make the call that they name\n", "control", made,
		probe_count);
}

int main(int argc, char **argv)
{
	unsigned int tried = 0;
	intruder_fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (intruder_fd < 0 || null_fd < 0) {
		fprintf(stderr, "usage: escape INTRUDER\n");
		return 2;
	}
	try_all(&(struct posture){.name = "outside", .outside = true});
	control_all();
	try_all(&(struct posture){.name = "unfiltered"});
	for (unsigned int i = 0; i < ACTOR_COUNT; i++) {
		struct posture p = {.name = actors[i],
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
