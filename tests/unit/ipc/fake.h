/* What the fake actor and the tests of the skeleton agree on. */
#ifndef NATLOCK_TESTS_UNIT_IPC_FAKE_H
#define NATLOCK_TESTS_UNIT_IPC_FAKE_H

#include <sys/socket.h>

enum { FAKE_PORTS = 200, FAKE_ROWS = 150, FAKE_NOTES = 3000, FAKE_SLOW_MS = 300 };

enum fake_command {
	FAKE_SAY = 1,
	FAKE_FORBIDDEN,
	FAKE_LAZY,
	FAKE_NOTES_NOW,
	FAKE_TIMER,
	FAKE_ABORT,
	FAKE_SLOW
};

/* One byte by a call that the skeleton's own list allows. */
static inline ssize_t recv_byte(int fd, char *byte)
{
	struct iovec iov = {byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	return recvmsg(fd, &m, MSG_DONTWAIT);
}

#endif
