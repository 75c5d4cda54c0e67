/* TCP flows against the kernel's TCP on loopback. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

enum { FLOW = 0x10005, BULK = 64 << 20 };
static const struct hash_key key = {7, 9};

static uint64_t fold(uint64_t sum, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	for (size_t i = 0; i < n; i++)
		sum = (sum ^ p[i]) * 0x100000001b3ULL;
	return sum;
}

static void fill(uint8_t *out, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i += 8) {
		const uint64_t block = at + i;
		const uint64_t word = hash_sip(&key, &block, sizeof(block));
		memcpy(out + i, &word, 8);
	}
}

/* A connected flow and the far end's socket. */
static int connected(struct rig *r, uint32_t flow, uint16_t guest_port)
{
	struct ring_desc d;
	uint16_t port;
	const int listener = rig_listener(&port);
	rig_open(r, flow, guest_port, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	cr_assert_eq(d.flow, flow);
	cr_assert_eq(d.pair.remote_ip_be, rig_loopback());
	const int fd = accept(listener, NULL, NULL);
	cr_assert_geq(fd, 0);
	close(listener);
	return fd;
}

static void *read_all(void *arg)
{
	const int fd = *(int *)arg;
	static __thread uint8_t buffer[1 << 16];
	uint64_t *sum = calloc(2, sizeof(*sum));
	ssize_t n;
	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		sum[0] = fold(sum[0], buffer, (size_t)n);
		sum[1] += (uint64_t)n;
	}
	return sum;
}

Test(relay, uploads_64_mib_by_hash_and_passes_the_fin)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	int fd = connected(r, FLOW, RIG_GUEST_PORT);
	static uint8_t piece[48000];
	pthread_t reader;
	uint64_t sent = 0, sum = 0, *got, consumed = 0;
	struct ring_desc d;
	pthread_create(&reader, NULL, read_all, &fd);
	while (sent < BULK) {
		const size_t n = BULK - sent < sizeof(piece) ? BULK - sent : sizeof(piece);
		fill(piece, sizeof(piece), sent);
		sum = fold(sum, piece, n);
		d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW, sent, piece, n);
		rig_send(r, &d);
		rig_turn(r);
		sent += n;
	}
	rig_op(r, RING_NETSTACK_TCP_FIN, FLOW);
	while (consumed < BULK && rig_await(r, RING_NATPROXY_TCP_CONSUMED, &d))
		consumed = d.arg;
	cr_assert_eq(consumed, BULK);
	rig_quiet(r, 20);
	pthread_join(reader, (void **)&got);
	cr_assert_eq(got[1], BULK);
	cr_assert_eq(got[0], sum);
	free(got);
	cr_assert_eq(r->broker.free_count[BUF_LARGE], ARENA_LARGE_COUNT, "every buffer came back");
	/* half closed: the other direction still works */
	rig_credit(r, FLOW, 100);
	cr_assert_eq(write(fd, "later", 5), 5);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_DATA, &d));
	cr_assert_eq(d.seg[0].len, 5);
	cr_assert(memcmp(rig_bytes(r, &d, 0), "later", 5) == 0);
	close(fd);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FIN, &d));
	cr_assert_eq(r->np->nat.live, 0, "the session ended with the second FIN");
	rig_free(r);
}

static void *write_all(void *arg)
{
	const int fd = *(int *)arg;
	static __thread uint8_t piece[32768];
	for (uint64_t sent = 0; sent < BULK; sent += sizeof(piece)) {
		fill(piece, sizeof(piece), sent);
		for (size_t done = 0; done < sizeof(piece);) {
			const ssize_t n =
				send(fd, piece + done, sizeof(piece) - done, MSG_NOSIGNAL);
			if (n <= 0)
				return NULL;
			done += (size_t)n;
		}
	}
	shutdown(fd, SHUT_WR);
	return NULL;
}

