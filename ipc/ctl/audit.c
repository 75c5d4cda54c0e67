/*
 * Theory of operation: see audit.h. The program is looked for where natlock looks for its workers:
 * $NATLOCK_LIBEXEC, beside natlockctl, in ../libexec/natlock, in the build folder.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"

enum { PATH_BYTES = 512, WORDS = 8 };

static const char *const places[] = {
	"natlock-audit",
	"../libexec/natlock/natlock-audit",
	"../../policy/audit/natlock-audit",
};

static int fail_exec(struct failure *f, int error)
{
	return failure(f, CTL_FAILED, "E0714", strerror(error),
		"Reinstall natlock, or set NATLOCK_LIBEXEC.", "cannot start natlock-audit");
}

static void become(char *const *argv)
{
	const char *libexec = secure_getenv("NATLOCK_LIBEXEC");
	char own[PATH_BYTES], path[PATH_BYTES + 64];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	own[n > 0 ? n : 0] = '\0';
	slash = strrchr(own, '/');
	if (slash != NULL)
		*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", libexec != NULL ? libexec : own, places[i]);
		execv(path, argv);
		if (libexec != NULL || errno != ENOENT)
			return;
	}
}

/* The supervisor's socket, by which the kernel tells who it is. */
static int place_socket(const struct ctl *ctl, struct failure *f)
{
	int fd = client_connect(ctl->api, f);

	if (fd < 0)
		return (int)f->exit_code;
	if (fd == AUDIT_SOCKET_FD) /* close-on-exec by client.c */
		fd = dup(fd);
	if (fd < 0 || dup2(fd, AUDIT_SOCKET_FD) < 0)
		return fail_exec(f, errno);
	close(fd);
	return CTL_OK;
}

int audit_command(struct ctl *ctl, struct failure *f)
{
	const char *argv[WORDS] = {"natlock-audit", ctl->verb->key};
	size_t argc = 2;
	int code = CTL_OK;

	if (ctl->verb->kind == VERB_AUDIT)
		code = place_socket(ctl, f);
	if (code != CTL_OK)
		return code;
	for (size_t i = 0; i < ctl->arguments; i++)
		argv[argc++] = ctl->argument[i];
	if (ctl->probe)
		argv[argc++] = "--probe";
	if (ctl->format == FORMAT_JSON)
		argv[argc++] = "--json";
	fflush(ctl->out);
	become((char *const *)(uintptr_t)argv);
	return fail_exec(f, errno);
}
