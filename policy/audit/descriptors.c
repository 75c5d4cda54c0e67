/*
 * Theory of operation. /proc/PID/fd says "socket:[123]" and needs root; a copy of the descriptor can
 * be asked what it is, and whoever made the user namespace may have one. A copy shares the open
 * file, so nothing is done with it but questions.
 *
 * A copy also keeps the file open: were its owner to close it in that moment, its epoll would go on
 * telling of a descriptor that is gone, and libev answers that by making a new epoll, which is
 * forbidden to a worker. So a worker stands still while numbers are copied that it may close: for
 * SLICE_NS at a time, with a longer pause in between. Numbers that are fixed for life are copied
 * while it runs; the supervisor may make a new epoll.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "declare.h"
#include "descriptors.h"
#include "look.h"
#include "stop.h"

enum { SLICE_NS = 100000, PAUSE_NS = 1000000, LOW_PORTS = 1024, FILTER_MAX = 16 };

static int socket_option(int fd, int name)
{
	int value = -1;
	socklen_t n = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &n) < 0 ? -1 : value;
}

static enum found_kind socket_kind(int domain, int type, int protocol)
{
	static const struct {
		int domain, type, protocol; /* -1: any */
		enum found_kind kind;
	} kinds[] = {
		{AF_UNIX, SOCK_SEQPACKET, -1, FOUND_CHANNEL},
		{AF_UNIX, SOCK_STREAM, -1, FOUND_STREAM},
		{AF_UNIX, SOCK_DGRAM, -1, FOUND_DATAGRAM},
		{AF_PACKET, SOCK_RAW, -1, FOUND_PACKET},
		{AF_INET, SOCK_STREAM, IPPROTO_TCP, FOUND_TCP},
		{AF_INET, SOCK_DGRAM, IPPROTO_UDP, FOUND_UDP},
		{AF_INET, SOCK_DGRAM, IPPROTO_ICMP, FOUND_PING},
		{AF_NETLINK, SOCK_RAW, 0 /* NETLINK_ROUTE */, FOUND_NETLINK},
		{AF_NETLINK, SOCK_RAW, 12 /* NETLINK_NETFILTER */, FOUND_NETFILTER},
	};
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].domain == domain && kinds[i].type == type &&
			(kinds[i].protocol < 0 || kinds[i].protocol == protocol))
			return kinds[i].kind;
	return FOUND_OTHER;
}

/* What the supervisor opens for natlock-natproxy before it gives root's rights up. */
static bool is_low_port(int fd)
{
	struct sockaddr_in own = {0}, peer;
	socklen_t own_bytes = sizeof(own), peer_bytes = sizeof(peer);

	return getsockname(fd, (struct sockaddr *)&own, &own_bytes) == 0 &&
	       own.sin_family == AF_INET && own.sin_port != 0 && ntohs(own.sin_port) < LOW_PORTS &&
	       getpeername(fd, (struct sockaddr *)&peer, &peer_bytes) < 0;
}

/*
 * Whether it hears only what is declared, for good. The kernel counts a filter's length in
 * instructions, and refuses one that is longer than there is room for.
 */
static bool hears_only(int fd, unsigned int count, bool (*is_declared)(const struct sock_filter *))
{
	struct sock_filter filter[FILTER_MAX];
	socklen_t n = count;

	return count <= FILTER_MAX && socket_option(fd, SO_LOCK_FILTER) == 1 &&
	       getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, filter, &n) == 0 && n == count &&
	       is_declared(filter);
}

static enum found_kind raw_kind(int fd, int protocol)
{
	if (protocol == IPPROTO_ICMP && hears_only(fd, DECLARE_ECHO_FILTER, declare_is_echo_filter))
		return FOUND_RAW_ECHO;
	if (protocol == IPPROTO_ESP && hears_only(fd, DECLARE_ESP_FILTER, declare_is_esp_filter))
		return FOUND_RAW_ESP;
	return FOUND_OTHER;
}

static void look_socket(int fd, struct found_fd *out)
{
	int domain = socket_option(fd, SO_DOMAIN), type = socket_option(fd, SO_TYPE),
	    protocol = socket_option(fd, SO_PROTOCOL);

	out->kind = socket_kind(domain, type, protocol);
	if (domain == AF_INET && type == SOCK_RAW)
		out->kind = raw_kind(fd, protocol);
	if ((out->kind == FOUND_TCP || out->kind == FOUND_UDP) && is_low_port(fd))
		out->kind = FOUND_LOW_PORT;
	snprintf(out->text, sizeof(out->text), "socket: family %d, type %d, protocol %d", domain,
		type, protocol);
}