Test(relay, downloads_64_mib_within_credit_and_by_hash)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	int fd = connected(r, FLOW, RIG_GUEST_PORT);
	static uint8_t piece[32768];
	uint64_t want = 0, sum = 0, got = 0, credit = 300000;
	struct ring_desc d;
	pthread_t writer;
	for (uint64_t at = 0; at < BULK; at += sizeof(piece)) {
		fill(piece, sizeof(piece), at);
		want = fold(want, piece, sizeof(piece));
	}
	pthread_create(&writer, NULL, write_all, &fd);
	rig_credit(r, FLOW, credit);
	while (rig_next(r, &d) && d.op == RING_NATPROXY_TCP_DATA) {
		cr_assert_eq(d.arg, got);
		for (unsigned int i = 0; i < d.nseg; i++) {
			sum = fold(sum, rig_bytes(r, &d, i), d.seg[i].len);
			got += d.seg[i].len;
		}
		cr_assert_leq(got, credit);
		rig_give_back(r, &d);
		credit = got + 300000;
		rig_credit(r, FLOW, credit);
	}
	pthread_join(writer, NULL);
	cr_assert_eq(d.op, RING_NATPROXY_TCP_FIN);
	cr_assert_eq(got, BULK);
	cr_assert_eq(sum, want);
	/* half closed the other way: the guest may still send */
	d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW, 0, "up", 2);
	rig_send(r, &d);
	rig_turn(r);
	char text[8] = "";
	cr_assert_eq(read(fd, text, sizeof(text)), 2);
	rig_op(r, RING_NETSTACK_TCP_FIN, FLOW);
	rig_turn(r);
	cr_assert_eq(read(fd, text, sizeof(text)), 0);
	rig_op(r, RING_NETSTACK_FLOW_FREE, FLOW);
	rig_turn(r);
	cr_assert_eq(r->arena.free_count[BUF_LARGE], ARENA_LARGE_COUNT);
	cr_assert_eq(r->np->reading_flows, 0);
	rig_free(r);
}

Test(relay, without_credit_nothing_is_read)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	const int fd = connected(r, FLOW, RIG_GUEST_PORT);
	struct ring_desc d;
	cr_assert_eq(write(fd, "0123456789", 10), 10);
	cr_assert(rig_quiet(r, 50));
	rig_credit(r, FLOW, 4);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_DATA, &d));
	cr_assert_eq(d.seg[0].len, 4);
	cr_assert(rig_quiet(r, 20));
	rig_credit(r, FLOW, 3);
	rig_credit(r, FLOW, 10);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_DATA, &d));
	cr_assert_eq(d.arg, 4);
	cr_assert_eq(d.seg[0].len, 6);
	rig_free(r);
}

Test(relay, refused_is_told_with_its_reason)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	struct ring_desc d;
	uint16_t port;
	close(rig_listener(&port));
	rig_open(r, FLOW, RIG_GUEST_PORT, port);
	cr_assert(rig_next(r, &d));
	cr_assert_eq(d.op, RING_NATPROXY_TCP_FAILED);
	cr_assert_eq(d.arg, RING_FAIL_REFUSED);
	cr_assert(rig_has_line(r,
		"SecureNAT: The TCP session 1 was created. Connection source 192.168.30.10:40000, "
		"Connection destination 127.0.0.1:"));
	cr_assert(rig_has_line(
		r, "SecureNAT: The connection to TCP session 1: Host \"127.0.0.1\", Port "));
	cr_assert(rig_has_line(r, " failed."));
	cr_assert(rig_has_line(r, "SecureNAT: The TCP session 1 was deleted."));
	/* the id is dead, so it may be used again */
	rig_open(r, FLOW + FLOW_MAX, RIG_GUEST_PORT, port);
	cr_assert(rig_next(r, &d));
	cr_assert_eq(r->protocol_error, 0);
	rig_free(r);
}

