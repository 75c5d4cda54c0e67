/* Runs of datagrams on their way out, against the kernel's sockets on loopback: what arrives is what
 * was meant, one by one and in order, however it was put together. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

enum { FLOW = 0x20003, PORT = 45123, BIG = 65536 };

static struct rig *world(void)
{
	const struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN,
		.flow = FLOW,
		.pair = {.guest_ip_be = rig_guest_ip(), .guest_port = PORT, .kind = DGRAM_UDP}};
	struct rig *r = rig_new(&(struct rig_options){0});
	rig_send(r, &d);
	return r;
}

/* A descriptor with bytes n, n + 1, ...; each: a run of datagrams so long. */
static void say_run(struct rig *r, uint16_t port, uint8_t n, size_t bytes, uint16_t each)
{
	static uint8_t text[BIG];
	for (size_t i = 0; i < bytes; i++)
		text[i] = (uint8_t)(n + i);
	struct ring_desc d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW, 0, text, bytes);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = port, .ttl = 63};
	d.hlen = each;
	rig_send(r, &d);
}

static void say(struct rig *r, uint16_t port, uint8_t n, size_t bytes)
{
	say_run(r, port, n, bytes, 0);
}

static void expect(int fd, uint8_t n, size_t bytes)
{
	static uint8_t text[BIG];
	cr_assert_eq(recv(fd, text, sizeof(text), MSG_DONTWAIT), (ssize_t)bytes, "datagram %u", n);
	for (size_t i = 0; i < bytes; i++)
		cr_assert_eq(text[i], (uint8_t)(n + i));
}

static void expect_nothing(int fd)
{
	char byte;
	cr_assert_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
}

/* The lengths of what a receiver that takes runs whole gets: of one message, and of its datagrams. */
static void expect_whole(int fd, ssize_t bytes, int each)
{
	static char text[BIG];
	char control[64];
	struct iovec piece = {text, sizeof(text)};
	struct msghdr m = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	int segment = 0;
	cr_assert_eq(recvmsg(fd, &m, MSG_DONTWAIT), bytes);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&segment, CMSG_DATA(c), sizeof(segment));
	cr_assert_eq(segment, each);
}

static int receiver_of_runs(uint16_t *port)
{
	const int fd = rig_udp(port), on = 1;
	cr_assert_eq(setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on)), 0);
	return fd;
}

static uint64_t buffers(const struct rig *r)
{
	return (uint64_t)r->broker.free_count[BUF_LARGE] << 32 | r->broker.free_count[BUF_SMALL];
}

static void expect_all_returned(struct rig *r)
{
	cr_assert(rig_quiet(r, 2));
	cr_assert_eq(buffers(r), (uint64_t)ARENA_LARGE_COUNT << 32 | ARENA_SMALL_COUNT);
}

Test(burst, datagrams_of_one_length_leave_as_one_message)
{
	struct rig *r = world();
	uint16_t port;
	const int fd = receiver_of_runs(&port);
	for (uint8_t n = 0; n < 20; n++)
		say(r, port, n, 100);
	say(r, port, 20, 30);
	say(r, port, 21, 30);
	say(r, port, 22, 31);
	say(r, port, 23, 0);
	say(r, port, 24, 31);
	rig_turn(r);
	expect_whole(fd, 20 * 100 + 30, 100);
	expect_whole(fd, 30, 0);
	expect_whole(fd, 31, 0);
	expect_whole(fd, 0, 0);
	expect_whole(fd, 31, 0);
	expect_nothing(fd);
	expect_all_returned(r);
	rig_free(r);
}

Test(burst, a_longer_row_than_the_kernel_takes_is_several_messages)
{
	struct rig *r = world();
	uint16_t port;
	const int fd = receiver_of_runs(&port);
	for (uint8_t n = 0; n < SOCK_RUN_DATAGRAMS + 6; n++)
		say(r, port, n, 10);
	for (uint8_t n = 0; n < 40; n++)
		say(r, port, n, 2000);
	rig_turn(r);
	expect_whole(fd, SOCK_RUN_DATAGRAMS * 10, 10);
	expect_whole(fd, 60, 10);
	expect_whole(fd, 32 * 2000, 2000);
	expect_whole(fd, 8 * 2000, 2000);
	expect_nothing(fd);
	expect_all_returned(r);
	rig_free(r);
}

