/*
 * Theory of operation.
 *
 *   supervisor                                   child (clone3: user, pid, mnt, ipc, uts, cgroup,
 * net) ◀──────────────────────────────── report    dumpable, so that its maps may be written by us
 *     writes its uid and gid map: one id
 *     "go" ─────────────────────────────────────▶ takes its uid, probes ping sockets if asked
 *     ◀──────────────────────────────── report    (natproxy only)
 *                                                 lock_enter: every lock of policy/lock.c, then
 * exec ◀───────────────────── end of file | step   the exec closed the pair, or a lock failed
 *
 * Several workers take each of these steps side by side: a birth is mostly waiting for the kernel
 * to make namespaces, and for a turn on a processor.
 *
 * natproxy is the only one without a network namespace of its own: it owns the host's sockets.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lock.h"
#include "files.h"
#include "spawn.h"

enum { HANDSHAKE_MS = 5000, NOFILE_BOOT = 32 };

/* What the child tells its parent before the exec closes the pair. */
struct report {
	enum { REPORT_READY, REPORT_ECHO, REPORT_FAILED } kind;
	int value; /* REPORT_ECHO: 0 or 1; REPORT_FAILED: errno */
	enum lock_step step;
};

static const char *const actor_names[ACTOR_COUNT] = {
#define ACTOR(ID, name) [ACTOR_##ID] = #name,
#include "topology.def"
};

_Static_assert((int)BROKER_PORT_FIRST <= (int)LOCK_FDS, "room for the most fixed descriptors");

struct fixed_fd {
	enum actor_id actor;
	const char *name;
	int first, last;
};
static const struct fixed_fd fixed_fds[] = {
#define FD(ACTOR, NAME, FIRST, LAST) {ACTOR_##ACTOR, #NAME, FIRST, LAST},
#include "topology.def"
};

const char *spawn_actor_name(enum actor_id id)
{
	return id < ACTOR_COUNT ? actor_names[id] : NULL;
}

enum actor_id spawn_actor_by_name(const char *name)
{
	unsigned int i;

	for (i = 0; i < ACTOR_COUNT; i++)
		if (name && strcmp(actor_names[i], name) == 0)
			break;
	return (enum actor_id)i;
}

int spawn_fixed_fd(enum actor_id id, const char *kind, const char *peer)
{
	char name[32];
	size_t i;

	snprintf(name, sizeof(name), "%s_%s", kind, peer);
	for (i = 0; i < sizeof(fixed_fds) / sizeof(fixed_fds[0]); i++)
		if (fixed_fds[i].actor == id && strcasecmp(fixed_fds[i].name, name) == 0)
			return fixed_fds[i].first;
	return -1;
}

/* One more than the highest descriptor that an actor may ever hold, as far as our own limit goes.
 */
static rlim_t nofile_of(enum actor_id id)
{
	struct rlimit ours = {0, NOFILE_BOOT};
	rlim_t highest = NOFILE_BOOT;
	size_t i;

	for (i = 0; i < sizeof(fixed_fds) / sizeof(fixed_fds[0]); i++)
		if (fixed_fds[i].actor == id && (rlim_t)fixed_fds[i].last >= highest)
			highest = (rlim_t)fixed_fds[i].last + 1;
	getrlimit(RLIMIT_NOFILE, &ours);
	return ours.rlim_max < highest ? ours.rlim_max : highest;
}

/* Where workers may lie, relative to natlock: installed beside it, in libexec, or in the build
 * folder. */
static const char *const binary_places[] = {
	"%s/natlock-%s",
	"%s/../libexec/natlock/natlock-%s",
	"%s/../../%s/natlock-%s",
};

