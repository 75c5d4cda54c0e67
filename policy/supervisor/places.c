/*
 * Theory of operation. In /tmp anybody may have made our folder first, so there a folder counts
 * only if it is a real folder, ours, and closed to others; otherwise we refuse rather than put a
 * socket in it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "places.h"

static void path_set(char *out, size_t cap, const char *base, const char *rest)
{
	if (snprintf(out, cap, "%s%s", base, rest) >= (int)cap)
		out[0] = '\0';
}

static bool is_absolute(const char *s)
{
	return s && s[0] == '/';
}

static void user_runtime(struct places *p)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	p->runtime[0] = '\0';
	if (is_absolute(base) && access(base, W_OK) == 0)
		path_set(p->runtime, sizeof(p->runtime), base, "/natlock");
	if (!p->runtime[0])
		snprintf(p->runtime, sizeof(p->runtime), "/tmp/natlock-%u", geteuid());
}

static void user_state(struct places *p)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	p->state[0] = p->log[0] = '\0';
	if (is_absolute(state))
		path_set(p->state, sizeof(p->state), state, "/natlock");
	else if (is_absolute(home))
		path_set(p->state, sizeof(p->state), home, "/.local/state/natlock");
	if (p->state[0])
		path_set(p->log, sizeof(p->log), p->state, "/log");
}

/* A service manager says where by these variables (systemd.exec(5), RuntimeDirectory=). */
static void system_place(char *out, size_t cap, const char *variable, const char *usual)
{
	const char *given = getenv(variable);

	path_set(out, cap, is_absolute(given) ? given : usual, "");
}

static void system_places(struct places *p)
{
	system_place(p->runtime, sizeof(p->runtime), "RUNTIME_DIRECTORY", "/run/natlock");
	system_place(p->state, sizeof(p->state), "STATE_DIRECTORY", "/var/lib/natlock");
	system_place(p->log, sizeof(p->log), "LOGS_DIRECTORY", "/var/log/natlock");
}

void places_find(struct places *p)
{
	/* Root of a user namespace over somebody else's files is an ordinary user to us. */
	p->system = geteuid() == 0 && access("/run", W_OK) == 0 && access("/var/lib", W_OK) == 0;
	if (p->system) {
		system_places(p);
		return;
	}
	user_runtime(p);
	user_state(p);
}

void places_find_runtime(struct places *p)
{
	places_find(p);
	if (!p->system && access(p->runtime, F_OK) < 0 && access("/run/natlock", F_OK) == 0)
		system_places(p);
}

static int own_private_folder(const char *path, uid_t uid)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid != uid && st.st_uid != geteuid())
		return -EPERM;
	return st.st_mode & S_IWOTH || st.st_mode & S_IWGRP ? -EACCES : 0;
}

static bool belongs_to(const char *path, uid_t uid, gid_t gid)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_uid == uid && st.st_gid == gid;
}

int places_make(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	char part[PLACES_PATH];
	char *slash;

	if (!is_absolute(path) || strlen(path) >= sizeof(part))
		return -EINVAL;
	strcpy(part, path);
	for (slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return -errno;
	if (geteuid() == 0 && !belongs_to(path, uid, gid) && lchown(path, uid, gid) < 0)
		return -errno;
	return own_private_folder(path, uid);
}

int places_make_runtime(const struct places *p, uid_t uid, gid_t gid, struct trouble *t)
{
	int error = places_make(p->runtime, p->system ? 0755 : 0700, uid, gid);

	if (error == 0)
		return 0;
	trouble(t, EXIT_FAILED, "E0302", "cannot use the folder %s for sockets", p->runtime);
	trouble_cause(t, "%s", error == -EPERM ? "it belongs to somebody else" : strerror(-error));
	return trouble_fix(t, "Set XDG_RUNTIME_DIR to a folder of yours.");
}
