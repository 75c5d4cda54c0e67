/* edges.c: what a dead worker leaves in its channels, and what those take. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges.h"

static struct hub hub = {.shards = 1};

static void set_up(void)
{
	hub_crew(&hub);
	cr_assert_eq(edges_open(&hub), 0);
}
static void tear_down(void)
{
	edges_close(&hub);
}
TestSuite(edges, .init = set_up, .fini = tear_down);

/* The broker's end of its channel with dhcpd, then dhcpd's. */
static const int *dhcp_channel(void)
{
	for (unsigned int e = 0; e < share_edge_count; e++)
		if (share_edges[e].a == ACTOR_BROKER && share_edges[e].b == ACTOR_DHCPD)
			return hub.channel[e][0];
	cr_assert_fail("no such edge");
	return NULL;
}

static int send_with_descriptor(int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec byte = {(char[]){1}, 1};
	struct msghdr m = {.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	return sendmsg(fd, &m, MSG_DONTWAIT) < 0 ? -errno : 0;
}

Test(edges, what_a_dead_worker_left_is_not_its_successors)
{
	const int *pair = dhcp_channel();
	char byte;

	for (int i = 0; i < 100; i++)
		cr_assert_geq(send(pair[1], "rubbish", i % 3, MSG_DONTWAIT), 0);
	edges_flush(hub_worker(&hub, ACTOR_DHCPD, 0));
	cr_assert_eq(recv(pair[0], &byte, 1, MSG_DONTWAIT), -1, "an empty record hides nothing");
	cr_assert_eq(errno, EAGAIN);
}

Test(edges, a_far_end_that_is_shut_down_is_drained_in_bounds)
{
	const int *pair = dhcp_channel();

	cr_assert_eq(shutdown(pair[1], SHUT_WR), 0);
	edges_flush(hub_worker(&hub, ACTOR_DHCPD, 0));
}

Test(edges, no_descriptor_passes_between_workers)
{
	const int *pair = dhcp_channel();
	const int no = 0;
	int error = setsockopt(pair[0], SOL_SOCKET, 83, &no, sizeof(no)) ? errno : 0;

	cr_assert_eq(send_with_descriptor(pair[0]), error == ENOPROTOOPT ? 0 : -EPERM);
	cr_assert_eq(send_with_descriptor(pair[1]), error == ENOPROTOOPT ? 0 : -EPERM);
	cr_assert_eq(send(pair[1], "x", 1, MSG_DONTWAIT), 1);
}
