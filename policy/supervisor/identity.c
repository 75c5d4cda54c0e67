/*
 * Theory of operation.
 *
 *   supervisor                          child, stays outside
 *     unshare(CLONE_NEWUSER)
 *     "go" ───────────────────────────▶ as root: writes /proc/PPID/{uid,gid}_map
 *                                       else: newuidmap + newgidmap, or the one-line map that
 * anybody may write ◀─────────────────────────── how  ends setgroups, setresgid, setresuid to the
 * namespace's 0
 *
 * The child must be outside because a map is checked against the writer's namespace: from inside,
 * only the maker's own uid could be mapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "identity.h"

bool identity_mapped(const char *map, uint32_t first, uint32_t count)
{
	unsigned long inside, outside, length;
	int used;

	while (sscanf(map, "%lu %lu %lu%n", &inside, &outside, &length, &used) == 3) {
		if (first >= inside && (uint64_t)first + count <= (uint64_t)inside + length)
			return true;
		map += used;
	}
	return false;
}

bool identity_subid(
	const char *text, const char *name, uid_t uid, unsigned int want, uint32_t *first)
{
	char number[16];
	const char *line;

	snprintf(number, sizeof(number), "%u", uid);
	for (line = text; *line; line = *line ? line + 1 : line) {
		size_t owner = strcspn(line, ":\n");
		unsigned long start, count;

		if (((owner == strlen(name) && memcmp(line, name, owner) == 0) ||
			    (owner == strlen(number) && memcmp(line, number, owner) == 0)) &&
			sscanf(line + owner, ":%lu:%lu", &start, &count) == 2 && count >= want &&
			start > 0 && count <= UINT32_MAX && start <= UINT32_MAX - count) {
			*first = (uint32_t)start;
			return true;
		}
		line += strcspn(line, "\n");
	}
	return false;
}

/* A range of uids that no other natlock with this folder uses now, from `slot` on: the lock lives as long as this
 * process. */
static int choose_slot(const struct places *places, int slot)
{
	char path[PLACES_PATH];

	for (; slot < IDENTITY_SLOTS; slot++) {
		int fd;

		snprintf(path, sizeof(path), "%s/uids-%d", places->runtime, slot);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return -1;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd << 8 | slot;
		close(fd);
	}
	return -1;
}

static void take_slot(struct identity *id, int taken)
{
	id->slot_fd = taken >> 8;
	id->private_uid = id->private_gid =
		IDENTITY_FIRST + 1 + (uid_t)(taken & 0xff) * IDENTITY_PRIVATE;
}

int identity_next(struct identity *id, const struct places *places)
{
	int slot = (int)((id->private_uid - IDENTITY_FIRST - 1) / IDENTITY_PRIVATE);
	int before = id->slot_fd, taken = choose_slot(places, slot + 1);

	if (taken < 0)
		return -1;
	take_slot(id, taken);
	close(before);
	return 0;
}

static int choose_as_root(
	struct identity *id, const char *user, const struct places *places, struct trouble *t)
{
	const struct passwd *pw = getpwnam(user ? user : "natlock");
	int taken = choose_slot(places, 0);

	if (taken < 0) {
		trouble(t, EXIT_FAILED, "E0303", "cannot reserve private uids in %s",
			places->runtime);
		return trouble_cause(t, "%s", strerror(errno));
	}
	if ((user && !pw) || (pw && (pw->pw_uid == 0 || pw->pw_gid == 0))) {
		trouble(t, EXIT_USAGE, "E0101", "--user %s", user ? user : "natlock");
		trouble_cause(t, "%s",
			!pw		  ? "no such user"
			: pw->pw_uid == 0 ? "that is root"
					  : "its group is root's");
		return trouble_fix(t, "Name an ordinary user, or leave --user out.");
	}
	take_slot(id, taken);
	/* All gateways without a user natlock share the main uid, so that they can share the
	 * runtime folder. */
	id->uid = id->gid = IDENTITY_FIRST;
	id->has_private = true;
	snprintf(id->user, sizeof(id->user), "%u", id->uid);
	if (pw) {
		id->uid = pw->pw_uid;
		id->gid = pw->pw_gid;
		snprintf(id->user, sizeof(id->user), "%s", pw->pw_name);
	}
	return 0;
}

static void choose_as_user(struct identity *id)
{
	const struct passwd *pw = getpwuid(geteuid());
	char text[FILES_TEXT];
	uint32_t uid, gid;

	id->uid = geteuid();
	id->gid = getegid();
	snprintf(id->user, sizeof(id->user), "%s", pw ? pw->pw_name : "?");
	if (files_read("/etc/subuid", text, sizeof(text)) < 0 ||
		!identity_subid(text, id->user, id->uid, IDENTITY_PRIVATE, &uid))
		return;
	if (files_read("/etc/subgid", text, sizeof(text)) < 0 ||
		!identity_subid(text, id->user, id->uid, IDENTITY_PRIVATE, &gid))
		return;
	id->private_uid = uid;
	id->private_gid = gid;
	id->has_private = id->granted = true;
}

int identity_choose(
	struct identity *id, const char *user, const struct places *places, struct trouble *t)
{
	char map[FILES_TEXT];

