/* Finding and talking to the supervisor. Sockets of `natlock run` are named run-*, one a gateway.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"

/* A connected descriptor or -errno. */
static int connect_path(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, error = 0;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		error = -errno;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

/*
 * Beside every socket FOLDER/NAME lies FOLDER/admin-NAME, which only the owner can open: whoever
 * comes in there may change things. It is tried first; a reader gets the other one.
 */
static int connect_to(const char *path)
{
	const char *slash = strrchr(path, '/');
	int folder = slash != NULL ? (int)(slash - path) + 1 : 0, fd = -ENAMETOOLONG;
	char admin[CLIENT_PATH];

	if (snprintf(admin, sizeof(admin), "%.*sadmin-%s", folder, path, path + folder) <
		(int)sizeof(admin))
		fd = connect_path(admin);
	return fd >= 0 ? fd : connect_path(path);
}

static int fail_connect(const char *path, int error, struct failure *why)
{
	if (error == -EACCES)
		failure(why, CTL_REFUSED, "E0703", strerror(EACCES),
			"Run it as root or as the user who started natlock, or join the group "
			"api.group names.",
			"may not open %s", path);
	else
		failure(why, CTL_UNREACHABLE, "E0702", strerror(-error), "Start one: natlock up",
			"no running natlock at %s", path);
	return -1;
}

static int connect_or_fail(const char *path, struct failure *why)
{
	int fd = connect_to(path);

	return fd >= 0 ? fd : fail_connect(path, fd, why);
}

struct found {
	char path[CLIENT_PATH];
	int fd, count;
};

/* Tries every run-* socket of a folder; keeps the first that answers and counts the rest. */
static void try_folder(const char *folder, struct found *found)
{
	char path[CLIENT_PATH];
	struct dirent *entry;
	DIR *d = opendir(folder);

	while (d != NULL && (entry = readdir(d)) != NULL) {
		int fd;

		if (strncmp(entry->d_name, "run-", 4) != 0 ||
			snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >=
				(int)sizeof(path))
			continue;
		fd = connect_to(path);
		if (fd < 0)
			continue;
		if (found->count++ > 0) {
			close(fd);
			continue;
		}
		found->fd = fd;
		strcpy(found->path, path);
	}
	if (d != NULL)
		closedir(d);
}

enum { FOLDERS = 3, FOLDER_BYTES = 64 };

/* The runtime folders where a supervisor may have put its socket, in order. Returns how many. */
static int runtime_folders(char folders[FOLDERS][FOLDER_BYTES])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int count = 0;

	if (runtime != NULL && runtime[0] == '/' &&
		snprintf(folders[count], FOLDER_BYTES, "%s/natlock", runtime) < FOLDER_BYTES)
		count++;
	snprintf(folders[count++], FOLDER_BYTES, "/tmp/natlock-%u", geteuid());
	snprintf(folders[count++], FOLDER_BYTES, "/run/natlock");
	return count;
}

/* In /tmp anybody could stand in for the supervisor: the folder must be ours. */
static bool is_trusted(const char *folder)
{
	struct stat st;

	if (strncmp(folder, "/tmp/", 5) != 0)
		return true;
	return lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

int client_connect(const char *given, struct failure *why)
{
	const char *named = given != NULL ? given : getenv("NATLOCK_API");
	char folders[FOLDERS][FOLDER_BYTES], path[FOLDER_BYTES + sizeof("/api")];
	struct found found = {.fd = -1};
	int count;

	if (named != NULL && named[0] != '\0')
		return connect_or_fail(named, why);
	count = runtime_folders(folders);
	for (int i = 0; i < count; i++) {
		int fd = -ENOENT;

		strcpy(stpcpy(path, folders[i]), "/api");
		if (is_trusted(folders[i]))
			fd = connect_to(path);
		if (fd >= 0)
			return fd;
		if (fd == -EACCES)
			return fail_connect(path, fd, why);
	}
	for (int i = 0; i < count; i++)
		if (is_trusted(folders[i]))
			try_folder(folders[i], &found);
	if (found.count == 1)
		return found.fd;
	if (found.count == 0)
		return fail_connect(
			"$XDG_RUNTIME_DIR/natlock/api or /run/natlock/api", -ENOENT, why);
	close(found.fd);
	failure(why, CTL_USAGE, "E0704", "Each `natlock run` has a socket of its own.",
		"Name one with --api PATH or NATLOCK_API.", "%d gateways are running, one at %s",
		found.count, found.path);
	return -1;
}

void client_init(struct client *c, int fd)
{
	pool_init(&c->pool, c->memory, sizeof(c->memory));
	chan_init(&c->chan, fd, &c->pool, NULL, 0);
	c->timeout_ms = CLIENT_TIMEOUT_MS;
}

static int fail_ended(struct failure *why)
{
	return failure(why, CTL_FAILED, "E0705",
		"It ended, was replaced, or refused this connection while the answer was under "
		"way.",
		"Ask again; if it persists see natlock's standard error.",
		"the gateway closed the connection");
}

static int fail_nonsense(struct failure *why)
{
	return failure(why, CTL_FAILED, "E0706",
		"natlockctl and natlock are of different versions, or a worker lies.",
		"Compare: natlockctl version", "the gateway's answer cannot be read");
}

/* The readers' socket takes no file (policy/supervisor/operator.c): the kernel says so in the supervisor's place. */
static int fail_reader(struct failure *why)
{
	return failure(why, CTL_REFUSED, "E0501", "Who may only ask cannot hand over a file.",
		"Ask as that user, or with sudo.",
		"this needs the user that natlock runs as, or root");
}

int client_ask(struct client *c, const Nl__OperatorRequest *request, int file, struct failure *why)
{
	int error = chan_send_message(&c->chan, &request->base, &file, file >= 0 ? 1 : 0);

	if (error == -EMSGSIZE)
		return failure(why, CTL_USAGE, "E0701", NULL, NULL, "the request is too long");
	if (error && file >= 0 && errno == EPERM)
		return fail_reader(why);
	return error == 0 ? CTL_OK : fail_ended(why);
}

const Nl__OperatorAnswer *client_answer(struct client *c, struct failure *why)
{
	const Nl__OperatorAnswer *answer;
	struct chan_in in;
	int got;

	while ((got = chan_recv(&c->chan, &in)) == 0) {
		struct pollfd wait = {.fd = c->chan.fd, .events = POLLIN};
		int ready = poll(&wait, 1, c->timeout_ms);

		if (ready < 0 && errno != EINTR) {
			got = -EPIPE;
			break;
		}
		if (ready == 0) {
			failure(why, CTL_TIMED_OUT, "E0707", "A worker is busy or stopped.",
				"See: natlockctl process list", "no answer for %d ms",
				c->timeout_ms);
			return NULL;
		}
	}
	if (got == -EPIPE) {
		fail_ended(why);
		return NULL;
	}
	answer = got > 0 && in.nfds == 0
			 ? nl__operator_answer__unpack(&c->pool.allocator, in.len, in.bytes)
			 : NULL;
	if (got > 0)
		chan_drop_fds(&in);
	if (answer == NULL)
		fail_nonsense(why);
	return answer;
}
