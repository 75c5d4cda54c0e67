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
	for (int i = 0; i < RING_SLOTS + 10; i++) {
		w->now += 1000000000; /* no faster than each guest may */
		complain_of(3, 3, (const uint8_t[4]){0}, 5000, 100 << 16, 17);
	}
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

/* What a guest's error says about a datagram that reached it. */
struct telling {
	uint8_t type, code;
	uint16_t detail; /* MTU or, in its first byte, pointer */
	uint32_t from, to;
	uint16_t from_port, to_port, udp_bytes;
	uint8_t version, protocol;
	bool broken;
};

static const struct telling usual = {.type = 3,
	.code = 3,
	.from = OUTSIDE,
	.to = GUEST,
	.from_port = 2000,
	.to_port = 1000,
	.udp_bytes = 20,
	.version = 4,
	.protocol = 17};

static void tell(const struct telling *t)
{
	struct ip_spec inner = {.src = t->from, .dst = t->to, .protocol = t->protocol};
	struct ip_spec ip = {.protocol = 1, .dst = OUTSIDE};
	uint8_t error[8 + 28] = {t->type, t->code}, quoted[60];
	const uint8_t l4[8] = {(uint8_t)(t->from_port >> 8), (uint8_t)t->from_port,
		(uint8_t)(t->to_port >> 8), (uint8_t)t->to_port, (uint8_t)(t->udp_bytes >> 8),
		(uint8_t)t->udp_bytes};
	uint16_t sum;
	make_ip(quoted, &inner, l4, sizeof(l4));
	quoted[14] = (uint8_t)(t->version << 4 | 5);
	memcpy(error + 8, quoted + 14, 28);
	if (t->type == 12) {
		error[4] = (uint8_t)(t->detail >> 8);
	} else {
		error[6] = (uint8_t)(t->detail >> 8);
		error[7] = (uint8_t)t->detail;
	}
	sum = sum16(error, sizeof(error), 0);
	error[2] = (uint8_t)(sum >> 8);
	error[3] = (uint8_t)(sum ^ (t->broken ? 1 : 0));
	world_frame(w, frame, make_ip(frame, &ip, error, sizeof(error)), false);
	world_run(w);
}

/* The guest's UDP flow from port 1000, by the id that natproxy knows. */
static uint32_t open_datagrams(void)
{
	struct ip_spec ip = {.dst = OUTSIDE};
	world_frame(w, frame, make_arp(frame, 1, GUEST_MAC, GUEST, GATEWAY), false);
	world_frame(w, frame, make_udp(frame, &ip, 1000, 2000, "x", 1), false);
	world_run(w);
	return world_told(w, RING_NETSTACK_DGRAM_OPEN, 0)->flow;
}

static void close_datagrams(uint32_t flow)
{
	const struct ring_desc d = {.op = RING_NATPROXY_DGRAM_CLOSED, .flow = flow};
	world_tell(w, &d);
	world_run(w);
}

Test(icmp, every_error_about_a_datagram_is_told)
{
	static const struct {
		uint8_t type, codes;
	} kinds[] = {{3, 16}, {11, 2}, {12, 3}};
	const uint32_t flow = open_datagrams();
	struct telling t = usual;
	for (unsigned int i = 0; i < 3; i++)
		for (t.type = kinds[i].type, t.code = 0; t.code < kinds[i].codes; t.code++) {
			const struct ring_desc *d;
			t.detail = t.type == 12 ? 9 << 8 : t.code == 4 ? 1400 : 0;
			world_clear(w);
			tell(&t);
			d = world_told(w, RING_NETSTACK_DGRAM_ERROR, 0);
			cr_assert_not_null(d, "%u %u", t.type, t.code);
			cr_expect_eq(d->flow, flow);
			cr_expect_eq(d->remote.ip_be, htobe32(OUTSIDE));
			cr_expect_eq(d->remote.port, 2000);
			cr_expect_eq(d->pair.token, (uint32_t)t.type << 8 | t.code);
			cr_expect_eq(d->pair.kind, t.type == 12 ? 9 : t.detail);
			cr_expect_eq(d->pair.remote_port, 20, "the datagram's length");
		}
	close_datagrams(flow);
}

Test(icmp, what_is_no_error_about_a_guests_own_datagram_is_not_told)
{
	struct telling bad[] = {
		usual, usual, usual, usual, usual, usual, usual, usual, usual, usual, usual};
	const uint32_t flow = open_datagrams();
	bad[0].code = 16;
	bad[1].type = 11, bad[1].code = 2;
	bad[2].type = 12, bad[2].code = 3;
	bad[3].type = 4, bad[3].code = 0;
	bad[4].type = 5, bad[4].code = 1;
	bad[5].to = GUEST + 1; /* of a router behind the guest, or another guest's */
	bad[6].to_port = 1001; /* no flow */
	bad[7].udp_bytes = 7;
	bad[8].version = 6;
	bad[9].protocol = 6;
	bad[10].broken = true;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tell(&bad[i]);
		cr_expect_eq(world_told_count(w, RING_NETSTACK_DGRAM_ERROR), 0, "%u", i);
	}
	cr_expect_eq(w->drops.count[DROP_ICMP_ENDS], 2, "no flow, no length");
	cr_expect_eq(w->drops.count[DROP_ICMP_BAD], 1);
	tell(&usual);
	cr_expect_eq(world_told_count(w, RING_NETSTACK_DGRAM_ERROR), 1);
	close_datagrams(flow);
}

Test(icmp, a_guest_tells_no_more_than_its_share)
{
	const uint32_t flow = open_datagrams();
	for (unsigned int i = 0; i < 60; i++)
		tell(&usual);
	cr_expect_eq(world_told_count(w, RING_NETSTACK_DGRAM_ERROR), 40);
	cr_expect_eq(w->drops.count[DROP_RATE_LIMIT], 20);
	world_advance(w, SECOND);
	for (unsigned int i = 0; i < 60; i++)
		tell(&usual);
	cr_expect_eq(world_told_count(w, RING_NETSTACK_DGRAM_ERROR), 70);
	close_datagrams(flow);
}
