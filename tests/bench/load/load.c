/* Clock, sockets, memory, round-trip times: what the commands share. */
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 4 << 20, BACKLOG = 8192, CONNECT_MS = 3000, SAMPLES_MAX = 1 << 20 };

uint64_t load_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * LOAD_NS_PER_SECOND + (uint64_t)t.tv_nsec;
}

uint64_t load_deadline_ns(const char *seconds)
{
	return load_now_ns() + (uint64_t)(atof(seconds) * LOAD_NS_PER_SECOND);
}

_Noreturn void load_die(const char *what)
{
	perror(what);
	exit(1);
}

struct sockaddr_in load_address(const char *ip, unsigned port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	if (inet_pton(AF_INET, ip, &a.sin_addr) != 1) {
		fprintf(stderr, "not an address: %s\n", ip);
		exit(2);
	}
	return a;
}

int load_listen(struct sockaddr_in address)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, BACKLOG))
		load_die("listen");
	return fd;
}

int load_datagram_socket(const struct sockaddr_in *own, const struct sockaddr_in *far)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = BUFFER_BYTES;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (own && bind(fd, (const struct sockaddr *)own, sizeof(*own)))
		load_die("bind");
	if (far && connect(fd, (const struct sockaddr *)far, sizeof(*far)))
		load_die("connect");
	return fd;
}

int load_connect_begin(const struct sockaddr_in *far)
{
	int one = 1, error, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!connect(fd, (const struct sockaddr *)far, sizeof(*far)) || errno == EINPROGRESS)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int load_connect(const struct sockaddr_in *far)
{
	int error = 0, fd = load_connect_begin(far);
	struct pollfd ready = {fd, POLLOUT, 0};
	socklen_t length = sizeof(error);

	if (fd < 0)
		return -1;
	if (poll(&ready, 1, CONNECT_MS) == 1 &&
		!getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) && !error) {
		fcntl(fd, F_SETFL, 0);
		return fd;
	}
	close(fd);
	return -1;
}

void load_watch(int epoll, int fd, uint32_t events, uint64_t data, bool known)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	if (epoll_ctl(epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event))
		load_die("epoll_ctl");
}

void load_raise_descriptors(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

void *load_alloc(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		load_die("calloc");
	return memory;
}

void load_samples_begin(struct samples *s)
{
	*s = (struct samples){.took_ns = load_alloc(SAMPLES_MAX, sizeof(uint64_t))};
	s->begin_ns = load_now_ns();
}

void load_samples_add(struct samples *s, uint64_t begin_ns)
{
	if (s->count < SAMPLES_MAX)
		s->took_ns[s->count] = load_now_ns() - begin_ns;
	s->count++;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int load_samples_print(struct samples *s)
{
	double seconds = (double)(load_now_ns() - s->begin_ns) / LOAD_NS_PER_SECOND;
	uint64_t kept = s->count < SAMPLES_MAX ? s->count : SAMPLES_MAX;

	qsort(s->took_ns, kept, sizeof(uint64_t), compare);
	printf("{\"rate\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"count\": %llu, \"failed\": "
	       "%llu}\n",
		(double)s->count / seconds, (double)s->took_ns[kept / 2] / 1e3,
		(double)s->took_ns[kept * 99 / 100] / 1e3, (unsigned long long)s->count,
		(unsigned long long)s->failed);
	return s->count == 0;
}
