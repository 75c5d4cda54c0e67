/* ICMP errors that guests send (RFC 5508 REQ-5, RFC 5927); echo and errors to guests are in ip4.c, udp.c and quote.c. */
#include <criterion/criterion.h>
#include <string.h>

#include "world.h"

enum { PEER_PORT = 5555, SERVICE = 80, TOKEN = 42 };

static struct world *w;
static uint8_t frame[2000];

static void setup(void)
{
	w = world_new(NULL);
}

static void teardown(void)
{
	cr_assert_eq(w->error, 0);
	world_sleep(w, 200 * SECOND);
	cr_assert(world_at_rest(w));
	world_free(w);
}

TestSuite(icmp, .init = setup, .fini = teardown);

/* A connection from outside whose SYN has reached the guest: its sequence number. */
static uint32_t syn_from_outside(void)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_INCOMING,
		.pair = {.guest_ip_be = htobe32(GUEST),
			.remote_ip_be = htobe32(OUTSIDE),
			.guest_port = SERVICE,
			.remote_port = PEER_PORT,
			.token = TOKEN}};
	world_frame(w, frame, make_arp(frame, 1, GUEST_MAC, GUEST, GATEWAY), false);
	world_run(w);
	world_tell(w, &d);
	world_run(w);
	cr_assert_eq(world_seen(w, 6, 0)->flags, F_SYN);
	return world_seen(w, 6, 0)->seq;
}

/* The guest complains about a packet of the outside's to this port of its that has these bytes
 * behind its ports. */
static void complain_of(uint8_t type, uint8_t code, const uint8_t detail[4], uint16_t port,
	uint32_t behind, uint8_t protocol)
{
	struct ip_spec inner = {.src = OUTSIDE, .dst = GUEST, .protocol = protocol};
	struct ip_spec ip = {.protocol = 1, .dst = OUTSIDE};
	uint8_t error[8 + 28] = {type, code}, quoted[60];
	const uint8_t l4[8] = {PEER_PORT >> 8, PEER_PORT & 0xff, (uint8_t)(port >> 8),
		(uint8_t)port, (uint8_t)(behind >> 24), (uint8_t)(behind >> 16),
		(uint8_t)(behind >> 8), (uint8_t)behind};
	uint16_t sum;
	make_ip(quoted, &inner, l4, sizeof(l4));
	memcpy(error + 4, detail, 4);
	memcpy(error + 8, quoted + 14, 28);
	sum = sum16(error, sizeof(error), 0);
	error[2] = (uint8_t)(sum >> 8);
	error[3] = (uint8_t)sum;
	world_frame(w, frame, make_ip(frame, &ip, error, sizeof(error)), false);
	world_run(w);
}

/* About our segment with this sequence number. */
static void complain(uint8_t type, uint8_t code, uint32_t seq, uint8_t protocol)
{
	complain_of(type, code, (const uint8_t[4]){0}, SERVICE, seq, protocol);
}

Test(icmp, a_refusal_by_icmp_is_a_refusal)
{
	static const uint8_t codes[] = {0, 1, 2, 3, 9, 10, 13};
	for (unsigned int i = 0; i < sizeof(codes); i++) {
		uint32_t seq = syn_from_outside();
		complain(3, codes[i], seq, 6);
		cr_assert_eq(
			world_told_count(w, RING_NETSTACK_TCP_REJECTED), 1, "code %u", codes[i]);
		cr_assert_eq(world_told(w, RING_NETSTACK_TCP_REJECTED, 0)->pair.token, TOKEN);
		cr_assert_eq(world_told(w, RING_NETSTACK_TCP_REJECTED, 0)->arg, RING_FAIL_REFUSED);
		world_clear(w);
	}
}

Test(icmp, what_does_not_prove_that_it_saw_the_syn_is_ignored)
{
	uint32_t seq = syn_from_outside();
	complain(3, 3, seq + 1, 6);
	complain(3, 3, seq, 17);
	complain(3, 4, seq, 6);
	complain(11, 0, seq, 6);
	complain(5, 0, seq, 6);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_REJECTED), 0);
}

Test(icmp, a_connection_that_stands_outlives_errors)
{
	struct conn c;
	uint32_t seq = syn_from_outside();
	conn_init(&c, w, SERVICE, PEER_PORT);
	c.seq = 1000;
	c.ack = seq + 1;
	conn_send(&c, F_SYN | F_ACK, NULL, 0);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_ACCEPTED), 1);
	complain(3, 3, seq, 6);
	complain(3, 3, seq + 1, 6);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 0);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_REJECTED), 0);
	conn_send_at(&c, c.seq + 1, c.ack, F_RST | F_ACK, NULL, 0);
}

