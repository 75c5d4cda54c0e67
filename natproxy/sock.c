/*
 * Theory of operation. One function a system call, as far as that goes, so that
 * policy/natproxy.policy can be read beside this file: every option, level and flag that occurs
 * there occurs here and nowhere else. Message headers for batches are filled on the stack.
 * SO_REUSEADDR lets several connections of one guest endpoint share an outside port; UDP sockets go
 * without it, so a bound UDP port is nobody else's. The kernel looks at it when a socket is bound, on both
 * sockets: one that is bound without it and gets it afterwards took a port that was nobody's, and lets
 * others join.
 */
#include <errno.h>
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include <unistd.h>

#include "sock.h"
#include "topology.h"

enum {
	SEND_CONTROL_BYTES = CMSG_SPACE(sizeof(int)) * 2 + CMSG_SPACE(sizeof(uint16_t)) +
			     CMSG_SPACE(sizeof(struct in_pktinfo)),
	RECEIVE_CONTROL_BYTES = CMSG_SPACE(sizeof(int)) * 4,
	ERROR_CONTROL_BYTES = 512,
	ERROR_PAYLOAD_BYTES = 64,
	ICMP_UNREACHABLE = 3,
	ICMP_CODE_FRAGMENT = 4,
	ICMP_EXCEEDED = 11,
	ICMP_PARAMETER = 12,
	ICMP_ECHO_REQUEST = 8,
};

static struct sockaddr_in kernel_address(const struct sock_address *a)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = a->ip_be, .sin_port = htons(a->port)};
}

static struct sock_address our_address(const struct sockaddr_in *a)
{
	return (struct sock_address){a->sin_addr.s_addr, ntohs(a->sin_port)};
}

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

/* Gives the descriptor up and returns the error that made it useless. */
static int abandon(int fd, int error)
{
	close(fd);
	return error;
}

static int bind_to(int fd, const struct sock_address *a)
{
	const struct sockaddr_in at = kernel_address(a);
	return bind(fd, (const struct sockaddr *)&at, sizeof(at)) ? -errno : 0;
}

static int bind_device(int fd, const char *device)
{
	if (!device)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device))
		       ? -errno
		       : 0;
}

/* A socket on its device, or the error. */
static int new_socket(int type, int protocol, const char *device)
{
	const int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -errno;
	const int error = bind_device(fd, device);
	return error ? abandon(fd, error) : fd;
}

static void stream_options(int fd)
{
	/* whatever netstack sends is meant to leave now; urgent bytes keep their place in the
	 * stream */
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

static void age_options(int fd, const struct sock_age *age)
{
	if (age->ttl) {
		set(fd, IPPROTO_IP, IP_TTL, age->ttl);
		set(fd, IPPROTO_IP, IP_RECVERR, 1);
	}
	if (age->tos)
		set(fd, IPPROTO_IP, IP_TOS, age->tos);
}

/* Binds what is to become a connection; an address that is not there is told from a port that cannot be had. */
static int bind_stream(int fd, const struct sock_address *at, bool alone)
{
	if (!at->ip_be && !at->port)
		return 0;
	if (!alone)
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	const int error = bind_to(fd, at);
	if (error)
		return error == -EADDRNOTAVAIL ? error : -EADDRINUSE;
	if (alone)
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return 0;
}

int sock_tcp_connect(struct sock_host *h, const struct sock_place *from, bool alone,
	const struct sock_address *to, const struct sock_age *age)
{
	const struct sockaddr_in far = kernel_address(to);
	const int fd = new_socket(SOCK_STREAM, IPPROTO_TCP, from->device);
	if (fd < 0)
		return fd;
	stream_options(fd);
	age_options(fd, age);
	const int error = bind_stream(fd, &from->at, alone);
	if (error)
		return abandon(fd, error);
	if (connect(fd, (const struct sockaddr *)&far, sizeof(far)) && errno != EINPROGRESS)
		return abandon(fd, -errno);
	return fd;
}

void sock_forgive(struct sock_host *h, int fd)
{
	set(fd, IPPROTO_IP, IP_RECVERR, 0);
}

int sock_connect_result(struct sock_host *h, int fd)
{
	int error = 0;
	socklen_t n = sizeof(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n))
		return -errno;
	return -error;
}

