/*
 * Theory of operation. The kernel leaves a socket's file behind when its owner dies; connecting to it is then
 * refused. But connecting to any file that is no socket is refused too, so the kind is looked at first.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sockname.h"

int sockname_clear(const char *path, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, error;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode) || strlen(path) >= sizeof(address.sun_path))
		return -EEXIST;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	error = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
	close(fd);
	if (error != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(path) < 0 ? -errno : 0;
}

void sockname_remove(int fd)
{
	struct sockaddr_un address = {0};
	socklen_t n = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &n) == 0 &&
		address.sun_family == AF_UNIX && n > sizeof(sa_family_t) && n < sizeof(address) &&
		address.sun_path[0] == '/')
		unlink(address.sun_path);
}
