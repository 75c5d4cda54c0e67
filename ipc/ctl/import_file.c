/*
 * Theory of operation. The file may come from a stranger, and natlockctl may be run by root: it is
 * read whole, then everything is given up, then it is parsed. The file's own descriptor takes the
 * place of the connection that there is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "import.h"
#include "lockdown.h"
#include "softether.h"

enum { TEXT_CAP = SOFTETHER_TEXT_MAX + 1 }; /* one more shows that it is too long */

/* Until the end or `cap` bytes; bytes read, or -errno. */
static ssize_t read_all(int fd, char *out, size_t cap)
{
	size_t used = 0;

	while (used < cap) {
		ssize_t n = read(fd, out + used, cap - used);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		used += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)used;
}

static int unreadable(struct failure *f, const char *path, int error)
{
	return failure(f, CTL_FAILED, "E0713", strerror(error),
		"SoftEther keeps it beside its program, or in /var/lib/softether", "cannot read %s",
		path);
}

static int import_text(
	const char *path, int fd, char *text, FILE *out, FILE *err, struct failure *f)
{
	ssize_t bytes = read_all(fd, text, TEXT_CAP);
	int error;

	if (bytes < 0)
		return unreadable(f, path, (int)-bytes);
	if (bytes > SOFTETHER_TEXT_MAX)
		return unreadable(f, path, EFBIG);
	error = lockdown(fd, -1);
	if (error < 0)
		return failure(f, CTL_FAILED, "E0710", strerror(-error),
			"See which kernel feature is missing: natlock doctor",
			"cannot confine natlockctl");
	return import_softether(path, text, (size_t)bytes, out, err, f);
}

int import_command(const char *path, FILE *out, FILE *err, struct failure *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = fd < 0 ? errno : ENOMEM;
	char *text = fd < 0 ? NULL : malloc(TEXT_CAP);
	int code = text == NULL ? unreadable(f, path, error)
				: import_text(path, fd, text, out, err, f);

	free(text);
	return code;
}
