/*
 * Theory of operation: the face that google/packetdrill loads in its shared-object mode (--so_filename). Its main thread
 * moves time (usleep, netdev_receive, and a little with each look at the clock, since it spins before an event); a
 * second thread makes the calls that block. One lock guards all; a call that blocks waits for the main thread to
 * bring what it waits for, and the main thread lets it run on before more time passes.
 *
 * Two notations differ between stacks without a meaning: the order of options in a SYN, and the shift that the stack offers.
 * Both are rewritten to what packetdrill's scripts write for Linux (mss, sackOK, TS, wscale 8). Nothing else is.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "judge.h"
#include "segment.h"

enum { SO_LOOK_US = 10, SO_PATIENCE_US = 400000000, SO_HANDOVER_US = 300, SO_SCALE = 8 };

struct so {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct judge *judge;
	unsigned int waiting;
	bool scaled; /* both sides scale: windows are shown by SO_SCALE */
	uint8_t scale;
};

/*
 * The interface of packetdrill's shared objects: these members in this order. Descriptors and results are those of the
 * system calls; netdev_send takes an IP packet for the stack, netdev_receive gives the stack's next one.
 */
struct packetdrill_interface {
	void *userdata;
	void (*free)(void *self);
	int (*socket)(void *self, int domain, int type, int protocol);
	int (*bind)(void *self, int fd, const struct sockaddr *a, socklen_t n);
	int (*listen)(void *self, int fd, int backlog);
	int (*accept)(void *self, int fd, struct sockaddr *a, socklen_t *n);
	int (*connect)(void *self, int fd, const struct sockaddr *a, socklen_t n);
	ssize_t (*read)(void *self, int fd, void *out, size_t n);
	ssize_t (*readv)(void *self, int fd, const struct iovec *v, int n);
	ssize_t (*recv)(void *self, int fd, void *out, size_t n, int flags);
	ssize_t (*recvfrom)(void *self, int fd, void *out, size_t n, int flags, struct sockaddr *a,
		socklen_t *an);
	ssize_t (*recvmsg)(void *self, int fd, struct msghdr *m, int flags);
	ssize_t (*write)(void *self, int fd, const void *in, size_t n);
	ssize_t (*writev)(void *self, int fd, const struct iovec *v, int n);
	ssize_t (*send)(void *self, int fd, const void *in, size_t n, int flags);
	ssize_t (*sendto)(void *self, int fd, const void *in, size_t n, int flags,
		const struct sockaddr *a, socklen_t an);
	ssize_t (*sendmsg)(void *self, int fd, const struct msghdr *m, int flags);
	int (*fcntl)(void *self, int fd, int command, ...);
	int (*ioctl)(void *self, int fd, unsigned long request, ...);
	int (*close)(void *self, int fd);
	int (*shutdown)(void *self, int fd, int how);
	int (*getsockopt)(void *self, int fd, int level, int name, void *out, socklen_t *n);
	int (*setsockopt)(void *self, int fd, int level, int name, const void *in, socklen_t n);
	int (*poll)(void *self, struct pollfd *fds, nfds_t n, int timeout_ms);
	int (*netdev_send)(void *self, const void *in, size_t n);
	int (*netdev_receive)(void *self, void *out, size_t *n, long long *at_us);
	int (*usleep)(void *self, useconds_t us);
	int (*gettimeofday)(void *self, struct timeval *tv, struct timezone *tz);
	int (*epoll_create)(void *self, int size);
	int (*epoll_ctl)(void *self, int ep, int op, int fd, struct epoll_event *e);
	int (*epoll_wait)(void *self, int ep, struct epoll_event *e, int n, int timeout_ms);
	int (*pipe)(void *self, int fds[2]);
	int (*splice)(void *self, int in, off_t *in_at, int out, off_t *out_at, size_t n,
		unsigned int flags);
};
void packetdrill_interface_init(const char *flags, struct packetdrill_interface *i);

static struct so *so_enter(void *self)
{
	struct so *so = self;
	pthread_mutex_lock(&so->lock);
	return so;
}