Test(burst, another_peer_ttl_or_tos_is_another_message)
{
	struct rig *r = world();
	uint16_t one, two;
	const int a = receiver_of_runs(&one), b = receiver_of_runs(&two);
	struct ring_desc d;
	say(r, one, 0, 50);
	say(r, two, 1, 50);
	say(r, one, 2, 50);
	for (int i = 0; i < 2; i++) {
		d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW, 0, "x", 1);
		d.remote = (struct ring_remote){
			.ip_be = rig_loopback(), .port = two, .ttl = (uint8_t)(60 + i), .tos = 4};
		rig_send(r, &d);
	}
	d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW, 0, "x", 1);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = two, .ttl = 61, .tos = 8};
	rig_send(r, &d);
	rig_turn(r);
	expect_whole(a, 50, 0);
	expect_whole(a, 50, 0);
	expect_whole(b, 50, 0);
	for (int i = 0; i < 3; i++)
		expect_whole(b, 1, 0);
	expect_nothing(b);
	rig_free(r);
}

Test(burst, runs_of_the_guest_arrive_datagram_by_datagram)
{
	static const struct {
		uint32_t bytes;
		uint16_t each;
	} runs[] = {{2, 1}, {512, 1}, {65507, 65506}, {65507, 1472}, {14001, 1000}, {13000, 1000}};
	struct rig *r = world();
	uint16_t port;
	const int fd = rig_udp(&port), much = 1 << 20;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &much, sizeof(much));
	for (size_t k = 0; k < sizeof(runs) / sizeof(runs[0]); k++) {
		say(r, port, 77, 5);
		say_run(r, port, 0, runs[k].bytes, runs[k].each);
		say(r, port, 78, 5);
		rig_turn(r);
		expect(fd, 77, 5);
		for (uint32_t at = 0; at < runs[k].bytes; at += runs[k].each)
			expect(fd, (uint8_t)at,
				runs[k].bytes - at < runs[k].each ? runs[k].bytes - at
								  : runs[k].each);
		expect(fd, 78, 5);
		expect_nothing(fd);
	}
	expect_all_returned(r);
	cr_assert_eq(r->protocol_error, 0);
	rig_free(r);
}

Test(burst, random_lengths_and_peers_keep_their_order)
{
	struct rig *r = world();
	uint16_t port[2];
	const int fd[2] = {rig_udp(&port[0]), rig_udp(&port[1])};
	uint8_t told[2] = {0, 0}, seen[2] = {0, 0};
	uint32_t seed = 7, length[2][256];
	for (int round = 0; round < 60; round++) {
		for (int i = 0; i < 100; i++) {
			seed = seed * 1664525 + 1013904223;
			const int who = seed >> 30 & 1;
			const uint32_t bytes = seed >> 28 & 3 ? 200 : seed >> 20 & 255;
			length[who][told[who]] = bytes;
			say(r, port[who], told[who]++, bytes);
		}
		rig_turn(r);
		for (int who = 0; who < 2; who++)
			for (; seen[who] != told[who]; seen[who]++)
				expect(fd[who], seen[who], length[who][seen[who]]);
	}
	expect_all_returned(r);
	rig_free(r);
}

