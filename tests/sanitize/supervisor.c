/*
 * The sanitized natlock, linked with --wrap. What is different from the product, and all of it:
 *
 *     filters     policy/sanitizer.policy in front (filters.c)
 *     root        of a worker: /usr, its libraries' and its loader's folders and /proc, read-only,
 *                 instead of nothing. Landlock and the filter still forbid every path.
 *     fd 2        of a worker is the pipe named by NATLOCK_SANITIZE_REPORTS instead of a placeholder
 *
 * A pipe, because a worker may not write one byte to files. This process reports to its own fd 2.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lock.h"

enum { FAR_AWAY = 200 }; /* from the numbers that natlock gives out itself */

static int report_fd = -1;

static void __attribute__((constructor)) open_reports(void)
{
	const char *path = getenv("NATLOCK_SANITIZE_REPORTS");
	int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	report_fd = fcntl(fd, F_DUPFD_CLOEXEC, FAR_AWAY);
	close(fd);
}

int __real_lock_enter(const struct lock_plan *plan, enum lock_step *step);
int __wrap_lock_enter(const struct lock_plan *plan, enum lock_step *step);
int __wrap_lock_enter(const struct lock_plan *plan, enum lock_step *step)
{
	struct lock_plan reporting = *plan;

	if (report_fd >= 0)
		reporting.fd[STDERR_FILENO] = report_fd;
	return __real_lock_enter(&reporting, step);
}

int __real_mount(
	const char *from, const char *to, const char *type, unsigned long flags, const void *data);

static int bind_folder(const char *from, const char *to)
{
	if (mkdir(to, 0555) < 0)
		return -1;
	return __real_mount(from, to, NULL, MS_BIND | MS_REC, NULL);
}

/* A user namespace may add flags to a mount from outside, not take them away. */
static int bind_code(const char *from, const char *to)
{
	if (bind_folder(from, to) < 0)
		return -1;
	return __real_mount(
		NULL, to, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
}

/* The caller stands in the /proc over which an empty root was mounted: binding it brings that mount
 * along, which goes again. */
static int bind_proc(void)
{
	if (bind_folder(".", "/proc/proc") < 0 || umount2("/proc/proc", MNT_DETACH) < 0)
		return -1;
	return __real_mount(NULL, "/proc/proc", NULL,
		MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

/* lock_root mounts its empty root over /proc. */
static int fill_root(void)
{
	if (bind_proc() < 0 || bind_code("/usr", "/proc/usr") < 0)
		return -1;
	if (bind_code("/lib", "/proc/lib") < 0)
		return -1;
	return bind_code("/lib64", "/proc/lib64");
}

int __wrap_mount(
	const char *from, const char *to, const char *type, unsigned long flags, const void *data);
int __wrap_mount(
	const char *from, const char *to, const char *type, unsigned long flags, const void *data)
{
	if (!type || strcmp(type, "tmpfs") != 0 || strcmp(to, "/proc") != 0)
		return __real_mount(from, to, type, flags, data);
	if (chdir("/proc") < 0)
		return -1;
	if (__real_mount(from, to, type, flags, "size=16k,nr_inodes=8,mode=0555") < 0)
		return -1;
	return fill_root();
}