static int so_leave(struct so *so, int result, int error)
{
	pthread_mutex_unlock(&so->lock);
	errno = error;
	return error ? -1 : result;
}

/* The main thread has moved something: who waits for it goes first. */
static void so_hand_over(struct so *so)
{
	if (!so->waiting)
		return;
	pthread_cond_broadcast(&so->moved);
	pthread_mutex_unlock(&so->lock);
	usleep(SO_HANDOVER_US);
	pthread_mutex_lock(&so->lock);
}

static void so_wait(struct so *so)
{
	so->waiting++;
	pthread_cond_wait(&so->moved, &so->lock);
	so->waiting--;
}

static void so_free(void *self)
{
	struct so *so = self;
	judge_free(so->judge);
	free(so);
}

static int so_socket(void *self, int domain, int type, int protocol)
{
	struct so *so = so_enter(self);
	struct judge_socket *s = judge_socket_new(so->judge);
	s->nonblocking = type & SOCK_NONBLOCK;
	return so_leave(so, judge_fd(so->judge, s), 0);
}

static int so_bind(void *self, int fd, const struct sockaddr *a, socklen_t n)
{
	struct so *so = so_enter(self);
	struct judge_socket *s = judge_socket(so->judge, fd);
	struct sockaddr_in in;
	memcpy(&in, a, sizeof(in));
	if (!s)
		return so_leave(so, 0, EBADF);
	s->local_ip = ntohl(in.sin_addr.s_addr);
	s->local_port = ntohs(in.sin_port);
	return so_leave(so, 0, 0);
}

static int so_listen(void *self, int fd, int backlog)
{
	struct so *so = so_enter(self);
	struct judge_socket *s = judge_socket(so->judge, fd);
	if (s)
		s->kind = JUDGE_LISTENS;
	return so_leave(so, 0, s ? 0 : EBADF);
}

static void so_address(const struct judge_socket *s, struct sockaddr *a, socklen_t *n)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
		.sin_port = htons(s->remote_port),
		.sin_addr.s_addr = htonl(s->remote_ip)};
	if (!a || !n)
		return;
	memcpy(a, &in, *n < sizeof(in) ? *n : sizeof(in));
	*n = sizeof(in);
}

static int so_accept(void *self, int fd, struct sockaddr *a, socklen_t *n)
{
	struct so *so = so_enter(self);
	struct judge_socket *s = judge_socket(so->judge, fd), *got;
	if (!s || s->kind != JUDGE_LISTENS)
		return so_leave(so, 0, s ? EINVAL : EBADF);
	while (!(got = judge_accepted(so->judge, s))) {
		if (s->nonblocking)
			return so_leave(so, 0, EAGAIN);
		so_wait(so);
	}
	so_address(got, a, n);
	return so_leave(so, judge_fd(so->judge, got), 0);
}

static int so_connect(void *self, int fd, const struct sockaddr *a, socklen_t n)
{
	struct so *so = so_enter(self);
	struct judge_socket *s = judge_socket(so->judge, fd);
	struct sockaddr_in in;
	memcpy(&in, a, sizeof(in));
	if (!s)
		return so_leave(so, 0, EBADF);
	if (s->kind == JUDGE_OVER)
		return so_leave(so, 0, s->error);
	if (s->kind != JUDGE_NEW)
		return so_leave(so, 0, s->kind == JUDGE_CONNECTS ? EALREADY : 0);
	if (!s->local_ip)
		s->local_ip = 0xc0a80001; /* packetdrill's local side: 192.168.0.1 */
	s->remote_ip = ntohl(in.sin_addr.s_addr);
	s->remote_port = ntohs(in.sin_port);
	judge_connect(so->judge, s);
	while (s->kind == JUDGE_CONNECTS) {
		if (s->nonblocking)
			return so_leave(so, 0, EINPROGRESS);
		so_wait(so);
	}
	return so_leave(so, 0, s->kind == JUDGE_OPEN ? 0 : s->error);
}

