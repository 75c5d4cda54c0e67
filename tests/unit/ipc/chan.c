/* Channels against a peer that writes whatever it likes into the socket. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan.h"

static int ends[2];
static struct chan c;
static struct pool pool;
static uint8_t pool_memory[4096], queue[8192];

static void setup(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	pool_init(&pool, pool_memory, sizeof(pool_memory));
	chan_init(&c, ends[0], &pool, queue, sizeof(queue));
}

TestSuite(chan, .init = setup);

static int highest_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* The hostile side: any bytes, any number of descriptors. */
static void raw_send(const void *bytes, size_t n, int nfds)
{
	char control[CMSG_SPACE(64 * sizeof(int))] = {0};
	char copy[70000];
	struct iovec iov = {copy, n};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *h = (struct cmsghdr *)(void *)control;
	int size = 1 << 20;

	memcpy(copy, bytes, n);
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (nfds) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));
		*h = (struct cmsghdr){CMSG_LEN((size_t)nfds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		for (int i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(h) + (size_t)i * sizeof(int), &(int){0}, sizeof(int));
	}
	cr_assert_eq(sendmsg(ends[1], &m, 0), (ssize_t)n);
}

Test(chan, records_keep_their_boundaries)
{
	struct chan_in in;

	raw_send("one", 3, 0);
	raw_send("three", 5, 0);
	cr_assert_eq(chan_recv(&c, &in), 1);
	cr_assert_eq(in.len, 3);
	cr_assert_arr_eq(in.bytes, "one", 3);
	cr_assert_eq(chan_recv(&c, &in), 1);
	cr_assert_arr_eq(in.bytes, "three", 5);
	cr_assert_eq(chan_recv(&c, &in), 0);
	cr_assert_eq(c.received, 2);
}

Test(chan, the_pool_is_fresh_for_each_record)
{
	struct chan_in in;

	pool_alloc(&pool, 4000);
	raw_send("x", 1, 0);
	cr_assert_eq(chan_recv(&c, &in), 1);
	cr_assert_not_null(pool_alloc(in.pool, 4000));
}

Test(chan, the_largest_record_passes_and_one_byte_more_ends_the_edge)
{
	static uint8_t big[CHAN_MAX_BYTES + 1];
	struct chan_in in;

	raw_send(big, CHAN_MAX_BYTES, 0);
	cr_assert_eq(chan_recv(&c, &in), 1);
	cr_assert_eq(in.len, CHAN_MAX_BYTES);
	raw_send(big, CHAN_MAX_BYTES + 1, 0);
	cr_assert_eq(chan_recv(&c, &in), -EPROTO);
	raw_send("fine", 4, 0);
	cr_assert_eq(chan_recv(&c, &in), -EPROTO, "it stays ended");
	cr_assert_eq(chan_send(&c, "x", 1, NULL, 0), -EPROTO);
}

Test(chan, end_of_file_is_epipe)
{
	struct chan_in in;

	close(ends[1]);
	cr_assert_eq(chan_recv(&c, &in), -EPIPE);
	cr_assert_eq(chan_send(&c, "x", 1, NULL, 0), -EPIPE);
}