int sock_tcp_listen(struct sock_host *h, const struct sock_place *at, bool alone)
{
	const int fd = new_socket(SOCK_STREAM, IPPROTO_TCP, at->device);
	if (fd < 0)
		return fd;
	if (!alone)
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	const int error = bind_to(fd, &at->at);
	if (error)
		return abandon(fd, error);
	if (listen(fd, SOCK_BACKLOG))
		return abandon(fd, -errno);
	return fd;
}

int sock_accept(struct sock_host *h, int fd, struct sock_address *peer)
{
	struct sockaddr_in from;
	socklen_t n = sizeof(from);
	const int got = accept4(fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (got < 0)
		return -errno;
	stream_options(got);
	*peer = our_address(&from);
	return got;
}

int sock_local(struct sock_host *h, int fd, struct sock_address *out)
{
	struct sockaddr_in at;
	socklen_t n = sizeof(at);
	if (getsockname(fd, (struct sockaddr *)&at, &n))
		return -errno;
	*out = our_address(&at);
	return 0;
}

int sock_source(
	struct sock_host *h, const struct sock_address *to, const char *device, uint32_t *ip_be)
{
	struct sock_address at;
	const int fd = sock_udp_to(h, to, device);
	if (fd < 0)
		return fd;
	const int error = sock_local(h, fd, &at);
	close(fd);
	*ip_be = error ? 0 : at.ip_be;
	return error;
}

bool sock_stranded(struct sock_host *h, int fd)
{
	char device[IFNAMSIZ];
	socklen_t n = sizeof(device);
	return getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &n) && errno == ENODEV;
}

ssize_t sock_write(
	struct sock_host *h, int fd, const struct iovec *piece, size_t pieces, bool urgent)
{
	struct iovec copy[SOCK_STREAM_PIECES];
	memcpy(copy, piece, pieces * sizeof(*piece));
	const struct msghdr m = {.msg_iov = copy, .msg_iovlen = pieces};
	const ssize_t r = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT | (urgent ? MSG_OOB : 0));
	return r < 0 ? -errno : r;
}

ssize_t sock_read(struct sock_host *h, int fd, const struct iovec *piece, size_t pieces)
{
	const ssize_t r = readv(fd, piece, (int)pieces);
	return r < 0 ? -errno : r;
}

bool sock_at_mark(struct sock_host *h, int fd)
{
	int at = 0;
	return ioctl(fd, SIOCATMARK, &at) == 0 && at;
}

int sock_finish(struct sock_host *h, int fd)
{
	return shutdown(fd, SHUT_WR) ? -errno : 0;
}

void sock_close(struct sock_host *h, int fd, bool reset)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};
	sock_forget(h, fd);
	if (reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

void sock_unlist(struct sock_host *h, int fd)
{
	epoll_ctl(NATPROXY_EPOLL, EPOLL_CTL_DEL, fd, NULL); /* fails where it is not watched */
}

static void datagram_options(int fd)
{
	set(fd, IPPROTO_IP, IP_RECVERR, 1);
	set(fd, IPPROTO_IP, IP_RECVTTL, 1);
	set(fd, IPPROTO_IP, IP_RECVTOS, 1);
	set(fd, SOL_SOCKET, SO_RCVBUF, SOCK_QUEUE_BYTES);
	set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
}

int sock_udp(struct sock_host *h, const struct sock_place *at)
{
	const int fd = new_socket(SOCK_DGRAM, IPPROTO_UDP, at->device);
	if (fd < 0)
		return fd;
	const int error = bind_to(fd, &at->at);
	if (error)
		return abandon(fd, error);
	datagram_options(fd);
	set(fd, IPPROTO_UDP, UDP_GRO, 1);
	return fd;
}

/* Whether the socket has this place: 0 or -errno. */
static int stands_at(int fd, const struct sock_place *at)
{
	struct sockaddr_in bound = {0};
	char device[IFNAMSIZ] = "";
	socklen_t n = sizeof(bound), name_bytes = sizeof(device);
	if (getsockname(fd, (struct sockaddr *)&bound, &n))
		return -EPROTO;
	if (n != sizeof(bound) || bound.sin_family != AF_INET ||
		bound.sin_addr.s_addr != at->at.ip_be || ntohs(bound.sin_port) != at->at.port)
		return -EPROTO;
	if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &name_bytes))
		return errno == ENODEV ? -ENODEV : -EPROTO;
	return strncmp(device, at->device ? at->device : "", sizeof(device)) == 0 ? 0 : -EPROTO;
}

