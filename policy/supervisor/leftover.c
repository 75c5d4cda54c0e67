/*
 * Theory of operation. A PID says who made a name, but the kernel gives numbers out again, and a folder may be shared
 * with another PID namespace, where a number that is nobody's here is somebody's. So a name goes only if its PID is
 * free and, for sockets, a connection is refused; a socket between bind and listen refuses too, but then its maker's
 * PID is taken. resolv-PID goes with the socket beside it.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leftover.h"
#include "places.h"
#include "sockname.h"

enum { NAMES_MAX = 4096 }; /* a folder that holds more is not ours to tidy */

static const char *const kinds[] = {"run-", "admin-run-", "resolv-"};
enum { SOCKETS = 2, KINDS = 3 };

pid_t leftover_pid(const char *name)
{
	for (size_t i = 0; i < KINDS; i++) {
		size_t n = strlen(kinds[i]);
		char *end;
		long pid;

		if (strncmp(name, kinds[i], n) != 0 || name[n] < '1' || name[n] > '9')
			continue;
		errno = 0;
		pid = strtol(name + n, &end, 10);
		return *end || errno || pid > INT_MAX ? 0 : (pid_t)pid;
	}
	return 0;
}

static bool is_ours(const char *path, mode_t kind, uid_t uid)
{
	struct stat st;

	return lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == kind &&
	       (st.st_uid == geteuid() || st.st_uid == uid);
}

/* All that one natlock left; its sockets first: one that is held keeps the rest. */
static void clear_of(const char *folder, pid_t pid, uid_t uid)
{
	char path[PLACES_PATH];

	if (kill(pid, 0) == 0 || errno != ESRCH)
		return;
	for (size_t i = 0; i < KINDS; i++) {
		if (snprintf(path, sizeof(path), "%s/%s%d", folder, kinds[i], pid) >=
			(int)sizeof(path))
			return;
		if (i < SOCKETS && is_ours(path, S_IFSOCK, uid) &&
			sockname_clear(path, SOCK_SEQPACKET) < 0)
			return;
		if (i >= SOCKETS && is_ours(path, S_IFREG, uid))
			unlink(path);
	}
}

void leftover_clear(const char *folder, uid_t uid)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	if (!dir)
		return;
	for (int i = 0; i < NAMES_MAX && (entry = readdir(dir)); i++) {
		pid_t pid = leftover_pid(entry->d_name);

		if (pid > 0)
			clear_of(folder, pid, uid);
	}
	closedir(dir);
}
