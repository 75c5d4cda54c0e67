/*
 * Every socket call of the project, and nothing else: the seam between natproxy's core and the
 * host's kernel. sock.c and watch.c implement it with system calls and libev; the simulation
 * implements the same functions in memory. Descriptors are small non-negative integers; all sockets
 * are non-blocking.
 *
 * Errors are negative errno. Addresses are big-endian, ports in host order.
 */
#ifndef NATLOCK_NATPROXY_SOCK_H
#define NATLOCK_NATPROXY_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct sock_host; /* what an implementation keeps; one per natproxy */

enum {
	SOCK_BATCH = 32,	 /* messages a call */
	SOCK_RUN_DATAGRAMS = 64, /* datagrams that a kernel takes as one message (UDP_SEGMENT) */
	SOCK_STREAM_PIECES =
		128, /* iovecs a sendmsg: a turn of segments that a guest sent one by one */
	SOCK_BACKLOG = 128,
	SOCK_QUEUE_BYTES =
		1 << 20, /* asked for a datagram socket's receive queue; net.core.rmem_max
				       has the last word */
};

enum sock_event { SOCK_READ = 1, SOCK_WRITE = 2 };

struct sock_address {
	uint32_t ip_be;
	uint16_t port;
};

/* Where a socket stands on this host. */
struct sock_place {
	struct sock_address at; /* address 0: any; port 0: the kernel's choice */
	const char *
		device; /* it sends and hears by this one only (SO_BINDTODEVICE); NULL: as routes say */
};

/*
 * One message of a batch: a datagram, or a run of datagrams with the same peer, TTL and TOS that the
 * kernel cuts (UDP_SEGMENT) or has put together (UDP_GRO). On receipt the pieces say where it may go.
 */
struct sock_datagram {
	struct iovec *piece; /* the caller's, valid during the call */
	uint32_t pieces;
	uint32_t bytes; /* of all pieces; on receipt how long it was */
	uint16_t
		segment; /* of a run: bytes of each datagram but the last, which may be shorter; 0: one
			     datagram */
	uint8_t ttl, tos;
	struct sock_address peer;
	uint32_t
		source_ip_be; /* to be sent from, of a socket that has no address; 0: as routes say */
	bool truncated;
	uint32_t
		lost; /* on receipt: how many the socket's full queue has cost so far, modulo 2^32; 0:
			  none, or nothing said */
};

enum { SOCK_QUOTED_BYTES = 28 };
/* An ICMP error that came back for something sent on a datagram socket. */
struct sock_error {
	struct sock_address to;	 /* where the datagram went; echo: port 0 */
	uint32_t offender_ip_be; /* who complains; 0 = this host */
	uint8_t type,
		code;	 /* ICMP: unreachable, time exceeded, parameter problem; of known codes */
	uint16_t mtu;	 /* of fragmentation needed, else 0 */
	uint8_t pointer; /* of a parameter problem, else 0 */
	uint16_t echo_sequence;	  /* host order, echo sockets only */
	uint16_t echo_identifier; /* of the request; the kernel's own errors: 0 */
	/* Of what was sent: UDP payload, or of a raw socket from the transport header on; 0 behind its end. */
	uint8_t quoted[SOCK_QUOTED_BYTES];
};

/* What a connection's packets carry in their IP headers. */
struct sock_age {
	/* 0: the kernel's. Else ICMP errors are kept for sock_receive_error as well */
	uint8_t ttl;
	uint8_t tos; /* the two bits of ECN are the kernel's */
};

/*
 * A TCP socket on its way to `to`, from `from`. The port may be shared with other connections
 * (SO_REUSEADDR), never with a listener; with `alone` it must be nobody's at this moment, and is
 * shared afterwards. Wait for SOCK_WRITE, then ask sock_connect_result. Returns the descriptor, or
 * the reason as the kernel gave it at once; -ENODEV: the device is not there, here and below.
 * Syscalls: socket setsockopt bind connect close
 */
int sock_tcp_connect(struct sock_host *h, const struct sock_place *from, bool alone,
	const struct sock_address *to, const struct sock_age *age);
/* A connection made with a TTL stands: errors no longer end it (RFC 5927). Syscalls: setsockopt */
void sock_forgive(struct sock_host *h, int fd);
/* How the connect ended: 0 or -errno. Syscalls: getsockopt */
int sock_connect_result(struct sock_host *h, int fd);
/* A listening socket. With `alone` no connection may use the port. Syscalls:
 * socket setsockopt bind listen close */
int sock_tcp_listen(struct sock_host *h, const struct sock_place *at, bool alone);
/* The next connection and who it is from; -EAGAIN when there is none. Syscalls: accept4 setsockopt
 */
int sock_accept(struct sock_host *h, int fd, struct sock_address *peer);
/* The local address. Syscalls: getsockname */
int sock_local(struct sock_host *h, int fd, struct sock_address *out);
/* The address from which a socket on this device (NULL any) reaches `to`: 0 or -errno. Syscalls: socket setsockopt
 * connect getsockname close */
int sock_source(
	struct sock_host *h, const struct sock_address *to, const char *device, uint32_t *ip_be);
/* Whether the device that the socket was bound to is gone; false for one bound to none. Syscalls: getsockopt */
bool sock_stranded(struct sock_host *h, int fd);

