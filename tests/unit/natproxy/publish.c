/* Published ports against the kernel's sockets on loopback. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

enum { FLOW = 0x40001, TO_PORT = 80 };

static struct rig *published(Nl__Publish__Proto proto, uint16_t port)
{
	return rig_new(&(struct rig_options){.publish = rig_publish(proto, port, TO_PORT)});
}

static uint16_t free_port(int type)
{
	uint16_t port;
	close(type == SOCK_STREAM ? rig_listener(&port) : rig_udp(&port));
	return port;
}

static int to_port(int type, uint16_t port)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
	const int fd = socket(AF_INET, type, 0);
	cr_assert_eq(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

Test(publish, a_connection_is_announced_accepted_and_relayed)
{
	const uint16_t port = free_port(SOCK_STREAM);
	struct rig *r = published(NL__PUBLISH__PROTO__tcp, port);
	const int fd = to_port(SOCK_STREAM, port);
	struct ring_desc d;
	char text[8];
	cr_assert(rig_await(r, RING_NATPROXY_TCP_INCOMING, &d));
	cr_assert_eq(d.pair.guest_ip_be, rig_guest_ip());
	cr_assert_eq(d.pair.guest_port, TO_PORT);
	cr_assert_eq(
		d.pair.remote_ip_be, inet_addr("192.168.30.1"), "loopback is shown as the gateway");
	struct ring_desc a = {
		.op = RING_NETSTACK_TCP_ACCEPTED, .flow = FLOW, .pair = {.token = d.pair.token}};
	rig_send(r, &a);
	a = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW, 0, "hello", 5);
	rig_send(r, &a);
	rig_turn(r);
	cr_assert_eq(read(fd, text, sizeof(text)), 5);
	cr_assert_eq(r->np->nat.live, 1);
	cr_assert_eq(r->np->incomings, 0);
	cr_assert_eq(nat_session(&r->np->nat, nat_next(&r->np->nat, NAT_NONE))->real_ip_be,
		htonl(INADDR_LOOPBACK), "what it opens is for that one, not for the gateway");
	rig_free(r);
}

Test(publish, a_rejected_connection_is_reset)
{
	const uint16_t port = free_port(SOCK_STREAM);
	struct rig *r = published(NL__PUBLISH__PROTO__tcp, port);
	const int fd = to_port(SOCK_STREAM, port);
	struct ring_desc d;
	char byte;
	cr_assert(rig_await(r, RING_NATPROXY_TCP_INCOMING, &d));
	const struct ring_desc a = {
		.op = RING_NETSTACK_TCP_REJECTED, .pair = {.token = d.pair.token}};
	rig_send(r, &a);
	rig_turn(r);
	cr_assert_eq(read(fd, &byte, 1), -1);
	cr_assert_eq(errno, ECONNRESET);
	rig_send(r, &a);
	rig_turn(r);
	cr_assert_eq(r->protocol_error, 0, "twice is late, not a lie");
	rig_free(r);
}

Test(publish, an_unknown_token_gives_a_dead_flow)
{
	struct rig *r = published(NL__PUBLISH__PROTO__tcp, free_port(SOCK_STREAM));
	struct ring_desc d = {
		.op = RING_NETSTACK_TCP_ACCEPTED, .flow = FLOW, .pair = {.token = 0xffffffff}};
	rig_send(r, &d);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
	cr_assert_eq(d.flow, FLOW);
	rig_free(r);
}

Test(publish, an_unanswered_connection_is_reset_after_a_while)
{
	const uint16_t port = free_port(SOCK_STREAM);
	struct rig *r = published(NL__PUBLISH__PROTO__tcp, port);
	const int fd = to_port(SOCK_STREAM, port);
	struct ring_desc d;
	char byte;
	cr_assert(rig_await(r, RING_NATPROXY_TCP_INCOMING, &d));
	r->skew_ns = 31ULL * 1000000000;
	rig_turn(r);
	cr_assert_eq(read(fd, &byte, 1), -1);
	cr_assert_eq(r->np->incomings, 0);
	rig_free(r);
}

Test(publish, a_port_in_use_is_said_as_the_manual_says)
{
	uint16_t port;
	char line[160];
	const int taken = rig_listener(&port);
	struct rig *r = published(NL__PUBLISH__PROTO__tcp, port);
	snprintf(line, sizeof(line),
		"cannot listen on 127.0.0.1:%u/tcp: in use. Choose another port or see who has it: "
		"ss -tulnp",
		port);
	cr_assert_str_eq(r->line[0], line);
	close(taken);
	rig_free(r);
}

Test(publish, udp_knocks_first_and_then_both_ways)
{
	const uint16_t port = free_port(SOCK_DGRAM);
	struct rig *r = published(NL__PUBLISH__PROTO__udp, port);
	const int fd = to_port(SOCK_DGRAM, port);
	struct ring_desc d;
	char text[8];
	cr_assert_eq(write(fd, "knock", 5), 5);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	cr_assert_eq(d.pair.guest_port, TO_PORT);
	cr_assert(rig_quiet(r, 10));
	struct ring_desc a = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = FLOW, .pair = d.pair};
	a.pair.kind = DGRAM_UDP;
	rig_send(r, &a);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
	cr_assert_eq(d.seg[0].len, 5, "the first datagram is not lost");
	/* the far end is on loopback, so the guest knows it as the gateway and answers there */
	cr_assert_eq(d.remote.ip_be, inet_addr("192.168.30.1"));
	a = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW, 0, "come in", 7);
	a.remote = (struct ring_remote){.ip_be = d.remote.ip_be, .port = d.remote.port, .ttl = 63};
	rig_send(r, &a);
	rig_turn(r);
	cr_assert_eq(read(fd, text, sizeof(text)), 7);
	/* the socket outlives the flow */
	rig_op(r, RING_NETSTACK_FLOW_FREE, FLOW);
	rig_turn(r);
	cr_assert_eq(r->np->sockets_open, 1);
	cr_assert_eq(write(fd, "again", 5), 5);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	rig_free(r);
}

