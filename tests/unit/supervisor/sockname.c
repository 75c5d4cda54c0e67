/* A dead socket's name is taken over; a live one's and any other file are left alone. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sockname.h"

static char folder[64], path[100];

static void begin(void)
{
	strcpy(folder, "/tmp/natlock-test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
}

static void end(void)
{
	unlink(path);
	cr_assert_eq(rmdir(folder), 0);
}
TestSuite(sockname, .init = begin, .fini = end);

static int bound(int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type, 0);

	strcpy(address.sun_path, path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (type != SOCK_DGRAM)
		cr_assert_eq(listen(fd, 1), 0);
	return fd;
}

Test(sockname, dead_and_alive)
{
	static const int types[] = {SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM};
	size_t i;

	for (i = 0; i < 3; i++) {
		int fd = bound(types[i]);

		cr_assert_eq(sockname_clear(path, types[i]), -EADDRINUSE);
		close(fd);
		cr_assert_eq(access(path, F_OK), 0);
		cr_assert_eq(sockname_clear(path, types[i]), 0);
		cr_assert_lt(access(path, F_OK), 0);
	}
	cr_assert_eq(sockname_clear(path, SOCK_STREAM), 0, "nothing there");
}

Test(sockname, another_kind_of_socket_is_in_use_too)
{
	int fd = bound(SOCK_STREAM);

	cr_assert_eq(sockname_clear(path, SOCK_SEQPACKET), -EADDRINUSE);
	close(fd);
}

Test(sockname, a_file_is_never_removed)
{
	close(open(path, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(sockname_clear(path, SOCK_STREAM), -EEXIST);
	cr_assert_eq(access(path, F_OK), 0);
}

Test(sockname, remove)
{
	int fd = bound(SOCK_DGRAM), nameless = socket(AF_UNIX, SOCK_DGRAM, 0);

	sockname_remove(nameless);
	sockname_remove(fd);
	cr_assert_lt(access(path, F_OK), 0);
	close(fd);
	close(nameless);
}