/* The guest has a UDP flow from this port. */
static void speak(uint16_t port)
{
	struct ip_spec ip = {.dst = OUTSIDE};
	world_frame(w, frame, make_udp(frame, &ip, port, PEER_PORT, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 1);
}

Test(icmp, of_errors_about_datagrams_natproxy_hears)
{
	const struct ring_desc *d;
	speak(5000);
	complain_of(3, 3, (const uint8_t[4]){0}, 5000, 100 << 16 | 0xabcd, 17);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_ERROR), 1);
	d = world_told(w, RING_NETSTACK_DGRAM_ERROR, 0);
	cr_expect_eq(d->flow, world_told(w, RING_NETSTACK_DGRAM_OPEN, 0)->flow);
	cr_expect_eq(d->remote.ip_be, htobe32(OUTSIDE));
	cr_expect_eq(d->remote.port, PEER_PORT);
	cr_expect_eq(d->pair.remote_port, 100);
	cr_expect_eq(d->pair.token, 3 << 8 | 3);
	complain_of(3, 4, (const uint8_t[4]){0, 0, 5, 0}, 5000, 1400 << 16, 17);
	cr_expect_eq(world_told(w, RING_NETSTACK_DGRAM_ERROR, 1)->pair.kind, 1280);
	complain_of(12, 0, (const uint8_t[4]){9, 7, 7, 7}, 5000, 1400 << 16, 17);
	cr_expect_eq(world_told(w, RING_NETSTACK_DGRAM_ERROR, 2)->pair.kind, 9);
}

Test(icmp, of_others_it_does_not)
{
	const uint8_t nothing[4] = {0};
	speak(5000);
	complain_of(3, 3, nothing, 5001, 100 << 16, 17);
	complain_of(3, 16, nothing, 5000, 100 << 16, 17);
	complain_of(4, 0, nothing, 5000, 100 << 16, 17);
	complain_of(5, 1, nothing, 5000, 100 << 16, 17);
	complain_of(11, 2, nothing, 5000, 100 << 16, 17);
	complain_of(3, 3, nothing, 5000, 100 << 16, 6);
	complain_of(3, 3, nothing, 5000, 7 << 16, 17);
	complain_of(3, 3, nothing, 5000, 65516U << 16, 17); /* longer than a datagram can be */
	cr_expect_eq(world_told_count(w, RING_NETSTACK_DGRAM_ERROR), 0);
	complain_of(3, 3, nothing, 5000, 65515U << 16, 17);
	cr_expect_eq(world_told_count(w, RING_NETSTACK_DGRAM_ERROR), 1);
}

/* A guest that complains without end must not take the slots by which flows of all guests end. */
Test(icmp, errors_leave_room_for_ends)
{
	speak(5000);
	w->natproxy_stuck = true;
	for (int i = 0; i < RING_SLOTS + 10; i++)
		complain_of(3, 3, (const uint8_t[4]){0}, 5000, 100 << 16, 17);
	cr_expect_eq(link_room(&w->to_natproxy, LINK_DATA), 0);
	cr_expect_geq(link_room(&w->to_natproxy, LINK_CONTROL), RING_RESERVED);
	w->natproxy_stuck = false;
	world_run(w);
}

static void no_nat(struct stack_config *c)
{
	c->nat_enable = false;
}

/* nat.enable: false stops echo as it stops UDP and TCP; the gateway's own answers stay. */
Test(icmp, without_nat_echo_ends_at_the_gateway)
{
	struct world *alone = world_new(no_nat);
	struct ip_spec ip = {.dst = OUTSIDE};
	world_frame(alone, frame, make_echo(frame, &ip, 1, 2, "x", 1), false);
	world_run(alone);
	cr_assert_eq(alone->told_n, 0);
	cr_assert_eq(world_seen(alone, 1, 0)->l4[0], 3);
	cr_assert_eq(world_seen(alone, 1, 0)->l4[1], 13);
	ip.dst = GATEWAY;
	world_frame(alone, frame, make_echo(frame, &ip, 1, 2, "x", 1), false);
	world_run(alone);
	cr_assert_eq(world_seen(alone, 1, 1)->l4[0], 0);
	world_free(alone);
}