/* Connects from 127.0.0.`last` to the port, and lets the guest accept it as this flow; false: it was reset. */
static bool gets_in(struct rig *r, uint16_t port, uint8_t last, uint32_t flow)
{
	struct sockaddr_in from = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + last)};
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	const uint32_t waiting = r->np->incomings;
	struct ring_desc d;
	cr_assert_eq(bind(fd, (const struct sockaddr *)&from, sizeof(from)), 0);
	cr_assert_eq(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	for (int i = 0; i < 20 && r->np->incomings == waiting && !r->drops.count[DROP_FLOW_LIMIT];
		i++)
		rig_turn(r);
	if (r->np->incomings == waiting) {
		r->drops.count[DROP_FLOW_LIMIT] = 0;
		return false;
	}
	cr_assert(rig_await(r, RING_NATPROXY_TCP_INCOMING, &d));
	if (flow) {
		d = (struct ring_desc){.op = RING_NETSTACK_TCP_ACCEPTED,
			.flow = flow,
			.pair = {.token = d.pair.token}};
		rig_send(r, &d);
		rig_turn(r);
	}
	return true;
}

/* Peers on loopback are all shown as the gateway, so they share one part; the guest's own connections are another matter. */
Test(publish, who_fills_a_port_leaves_the_guest_its_own_connections)
{
	const uint16_t port = free_port(SOCK_STREAM);
	struct rig *r;
	uint16_t outside;
	struct ring_desc d;
	r = rig_new(&(struct rig_options){
		.publish = rig_publish(NL__PUBLISH__PROTO__tcp, port, TO_PORT), .tcp_limit = 8});
	uint32_t got = 0;
	while (gets_in(r, port, 1, FLOW + got))
		got++;
	cr_assert_eq(got, 8);
	cr_assert_eq(r->np->publish[0].sessions, 8);
	const int listener = rig_listener(&outside);
	for (uint32_t i = 0; i < 8; i++) {
		rig_open(r, FLOW + 100 + i, (uint16_t)(RIG_GUEST_PORT + i), outside);
		cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d), "own connection %u", i);
	}
	close(listener);
	rig_free(r);
}

Test(publish, who_never_gets_an_answer_does_not_shut_the_door)
{
	const uint16_t port = free_port(SOCK_STREAM);
	struct rig *r = published(NL__PUBLISH__PROTO__tcp, port);
	uint32_t got = 0;
	while (gets_in(r, port, 1, 0))
		got++;
	cr_assert_eq(got, NATPROXY_INCOMING * 2 / 5, "the rest is for others");
	rig_free(r);
}

Test(publish, a_peer_that_a_list_forbids_is_reset)
{
	Nl__Nat nat = NL__NAT__INIT;
	Nl__AccessList list = NL__ACCESS_LIST__INIT, *lists[] = {&list};
	const uint16_t port = free_port(SOCK_STREAM);
	char byte;
	list.number = 7;
	nat.n_access_lists = 1;
	nat.access_lists = lists;
	nat.has_destination_list = true;
	nat.destination_list = 7;
	struct rig *r = rig_new(&(struct rig_options){
		.publish = rig_publish(NL__PUBLISH__PROTO__tcp, port, TO_PORT), .nat = &nat});
	const int fd = to_port(SOCK_STREAM, port);
	cr_assert(rig_quiet(r, 20));
	cr_assert_eq(read(fd, &byte, 1), -1);
	cr_assert_eq(errno, ECONNRESET);
	cr_assert(rig_has_line(r, "was refused: access list 7"));
	rig_free(r);
}
