/*
 * Control channels. A record is received into one static buffer of this process, so a channel costs
 * no memory until something has to wait: then records queue, each behind its 32-bit length, in the
 * block given at chan_init. A record with descriptors never queues: the caller keeps them and tries
 * again.
 *
 *   queue:  [ free | length, record, length, record … | free ]
 *             0     start                             start + bytes      cap
 */
#include "chan.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t receive_buffer[CHAN_MAX_BYTES];
static uint8_t pack_buffer[CHAN_MAX_BYTES];

union fd_control {
	struct cmsghdr header;
	char room[CMSG_SPACE(CHAN_MAX_FDS * sizeof(int))];
};

void chan_init(struct chan *c, int fd, struct pool *pool, uint8_t *queue, size_t queue_cap)
{
	*c = (struct chan){.fd = fd, .pool = pool, .queue = queue, .queue_cap = queue_cap};
}

static int fail(struct chan *c, int error)
{
	if (!c->error)
		c->error = error;
	return c->error;
}

/* Collects descriptors; all control messages count, so that none can leak. */
static bool collect_fds(struct msghdr *m, struct chan_in *in)
{
	bool ok = !(m->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) {
			ok = false;
			continue;
		}
		for (size_t i = 0; i < n && in->nfds < CHAN_MAX_FDS; i++)
			memcpy(&in->fds[in->nfds++], CMSG_DATA(h) + i * sizeof(int), sizeof(int));
	}
	return ok;
}

int chan_recv(struct chan *c, struct chan_in *in)
{
	union fd_control control;
	struct iovec iov = {receive_buffer, sizeof(receive_buffer)};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t n;

	*in = (struct chan_in){.bytes = receive_buffer, .pool = c->pool};
	if (c->error)
		return c->error;
	do
		n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : fail(c, -EPIPE);
	if (!collect_fds(&m, in) || m.msg_flags & MSG_TRUNC || n == 0) {
		/* An empty record can't be told from the end of the file, and means the same. */
		bool end = n == 0 && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
		chan_drop_fds(in);
		return fail(c, end ? -EPIPE : -EPROTO);
	}
	in->len = (size_t)n;
	c->received++;
	if (c->pool)
		pool_reset(c->pool);
	return 1;
}

int chan_take_fd(struct chan_in *in, int i)
{
	int fd;

	if (i < 0 || i >= in->nfds)
		return -1;
	fd = in->fds[i];
	in->fds[i] = -1;
	return fd;
}

void chan_drop_fds(struct chan_in *in)
{
	for (int i = 0; i < in->nfds; i++) {
		if (in->fds[i] >= 0)
			close(in->fds[i]);
		in->fds[i] = -1;
	}
	in->nfds = 0;
}

/* 0 sent, -EAGAIN, or -EPIPE and the channel has failed. */
static int send_record(struct chan *c, const void *bytes, size_t len, const int *fds, int nfds)
{
	union fd_control control;
	struct iovec iov = {.iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	memcpy(&iov.iov_base, &bytes, sizeof(bytes));
	if (nfds > 0) {
		memset(&control, 0, sizeof(control));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN((size_t)nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, (size_t)nfds * sizeof(int));
	}
	do
		n = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0) {
		c->sent++;
		return 0;
	}
	return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? -EAGAIN : fail(c, -EPIPE);
}

static int enqueue(struct chan *c, const void *bytes, size_t len)
{
	uint32_t length = (uint32_t)len;
	size_t need = sizeof(length) + len;
	uint8_t *end;

	if (need > c->queue_cap - c->queue_bytes)
		return -EAGAIN;
	if (need > c->queue_cap - c->queue_start - c->queue_bytes) {
		memmove(c->queue, c->queue + c->queue_start, c->queue_bytes);
		c->queue_start = 0;
	}
	end = c->queue + c->queue_start + c->queue_bytes;
	memcpy(end, &length, sizeof(length));
	memcpy(end + sizeof(length), bytes, len);
	c->queue_bytes += need;
	return 0;
}

int chan_flush(struct chan *c)
{
	while (c->queue_bytes > 0) {
		const uint8_t *first = c->queue + c->queue_start;
		uint32_t length;
		int error;

		if (c->error)
			return c->error;
		memcpy(&length, first, sizeof(length));
		error = send_record(c, first + sizeof(length), length, NULL, 0);
		if (error)
			return error == -EAGAIN ? 1 : error;
		c->queue_start += sizeof(length) + length;
		c->queue_bytes -= sizeof(length) + length;
	}
	c->queue_start = 0;
	return 0;
}

int chan_send(struct chan *c, const void *bytes, size_t len, const int *fds, int nfds)
{
	int error;

	if (c->error)
		return c->error;
	if (len == 0 || len > CHAN_MAX_BYTES || nfds < 0 || nfds > CHAN_MAX_FDS)
		return -EMSGSIZE;
	error = c->queue_bytes > 0 ? -EAGAIN : send_record(c, bytes, len, fds, nfds);
	if (error == -EAGAIN && nfds == 0)
		error = enqueue(c, bytes, len);
	if (error == -EAGAIN)
		c->refused++;
	return error;
}

int chan_send_message(struct chan *c, const ProtobufCMessage *m, const int *fds, int nfds)
{
	if (protobuf_c_message_get_packed_size(m) > sizeof(pack_buffer))
		return -EMSGSIZE;
	return chan_send(c, pack_buffer, protobuf_c_message_pack(m, pack_buffer), fds, nfds);
}
