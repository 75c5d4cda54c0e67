/*
 * A host's sockets as the fuzzer has them: each call takes a byte of the input to decide how it ends. Whoever includes this
 * has take(), new_fd(), need_open() and forget_fd() defined before: where bytes and descriptors come from.
 */
#ifndef NATLOCK_TESTS_FUZZ_SOCK_H
#define NATLOCK_TESTS_FUZZ_SOCK_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "sock.h"

/* Half of what comes from outside is from one address, the far end of many flows. */
static struct sock_address somebody(void)
{
	const uint8_t who = take();
	return (struct sock_address){htonl(0x08080800U | (who & 128 ? who & 127 : 8)), take()};
}

int sock_tcp_connect(struct sock_host *h, const struct sock_place *from, bool alone,
	const struct sock_address *to, const struct sock_age *age)
{
	return new_fd();
}
int sock_connect_result(struct sock_host *h, int fd)
{
	need_open(fd);
	return take() > 200 ? -ECONNREFUSED : 0;
}
int sock_tcp_listen(struct sock_host *h, const struct sock_place *at, bool alone)
{
	return new_fd();
}
int sock_accept(struct sock_host *h, int fd, struct sock_address *peer)
{
	need_open(fd);
	*peer = somebody();
	return take() & 1 ? new_fd() : -EAGAIN;
}
int sock_local(struct sock_host *h, int fd, struct sock_address *out)
{
	need_open(fd);
	*out = (struct sock_address){inet_addr("10.9.9.9"), (uint16_t)(1024 + fd)};
	return 0;
}
ssize_t sock_write(
	struct sock_host *h, int fd, const struct iovec *piece, size_t pieces, bool urgent)
{
	size_t all = 0;
	need_open(fd);
	for (size_t i = 0; i < pieces; i++)
		all += piece[i].iov_len;
	const uint8_t how = take();
	if (how > 240)
		return how & 1 ? -EPIPE : -EAGAIN;
	return (ssize_t)(how < 128 ? all : all * how / 256);
}
ssize_t sock_read(struct sock_host *h, int fd, const struct iovec *piece, size_t pieces)
{
	size_t all = 0;
	need_open(fd);
	for (size_t i = 0; i < pieces; i++)
		all += piece[i].iov_len;
	const uint8_t how = take();
	if (how > 220)
		return how > 250 ? -ECONNRESET : how & 1 ? 0 : -EAGAIN;
	return (ssize_t)(all * how / 220);
}
bool sock_at_mark(struct sock_host *h, int fd)
{
	return take() > 250;
}
int sock_finish(struct sock_host *h, int fd)
{
	need_open(fd);
	return 0;
}
void sock_close(struct sock_host *h, int fd, bool reset)
{
	need_open(fd);
	forget_fd(fd);
}
int sock_udp(struct sock_host *h, const struct sock_place *at)
{
	return new_fd();
}
int sock_adopt(struct sock_host *h, int fd, const struct sock_place *at, bool udp)
{
	static const int errors[] = {-EPROTO, -ENODEV, -EADDRINUSE};
	const uint8_t how = take();
	need_open(fd);
	return how > 200 ? errors[how % 3] : 0;
}
int sock_adopt_bound(struct sock_host *h, int fd, struct sock_place *at)
{
	static const int errors[] = {-EPROTO, -ENODEV};
	const uint8_t how = take();
	need_open(fd);
	at->at.port = (uint16_t)(512 + take() * 2); /* 1024 is none */
	return how > 200 ? errors[how % 2] : 0;
}
int sock_tcp_connect_by(
	struct sock_host *h, int fd, const struct sock_address *to, const struct sock_age *age)
{
	static const int errors[] = {-EADDRNOTAVAIL, -ENETUNREACH};
	const uint8_t how = take();
	need_open(fd);
	return how > 200 ? errors[how % 2] : 0;
}
int sock_tcp_listen_by(struct sock_host *h, int fd)
{
	need_open(fd);
	return take() > 200 ? -EADDRINUSE : 0;
}
void sock_rest(struct sock_host *h, int fd, bool reset)
{
	need_open(fd);
}
bool sock_unsent(struct sock_host *h, int fd)
{
	need_open(fd);
	return take() > 100;
}
int sock_adopt_raw(struct sock_host *h, int fd, uint8_t protocol)
{
	need_open(fd);
	return take() > 200 ? -EPROTO : 0;
}
int sock_udp_to(struct sock_host *h, const struct sock_address *peer, const char *device)
{
	return new_fd();
}
int sock_echo(struct sock_host *h, const struct sock_place *at)
{
	return new_fd();
}
int sock_source(
	struct sock_host *h, const struct sock_address *to, const char *device, uint32_t *ip_be)
{
	*ip_be = inet_addr("10.9.9.9");
	return 0;
}
bool sock_stranded(struct sock_host *h, int fd)
{
	need_open(fd);
	return take() > 250;
}
void sock_fragment(struct sock_host *h, int fd, bool allowed)
{
	need_open(fd);
}
void sock_forgive(struct sock_host *h, int fd)
{
	need_open(fd);
}
/* What the kernel would answer EINVAL to, however it feels today. */
static void need_whole(const struct sock_datagram *d)
{
	size_t all = 0;
	for (uint32_t i = 0; i < d->pieces; i++)
		all += d->piece[i].iov_len;
	if (d->segment && (all != d->bytes || all <= d->segment || all > RING_RUN_BYTES ||
				  all > (size_t)d->segment * SOCK_RUN_DATAGRAMS))
		abort();
}