Test(relay, denied_destinations_are_prohibited)
{
	struct rig *r = rig_new(&(struct rig_options){.deny_host = true});
	struct ring_desc d;
	rig_open(r, FLOW, RIG_GUEST_PORT, 80);
	cr_assert(rig_next(r, &d));
	cr_assert_eq(d.op, RING_NATPROXY_TCP_FAILED);
	cr_assert_eq(d.arg, RING_FAIL_PROHIBITED);
	cr_assert_eq(r->drops.count[DROP_DENIED], 1);
	cr_assert_eq(r->np->sockets_open, 0);
	rig_free(r);
}

Test(relay, reset_from_outside_stays_a_reset)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	const int fd = connected(r, FLOW, RIG_GUEST_PORT);
	const struct linger now = {1, 0};
	struct ring_desc d;
	rig_credit(r, FLOW, 1000);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	cr_assert(rig_next(r, &d));
	cr_assert_eq(d.op, RING_NATPROXY_TCP_RESET);
	cr_assert_eq(r->np->sockets_open, 0);
	rig_free(r);
}

Test(relay, fin_and_free_in_one_turn_are_no_reset)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	const int fd = connected(r, FLOW, RIG_GUEST_PORT);
	struct ring_desc d;
	char text[8];
	shutdown(fd, SHUT_WR);
	rig_credit(r, FLOW, 10);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FIN, &d));
	d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW, 0, "bye", 3);
	rig_send(r, &d);
	rig_op(r, RING_NETSTACK_TCP_FIN, FLOW);
	rig_op(r, RING_NETSTACK_FLOW_FREE, FLOW);
	rig_turn(r);
	cr_assert_eq(read(fd, text, sizeof(text)), 3);
	cr_assert_eq(read(fd, text, sizeof(text)), 0, "an orderly end");
	cr_assert_eq(r->np->nat.live, 0);
	rig_free(r);
}

Test(relay, bytes_before_a_reset_arrive_first)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	const int fd = connected(r, FLOW, RIG_GUEST_PORT);
	const struct linger now = {1, 0};
	struct ring_desc d;
	cr_assert_eq(write(fd, "last words", 10), 10);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW, 0, "too late", 8);
	rig_send(r, &d);
	rig_turn(r);
	rig_credit(r, FLOW, 1000);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_DATA, &d));
	cr_assert_eq(d.seg[0].len, 10);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
	rig_quiet(r, 5);
	cr_assert_eq(
		r->broker.free_count[BUF_SMALL], ARENA_SMALL_COUNT, "the unsent buffer came back");
	rig_free(r);
}

Test(relay, reset_from_the_guest_stays_a_reset_with_unread_data)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	const int fd = connected(r, FLOW, RIG_GUEST_PORT);
	char byte;
	cr_assert_eq(write(fd, "unread", 6), 6);
	rig_turn(r);
	rig_op(r, RING_NETSTACK_TCP_RESET, FLOW);
	rig_turn(r);
	cr_assert_eq(read(fd, &byte, 1), -1);
	cr_assert_eq(errno, ECONNRESET);
	cr_assert_eq(r->np->nat.live, 0);
	rig_free(r);
}

Test(relay, urgent_data_keeps_its_mark_both_ways)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	const int fd = connected(r, FLOW, RIG_GUEST_PORT);
	struct ring_desc d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW, 0, "abcU", 4);
	char text[8] = "";
	d.hlen = 1;
	rig_send(r, &d);
	rig_turn(r);
	usleep(2000);
	cr_assert_eq(read(fd, text, sizeof(text)), 3);
	cr_assert_eq(recv(fd, text, 1, MSG_OOB), 1);
	cr_assert_eq(text[0], 'U');
	cr_assert_eq(send(fd, "xyzV", 4, MSG_OOB), 4);
	usleep(2000);
	rig_credit(r, FLOW, 100);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_DATA, &d));
	cr_assert_eq(d.seg[0].len, 3);
	cr_assert_eq(d.hlen, 0);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_DATA, &d));
	cr_assert_eq(d.seg[0].len, 1);
	cr_assert_eq(d.hlen, 1);
	cr_assert_eq(*rig_bytes(r, &d, 0), 'V');
	rig_free(r);
}