Test(chan, descriptors_arrive_close_on_exec_and_untaken_ones_are_closed)
{
	struct chan_in in;
	int before = highest_fd(), taken;

	raw_send("fds", 3, CHAN_MAX_FDS);
	cr_assert_eq(chan_recv(&c, &in), 1);
	cr_assert_eq(in.nfds, CHAN_MAX_FDS);
	taken = chan_take_fd(&in, 3);
	cr_assert_geq(taken, 0);
	cr_assert(fcntl(taken, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(chan_take_fd(&in, 3), -1, "only once");
	cr_assert_eq(chan_take_fd(&in, -1), -1);
	cr_assert_eq(chan_take_fd(&in, CHAN_MAX_FDS), -1);
	chan_drop_fds(&in);
	cr_assert_geq(fcntl(taken, F_GETFD), 0, "the taken one lives");
	close(taken);
	cr_assert_eq(highest_fd(), before, "none leaked");
}

Test(chan, too_many_descriptors_end_the_edge_and_none_leaks)
{
	struct chan_in in;
	int before = highest_fd();

	raw_send("fds", 3, CHAN_MAX_FDS + 4);
	cr_assert_eq(chan_recv(&c, &in), -EPROTO);
	cr_assert_eq(highest_fd(), before);
}

Test(chan, descriptors_on_an_empty_record_do_not_leak)
{
	struct chan_in in;
	int before = highest_fd();

	raw_send("", 0, 2);
	cr_assert_lt(chan_recv(&c, &in), 0);
	cr_assert_eq(highest_fd(), before);
}

/* Fills the socket so that sends must queue; returns how many records went out. */
static int fill_socket(void)
{
	uint8_t record[1000];
	int sent = 0;

	while (c.queue_bytes == 0) {
		memset(record, sent, sizeof(record));
		cr_assert_eq(chan_send(&c, record, sizeof(record), NULL, 0), 0);
		sent++;
	}
	return sent;
}

Test(chan, what_the_socket_does_not_take_waits_in_order)
{
	int sent = fill_socket(), got = 0;
	uint8_t record[2000];

	while (got < sent) {
		ssize_t n = recv(ends[1], record, sizeof(record), MSG_DONTWAIT);

		if (n < 0) {
			cr_assert_geq(chan_flush(&c), 0);
			continue;
		}
		cr_assert_eq(n, 1000);
		cr_assert_eq(record[0], (uint8_t)got);
		cr_assert_eq(record[999], (uint8_t)got);
		got++;
	}
	cr_assert_eq(chan_flush(&c), 0);
	cr_assert_eq(c.queue_bytes, 0);
}

Test(chan, a_full_queue_refuses_and_counts)
{
	uint8_t record[1000] = {0};
	int refused = 0;

	fill_socket();
	for (int i = 0; i < 20; i++)
		refused += chan_send(&c, record, sizeof(record), NULL, 0) == -EAGAIN;
	cr_assert_gt(refused, 0);
	cr_assert_leq(c.queue_bytes, sizeof(queue));
	cr_assert_eq(c.refused, (uint64_t)refused);
	cr_assert_eq(chan_flush(&c), 1);
}

Test(chan, the_queue_reuses_its_front)
{
	uint8_t record[1000] = {0}, sink[2000];
	int sent = fill_socket(), got = 0;

	/* Many times the size of the queue goes through while it is never empty. */
	for (int i = 0; i < 200; i++) {
		cr_assert_gt(recv(ends[1], sink, sizeof(sink), MSG_DONTWAIT), 0);
		got++;
		chan_flush(&c);
		memset(record, sent, sizeof(record));
		cr_assert_eq(chan_send(&c, record, sizeof(record), NULL, 0), 0);
		sent++;
		cr_assert_eq(sink[0], (uint8_t)(got - 1));
	}
}

Test(chan, records_with_descriptors_never_queue)
{
	int fd = 0;

	fill_socket();
	cr_assert_eq(chan_send(&c, "x", 1, &fd, 1), -EAGAIN);
}

Test(chan, impossible_sizes_are_refused)
{
	static uint8_t big[CHAN_MAX_BYTES + 1];
	int fds[CHAN_MAX_FDS + 1] = {0};

	cr_assert_eq(chan_send(&c, big, sizeof(big), NULL, 0), -EMSGSIZE);
	cr_assert_eq(chan_send(&c, big, 0, NULL, 0), -EMSGSIZE, "it would look like the end");
	cr_assert_eq(chan_send(&c, big, 1, fds, CHAN_MAX_FDS + 1), -EMSGSIZE);
	cr_assert_eq(c.error, 0, "the edge lives on");
}

Test(chan, a_descriptor_crosses)
{
	struct chan other;
	struct chan_in in;
	int pipe_fds[2], fd;
	char byte;

	cr_assert_eq(pipe(pipe_fds), 0);
	chan_init(&other, ends[1], &pool, NULL, 0);
	cr_assert_eq(chan_send(&c, "take", 4, &pipe_fds[1], 1), 0);
	cr_assert_eq(chan_recv(&other, &in), 1);
	fd = chan_take_fd(&in, 0);
	cr_assert_eq(write(fd, "!", 1), 1);
	cr_assert_eq(read(pipe_fds[0], &byte, 1), 1);
	cr_assert_eq(byte, '!');
}