int sock_adopt(struct sock_host *h, int fd, const struct sock_place *at, bool udp)
{
	const int error = stands_at(fd, at);
	if (error)
		return error;
	/* an option of its protocol tells which it is: no other socket takes it */
	if (udp && set(fd, IPPROTO_UDP, UDP_GRO, 1))
		return -EPROTO;
	if (!udp && set(fd, IPPROTO_TCP, TCP_NODELAY, 1))
		return -EPROTO;
	if (!udp)
		return listen(fd, SOCK_BACKLOG) ? -errno : 0;
	datagram_options(fd);
	return 0;
}

/* A connection, or listening, ends; what the socket was bound to stays. */
static int unconnect(int fd)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	return connect(fd, &nobody, sizeof(nobody)) ? -errno : 0;
}

int sock_adopt_bound(struct sock_host *h, int fd, struct sock_place *at)
{
	struct sock_address bound = {0};
	/* an option of its protocol tells what it is: no other socket takes it */
	if (set(fd, IPPROTO_TCP, TCP_NODELAY, 1) || unconnect(fd) || sock_local(h, fd, &bound))
		return -EPROTO;
	stream_options(fd);
	at->at.port = bound.port;
	return stands_at(fd, at);
}

int sock_tcp_connect_by(
	struct sock_host *h, int fd, const struct sock_address *to, const struct sock_age *age)
{
	const struct sockaddr_in far = kernel_address(to);
	const int error = unconnect(fd);
	if (error)
		return error;
	set(fd, IPPROTO_IP, IP_TTL, age->ttl ? age->ttl : -1);
	set(fd, IPPROTO_IP, IP_RECVERR, age->ttl != 0);
	set(fd, IPPROTO_IP, IP_TOS, age->tos);
	return connect(fd, (const struct sockaddr *)&far, sizeof(far)) && errno != EINPROGRESS
		       ? -errno
		       : 0;
}

int sock_tcp_listen_by(struct sock_host *h, int fd)
{
	const int error = unconnect(fd);
	if (error)
		return error;
	return listen(fd, SOCK_BACKLOG) ? -errno : 0;
}

void sock_rest(struct sock_host *h, int fd, bool reset)
{
	sock_forget(h, fd);
	sock_unlist(h, fd);
	if (reset)
		unconnect(fd);
}

bool sock_unsent(struct sock_host *h, int fd)
{
	int bytes = 0;
	return ioctl(fd, SIOCOUTQ, &bytes) || bytes > 0;
}

int sock_adopt_raw(struct sock_host *h, int fd, uint8_t protocol)
{
	/* a raw socket shows its protocol as its port */
	const struct sock_place at = {{0, protocol}, NULL};
	if (stands_at(fd, &at) || !set(fd, IPPROTO_UDP, UDP_GRO, 0) ||
		!set(fd, IPPROTO_TCP, TCP_NODELAY, 1))
		return -EPROTO;
	datagram_options(fd);
	return 0;
}

int sock_udp_to(struct sock_host *h, const struct sock_address *peer, const char *device)
{
	const struct sockaddr_in far = kernel_address(peer);
	const int fd = new_socket(SOCK_DGRAM, IPPROTO_UDP, device);
	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&far, sizeof(far)))
		return abandon(fd, -errno);
	return fd;
}