Test(relay, a_stuck_flow_does_not_stop_another)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	const int stuck = connected(r, FLOW, 40000), moving = connected(r, FLOW + 1, 40001);
	static uint8_t piece[60000];
	struct ring_desc d;
	char byte[4];
	for (int i = 0; i < 150; i++) {
		d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW, (uint64_t)i * sizeof(piece), piece,
			sizeof(piece));
		rig_send(r, &d);
		rig_turn(r);
	}
	d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW + 1, 0, "go", 2);
	rig_send(r, &d);
	rig_turn(r);
	cr_assert_eq(read(moving, byte, sizeof(byte)), 2);
	cr_assert_gt(r->np->flow[flow_index(FLOW)].queue_first, 0U);
	close(stuck);
	rig_free(r);
}

Test(relay, one_endpoint_keeps_its_number_and_its_port)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	struct ring_desc d;
	uint16_t first, second;
	rig_listener(&first);
	rig_listener(&second);
	rig_open(r, FLOW, 45001, first);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	cr_assert_eq(d.pair.remote_port, 45001);
	rig_open(r, FLOW + 1, 45001, second);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	cr_assert_eq(d.pair.remote_port, 45001);
	rig_free(r);
}

Test(relay, limits_answer_with_shortage_and_one_line)
{
	struct rig *r = rig_new(&(struct rig_options){.tcp_limit = 2});
	struct ring_desc d;
	connected(r, FLOW, 40000);
	connected(r, FLOW + 1, 40001);
	for (uint32_t i = 2; i < 5; i++) {
		rig_open(r, FLOW + i, (uint16_t)(40000 + i), 9);
		cr_assert(rig_await(r, RING_NATPROXY_TCP_FAILED, &d));
		cr_assert_eq(d.arg, RING_FAIL_SHORTAGE);
	}
	cr_assert_eq(r->drops.count[DROP_FLOW_LIMIT], 3);
	cr_assert(rig_has_line(r, "guest 192.168.30.10 has reached its limit of TCP sessions"));
	cr_assert_eq(r->np->shortages, 2, "the later ones wait for the next line");
	rig_free(r);
}

Test(relay, the_descriptor_budget_holds)
{
	struct rig *r = rig_new(
		&(struct rig_options){.sockets_max = FD_FIRST_FREE + NATPROXY_FD_SPARE + 1});
	struct ring_desc d;
	connected(r, FLOW, 40000);
	rig_open(r, FLOW + 1, 40001, 9);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FAILED, &d));
	cr_assert_eq(d.arg, RING_FAIL_SHORTAGE);
	cr_assert(rig_has_line(r, "natlock is out of file descriptors ("));
	rig_free(r);
}

Test(relay, idle_connections_end_with_a_reset)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	struct ring_desc d;
	connected(r, FLOW, 40000);
	r->skew_ns = 7440ULL * 1000000000;
	cr_assert(rig_quiet(r, 5));
	r->skew_ns = 7442ULL * 1000000000;
	cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
	cr_assert(rig_has_line(r, "ended: idle,"));
	rig_free(r);
}

Test(relay, a_credit_that_grants_nothing_keeps_a_session_young)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	struct ring_desc d = {.op = RING_NETSTACK_TCP_CREDIT, .flow = FLOW};
	connected(r, FLOW, 40000);
	r->skew_ns = 7000ULL * 1000000000;
	rig_send(r, &d);
	cr_assert(rig_quiet(r, 5));
	r->skew_ns = 14400ULL * 1000000000;
	cr_assert(rig_quiet(r, 5));
	r->skew_ns = 14442ULL * 1000000000;
	cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
	rig_free(r);
}

