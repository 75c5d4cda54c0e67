/*
 * Theory of operation. The file may come from a stranger, and natlockctl may be run by root: it is
 * read whole, then everything is given up, then it is parsed. The file's own descriptor takes the
 * place of the connection that there is not.
 */
#include "confined.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lockdown.h"

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

/* The whole file into memory of its own; 0, or -errno. */
static int read_file(int fd, size_t most, void **text, size_t *bytes)
{
	ssize_t n;

	*text = malloc(most + 1); /* one more shows that it is too long */
	if (*text == NULL)
		return -ENOMEM;
	n = read_all(fd, *text, most + 1);
	*bytes = n > 0 ? (size_t)n : 0;
	return n < 0 ? (int)n : *bytes > most ? -EFBIG : 0;
}

static int unreadable(struct failure *f, const char *path, const char *hint, int error)
{
	return failure(f, CTL_FAILED, "E0713", strerror(error), hint, "cannot read %s", path);
}

int confined_read(const char *path, size_t most, const char *hint, void **text, size_t *bytes,
	struct failure *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error;

	*text = NULL;
	if (fd < 0)
		return unreadable(f, path, hint, errno);
	error = read_file(fd, most, text, bytes);
	if (error < 0) {
		close(fd);
		return unreadable(f, path, hint, -error);
	}
	error = lockdown(fd, -1); /* takes the descriptor */
	if (error < 0)
		return failure(f, CTL_FAILED, "E0710", strerror(-error),
			"See which kernel feature is missing: natlock doctor",
			"cannot confine natlockctl");
	return CTL_OK;
}
