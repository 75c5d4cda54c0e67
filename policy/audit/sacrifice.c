/*
 * Theory of operation
 *
 *   we                                       child (clone3: all namespaces)
 *     writes its uid and gid maps
 *     "go" ────────────────────────────────▶ lock_enter: every lock of a worker, then execs the intruder
 *     the order: which probe, which filter ▶ puts on Landlock and the filter, makes the probe, ends
 *     waits: how it ended is the answer
 *
 * The machine must not feel the probes that work: everything happens in namespaces that end with
 * the child, and an alarm ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lock.h"
#include "confine.h"
#include "sacrifice.h"
#include "topology.h"

enum {
	INSIDE_ID = 1000,   /* a worker's uid in its own namespace */
	WORKER_ID = 200001, /* what that is outside when root asks */
	NOFILE = 64,
};

static bool is_outside(const struct sacrifice *s)
{
	return s->outside || s->landlock_alone;
}

static void write_file(pid_t pid, const char *name, const char *text)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	if (fd >= 0)
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

static void __attribute__((noreturn))
become_worker(const struct sacrifice_tools *tools, const struct sacrifice *s, int channel)
{
	struct lock_plan plan = {
		.name = s->name,
		.uid = INSIDE_ID,
		.gid = INSIDE_ID,
		.null_fd = tools->null_fd,
		.binary_fd = tools->intruder_fd,
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

/* A folder of the host into the root that is being made in the working directory. */
static bool take_along(const char *folder)
{
	char from[32];
	struct stat is;
	snprintf(from, sizeof(from), "/%s", folder);
	if (stat(from, &is) < 0)
		return true;
	return mkdir(folder, 0755) == 0 && mount(from, folder, NULL, MS_BIND | MS_REC, NULL) == 0;
}

/* What the probes need of the host, in a root that is the probe's own: what they change is gone with
 * them. */
static bool enter_own_root(void)
{
	static const char *const folders[] = {"bin", "dev", "etc", "lib", "lib64", "proc", "usr"};
	bool done = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		    mount("none", "/tmp", "tmpfs", 0, NULL) == 0 && chdir("/tmp") == 0;
	for (size_t i = 0; done && i < sizeof(folders) / sizeof(folders[0]); i++)
		done = take_along(folders[i]);
	return done && mkdir("tmp", 0700) == 0 && syscall(SYS_pivot_root, ".", ".") == 0 &&
	       umount2(".", MNT_DETACH) == 0 && chdir("/") == 0 &&
	       mount("none", "/tmp", "tmpfs", 0, NULL) == 0;
}

static void __attribute__((noreturn)) run_outside(
	const struct sacrifice_tools *tools, const struct sacrifice *s, const struct probe *probe)
{
	for (int fd = 0; fd < 3; fd++)
		dup2(tools->null_fd, fd);
	if (!enter_own_root())
		_exit(PROBE_NOT_REACHED + 4);
	close(open("/tmp/victim", O_CREAT | O_WRONLY, 0600));
	if (s->landlock_alone && confine_landlock(true) < 0)
		_exit(PROBE_NOT_REACHED + 6);
	int status = probe_status(probe->run(LEAD_ANY));
	syscall(SYS_exit_group, status);
	abort();
}

static void __attribute__((noreturn)) child(const struct sacrifice_tools *tools,
	const struct sacrifice *s, const struct probe *probe, int channel)
{
	char go;
	alarm(10);
	if (recv(channel, &go, 1, 0) != 1)
		_exit(PROBE_NOT_REACHED + 5);
	if (is_outside(s))
		run_outside(tools, s, probe);
	become_worker(tools, s, channel);
}

static void send_order(int channel, const struct sacrifice *s, unsigned int index)
{
	static struct probe_order order;
	order.probe = index;
	order.lead = !s->filter ? LEAD_ANY : s->natproxy ? LEAD_JOB : LEAD_NONE;
	order.deny_tcp = !s->natproxy;
	order.count = s->filter ? s->filter->count : s->control_count;
	if (order.count)
		memcpy(order.insns, s->filter ? s->filter->insns : s->control,
			order.count * sizeof(order.insns[0]));
	send(channel, "g", 1, MSG_NOSIGNAL);
	if (!is_outside(s))
		send(channel, &order,
			offsetof(struct probe_order, insns) + order.count * sizeof(order.insns[0]),
			MSG_NOSIGNAL);
}

int sacrifice_make(
	const struct sacrifice_tools *tools, const struct sacrifice *s, unsigned int index)
{
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC |
			 CLONE_NEWCGROUP | (s->as_root ? 0 : CLONE_NEWUSER),
		.exit_signal = SIGCHLD,
	};
	int pair[2], status = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	fflush(stdout);
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0) {
		status = -errno;
		close(pair[0]);
		close(pair[1]);
		return status;
	}
	if (pid == 0)
		child(tools, s, &probes[index], pair[1]);
	close(pair[1]);
	if (!s->as_root)
		write_maps(pid, is_outside(s));
	send_order(pair[0], s, index);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close(pair[0]);
	return status;
}

bool sacrifice_reached(int status)
{
	return !WIFEXITED(status) || WEXITSTATUS(status) < PROBE_NOT_REACHED;
}

bool sacrifice_matches(int status, enum outcome expected)
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

const char *sacrifice_describe(int status, char *out, size_t cap)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		snprintf(out, cap, "killed by the filter");
	else if (WIFSIGNALED(status))
		snprintf(out, cap, "died by %s", strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 0)
		snprintf(out, cap, "succeeded");
	else if (WEXITSTATUS(status) >= PROBE_NOT_REACHED)
		snprintf(out, cap, "never came to the probe (%d)", WEXITSTATUS(status));
	else
		snprintf(out, cap, "%s", strerror(WEXITSTATUS(status)));
	return out;
}

enum outcome sacrifice_expected(const struct sacrifice *s, const struct probe *probe)
{
	if (s->outside)
		return probe->outside;
	if (!s->filter)
		return probe->unfiltered;
	return s->natproxy ? probe->natproxy : probe->others;
}