/* Flows that collect side by side, and two whose places are the same. */
Test(burst, interleaved_flows_each_keep_their_run)
{
	static const uint32_t flows[] = {FLOW, FLOW + 1, FLOW + NATPROXY_BURSTS};
	struct rig *r = world();
	uint16_t port[3];
	int fd[3];
	for (uint32_t k = 0; k < 3; k++) {
		struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = flows[k]};
		d.pair = (struct ring_pair){.guest_ip_be = rig_guest_ip(),
			.guest_port = (uint16_t)(PORT + k),
			.kind = DGRAM_UDP};
		fd[k] = receiver_of_runs(&port[k]);
		if (k)
			rig_send(r, &d);
	}
	for (int i = 0; i < 10; i++)
		for (uint32_t k = 0; k < 2; k++) {
			struct ring_desc d =
				rig_payload(r, RING_NETSTACK_DGRAM_DATA, flows[k], 0, "abcde", 5);
			d.remote = (struct ring_remote){
				.ip_be = rig_loopback(), .port = port[k], .ttl = 63};
			rig_send(r, &d);
		}
	for (uint32_t k = 0; k < 3; k += 2) {
		struct ring_desc d =
			rig_payload(r, RING_NETSTACK_DGRAM_DATA, flows[k], 0, "abcde", 5);
		d.remote =
			(struct ring_remote){.ip_be = rig_loopback(), .port = port[k], .ttl = 63};
		rig_send(r, &d);
	}
	rig_turn(r);
	cr_assert_eq(r->protocol_error, 0);
	expect_whole(fd[0], 55, 5);
	expect_whole(fd[1], 50, 5);
	expect_whole(fd[2], 5, 0);
	expect_all_returned(r);
	rig_free(r);
}

Test(burst, what_must_be_fragmented_is_not_cut)
{
	struct rig *r = world();
	uint16_t port;
	const int fd = rig_udp(&port);
	if (!rig_network() || system("ip link set lo mtu 1500"))
		cr_skip_test("needs a loopback of its own");
	for (uint8_t n = 0; n < 5; n++)
		say(r, port, n, 1600);
	say(r, port, 5, 100);
	say_run(r, port, 6, 4000, 1900);
	rig_turn(r);
	for (uint8_t n = 0; n < 5; n++)
		expect(fd, n, 1600);
	expect(fd, 5, 100);
	expect(fd, 6, 1900);
	expect(fd, (uint8_t)(6 + 1900), 1900);
	expect(fd, (uint8_t)(6 + 3800), 200);
	expect_nothing(fd);
	cr_assert_eq(r->np->flow[flow_index(FLOW)].run_max, 1599, "remembered");
	cr_assert_eq(r->drops.count[DROP_SOCKET], 0);
	expect_all_returned(r);
	rig_free(r);
}

/* The error comes back while the batch is being sent: it is told once, of the right datagram, and
 * costs no other. */
Test(burst, an_error_in_the_middle_swallows_nobody)
{
	struct rig *r = world();
	struct ring_desc d;
	uint16_t open, closed;
	uint32_t errors = 0;
	const int fd = rig_udp(&open);
	close(rig_udp(&closed));
	for (uint8_t n = 0; n < 10; n++)
		say(r, open, n, 100);
	say(r, closed, 0, 100);
	for (uint8_t n = 10; n < 20; n++)
		say(r, open, n, 100);
	rig_turn(r);
	for (uint8_t n = 0; n < 20; n++)
		expect(fd, n, 100);
	while (rig_await(r, RING_NATPROXY_DGRAM_ERROR, &d)) {
		cr_assert_eq(d.remote.port, closed);
		cr_assert_eq(d.pair.token, 3 << 8 | 3);
		errors++;
	}
	cr_assert_eq(errors, 1);
	cr_assert_eq(r->drops.count[DROP_SOCKET], 0);
	rig_free(r);
}

Test(burst, echo_has_no_runs)
{
	struct rig *r = world();
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN,
		.flow = FLOW + 1,
		.pair = {.guest_ip_be = rig_guest_ip(), .guest_port = 7, .kind = DGRAM_ECHO}};
	rig_send(r, &d);
	d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW + 1, 0, "0123456789", 10);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = 1, .ttl = 63};
	d.hlen = 5;
	rig_send(r, &d);
	rig_turn(r);
	cr_assert_eq(r->protocol_error, -EPROTO);
	rig_free(r);
}
