/*
 * The broker between a hostile dhcpd, two hostile netstacks and a supervisor that says anything, with ports that come and
 * go. What the switch does with frames is fuzz_broker_bridge's.
 */
#include <sys/epoll.h>
#include <sys/uio.h>

#include "edge.h"

#define main broker_main
int main(void);
#include "../../broker/main.c"
#undef main

ssize_t __wrap_readv(int fd, const struct iovec *piece, int pieces);
ssize_t __wrap_writev(int fd, const struct iovec *piece, int pieces);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);

/* A frame, or what a machine's stream holds: the act's bytes. */
ssize_t __wrap_readv(int fd, const struct iovec *piece, int pieces)
{
	ssize_t n = 0;
	size_t left;
	const uint8_t how = edge_take(), *bytes = edge_rest(&left);
	edge_require(edge_is_open(fd));
	if (how > 240)
		return 0;
	if (!left) {
		errno = how > 200 ? EIO : EAGAIN;
		return -1;
	}
	for (int i = 0; i < pieces && left; i++) {
		const size_t one = left < piece[i].iov_len ? left : piece[i].iov_len;
		memcpy(piece[i].iov_base, bytes, one);
		bytes += one;
		left -= one;
		n += (ssize_t)one;
	}
	return n;
}

ssize_t __wrap_writev(int fd, const struct iovec *piece, int pieces)
{
	static const int errors[] = {EAGAIN, ENOBUFS, EINVAL, EBADF};
	ssize_t n = 0;
	const uint8_t how = edge_take();
	edge_require(edge_is_open(fd));
	for (int i = 0; i < pieces; i++)
		n += (ssize_t)piece[i].iov_len;
	if (how < 200)
		return how & 1 && n > 1 ? n / 2 : n;
	errno = errors[how % 4];
	return -1;
}

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	edge_require(epoll == BROKER_EPOLL && op == EPOLL_CTL_DEL);
	return 0;
}

static void ports_act(struct actor *a, void *self)
{
	struct broker *b = self;
	const uint8_t which = edge_take();
	for (uint64_t left = b->bridge.attached; left; left &= left - 1) {
		const unsigned int slot = (unsigned int)__builtin_ctzll(left);
		if (which >> (slot & 3) & 1)
			broker_readable(NULL, &b->port[slot].reader, EV_READ);
		if (which >> (4 + (slot & 3)) & 1)
			broker_writable(NULL, &b->port[slot].writer, EV_WRITE);
	}
	broker_turn(b);
}

static unsigned int owned(const void *self)
{
	return (unsigned int)__builtin_popcountll(((const struct broker *)self)->bridge.attached);
}

static void check(const struct actor *a, const void *self)
{
	const struct broker *b = self;
	edge_require(!((b->readable | b->starved | b->watched) & ~b->bridge.attached));
}

const struct edge_target edge_target = {
	.worker = broker_main,
	.state_bytes = sizeof(struct broker),
	.shards = 2,
	.first_fd = BROKER_PORT_FIRST,
	.heard = {&nl__super_to_broker__descriptor, &nl__dhcpd_to_broker__descriptor,
		&nl__netstack_to_broker__descriptor},
	.owned = owned,
	.check = check,
	.act = ports_act,
};