int sock_send(struct sock_host *h, int fd, const struct sock_datagram *batch, int count)
{
	need_open(fd);
	const uint8_t how = take();
	static const int errors[] = {-ECONNREFUSED, -EAGAIN, -EINVAL, -EIO, -EMSGSIZE, -EPERM};
	for (int i = 0; i < count; i++)
		need_whole(&batch[i]);
	if (how > 200)
		return errors[how % 6];
	return 1 + how % count;
}
int sock_receive(struct sock_host *h, int fd, struct sock_datagram *batch, int count)
{
	need_open(fd);
	const uint8_t how = take();
	if (how > 200)
		return how & 1 ? -ECONNREFUSED : -EAGAIN;
	const int n = 1 + how % count;
	for (int i = 0; i < n; i++) {
		size_t all = 0, first = batch[i].piece[0].iov_len;
		for (uint32_t k = 0; k < batch[i].pieces; k++)
			all += batch[i].piece[k].iov_len;
		batch[i].bytes = (uint32_t)(all * take() / 256);
		batch[i].truncated = false;
		batch[i].segment = (uint16_t)(take() & 1 ? take() << 4 : 0);
		if (batch[i].segment >= batch[i].bytes)
			batch[i].segment = 0;
		batch[i].ttl = batch[i].tos = 64;
		batch[i].lost = take();
		batch[i].peer = somebody();
		for (size_t k = 0; k < first && k < 32; k++)
			((uint8_t *)batch[i].piece[0].iov_base)[k] = take();
	}
	return n;
}
int sock_peek(struct sock_host *h, int fd, struct sock_address *peer)
{
	need_open(fd);
	*peer = somebody();
	return 0;
}
int sock_receive_error(struct sock_host *h, int fd, bool echo, struct sock_error *out)
{
	need_open(fd);
	*out = (struct sock_error){.to = {htonl(0x08080800U | take()), take()},
		.type = 3,
		.code = take(),
		.offender_ip_be = take(),
		.quoted = {take(), take(), take(), take()}};
	return take() & 1;
}
void sock_watch(struct sock_host *h, int fd, unsigned int events)
{
	need_open(fd);
}
void sock_unlist(struct sock_host *h, int fd)
{
	need_open(fd);
}
void sock_forget(struct sock_host *h, int fd)
{
}

#endif