static ssize_t so_take(void *self, int fd, size_t n, int flags)
{
	struct so *so = so_enter(self);
	struct judge_socket *s = judge_socket(so->judge, fd);
	size_t got;
	while (s && s->got == s->read && !s->fin_seen && !s->read_shut && s->kind == JUDGE_OPEN) {
		if (s->nonblocking || (flags & MSG_DONTWAIT))
			return so_leave(so, 0, EAGAIN);
		so_wait(so);
	}
	if (!s || s->kind == JUDGE_LISTENS || s->kind == JUDGE_NEW)
		return so_leave(so, 0, s ? ENOTCONN : EBADF);
	if (s->error && s->got == s->read)
		return so_leave(so, 0, s->error);
	got = s->got - s->read < n ? (size_t)(s->got - s->read) : n;
	s->read += flags & MSG_PEEK ? 0 : got;
	return so_leave(so, (int)got, 0);
}

static ssize_t so_put(void *self, int fd, size_t n)
{
	struct so *so = so_enter(self);
	struct judge_socket *s = judge_socket(so->judge, fd);
	while (s && s->kind == JUDGE_CONNECTS && !s->nonblocking)
		so_wait(so);
	if (!s || s->kind != JUDGE_OPEN || s->close_wanted)
		return so_leave(so, 0, !s ? EBADF : s->error ? s->error : EPIPE);
	judge_write(so->judge, s, n);
	return so_leave(so, (int)n, 0);
}

static size_t so_total(const struct iovec *v, size_t n)
{
	size_t bytes = 0;
	for (size_t i = 0; i < n; i++)
		bytes += v[i].iov_len;
	return bytes;
}

static ssize_t so_read(void *self, int fd, void *out, size_t n)
{
	return so_take(self, fd, n, 0);
}

static ssize_t so_readv(void *self, int fd, const struct iovec *v, int n)
{
	return so_take(self, fd, so_total(v, (size_t)n), 0);
}

static ssize_t so_recv(void *self, int fd, void *out, size_t n, int flags)
{
	return so_take(self, fd, n, flags);
}

static ssize_t so_recvfrom(
	void *self, int fd, void *out, size_t n, int flags, struct sockaddr *a, socklen_t *an)
{
	return so_take(self, fd, n, flags);
}

static ssize_t so_recvmsg(void *self, int fd, struct msghdr *m, int flags)
{
	return so_take(self, fd, so_total(m->msg_iov, m->msg_iovlen), flags);
}

static ssize_t so_write(void *self, int fd, const void *in, size_t n)
{
	return so_put(self, fd, n);
}

static ssize_t so_writev(void *self, int fd, const struct iovec *v, int n)
{
	return so_put(self, fd, so_total(v, (size_t)n));
}

static ssize_t so_send(void *self, int fd, const void *in, size_t n, int flags)
{
	return so_put(self, fd, n);
}

static ssize_t so_sendto(void *self, int fd, const void *in, size_t n, int flags,
	const struct sockaddr *a, socklen_t an)
{
	return so_put(self, fd, n);
}

static ssize_t so_sendmsg(void *self, int fd, const struct msghdr *m, int flags)
{
	return so_put(self, fd, so_total(m->msg_iov, m->msg_iovlen));
}

static int so_fcntl(void *self, int fd, int command, ...)
{
	struct so *so = so_enter(self);
	struct judge_socket *s = judge_socket(so->judge, fd);
	va_list arguments;
	int result = 0;
	va_start(arguments, command);
	if (s && command == F_SETFL)
		s->nonblocking = va_arg(arguments, int) & O_NONBLOCK;
	else if (s && command == F_GETFL)
		result = O_RDWR | (s->nonblocking ? O_NONBLOCK : 0);
	va_end(arguments);
	return so_leave(so, result, s ? 0 : EBADF);
}

/* SIOCINQ, which is FIONREAD. */
static int so_ioctl(void *self, int fd, unsigned long request, ...)
{
	struct so *so = so_enter(self);
	struct judge_socket *s = judge_socket(so->judge, fd);
	va_list arguments;
	if (s && request == FIONREAD) {
		va_start(arguments, request);
		*va_arg(arguments, int *) = (int)(s->got - s->read);
		va_end(arguments);
	}
	return so_leave(so, 0, !s ? EBADF : request == FIONREAD ? 0 : EOPNOTSUPP);
}

