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

/* The guest complains about our segment with this sequence number. */
static void complain(uint8_t type, uint8_t code, uint32_t seq, uint8_t protocol)
{
	struct ip_spec inner = {.src = OUTSIDE, .dst = GUEST, .protocol = protocol};
	struct ip_spec ip = {.protocol = 1, .dst = OUTSIDE};
	uint8_t error[8 + 28] = {type, code}, quoted[60];
	const uint8_t l4[8] = {PEER_PORT >> 8, PEER_PORT & 0xff, 0, SERVICE, (uint8_t)(seq >> 24),
		(uint8_t)(seq >> 16), (uint8_t)(seq >> 8), (uint8_t)seq};
	uint16_t sum;
	make_ip(quoted, &inner, l4, sizeof(l4));
	memcpy(error + 8, quoted + 14, 28);
	sum = sum16(error, sizeof(error), 0);
	error[2] = (uint8_t)(sum >> 8);
	error[3] = (uint8_t)sum;
	world_frame(w, frame, make_ip(frame, &ip, error, sizeof(error)), false);
	world_run(w);
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