static void look_device(dev_t device, struct found_fd *out)
{
	const dev_t null = makedev(1, 3), tun = makedev(10, 200);

	out->kind = device == null ? FOUND_NULL : device == tun ? FOUND_TAP : FOUND_OTHER;
}

/* Files that have no inode of their own go by what their link says. */
static enum found_kind anonymous_kind(const char *text)
{
	static const struct {
		const char *begins;
		enum found_kind kind;
	} kinds[] = {
		{"anon_inode:[eventpoll]", FOUND_EPOLL}, {"anon_inode:[eventfd]", FOUND_EVENT},
		{"anon_inode:[signalfd]", FOUND_ANONYMOUS}, {"anon_inode:inotify", FOUND_ANONYMOUS},
		{"anon_inode:[pidfd]", FOUND_ANONYMOUS},
		{"pidfd:", FOUND_ANONYMOUS}, /* since Linux 6.9 */
	};
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(text, kinds[i].begins, strlen(kinds[i].begins)) == 0)
			return kinds[i].kind;
	return FOUND_OTHER;
}

/* Whatever is no socket goes by its link, too. */
static void look_file(int fd, const struct stat *st, struct found_fd *out)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out->text, sizeof(out->text) - 1);
	out->text[n > 0 ? n : 0] = '\0';
	if (S_ISCHR(st->st_mode))
		look_device(st->st_rdev, out);
	else if (strncmp(out->text, "/memfd:", 7) == 0)
		out->kind = FOUND_MEMFD;
	else if (S_ISREG(st->st_mode) && out->text[0] == '/')
		out->kind = FOUND_FILE;
	else if (S_ISDIR(st->st_mode))
		out->kind = FOUND_FOLDER;
	else
		out->kind = anonymous_kind(out->text);
}

/* "eventfd-id: 12" in fdinfo, since Linux 5.2: the same for all copies of one eventfd. The kernel counts from 0. */
static uint64_t eventfd_id(int fd)
{
	static const char key[] = "eventfd-id:";
	char name[32], text[512];
	const char *at;

	snprintf(name, sizeof(name), "fdinfo/%d", fd);
	if (look_text(getpid(), name, text, sizeof(text)) < 0)
		return 0;
	at = strstr(text, key);
	return at ? strtoull(at + sizeof(key) - 1, NULL, 10) + 1 : 0;
}

static void look_one(int fd, struct found_fd *out)
{
	struct stat st;

	out->kind = FOUND_OTHER;
	if (fstat(fd, &st) < 0)
		return;
	if (S_ISSOCK(st.st_mode)) {
		look_socket(fd, out);
		out->id = st.st_ino;
		return;
	}
	look_file(fd, &st, out);
	if (out->kind == FOUND_EVENT)
		out->id = eventfd_id(fd);
}

/* 0, or the errno. */
static int copy_one(struct found *f, int pidfd, unsigned int number)
{
	int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);

	if (fd < 0)
		return errno == EBADF ? 0 : errno;
	f->fd[f->fds].number = (int)number;
	look_one(fd, &f->fd[f->fds++]);
	close(fd);
	return 0;
}

/* From *number on until `most` or the end of a slice. */
static int copy_slice(struct found *f, int pidfd, unsigned int *number, unsigned int most)
{
	struct stop stop;
	uint64_t stopped_ns;
	int error = stop_begin(&stop, f->pid);

	if (error)
		return error;
	while (error == 0 && *number < most && stop_length(&stop) < SLICE_NS)
		error = copy_one(f, pidfd, (*number)++);
	stopped_ns = stop_end(&stop);
	if (stopped_ns > f->stopped_ns)
		f->stopped_ns = stopped_ns;
	return error;
}

static int copy_all(struct found *f, int pidfd)
{
	const struct timespec pause = {0, PAUSE_NS};
	unsigned int most = f->status.fd_slots < FOUND_FDS ? f->status.fd_slots : FOUND_FDS,
		     number = 0;
	unsigned int fixed = f->kind < FOUND_SUPERVISOR
				     ? (unsigned int)declare_first_free((enum actor_id)f->kind)
				     : most;
	int error = 0;

	f->fd = calloc(most, sizeof(*f->fd));
	if (!f->fd)
		return ENOMEM;
	while (error == 0 && number < most && number < fixed)
		error = copy_one(f, pidfd, number++);
	while (error == 0 && number < most) {
		error = copy_slice(f, pidfd, &number, most);
		nanosleep(&pause, NULL);
	}
	return error;
}

void descriptors_look(struct found *f)
{
	int pidfd = (int)syscall(SYS_pidfd_open, f->pid, 0);

	f->fds_error = pidfd < 0 ? errno : copy_all(f, pidfd);
	if (pidfd >= 0)
		close(pidfd);
}