static int so_close(void *self, int fd)
{
	struct so *so = so_enter(self);
	struct judge_socket *s = judge_socket(so->judge, fd);
	if (s)
		judge_close(so->judge, s);
	return so_leave(so, 0, s ? 0 : EBADF);
}

static int so_shutdown(void *self, int fd, int how)
{
	struct so *so = so_enter(self);
	struct judge_socket *s = judge_socket(so->judge, fd);
	if (s)
		s->read_shut |= how != SHUT_WR;
	if (s && how != SHUT_RD && s->kind == JUDGE_OPEN)
		judge_shut(so->judge, s);
	return so_leave(so, 0, !s ? EBADF : s->kind == JUDGE_NEW ? ENOTCONN : 0);
}

/* SO_ERROR and what the stack's table shows of TCP_INFO; anything else reads as zero. */
static int so_getsockopt(void *self, int fd, int level, int name, void *out, socklen_t *n)
{
	struct so *so = so_enter(self);
	struct judge_socket *s = judge_socket(so->judge, fd);
	struct tcp_info info = {.tcpi_state = TCP_ESTABLISHED};
	uint32_t cwnd, srtt_us;
	if (!s)
		return so_leave(so, 0, EBADF);
	memset(out, 0, *n);
	if (level == SOL_SOCKET && name == SO_ERROR && *n >= sizeof(int)) {
		memcpy(out, &s->error, sizeof(int));
	} else if (level == IPPROTO_TCP && name == TCP_INFO) {
		judge_look(so->judge, s, &cwnd, &srtt_us);
		info.tcpi_snd_cwnd = cwnd / 1000;
		info.tcpi_rtt = srtt_us;
		memcpy(out, &info, *n < sizeof(info) ? *n : sizeof(info));
	}
	return so_leave(so, 0, 0);
}

static int so_setsockopt(void *self, int fd, int level, int name, const void *in, socklen_t n)
{
	return 0;
}

static int so_netdev_send(void *self, const void *in, size_t n)
{
	struct so *so = so_enter(self);
	judge_give(so->judge, in, n);
	so_hand_over(so);
	return so_leave(so, 0, 0);
}

/* The options of a SYN in Linux's order, with its shift. Returns how many bytes they are. */
static uint8_t so_syn_options(struct so *so, const struct segment *s, uint8_t out[40])
{
	const uint8_t *mss = NULL, *sack = NULL, *scale = NULL, *ts = NULL;
	uint8_t n = 0;
	for (uint8_t i = 0; i < s->option_bytes; i += s->options[i] == 1 ? 1 : s->options[i + 1]) {
		const uint8_t *o = s->options + i;
		mss = *o == 2 ? o : mss;
		scale = *o == 3 ? o : scale;
		sack = *o == 4 ? o : sack;
		ts = *o == 8 ? o : ts;
	}
	memcpy(out, mss, 4);
	n = 4;
	if (sack && !ts)
		n = (uint8_t)(n + (memcpy(out + n, "\x01\x01", 2), 2));
	if (sack)
		n = (uint8_t)(n + (memcpy(out + n, "\x04\x02", 2), 2));
	if (ts && !sack)
		n = (uint8_t)(n + (memcpy(out + n, "\x01\x01", 2), 2));
	if (ts)
		n = (uint8_t)(n + (memcpy(out + n, ts, 10), 10));
	if (scale)
		n = (uint8_t)(n + (memcpy(out + n, "\x01\x03\x03\x08", 4), 4));
	so->scaled = scale != NULL;
	so->scale = scale ? scale[2] : 0;
	return n;
}