Test(relay, a_guest_that_is_gone_loses_its_flows)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	Nl__GuestGone m = NL__GUEST_GONE__INIT;
	struct ring_desc d;
	connected(r, FLOW, 40000);
	m.ip_be = rig_guest_ip();
	cr_assert_eq(natproxy_on_guest_gone(r->np, &m, NULL), 0);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
	cr_assert_eq(r->np->sockets_open, 0);
	rig_free(r);
}

Test(relay, the_loop_guard_refuses_everything_and_says_so_once)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	Nl__HostNetwork m = NL__HOST_NETWORK__INIT;
	struct ring_desc d;
	m.has_loop = m.loop = true;
	natproxy_on_host_network(r->np, &m, NULL);
	natproxy_on_host_network(r->np, &m, NULL);
	cr_assert_eq(r->lines, 1);
	cr_assert_str_eq(r->line[0], "loop: this hub's gateway is also this host's default gateway "
				     "(seed 3.7.4). Refusing sessions.");
	cr_assert_not(r->uplink.up);
	rig_open(r, FLOW, 40000, 80);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FAILED, &d));
	cr_assert_eq(d.arg, RING_FAIL_PROHIBITED);
	rig_free(r);
}

/* Our own connection comes in again from an address of this host: a route leads into the hub. */
Test(relay, what_comes_back_in_is_refused)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	struct ring_desc d, in = {.op = RING_NETSTACK_TCP_OPEN, .flow = FLOW + 1};
	const uint32_t host_be = inet_addr("192.168.30.11");
	const int fd = connected(r, FLOW, RIG_GUEST_PORT);
	const struct nat_session *s = nat_session(&r->np->nat, nat_next(&r->np->nat, NAT_NONE));
	in.pair = (struct ring_pair){.guest_ip_be = host_be,
		.guest_port = s->outside.port,
		.remote_ip_be = s->remote.ip_be,
		.remote_port = s->remote.port};
	r->np->access.own_ip_be[r->np->access.own_count++] = host_be;
	rig_send(r, &in);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FAILED, &d));
	cr_assert_eq(d.flow, FLOW + 1);
	cr_assert_eq(d.arg, RING_FAIL_PROHIBITED);
	cr_assert_eq(r->drops.count[DROP_DENIED], 1);
	close(fd);
	rig_free(r);
}

/* Another port, or another guest: a connection of its own, which goes where it wants. */
Test(relay, a_host_that_is_a_guest_of_its_hub_is_served)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	struct ring_desc d, in = {.op = RING_NETSTACK_TCP_OPEN, .flow = FLOW + 1};
	const uint32_t host_be = inet_addr("192.168.30.11");
	uint16_t port;
	const int listener = rig_listener(&port);
	r->np->access.own_ip_be[r->np->access.own_count++] = host_be;
	rig_open(r, FLOW, RIG_GUEST_PORT, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	in.pair = (struct ring_pair){.guest_ip_be = host_be,
		.guest_port = RIG_GUEST_PORT + 2,
		.remote_ip_be = rig_loopback(),
		.remote_port = port};
	rig_send(r, &in);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	in.flow = FLOW + 2;
	in.pair.guest_ip_be = inet_addr("192.168.30.12");
	in.pair.guest_port = RIG_GUEST_PORT;
	rig_send(r, &in);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	close(listener);
	rig_free(r);
}

/* What a lying netstack sends. */

Test(relay_hostile, a_flow_on_an_entry_in_use_is_a_lie)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	connected(r, FLOW, 40000);
	rig_open(r, FLOW + FLOW_MAX, 40001, 80);
	rig_turn(r);
	cr_assert_eq(r->protocol_error, -EPROTO);
	rig_free(r);
}