int sock_echo(struct sock_host *h, const struct sock_place *place)
{
	struct sock_address at = place->at;
	const int fd = new_socket(SOCK_DGRAM, IPPROTO_ICMP, place->device);
	if (fd < 0)
		return fd;
	/* on by default, and then two sockets could have one identifier and each other's answers */
	set(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	if (bind_to(fd, &at)) {
		at.port = 0;
		const int error = bind_to(fd, &at);
		if (error)
			return abandon(fd, error);
	}
	datagram_options(fd);
	return fd;
}

void sock_fragment(struct sock_host *h, int fd, bool allowed)
{
	set(fd, IPPROTO_IP, IP_MTU_DISCOVER, allowed ? IP_PMTUDISC_DONT : IP_PMTUDISC_DO);
}

union send_control {
	char bytes[SEND_CONTROL_BYTES];
	struct cmsghdr align;
};

union receive_control {
	char bytes[RECEIVE_CONTROL_BYTES];
	struct cmsghdr align;
};

static void put_option(struct msghdr *m, int level, int type, const void *value, size_t n)
{
	struct cmsghdr *cm = (struct cmsghdr *)((char *)m->msg_control + m->msg_controllen);
	cm->cmsg_level = level;
	cm->cmsg_type = type;
	cm->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(cm), value, n);
	m->msg_controllen += CMSG_SPACE(n);
}