	memset(id, 0, sizeof(*id));
	id->slot_fd = -1;
	id->privileged =
		places->system && files_read("/proc/self/uid_map", map, sizeof(map)) > 0 &&
		identity_mapped(map, IDENTITY_FIRST, 1 + IDENTITY_SLOTS * IDENTITY_PRIVATE);
	if (id->privileged)
		return choose_as_root(id, user, places, t);
	if (user) {
		trouble(t, EXIT_USAGE, "E0101", "--user needs root");
		if (geteuid() == 0)
			trouble_cause(t,
				"this user namespace has too few uids: %d to %d are needed",
				IDENTITY_FIRST, IDENTITY_FIRST + IDENTITY_SLOTS * IDENTITY_PRIVATE);
		return trouble_fix(t, "Leave it out: natlock runs as the user who starts it.");
	}
	choose_as_user(id);
	return 0;
}

static int write_map(
	pid_t pid, const char *file, uint32_t main_id, uint32_t private_id, bool has_private)
{
	char path[64], map[96];
	int n = snprintf(map, sizeof(map), "0 %u 1\n", main_id);

	if (has_private)
		snprintf(map + n, sizeof(map) - (size_t)n, "1 %u %d\n", private_id,
			IDENTITY_PRIVATE);
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return files_write(path, map);
}

/* The map that needs no grant: one's own uid and gid. The kernel asks that groups cannot be dropped
 * then. */
static int write_single(pid_t pid, const struct identity *id)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
	if (files_write(path, "deny") < 0)
		return -errno;
	if (write_map(pid, "gid_map", id->gid, 0, false) < 0)
		return -errno;
	return write_map(pid, "uid_map", id->uid, 0, false) < 0 ? -errno : 0;
}

/* newuidmap PID 0 UID 1 1 PRIVATE 32 */
static int run_mapper(const char *tool, pid_t target, uint32_t main_id, uint32_t private_id)
{
	char pid[16], first[16], second[16], count[16];
	int status;
	pid_t child;

	snprintf(pid, sizeof(pid), "%d", target);
	snprintf(first, sizeof(first), "%u", main_id);
	snprintf(second, sizeof(second), "%u", private_id);
	snprintf(count, sizeof(count), "%d", IDENTITY_PRIVATE);
	child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(null, STDERR_FILENO);
		execlp(tool, tool, pid, "0", first, "1", "1", second, count, (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -ECHILD;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* Runs outside. 1: private uids mapped, 0: one uid only, negative errno: nothing worked. */
static int write_maps_outside(pid_t target, const struct identity *id)
{
	if (id->privileged) {
		int r = write_map(target, "gid_map", id->gid, id->private_gid, true);

		if (r == 0)
			r = write_map(target, "uid_map", id->uid, id->private_uid, true);
		return r < 0 ? r : 1;
	}
	if (id->has_private && run_mapper("newgidmap", target, id->gid, id->private_gid) == 0 &&
		run_mapper("newuidmap", target, id->uid, id->private_uid) == 0)
		return 1;
	return write_single(target, id);
}

static void outside(int fd, const struct identity *id)
{
	int how;
	char go;

	if (read(fd, &go, 1) != 1)
		_exit(1);
	how = write_maps_outside(getppid(), id);
	_exit(write(fd, &how, sizeof(how)) == sizeof(how) ? 0 : 1);
}

static int enter_failed(struct trouble *t, int error)
{
	trouble(t, EXIT_FAILED, "E0301", "cannot make a user namespace");
	trouble_cause(t, "%s", strerror(error));
	return trouble_fix(t, "See: natlock doctor");
}

static int become_zero(const struct identity *id)
{
	if (setgroups(0, NULL) < 0 && (id->has_private || errno != EPERM))
		return -errno;
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return -errno;
	return 0;
}

int identity_enter(struct identity *id, struct trouble *t)
{
	int pair[2], how = -EIO, error;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return enter_failed(t, errno);
	child = fork();
	if (child == 0) {
		close(pair[0]);
		outside(pair[1], id);
	}
	close(pair[1]);
	error = child < 0 || unshare(CLONE_NEWUSER) < 0 ? errno : 0;
	if (error == 0 &&
		(write(pair[0], "g", 1) != 1 || read(pair[0], &how, sizeof(how)) != sizeof(how)))
		error = EIO;
	close(pair[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	if (error == 0 && how < 0)
		error = -how;
	if (error)
		return enter_failed(t, error);
	id->has_private = how == 1;
	error = become_zero(id);
	return error < 0 ? enter_failed(t, -error) : 0;
}

/* Says nothing of failure, but what it is afterwards (setfsuid(2)). */
static bool set_file_uid(uid_t uid)
{
	setfsuid(uid);
	return (uid_t)setfsuid((uid_t)-1) == uid;
}

int identity_socket(const struct identity *id, unsigned int n, int domain, int type, int protocol)
{
	int fd;

	if (id->privileged && !set_file_uid(identity_worker_host(id, n)))
		return -EPERM;
	fd = socket(domain, type, protocol);
	if (fd < 0)
		fd = -errno;
	if (id->privileged && !set_file_uid(geteuid()))
		abort(); /* files that we make from now on would be a worker's */
	return fd;
}

uid_t identity_worker(const struct identity *id, unsigned int n)
{
	return id->has_private ? 1 + n % IDENTITY_PRIVATE : 0;
}

uid_t identity_worker_host(const struct identity *id, unsigned int n)
{
	return id->has_private ? id->private_uid + n % IDENTITY_PRIVATE : id->uid;
}
