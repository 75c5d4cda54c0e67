/*
 * Theory of operation. The kernel knows who listens at natlock's socket (SO_PEERCRED): the
 * supervisor. Its children are the workers, known by the file they run; `natlock run` has one child
 * more, the keeper of the user's program, which runs natlock itself. A worker has no children, and
 * whoever else is below the supervisor is a stranger.
 *
 * The names of workers are read from their command lines: for the reader only, nothing rests on it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <linux/landlock.h>

#include "declare.h"
#include "fence_look.h"
#include "gather.h"
#include "layers.h"
#include "peers.h"
#include "proctext.h"

enum { BIRTH_MS = 500, BORN_TRIES = 20, BORN_MS = 50, STATUS_BYTES = 16384 };

/* FOLDER/NAME, or FOLDER/admin-NAME for changes: the former is what --api takes. */
static void find_socket(int fd, struct compare_crew *crew)
{
	static const char admin[] = "admin-";
	struct sockaddr_un address = {0};
	socklen_t n = sizeof(address) - 1;
	int folder;
	char *name;

	if (getpeername(fd, (struct sockaddr *)&address, &n) < 0)
		return;
	name = strrchr(address.sun_path, '/');
	name = name ? name + 1 : address.sun_path;
	folder = (int)(name - address.sun_path);
	if (strncmp(name, admin, sizeof(admin) - 1) == 0)
		name += sizeof(admin) - 1;
	crew->is_run = strncmp(name, "run-", 4) == 0;
	snprintf(crew->socket, sizeof(crew->socket), "%.*s%s", folder, address.sun_path, name);
}

pid_t gather_supervisor(int fd, struct compare_crew *crew)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	find_socket(fd, crew);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return -errno;
	return peer.pid > 0 ? peer.pid : -ESRCH; /* 0: it is not in our pid namespace */
}

/* 0: it has none, or has ended. */
static pid_t parent_of(pid_t pid)
{
	char text[STATUS_BYTES];
	struct found_status status;

	if (look_text(pid, "status", text, sizeof(text)) < 0 ||
		proctext_status(text, &status) < 0 || status.state == 'Z')
		return 0;
	return status.parent;
}

/* "alg.2"; what the process says of itself counts only where it begins with what it is. */
static void name_process(struct found *f)
{
	const char *kind = declare_name(f->kind);
	char said[FOUND_NAME * 8];

	snprintf(f->name, sizeof(f->name), "%s",
		kind			  ? kind
		: f->kind == FOUND_KEEPER ? "keeper"
					  : "?");
	if (f->kind >= FOUND_SUPERVISOR || look_text(f->pid, "cmdline", said, sizeof(said)) <= 0)
		return;
	if (declare_kind(said) == f->kind && strlen(said) <= strlen(kind) + 2)
		snprintf(f->name, sizeof(f->name), "%.*s", FOUND_NAME - 1, said);
}

/* Strangers may not ask which file it is; its own word is all that is left then. */
static unsigned int kind_of(pid_t pid, const char *supervisor_file)
{
	char file[FOUND_NAME * 8];

	if (look_file_name(pid, file, sizeof(file)) == 0)
		return strcmp(file, supervisor_file) == 0 ? FOUND_KEEPER : declare_kind(file);
	return look_text(pid, "cmdline", file, sizeof(file)) > 0 ? declare_kind(file)
								 : FOUND_STRANGER;
}

static void add(struct compare_crew *crew, struct found *process, pid_t pid, unsigned int kind)
{
	struct found *f = &process[crew->count++];

	*f = (struct found){.pid = pid, .kind = kind};
	name_process(f);
}

/* Everybody whose parent is one of process[from..to). */
static void add_children(struct compare_crew *crew, struct found *process, unsigned int from,
	unsigned int to, const char *supervisor_file)
{
	const struct dirent *entry;
	DIR *folder = opendir("/proc");
	unsigned int i;

	while (folder && (entry = readdir(folder)) && crew->count < GATHER_MAX) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10),
		      parent = pid > 0 ? parent_of(pid) : 0;

		for (i = from; i < to && parent > 0; i++)
			if (process[i].pid == parent && process[i].kind != FOUND_KEEPER)
				add(crew, process, pid,
					i == 0 ? kind_of(pid, supervisor_file) : FOUND_STRANGER);
	}
	if (folder)
		closedir(folder);
}

static int by_birth(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static void find_all(struct compare_crew *crew, struct found *process, pid_t supervisor)
{
	char file[FOUND_NAME * 8];
	unsigned int from = 0, to;

	crew->count = 0;
	add(crew, process, supervisor, FOUND_SUPERVISOR);
	if (look_file_name(supervisor, file, sizeof(file)) < 0)
		snprintf(file, sizeof(file), "natlock");
	for (to = 1; from < to; from = to, to = crew->count)
		add_children(crew, process, from, to, file);
	qsort(process + 1, crew->count - 1, sizeof(*process), by_birth);
}

/*
 * A worker that is being born wears no filter yet, or that of the supervisor who bore it. No count
 * of filters tells, so it must have lived for a while.
 */
static bool is_born(pid_t pid)
{
	struct timespec now;
	char text[STATUS_BYTES];
	uint64_t start_ms;

	if (look_text(pid, "stat", text, sizeof(text)) <= 0)
		return true; /* or gone, which look_at will tell */
	start_ms = proctext_start_ms(text, sysconf(_SC_CLK_TCK));
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 >= start_ms + BIRTH_MS;
}

static bool all_are_born(const struct compare_crew *crew, const struct found *process)
{
	unsigned int i;

	for (i = 0; i < crew->count; i++)
		if (process[i].kind <= FOUND_SUPERVISOR && !is_born(process[i].pid))
			return false;
	return true;
}

static void wait_for_births(struct compare_crew *crew, struct found *process, pid_t supervisor)
{
	const struct timespec pause = {0, BORN_MS * 1000000L};
	unsigned int tries;

	find_all(crew, process, supervisor);
	for (tries = 0; tries < BORN_TRIES && !all_are_born(crew, process); tries++) {
		nanosleep(&pause, NULL);
		find_all(crew, process, supervisor);
	}
}

static int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

int gather(struct compare_crew *crew, pid_t supervisor)
{
	struct found *process = calloc(GATHER_MAX, sizeof(*process));
	struct look_programs programs;
	unsigned int i;
	int error;

	if (!process)
		return -ENOMEM;
	look_at_self(&crew->operator);
	look_open_programs(&programs);
	crew->landlock_abi = landlock_abi();
	crew->process = process;
	wait_for_births(crew, process, supervisor);
	error = layers_allowed(&crew->operator.status);
	for (i = 0; i < crew->count; i++) {
		look_at(&process[i], &programs);
		process[i].layers_error = error;
		if (error == 0 && process[i].kind <= FOUND_SUPERVISOR && !process[i].gone)
			layers_look(&process[i]);
		if (process[i].layers_error == ETIMEDOUT || process[i].fds_error == ETIMEDOUT)
			return -ETIMEDOUT; /* our end lets it go on */
	}
	peers_look(crew, supervisor);
	fence_look(&crew->fence, &process[0]);
	return process[0].status_error ? -process[0].status_error : 0;
}

void gather_free(struct compare_crew *crew)
{
	unsigned int i;

	for (i = 0; i < crew->count; i++)
		look_free((struct found *)(uintptr_t)&crew->process[i]);
	free((void *)(uintptr_t)crew->process);
	peers_free(crew);
	crew->count = 0;
}