static void so_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A SYN has no payload: only its length changes with its options. */
static uint32_t so_rewrite_syn(struct so *so, uint8_t *ip, uint32_t n)
{
	uint8_t frame[14 + 60 + 60] = {0}, *tcp = ip + 20;
	struct segment s;
	memcpy(frame, SEGMENT_GUEST_MAC, 6);
	memcpy(frame + 6, SEGMENT_GATEWAY_MAC, 6);
	frame[12] = 0x08;
	memcpy(frame + 14, ip, n + 20);
	if (n > 60 || segment_parse(frame, n + 34, &s) || s.option_bytes < 4)
		return n;
	n = 20u + so_syn_options(so, &s, tcp + 20);
	tcp[12] = (uint8_t)(n / 4 << 4);
	so_put16(ip + 2, n + 20);
	so_put16(ip + 10, 0);
	so_put16(ip + 10, segment_sum(ip, 20, 0));
	return n;
}

/* Writes the two notations that differ as Linux would; returns the packet's length. */
static size_t so_rewrite(struct so *so, uint8_t *ip, size_t bytes)
{
	uint8_t *tcp = ip + 20;
	uint32_t n = (uint32_t)bytes - 20;
	if (ip[9] != IPPROTO_TCP)
		return bytes;
	if (tcp[13] & FLAG_SYN)
		n = so_rewrite_syn(so, ip, n);
	else if (so->scaled && so->scale < SO_SCALE)
		so_put16(tcp + 14, (uint32_t)(tcp[14] << 8 | tcp[15]) >> (SO_SCALE - so->scale));
	so_put16(tcp + 16, 0);
	so_put16(tcp + 16, segment_sum(tcp, n, segment_pseudo(ip, n)));
	return n + 20;
}

static int so_netdev_receive(void *self, void *out, size_t *n, long long *at_us)
{
	struct so *so = so_enter(self);
	uint64_t when, until = judge_now_us(so->judge) + SO_PATIENCE_US;
	size_t got;
	while (!(got = judge_take(so->judge, out, *n, &when))) {
		uint64_t now = judge_now_us(so->judge);
		if (now >= until) {
			fprintf(stderr, "nothing was sent for 400 s\n");
			_exit(1);
		}
		judge_advance(so->judge, now + 1000, true);
		so_hand_over(so);
	}
	*n = so_rewrite(so, out, got);
	*at_us = (long long)when;
	return so_leave(so, 0, 0);
}

static int so_usleep(void *self, useconds_t us)
{
	struct so *so = so_enter(self);
	uint64_t until = judge_now_us(so->judge) + us;
	while (judge_now_us(so->judge) < until) {
		judge_advance(so->judge, until, false);
		so_hand_over(so);
	}
	return so_leave(so, 0, 0);
}

static int so_gettimeofday(void *self, struct timeval *tv, struct timezone *tz)
{
	struct so *so = so_enter(self);
	uint64_t now = judge_now_us(so->judge) + SO_LOOK_US;
	judge_advance(so->judge, now, false);
	tv->tv_sec = (time_t)(now / 1000000);
	tv->tv_usec = (suseconds_t)(now % 1000000);
	return so_leave(so, 0, 0);
}

void packetdrill_interface_init(const char *flags, struct packetdrill_interface *i)
{
	struct so *so = calloc(1, sizeof(*so));
	if (!so)
		abort();
	pthread_mutex_init(&so->lock, NULL);
	pthread_cond_init(&so->moved, NULL);
	so->judge = judge_new();
	*i = (struct packetdrill_interface){.userdata = so,
		.free = so_free,
		.socket = so_socket,
		.bind = so_bind,
		.listen = so_listen,
		.accept = so_accept,
		.connect = so_connect,
		.read = so_read,
		.readv = so_readv,
		.recv = so_recv,
		.recvfrom = so_recvfrom,
		.recvmsg = so_recvmsg,
		.write = so_write,
		.writev = so_writev,
		.send = so_send,
		.sendto = so_sendto,
		.sendmsg = so_sendmsg,
		.fcntl = so_fcntl,
		.ioctl = so_ioctl,
		.close = so_close,
		.shutdown = so_shutdown,
		.getsockopt = so_getsockopt,
		.setsockopt = so_setsockopt,
		.netdev_send = so_netdev_send,
		.netdev_receive = so_netdev_receive,
		.usleep = so_usleep,
		.gettimeofday = so_gettimeofday};
}