static int open_binary(const char *own_folder, const char *libexec, const char *name)
{
	char path[512];
	int fd = -1;
	size_t i;

	if (libexec) {
		snprintf(path, sizeof(path), "%s/natlock-%s", libexec, name);
		return open(path, O_RDONLY | O_CLOEXEC);
	}
	for (i = 0; i < sizeof(binary_places) / sizeof(binary_places[0]) && fd < 0; i++) {
		snprintf(path, sizeof(path), binary_places[i], own_folder, name, name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd;
}

int spawn_open_binaries(struct spawn_binaries *b, bool privileged, struct trouble *t)
{
	const char *libexec =
		privileged && geteuid() != getuid() ? NULL : getenv("NATLOCK_LIBEXEC");
	char own[256];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;
	unsigned int i;

	own[n > 0 ? n : 0] = '\0';
	slash = strrchr(own, '/');
	if (slash)
		*slash = '\0';
	b->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (b->null_fd < 0)
		return trouble(t, EXIT_FAILED, "E0304", "cannot open /dev/null");
	for (i = 0; i < ACTOR_COUNT; i++) {
		b->fd[i] = open_binary(own, libexec, actor_names[i]);
		if (b->fd[i] >= 0)
			continue;
		trouble(t, EXIT_FAILED, "E0601", "cannot open the worker %s", actor_names[i]);
		trouble_cause(t, "%s (looked in %s)", strerror(errno), libexec ? libexec : own);
		return trouble_fix(t, "Reinstall natlock, or set NATLOCK_LIBEXEC.");
	}
	return 0;
}

pid_t spawn_clone(uint64_t flags, int *pidfd)
{
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static int status_of(const siginfo_t *info)
{
	return info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
}

int spawn_wait(int pidfd)
{
	siginfo_t info = {0};
	int r;

	do
		r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED);
	while (r < 0 && errno == EINTR);
	close(pidfd);
	return r < 0 ? EXIT_FAILURE : status_of(&info);
}

int spawn_reap(int pidfd)
{
	siginfo_t info = {0};
	int r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);

	if (r == 0 && info.si_pid == 0)
		return -EAGAIN;
	close(pidfd);
	return r < 0 ? EXIT_FAILURE : status_of(&info);
}

/* The first number that the kernel may hand out: where the ranges of descriptors begin that come and
 * go. */
static int first_free(enum actor_id id)
{
	static const char *const changing[] = {"PORT", "SOCK", "STRAY"};
	int first = LOCK_FDS;
	size_t i, k;

	for (i = 0; i < sizeof(fixed_fds) / sizeof(fixed_fds[0]); i++)
		for (k = 0; k < sizeof(changing) / sizeof(changing[0]); k++)
			if (fixed_fds[i].actor == id && fixed_fds[i].first < first &&
				strcmp(fixed_fds[i].name, changing[k]) == 0)
				first = fixed_fds[i].first;
	return first;
}

/* A peer's descriptors on their numbers: one, or one a shard. */
static void place(struct lock_plan *lock, int number, const int fd[SHARD_MAX])
{
	unsigned int i;

	for (i = 0; i < SHARD_MAX && number >= 0; i++)
		if (fd[i] >= 0)
			lock->fd[number + (int)i] = fd[i];
}

static void fill_plan(
	struct lock_plan *lock, const struct spawn_binaries *b, const struct spawn_plan *plan)
{
	const char *peer;
	unsigned int i;

	*lock = (struct lock_plan){
		.name = plan->name ? plan->name : actor_names[plan->id],
		.fixed = first_free(plan->id),
		.uid = IDENTITY_INSIDE,
		.gid = IDENTITY_INSIDE,
		.null_fd = b->null_fd,
		.binary_fd = b->fd[plan->id],
		.nofile = nofile_of(plan->id),
	};
	for (i = 0; i < LOCK_FDS; i++)
		lock->fd[i] = LOCK_PLACEHOLDER;
	for (i = 0; i < sizeof(fixed_fds) / sizeof(fixed_fds[0]); i++)
		if (fixed_fds[i].actor == plan->id && strcmp(fixed_fds[i].name, "EPOLL") == 0)
			lock->fd[fixed_fds[i].first] = LOCK_FREE;
	lock->fd[FD_SUPER] = plan->super_fd;
	for (i = 0; i < ACTOR_COUNT; i++) {
		peer = i == plan->id ? "OWN" : actor_names[i];
		place(lock, spawn_fixed_fd(plan->id, "CH", peer), plan->channel[i]);
		place(lock, spawn_fixed_fd(plan->id, "BELL", peer), plan->bell[i]);
	}
}

/* With the worker's gid and in its network, as the worker will be: net.ipv4.ping_group_range
 * decides. */
static void child_probe(int fd)
{
	struct report r = {.kind = REPORT_ECHO};
	int probe = -1;

	if (setresgid(IDENTITY_INSIDE, IDENTITY_INSIDE, IDENTITY_INSIDE) == 0)
		probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
	r.value = probe >= 0;
	if (probe >= 0)
		close(probe);
	if (write(fd, &r, sizeof(r)) != sizeof(r))
		_exit(1);
}

static void child_main(int fd, const struct lock_plan *lock, bool probe)
{
	struct report r = {.kind = REPORT_READY, .step = LOCK_STEP_WAIT};
	sigset_t none;
	char go;

	/* The supervisor is not dumpable; until this is said our /proc files belong to the host's
	 * root. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || write(fd, &r, sizeof(r)) != sizeof(r))
		_exit(1);
	if (read(fd, &go, 1) != 1)
		_exit(1);
	r.kind = REPORT_FAILED;
	if (probe)
		child_probe(fd);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Away from the fixed numbers, and still closed by the exec. */
	fd = fcntl(fd, F_DUPFD_CLOEXEC, LOCK_FDS);
	r.value = -lock_enter(lock, &r.step);
	(void)!write(fd, &r, sizeof(r));
	_exit(1);
}

static int write_one_map(pid_t pid, const char *file, uid_t id)
{
	char path[64], map[48];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	snprintf(map, sizeof(map), "%d %u 1\n", IDENTITY_INSIDE, id);
	return files_write(path, map);
}

/* A child that hangs must not hang us. */
static ssize_t read_soon(int fd, void *out, size_t n)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	return poll(&wait, 1, HANDSHAKE_MS) == 1 ? read(fd, out, n) : -1;
}