static void put_control(struct msghdr *m, union send_control *c, const struct sock_datagram *d)
{
	const int ttl = d->ttl, tos = d->tos;
	const struct in_pktinfo from = {.ipi_spec_dst.s_addr = d->source_ip_be};
	m->msg_control = c->bytes;
	if (d->ttl)
		put_option(m, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	if (d->ttl && d->tos)
		put_option(m, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	if (d->source_ip_be)
		put_option(m, IPPROTO_IP, IP_PKTINFO, &from, sizeof(from));
	if (d->segment)
		put_option(m, IPPROTO_UDP, UDP_SEGMENT, &d->segment, sizeof(d->segment));
}

int sock_send(struct sock_host *h, int fd, const struct sock_datagram *batch, int count)
{
	struct mmsghdr m[SOCK_BATCH];
	struct sockaddr_in to[SOCK_BATCH];
	union send_control control[SOCK_BATCH];
	for (int i = 0; i < count; i++) {
		const struct sock_datagram *d = &batch[i];
		m[i].msg_hdr = (struct msghdr){.msg_iov = d->piece, .msg_iovlen = d->pieces};
		if (d->peer.ip_be) {
			to[i] = kernel_address(&d->peer);
			m[i].msg_hdr.msg_name = &to[i];
			m[i].msg_hdr.msg_namelen = sizeof(to[i]);
		}
		put_control(&m[i].msg_hdr, &control[i], d);
	}
	const int r = sendmmsg(fd, m, (unsigned int)count, MSG_NOSIGNAL | MSG_DONTWAIT);
	return r < 0 ? -errno : r;
}

static uint32_t control_value(const struct cmsghdr *cm)
{
	uint32_t value = 0;
	memcpy(&value, CMSG_DATA(cm), sizeof(value));
	return value;
}

static void get_control(struct msghdr *m, struct sock_datagram *d)
{
	d->ttl = 64;
	d->tos = 0;
	d->segment = 0;
	d->lost = 0;
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(m); cm; cm = CMSG_NXTHDR(m, cm)) {
		if (cm->cmsg_level == IPPROTO_IP && cm->cmsg_type == IP_TTL)
			d->ttl = (uint8_t)control_value(cm);
		else if (cm->cmsg_level == IPPROTO_IP && cm->cmsg_type == IP_TOS)
			d->tos = *CMSG_DATA(cm);
		else if (cm->cmsg_level == IPPROTO_UDP && cm->cmsg_type == UDP_GRO)
			d->segment = (uint16_t)control_value(cm);
		else if (cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SO_RXQ_OVFL)
			d->lost = control_value(cm);
	}
	/* the kernel may name the size of a run of one */
	if (d->segment >= d->bytes)
		d->segment = 0;
}

int sock_receive(struct sock_host *h, int fd, struct sock_datagram *batch, int count)
{
	struct mmsghdr m[SOCK_BATCH];
	struct sockaddr_in from[SOCK_BATCH];
	union receive_control control[SOCK_BATCH];
	for (int i = 0; i < count; i++)
		m[i].msg_hdr = (struct msghdr){.msg_iov = batch[i].piece,
			.msg_iovlen = batch[i].pieces,
			.msg_name = &from[i],
			.msg_namelen = sizeof(from[i]),
			.msg_control = control[i].bytes,
			.msg_controllen = RECEIVE_CONTROL_BYTES};
	const int r = recvmmsg(fd, m, (unsigned int)count, MSG_DONTWAIT, NULL);
	if (r < 0)
		return -errno;
	for (int i = 0; i < r; i++) {
		batch[i].bytes = m[i].msg_len;
		batch[i].truncated = (m[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
		batch[i].peer = our_address(&from[i]);
		get_control(&m[i].msg_hdr, &batch[i]);
	}
	return r;
}

int sock_peek(struct sock_host *h, int fd, struct sock_address *peer)
{
	struct sockaddr_in from = {0};
	struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof(from)};
	if (recvmsg(fd, &m, MSG_PEEK | MSG_DONTWAIT) < 0)
		return -errno;
	*peer = our_address(&from);
	return 0;
}

/* Codes that have a meaning (RFC 792, RFC 1122, RFC 1812); others anybody outside could make up. */
static bool is_known(uint8_t type, uint8_t code)
{
	return (type == ICMP_UNREACHABLE && code <= 15) || (type == ICMP_EXCEEDED && code <= 1) ||
	       (type == ICMP_PARAMETER && code <= 2);
}

/* What an extended error means to a guest; false: nothing. */
static bool translate(const struct sock_extended_err *e, struct sock_error *out)
{
	struct sockaddr_in offender;
	if (e->ee_origin == SO_EE_ORIGIN_ICMP) {
		out->type = e->ee_type;
		out->code = e->ee_code;
		memcpy(&offender, e + 1,
			sizeof(offender)); /* SO_EE_OFFENDER, which casts const away */
		if (offender.sin_family == AF_INET)
			out->offender_ip_be = offender.sin_addr.s_addr;
	} else if (e->ee_origin == SO_EE_ORIGIN_LOCAL && e->ee_errno == EMSGSIZE) {
		out->type = ICMP_UNREACHABLE;
		out->code = ICMP_CODE_FRAGMENT;
	} else {
		return false;
	}
	if (out->type == ICMP_UNREACHABLE && out->code == ICMP_CODE_FRAGMENT)
		out->mtu = (uint16_t)e->ee_info;
	if (out->type == ICMP_PARAMETER)
		out->pointer = (uint8_t)e->ee_info;
	return is_known(out->type, out->code);
}

int sock_receive_error(struct sock_host *h, int fd, bool echo, struct sock_error *out)
{
	union {
		char bytes[ERROR_CONTROL_BYTES];
		struct cmsghdr align;
	} control;
	for (;;) {
		uint8_t payload[ERROR_PAYLOAD_BYTES] = {0}; /* nothing of the error before */
		struct iovec piece = {payload, sizeof(payload)};
		struct sockaddr_in to = {0};
		struct msghdr m = {.msg_iov = &piece,
			.msg_iovlen = 1,
			.msg_name = &to,
			.msg_namelen = sizeof(to),
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes)};
		if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return 0;
		for (struct cmsghdr *cm = CMSG_FIRSTHDR(&m); cm; cm = CMSG_NXTHDR(&m, cm)) {
			if (cm->cmsg_level != IPPROTO_IP || cm->cmsg_type != IP_RECVERR)
				continue;
			*out = (struct sock_error){.to = our_address(&to)};
			memcpy(out->quoted, payload, sizeof(out->quoted));
			if (!translate((const struct sock_extended_err *)CMSG_DATA(cm), out))
				continue;
			if (echo) {
				/* of an answer of this computer, not of a request */
				if (out->offender_ip_be && payload[0] != ICMP_ECHO_REQUEST)
					continue;
				out->to.port = 0;
				out->echo_identifier = (uint16_t)(payload[4] << 8 | payload[5]);
				out->echo_sequence = (uint16_t)(payload[6] << 8 | payload[7]);
			}
			return 1;
		}
	}
}