/*
 * Writes what fits of at most SOCK_STREAM_PIECES pieces; `urgent` marks the last byte as urgent
 * data and must be used with a single byte. Bytes accepted, or -errno (-EAGAIN: full). Syscalls:
 * sendmsg
 */
ssize_t sock_write(
	struct sock_host *h, int fd, const struct iovec *piece, size_t pieces, bool urgent);
/* Bytes read, 0 at the end of the stream, -errno. A read never crosses the urgent mark. Syscalls:
 * readv */
ssize_t sock_read(struct sock_host *h, int fd, const struct iovec *piece, size_t pieces);
/* Whether the next byte to be read is urgent data. Syscalls: ioctl */
bool sock_at_mark(struct sock_host *h, int fd);
/* Sends our FIN after everything written. Syscalls: shutdown */
int sock_finish(struct sock_host *h, int fd);
/* Gives the descriptor up; `reset` aborts a TCP connection (RST) instead of ending it. Syscalls:
 * setsockopt close */
void sock_close(struct sock_host *h, int fd, bool reset);

/*
 * An unconnected UDP socket at `at`, with errors, TTL, TOS and lost
 * datagrams reported, runs received whole where the kernel knows how.
 * Syscalls: socket setsockopt bind close
 */
int sock_udp(struct sock_host *h, const struct sock_place *at);
/*
 * A socket that somebody else opened for us becomes what sock_tcp_listen or sock_udp would have
 * made: -EPROTO when it is not one of that kind, bound to that address, port and device, -ENODEV
 * when its device is gone. That it does not block is the giver's promise. Syscalls: getsockname
 * getsockopt setsockopt listen
 */
int sock_adopt(struct sock_host *h, int fd, const struct sock_place *at, bool udp);
/*
 * A TCP socket that somebody else bound for us, to be used again and again: whatever it was used
 * for ends, and at->at.port becomes the port that it has. Otherwise as sock_adopt. Syscalls: connect
 * getsockname getsockopt setsockopt
 */
int sock_adopt_bound(struct sock_host *h, int fd, struct sock_place *at);
/* It begins a connection: 0, then as after sock_tcp_connect, or -errno. Syscalls: connect setsockopt */
int sock_tcp_connect_by(
	struct sock_host *h, int fd, const struct sock_address *to, const struct sock_age *age);
/* It listens: 0 or -errno. Syscalls: connect listen */
int sock_tcp_listen_by(struct sock_host *h, int fd);
/* It is not used any more: nobody hears of it, and with `reset` its connection is aborted, or it ends
 * to listen. What was sent goes on being delivered otherwise. Syscalls: epoll_ctl connect */
void sock_rest(struct sock_host *h, int fd, bool reset);
/* Whether bytes or the FIN of its last connection are not acknowledged. Syscalls: ioctl */
bool sock_unsent(struct sock_host *h, int fd);
/*
 * The same for a raw socket of this protocol without an address: what comes has its IP header before it, what
 * goes is sent as it is. Syscalls: getsockname getsockopt setsockopt
 */
int sock_adopt_raw(struct sock_host *h, int fd, uint8_t protocol);
/* A UDP socket that talks to one peer only, from a random port, by this device (NULL any). Syscalls: socket setsockopt
 * connect close */
int sock_udp_to(struct sock_host *h, const struct sock_address *peer, const char *device);
/* A ping socket whose identifier is the port of `place` if nobody has it. Syscalls: socket setsockopt bind close */
int sock_echo(struct sock_host *h, const struct sock_place *place);
/*
 * Whether what a datagram socket sends from now on may be cut on its way. If not, it leaves with DF,
 * and what the path is known not to take is refused with -EMSGSIZE and an error whose offender is 0.
 * Syscalls: setsockopt
 */
void sock_fragment(struct sock_host *h, int fd, bool allowed);
/*
 * Sends up to SOCK_BATCH messages: how many went, or why the first did not. -EINVAL or -EMSGSIZE for
 * a run: its datagrams are too long to be cut on the way there; -EIO: nothing can be. Syscalls:
 * sendmmsg
 */
int sock_send(struct sock_host *h, int fd, const struct sock_datagram *batch, int count);
/* Receives up to SOCK_BATCH messages: how many came; -EAGAIN none. Syscalls: recvmmsg */
int sock_receive(struct sock_host *h, int fd, struct sock_datagram *batch, int count);
/* Who sent the datagram that waits, without taking it: 0 or -errno. Syscalls: recvmsg */
int sock_peek(struct sock_host *h, int fd, struct sock_address *peer);
/* The next ICMP error: 1 and *out filled, 0 none that means anything to a guest. Syscalls: recvmsg
 */
int sock_receive_error(struct sock_host *h, int fd, bool echo, struct sock_error *out);

/*
 * Somebody else has a copy of this socket, and it is about to be closed here: takes it out of what epoll watches. The kernel
 * does that itself with the last copy only, and tells of the socket until then; libev answers to news of a number that is closed
 * with a new epoll, which the filter forbids. Syscalls: epoll_ctl
 */
void sock_unlist(struct sock_host *h, int fd);
/*
 * Which events the descriptor is watched for from now on (SOCK_READ | SOCK_WRITE, 0 none); they
 * arrive as natproxy_ready(fd, events). Syscalls: epoll_ctl
 */
void sock_watch(struct sock_host *h, int fd, unsigned int events);
/* The descriptor is about to be closed: its number may come back as another socket. Called by
 * sock_close. */
void sock_forget(struct sock_host *h, int fd);

#endif