static int let_go(int fd, pid_t pid, uid_t uid)
{
	struct report ready;
	int error = 0;

	if (read_soon(fd, &ready, sizeof(ready)) != sizeof(ready) || ready.kind != REPORT_READY)
		return -EIO;
	error = write_one_map(pid, "gid_map", uid);
	if (error == 0)
		error = write_one_map(pid, "uid_map", uid);
	if (error == 0 && write(fd, "g", 1) != 1)
		error = -errno;
	return error;
}

/* Reads reports until the exec closes the child's end. */
static int hear(int fd, struct spawned *out, enum lock_step *step)
{
	struct report r;
	ssize_t n;

	*step = LOCK_STEP_WAIT;
	while ((n = read_soon(fd, &r, sizeof(r))) == sizeof(r)) {
		if (r.kind == REPORT_ECHO) {
			out->echo_allowed = r.value;
			continue;
		}
		*step = r.step;
		return r.value > 0 ? -r.value : -EIO;
	}
	return n == 0 ? 0 : -EIO;
}

static int spawn_failed(struct trouble *t, const char *name, const char *lacking, int error)
{
	trouble(t, EXIT_FAILED, "E0602", "cannot start %s: no %s", name, lacking);
	trouble_cause(t, "%s", strerror(-error));
	return trouble_fix(t, "See: natlock doctor");
}

/* What is left of a birth that failed. */
static void abandon(struct spawned *out)
{
	if (out->report_fd >= 0)
		close(out->report_fd);
	if (out->pid > 0) {
		kill(out->pid, SIGKILL);
		spawn_wait(out->pidfd);
	}
	*out = (struct spawned){.pidfd = -1, .report_fd = -1};
}

static int begin(const struct spawn_binaries *b, const struct spawn_plan *plan, struct spawned *out)
{
	uint64_t flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
			 CLONE_NEWCGROUP | (plan->id == ACTOR_NATPROXY ? 0 : CLONE_NEWNET);
	struct lock_plan lock;
	int pair[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	fill_plan(&lock, b, plan);
	out->pid = spawn_clone(flags, &out->pidfd);
	if (out->pid == 0) {
		close(pair[0]);
		child_main(pair[1], &lock, plan->probe_echo);
	}
	error = out->pid < 0 ? -errno : 0;
	close(pair[1]);
	out->report_fd = pair[0];
	return error;
}

int spawn_workers(const struct spawn_binaries *b, const struct spawn_plan *plan,
	struct spawned *out, unsigned int count, struct trouble *t)
{
	enum lock_step step = LOCK_STEP_WAIT;
	unsigned int i, at = 0;
	bool begun;
	int error = 0;

	for (i = 0; i < count; i++)
		out[i] = (struct spawned){.pidfd = -1, .report_fd = -1};
	for (i = 0; i < count && error == 0; i++)
		error = begin(b, &plan[at = i], &out[i]);
	begun = error == 0;
	for (i = 0; i < count && error == 0; i++)
		error = let_go(out[i].report_fd, out[at = i].pid, plan[i].uid);
	for (i = 0; i < count && error == 0; i++)
		error = hear(out[at = i].report_fd, &out[i], &step);
	for (i = 0; i < count && error; i++)
		abandon(&out[i]);
	for (i = 0; i < count && error == 0; i++) {
		close(out[i].report_fd);
		out[i].report_fd = -1;
	}
	return error ? spawn_failed(t, plan[at].name ? plan[at].name : actor_names[plan[at].id],
			       begun ? lock_step_name(step) : "namespaces of its own", error)
		     : 0;
}