Test(relay_hostile, stale_ids_are_ignored_and_their_buffers_returned)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	connected(r, FLOW, 40000);
	struct ring_desc d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW + FLOW_MAX, 0, "x", 1);
	rig_send(r, &d);
	rig_op(r, RING_NETSTACK_TCP_FIN, FLOW + FLOW_MAX);
	rig_op(r, RING_NETSTACK_TCP_RESET, FLOW + 77);
	rig_op(r, RING_NETSTACK_FLOW_FREE, FLOW + 78);
	rig_credit(r, FLOW + FLOW_MAX, 100);
	cr_assert(rig_quiet(r, 5));
	cr_assert_eq(r->protocol_error, 0);
	cr_assert_eq(r->broker.free_count[BUF_SMALL], ARENA_SMALL_COUNT);
	cr_assert_eq(r->np->nat.live, 1);
	rig_free(r);
}

Test(relay_hostile, data_at_a_wrong_offset_is_a_lie)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	connected(r, FLOW, 40000);
	const struct ring_desc d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW, 1, "x", 1);
	rig_send(r, &d);
	rig_turn(r);
	cr_assert_eq(r->protocol_error, -EPROTO);
	rig_free(r);
}

Test(relay_hostile, a_buffer_queued_twice_is_a_lie)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	connected(r, FLOW, 40000);
	struct ring_desc d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW, 0, "xy", 2);
	d.nseg = 2;
	d.seg[1] = d.seg[0];
	rig_send(r, &d);
	rig_turn(r);
	cr_assert_eq(r->protocol_error, -EPROTO);
	rig_free(r);
}

Test(relay_hostile, data_before_opened_and_after_fin_is_a_lie)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	connected(r, FLOW, 40000);
	rig_op(r, RING_NETSTACK_TCP_FIN, FLOW);
	struct ring_desc d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW, 0, "x", 1);
	rig_send(r, &d);
	rig_turn(r);
	cr_assert_eq(r->protocol_error, -EPROTO);
	struct flow *f = flow_new(r->np, FLOW + 9, FLOW_TCP);
	f->state = FLOW_CONNECTING;
	d.flow = FLOW + 9;
	rig_send(r, &d);
	rig_turn(r);
	cr_assert_eq(r->protocol_error, -EPROTO);
	rig_free(r);
}

Test(relay_hostile, buffers_that_were_not_lent_cannot_be_returned)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	struct ring_desc d = {.op = RING_NETSTACK_RELEASE_READ, .nseg = 1};
	d.ids[0] = buf_id(ARENA_NATPROXY, 3);
	rig_send(r, &d);
	rig_turn(r);
	cr_assert_eq(r->protocol_error, -EPROTO);
	rig_free(r);
}

Test(relay_hostile, endless_credit_pins_no_more_than_a_share)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	int fd = connected(r, FLOW, 40000);
	pthread_t writer;
	rig_credit(r, FLOW, UINT64_MAX);
	pthread_create(&writer, NULL, write_all, &fd);
	for (int i = 0; i < 400; i++) {
		rig_turn(r);
		usleep(500);
	}
	cr_assert_leq(r->np->flow[flow_index(FLOW)].pinned_bytes, ARENA_BYTES / 8);
	cr_assert_gt(r->np->flow[flow_index(FLOW)].pinned_bytes, ARENA_BYTES / 16);
	shutdown(fd, SHUT_RDWR);
	pthread_join(writer, NULL);
	rig_free(r);
}

Test(relay_hostile, a_source_that_is_no_guest_is_prohibited)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	struct ring_desc d = {.op = RING_NETSTACK_TCP_OPEN, .flow = FLOW};
	d.pair = (struct ring_pair){.guest_ip_be = inet_addr("10.1.2.3"),
		.guest_port = 1,
		.remote_ip_be = rig_loopback(),
		.remote_port = 80};
	rig_send(r, &d);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FAILED, &d));
	cr_assert_eq(d.arg, RING_FAIL_PROHIBITED);
	rig_free(r);
}
