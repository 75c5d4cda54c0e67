/* The servers beyond the gateway, a process each, so that none waits for another. */
#include "load.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum { EVENTS = 256, LISTENER = 1, DNS_HEADER = 12, DNS_TYPE_A = 1, DNS_MAX = 512 };

static void accept_all(int epoll, int listener)
{
	int one = 1, fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		load_watch(epoll, fd, EPOLLIN, (uint64_t)fd << 1, false);
	}
}

static void echo_stream(int fd)
{
	static char data[1 << 16];
	ssize_t got = read(fd, data, sizeof(data));

	if (got > 0 ? write(fd, data, (size_t)got) < 0 && errno != EAGAIN : !got || errno != EAGAIN)
		close(fd);
}

static void serve_streams(const char *ip)
{
	int epoll = epoll_create1(0);
	struct epoll_event event[EVENTS];

	load_raise_descriptors();
	for (unsigned i = 0; i < LOAD_SHORT_PORTS + 2; i++) {
		unsigned port = i < LOAD_SHORT_PORTS	? LOAD_PORT_SHORT + i
				: i == LOAD_SHORT_PORTS ? LOAD_PORT_ECHO
							: LOAD_PORT_WEB;
		int fd = load_listen(load_address(ip, port));

		load_watch(epoll, fd, EPOLLIN, (uint64_t)fd << 1 | LISTENER, false);
	}
	for (;;) {
		int count = epoll_wait(epoll, event, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			int fd = (int)(event[i].data.u64 >> 1);

			if (event[i].data.u64 & LISTENER)
				accept_all(epoll, fd);
			else
				echo_stream(fd);
		}
	}
}

static void serve_datagrams(const char *ip)
{
	struct sockaddr_in own = load_address(ip, LOAD_PORT_ECHO), from;
	int fd = load_datagram_socket(&own, NULL);
	char data[2048];

	for (;;) {
		socklen_t length = sizeof(from);
		ssize_t got =
			recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &length);

		if (got >= 0)
			sendto(fd, data, (size_t)got, 0, (struct sockaddr *)&from, length);
	}
}

/* Turns a query of `size` bytes into its answer, in place; the new size, 0: not a query. */
static size_t answer(uint8_t *message, size_t size, struct in_addr address)
{
	size_t end = DNS_HEADER;

	while (end < size && message[end])
		end += message[end] + 1U;
	end += 5; /* root label, type, class */
	if (size <= DNS_HEADER || end > size)
		return 0;
	message[2] = 0x84 | (message[2] & 1); /* response, authoritative, recursion as desired */
	message[3] = 0x80;
	memcpy(message + 4, "\0\1\0\0\0\0\0\0", 8);
	if (message[end - 3] != DNS_TYPE_A)
		return end;
	message[7] = 1;
	memcpy(message + end, "\300\14\0\1\0\1\0\0\0\74\0\4",
		12); /* the name asked for, A, IN, 60 s */
	memcpy(message + end + 12, &address, 4);
	return end + 16;
}

static void serve_names(const char *ip)
{
	struct sockaddr_in own = load_address(ip, 53), from;
	int fd = load_datagram_socket(&own, NULL);
	uint8_t message[DNS_MAX + 16];

	for (;;) {
		socklen_t length = sizeof(from);
		ssize_t got = recvfrom(fd, message, DNS_MAX, 0, (struct sockaddr *)&from, &length);
		size_t size = got > 0 ? answer(message, (size_t)got, own.sin_addr) : 0;

		if (size)
			sendto(fd, message, size, 0, (struct sockaddr *)&from, length);
	}
}

int server_run(char **argument)
{
	void (*const serve[])(const char *) = {serve_streams, serve_datagrams, serve_names,
		sip_serve_datagrams, sip_serve_streams};
	pid_t parent = getpid();

	for (size_t i = 0; i < sizeof(serve) / sizeof(*serve); i++) {
		if (fork())
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			serve[i](argument[0]);
		_exit(1);
	}
	wait(NULL);
	return 1; /* a server ended: it should not */
}
