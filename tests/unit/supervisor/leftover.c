/* Names that a killed natlock left go; everything else stays. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leftover.h"

static char folder[64];

static void begin(void)
{
	strcpy(folder, "/tmp/natlock-test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
}

static void end(void)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}
TestSuite(leftover, .init = begin, .fini = end);

/* A PID that was somebody's and is nobody's now. */
static pid_t nobody(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return pid;
}

static const char *path_of(const char *kind, pid_t pid)
{
	static char path[100];

	snprintf(path, sizeof(path), "%s/%s%d", folder, kind, pid);
	return path;
}

static int bound(const char *kind, pid_t pid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path_of(kind, pid));
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void file(const char *kind, pid_t pid)
{
	close(open(path_of(kind, pid), O_CREAT | O_WRONLY, 0600));
}

static bool there(const char *kind, pid_t pid)
{
	return access(path_of(kind, pid), F_OK) == 0;
}

Test(leftover, names)
{
	cr_assert_eq(leftover_pid("run-17"), 17);
	cr_assert_eq(leftover_pid("admin-run-17"), 17);
	cr_assert_eq(leftover_pid("resolv-2147483647"), 2147483647);
	for (const char *const *n = (const char *const[]){"api", "admin-api", "run-", "run-0",
		     "run--1", "run-1x", "run-2147483648", "run-99999999999999999999", "resolv-01",
		     "xrun-1", "leases-default", "", NULL};
		*n; n++)
		cr_assert_eq(leftover_pid(*n), 0, "%s", *n);
}

Test(leftover, what_a_dead_one_left_goes)
{
	pid_t pid = nobody();

	close(bound("run-", pid));
	close(bound("admin-run-", pid));
	file("resolv-", pid);
	leftover_clear(folder, geteuid());
	cr_assert_not(there("run-", pid));
	cr_assert_not(there("admin-run-", pid));
	cr_assert_not(there("resolv-", pid));
}

Test(leftover, the_living_are_left_alone)
{
	close(bound("run-", getpid()));
	file("resolv-", getpid());
	leftover_clear(folder, geteuid());
	cr_assert(there("run-", getpid()), "between bind and listen, say");
	cr_assert(there("resolv-", getpid()));
}

Test(leftover, a_socket_that_answers_keeps_everything)
{
	pid_t pid = nobody();
	int fd = bound("run-", pid);

	cr_assert_eq(listen(fd, 1), 0);
	file("resolv-", pid);
	leftover_clear(folder, geteuid());
	cr_assert(there("run-", pid), "of another PID namespace");
	cr_assert(there("resolv-", pid));
	close(fd);
}

Test(leftover, other_kinds_and_other_owners_stay)
{
	pid_t pid = nobody(), stranger = nobody();

	file("run-", pid);
	cr_assert_eq(mkdir(path_of("resolv-", pid), 0700), 0);
	cr_assert_eq(symlink("/etc/passwd", path_of("admin-run-", pid)), 0);
	leftover_clear(folder, geteuid());
	cr_assert(there("run-", pid));
	cr_assert(there("resolv-", pid));
	cr_assert(there("admin-run-", pid));
	if (geteuid() != 0)
		return;
	file("resolv-", stranger);
	cr_assert_eq(chown(path_of("resolv-", stranger), 64999, 64999), 0);
	leftover_clear(folder, geteuid());
	cr_assert(there("resolv-", stranger));
	leftover_clear(folder, 64999);
	cr_assert_not(there("resolv-", stranger), "the user that we shall be");
	leftover_clear("/nowhere/at/all", 0);
}
