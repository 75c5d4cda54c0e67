/* The configuration changes under flows: what lives on, what ends and how, and what guests still know of the gateway before. */
#include <criterion/criterion.h>
#include <string.h>

#include "wire/wire.h"
#include "world.h"

enum { PORT = 40000, LEASE_S = 7200, NEW_GATEWAY = NET | 254 };

static const uint8_t new_mac[6] = {0x00, 0xac, 9, 9, 9, 9};
static struct world *w;
static struct conn c;
static uint8_t frame[2000];

static void setup(void)
{
	w = world_new(NULL);
	w->config.former_ip_ns = LEASE_S * SECOND;
	conn_init(&c, w, PORT, 80);
	conn_open(&c, OPT_ALL);
}

static void teardown(void)
{
	cr_assert_eq(w->error, 0);
	world_free(w);
}

TestSuite(configure, .init = setup, .fini = teardown);

/* w->config, as the test has changed it, takes effect. */
static void configure(void)
{
	stack_configure(w->stack, &w->config);
	world_run(w);
}

/* The guest says a byte on its connection, which natproxy gets. */
static bool flow_lives(void)
{
	uint64_t before = w->upload_n;
	conn_send(&c, F_ACK | F_PSH, "x", 1);
	return w->upload_n == before + 1;
}

static const struct seen *arp_seen(unsigned int nth)
{
	for (uint32_t i = 0; i < w->frames_n; i++)
		if (w->frame[i].ethertype == ETHERTYPE_ARP_ && nth-- == 0)
			return &w->frame[i];
	return NULL;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A request for `target`, to a station or to all (NULL); the answer, NULL when there is none. */
static const struct seen *ask(const uint8_t *to, uint32_t sender, uint32_t target)
{
	world_clear(w);
	make_arp(frame, 1, GUEST_MAC, sender, target);
	if (to)
		memcpy(frame, to, 6);
	world_frame(w, frame, 42, false);
	world_run(w);
	return arp_seen(0);
}

Test(configure, a_new_mac_is_used_when_broker_knows_it_and_announced_twice)
{
	memcpy(w->config.mac, new_mac, 6);
	configure();
	cr_assert_null(arp_seen(0), "the broker has not said so yet");
	cr_assert(flow_lives());
	cr_assert_eq(memcmp(ask(NULL, GUEST, GATEWAY)->bytes + 6, GATEWAY_MAC, 6), 0);
	world_clear(w);
	w->gateway_mac = new_mac;
	stack_gateway_moved(w->stack, new_mac);
	world_sleep(w, 10 * SECOND);
	cr_assert_not_null(arp_seen(1));
	cr_assert_null(arp_seen(2));
	for (unsigned int i = 0; i < 2; i++) {
		const uint8_t *a = arp_seen(i)->bytes;
		cr_assert_eq(memcmp(a, "\xff\xff\xff\xff\xff\xff", 6), 0);
		cr_assert_eq(memcmp(a + 6, new_mac, 6), 0);
		cr_assert_eq(memcmp(a + 22, new_mac, 6), 0);
		cr_assert_eq(be32(a + 28), GATEWAY);
		cr_assert_eq(be32(a + 38), GATEWAY);
	}
	cr_assert(flow_lives(), "a frame to the old MAC still counts");
}

Test(configure, the_brokers_word_may_come_first)
{
	stack_gateway_moved(w->stack, new_mac);
	world_run(w);
	cr_assert_null(arp_seen(0));
	cr_assert_eq(memcmp(ask(NULL, GUEST, GATEWAY)->bytes + 6, GATEWAY_MAC, 6), 0);
	memcpy(w->config.mac, new_mac, 6);
	w->gateway_mac = new_mac;
	world_clear(w);
	configure();
	cr_assert_eq(memcmp(arp_seen(0)->bytes + 6, new_mac, 6), 0);
}

/* A MAC that only the broker says is none that the configuration gave. */
Test(configure, the_brokers_word_alone_moves_nothing)
{
	stack_gateway_moved(w->stack, new_mac);
	world_sleep(w, 100 * SECOND);
	cr_assert_eq(memcmp(ask(NULL, GUEST, GATEWAY)->bytes + 6, GATEWAY_MAC, 6), 0);
}

Test(configure, the_old_mac_is_ours_for_a_minute)
{
	struct ip_spec ip = {.dst = OUTSIDE};
	memcpy(w->config.mac, new_mac, 6);
	configure();
	w->gateway_mac = new_mac;
	stack_gateway_moved(w->stack, new_mac);
	world_sleep(w, STACK_FORMER_MAC_NS - SECOND);
	world_clear(w);
	world_frame(w, frame, make_udp(frame, &ip, 5000, 7, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 1);
	world_sleep(w, 2 * SECOND);
	world_frame(w, frame, make_udp(frame, &ip, 5001, 7, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 1);
	cr_assert_eq(w->drops.count[DROP_IP_DESTINATION], 1);
}

Test(configure, flows_outlive_a_new_address_and_the_old_one_is_answered_to_who_asks_us)
{
	const struct seen *s;
	w->config.ip_be = htobe32(NEW_GATEWAY);
	configure();
	cr_assert_eq(be32(arp_seen(0)->bytes + 28), GATEWAY);
	cr_assert_eq(be32(arp_seen(1)->bytes + 28), NEW_GATEWAY);
	cr_assert(flow_lives());
	s = ask(GATEWAY_MAC, GUEST, GATEWAY);
	cr_assert_not_null(s);
	cr_assert_eq(be32(s->bytes + 28), GATEWAY);
	cr_assert_eq(memcmp(s->bytes + 22, GATEWAY_MAC, 6), 0);
	cr_assert_null(ask(NULL, GUEST, GATEWAY), "somebody else may have it");
	cr_assert_null(ask(GATEWAY_MAC, 0, GATEWAY), "a probe is to find it free");
	cr_assert_not_null(ask(NULL, GUEST, NEW_GATEWAY));
	world_sleep(w, LEASE_S * SECOND);
	cr_assert_null(ask(GATEWAY_MAC, GUEST, GATEWAY), "every lease has been renewed");
}

Test(configure, who_claims_the_old_address_has_it)
{
	static const uint8_t other[6] = {2, 0, 0, 0, 0, 0x77};
	struct ip_spec ip = {.src = GATEWAY, .dst = OUTSIDE};
	w->config.ip_be = htobe32(NEW_GATEWAY);
	configure();
	world_frame(w, frame, make_udp(frame, &ip, 5000, 7, "x", 1), false);
	world_run(w);
	cr_assert_eq(w->drops.count[DROP_IP_SOURCE], 1, "nobody but us has it");
	world_frame(w, frame, make_arp(frame, 1, other, GATEWAY, GATEWAY), false);
	world_run(w);
	cr_assert_null(ask(GATEWAY_MAC, GUEST, GATEWAY));
	make_udp(frame, &ip, 5000, 7, "x", 1);
	memcpy(frame + 6, other, 6);
	world_clear(w);
	world_frame(w, frame, 14 + 28 + 1, false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 1);
}

/* What a guest hears of natproxy's answer to its question, by data or by an ICMP error. */
static const struct seen *answered(uint32_t flow, uint8_t op, uint32_t error)
{
	struct ring_desc d = {.op = op,
		.flow = flow,
		.remote = {.ip_be = htobe32(NEW_GATEWAY), .port = 53},
		.pair = {.remote_ip_be = htobe32(NEW_GATEWAY), .token = error}};
	world_clear(w);
	if (op == RING_NATPROXY_DGRAM_DATA)
		cr_assert(world_payload(w, &d, "y", 1));
	else
		world_tell(w, &d);
	world_run(w);
	return &w->frame[0];
}

Test(configure, the_gateway_is_asked_and_pinged_by_its_old_address)
{
	struct ip_spec ip = {.dst = GATEWAY};
	w->config.ip_be = htobe32(NEW_GATEWAY);
	configure();
	world_clear(w);
	world_frame(w, frame, make_echo(frame, &ip, 1, 1, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_seen(w, 1, 0)->l4[0], 0);
	cr_assert_eq(world_seen(w, 1, 0)->src, GATEWAY);
	world_frame(w, frame, make_udp(frame, &ip, 5000, 54, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_seen(w, 1, 1)->l4[0], 3);
	cr_assert_eq(world_seen(w, 1, 1)->l4[1], 3);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 0);
	world_frame(w, frame, make_udp(frame, &ip, 5000, 53, "x", 1), false);
	world_run(w);
	cr_assert_eq(
		world_told(w, RING_NETSTACK_DGRAM_DATA, 0)->remote.ip_be, htobe32(NEW_GATEWAY));
	const uint32_t flow = world_told(w, RING_NETSTACK_DGRAM_OPEN, 0)->flow;
	cr_assert_eq(answered(flow, RING_NATPROXY_DGRAM_DATA, 0)->src, GATEWAY);
	const struct seen *error = answered(flow, RING_NATPROXY_DGRAM_ERROR, 3 << 8 | 13);
	cr_assert_eq(be32(error->l4 + 8 + 16), GATEWAY);
	ip.dst = NEW_GATEWAY;
	world_frame(w, frame, make_udp(frame, &ip, 5000, 53, "x", 1), false);
	world_run(w);
	cr_assert_eq(answered(flow, RING_NATPROXY_DGRAM_DATA, 0)->src, NEW_GATEWAY);
	ip.dst = GATEWAY;
	world_sleep(w, (LEASE_S + 1) * SECOND);
	world_clear(w);
	world_frame(w, frame, make_udp(frame, &ip, 5000, 53, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 0, "not for ever");
}

Test(configure, long_answers_too_come_from_the_old_address)
{
	struct conn dns;
	w->config.ip_be = htobe32(NEW_GATEWAY);
	configure();
	world_clear(w);
	conn_init(&dns, w, PORT + 1, 53);
	dns.dst = GATEWAY;
	conn_syn(&dns, OPT_ALL);
	const struct ring_desc *d = world_told(w, RING_NETSTACK_TCP_OPEN, 0);
	cr_assert_eq(d->pair.remote_ip_be, htobe32(NEW_GATEWAY));
	cr_assert_eq(d->pair.remote_port, 53);
	cr_assert_eq(world_seen(w, 6, 0)->flags, F_SYN | F_ACK);
	cr_assert_eq(world_seen(w, 6, 0)->src, GATEWAY);
}

Test(configure, guests_outside_the_new_subnet_are_reset)
{
	w->config.ip_be = htobe32(0x0a000001);
	world_clear(w);
	configure();
	world_sleep(w, SECOND);
	cr_assert_eq(world_seen(w, 6, 0)->flags & F_RST, F_RST);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 1);
	cr_assert_null(ask(GATEWAY_MAC, GUEST, GATEWAY));
	world_sleep(w, 100 * SECOND);
	cr_assert(world_at_rest(w));
}

Test(configure, a_guest_in_the_way_of_the_new_address_is_reset)
{
	w->config.ip_be = htobe32(GUEST);
	world_clear(w);
	configure();
	world_sleep(w, SECOND);
	cr_assert_eq(world_seen(w, 6, 0)->flags & F_RST, F_RST);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 1);
}

/* The longest TCP payload that the guest saw. */
static uint32_t longest(void)
{
	uint32_t most = 0;
	for (uint32_t i = 0; i < w->frames_n; i++)
		if (w->frame[i].protocol == 6 && w->frame[i].payload_len > most)
			most = w->frame[i].payload_len;
	return most;
}

Test(configure, segments_shrink_with_the_mtu_and_never_grow_beyond_what_was_agreed)
{
	static const uint8_t bytes[6000];
	conn_far_data(&c, 0, bytes, sizeof(bytes));
	cr_assert_eq(longest(), 1448);
	c.ack += sizeof(bytes);
	conn_send(&c, F_ACK, NULL, 0);
	w->config.mtu = 600;
	configure();
	world_clear(w);
	conn_far_data(&c, sizeof(bytes), bytes, sizeof(bytes));
	cr_assert_eq(longest(), 600 - 40 - 12);
	c.ack += sizeof(bytes);
	conn_send(&c, F_ACK, NULL, 0);
	w->config.mtu = 9000;
	configure();
	world_clear(w);
	conn_far_data(&c, 2 * sizeof(bytes), bytes, sizeof(bytes));
	cr_assert_eq(longest(), 548);
}

Test(configure, datagrams_are_cut_at_the_new_mtu)
{
	static const uint8_t bytes[1400];
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_DATA};
	struct ip_spec ip = {.dst = OUTSIDE};
	world_clear(w);
	world_frame(w, frame, make_udp(frame, &ip, 5000, 7, "x", 1), false);
	world_run(w);
	d.flow = world_told(w, RING_NETSTACK_DGRAM_OPEN, 0)->flow;
	d.remote = (struct ring_remote){.ip_be = htobe32(OUTSIDE), .port = 7, .ttl = 64};
	w->config.mtu = 576;
	configure();
	cr_assert(world_payload(w, &d, bytes, sizeof(bytes)));
	world_run(w);
	cr_assert_eq(world_count(w, 17), 3);
	for (unsigned int i = 0; i < 3; i++)
		cr_assert_leq(world_seen(w, 17, i)->len, 14 + 576);
}

static void expect_nothing_passes(void)
{
	struct ip_spec ip = {.dst = OUTSIDE};
	conn_init(&c, w, PORT + 1, 80);
	conn_syn(&c, OPT_ALL);
	world_frame(w, frame, make_udp(frame, &ip, 5000, 7, "x", 1), false);
	world_frame(w, frame, make_echo(frame, &ip, 1, 1, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_OPEN), 0);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 0);
}

Test(configure, without_nat_flows_end_and_the_gateway_itself_still_answers)
{
	struct ip_spec ip = {.dst = OUTSIDE};
	struct ring_desc in = {.op = RING_NATPROXY_TCP_INCOMING,
		.pair = {.guest_ip_be = htobe32(GUEST),
			.remote_ip_be = htobe32(OUTSIDE),
			.guest_port = 80,
			.remote_port = 5555,
			.token = 1}};
	world_frame(w, frame, make_udp(frame, &ip, 5000, 7, "x", 1), false);
	world_run(w);
	w->config.nat_enable = false;
	w->config.icmp_dummy = true;
	world_clear(w);
	configure();
	cr_assert_eq(w->frames_n, 0, "natproxy may end them first");
	world_sleep(w, SECOND);
	cr_assert_eq(world_seen(w, 6, 0)->flags & F_RST, F_RST);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 1);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_FLOW_FREE), 1);
	world_clear(w);
	expect_nothing_passes();
	cr_assert_eq(world_count(w, 1), 3);
	for (unsigned int i = 0; i < 3; i++) {
		cr_assert_eq(world_seen(w, 1, i)->l4[0], 3);
		cr_assert_eq(world_seen(w, 1, i)->l4[1], 13);
	}
	world_tell(w, &in);
	in.op = RING_NATPROXY_DGRAM_INCOMING;
	in.pair.kind = DGRAM_UDP;
	world_tell(w, &in);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_REJECTED), 1);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 0);
	ip.dst = GATEWAY;
	world_clear(w);
	world_frame(w, frame, make_echo(frame, &ip, 1, 1, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_seen(w, 1, 0)->l4[0], 0);
	cr_assert_not_null(ask(NULL, GUEST, GATEWAY));
	w->config.nat_enable = true;
	configure();
	conn_open(&c, OPT_ALL);
}

Test(configure, switched_off_there_is_no_gateway_and_on_again_there_is)
{
	struct ip_spec ip = {.dst = GATEWAY};
	w->config.off = true;
	world_clear(w);
	configure();
	world_sleep(w, SECOND);
	cr_assert_eq(world_seen(w, 6, 0)->flags & F_RST, F_RST, "it takes its leave");
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 1);
	cr_assert_null(ask(NULL, GUEST, GATEWAY));
	expect_nothing_passes();
	world_frame(w, frame, make_echo(frame, &ip, 1, 1, "x", 1), false);
	world_sleep(w, 100 * SECOND);
	cr_assert_eq(w->frames_n, 0);
	cr_assert(world_at_rest(w));
	w->config.off = false;
	configure();
	cr_assert_eq(be32(arp_seen(0)->bytes + 28), GATEWAY, "announced");
	conn_open(&c, OPT_ALL);
}

Test(configure, icmp_may_become_a_dummy_and_true_again)
{
	struct ip_spec ip = {.dst = OUTSIDE};
	world_clear(w);
	world_frame(w, frame, make_echo(frame, &ip, 1, 1, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 1);
	w->config.icmp_dummy = true;
	configure();
	world_frame(w, frame, make_echo(frame, &ip, 1, 2, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_seen(w, 1, 0)->l4[0], 0);
	cr_assert_eq(world_seen(w, 1, 0)->src, OUTSIDE);
	w->config.icmp_dummy = false;
	configure();
	world_frame(w, frame, make_echo(frame, &ip, 1, 3, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 2);
	cr_assert_eq(world_count(w, 1), 1);
}

/* A limit below what a guest has ends nothing; the next is refused. */
Test(configure, limits_hold_for_what_comes)
{
	struct ip_spec ip = {.dst = OUTSIDE};
	struct conn next;
	world_frame(w, frame, make_udp(frame, &ip, 5000, 7, "x", 1), false);
	world_frame(w, frame, make_udp(frame, &ip, 5001, 7, "x", 1), false);
	world_run(w);
	w->config.tcp_per_guest = w->config.udp_per_guest = w->config.echo_per_guest = 1;
	configure();
	cr_assert(flow_lives());
	world_clear(w);
	conn_init(&next, w, PORT + 1, 80);
	conn_syn(&next, OPT_ALL);
	cr_assert_eq(world_seen(w, 6, 0)->flags & F_RST, F_RST);
	world_frame(w, frame, make_udp(frame, &ip, 5000, 7, "x", 1), false);
	world_frame(w, frame, make_udp(frame, &ip, 5002, 7, "x", 1), false);
	world_frame(w, frame, make_echo(frame, &ip, 1, 1, "x", 1), false);
	world_frame(w, frame, make_echo(frame, &ip, 2, 1, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 2);
	cr_assert_eq(w->drops.count[DROP_FLOW_LIMIT], 3);
	w->config.tcp_per_guest = 2;
	configure();
	conn_open(&next, OPT_ALL);
}

Test(configure, unanswered_connections_have_a_limit_that_changes)
{
	struct conn syn;
	w->open_at_once = false;
	w->config.half_open_per_guest = 4;
	configure();
	world_clear(w);
	for (uint16_t i = 0; i < 10; i++) {
		conn_init(&syn, w, (uint16_t)(PORT + 10 + i), 80);
		conn_syn(&syn, OPT_ALL);
	}
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_OPEN), 10);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 6, "the oldest give way");
}

Test(configure, questions_to_the_gateway_are_a_choice)
{
	struct ip_spec ip = {.dst = GATEWAY};
	w->config.dns_redirect = false;
	configure();
	world_clear(w);
	world_frame(w, frame, make_udp(frame, &ip, 5000, 53, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_seen(w, 1, 0)->l4[1], 3);
	w->config.dns_redirect = true;
	configure();
	world_frame(w, frame, make_udp(frame, &ip, 5000, 53, "x", 1), false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 1);
}

/* Payload stays where it is, and no secret of the configuration is needed again. */
Test(configure, key_and_data_path_stay)
{
	struct conn again;
	bool strict = w->config.strict;
	memset(w->config.key, 0, sizeof(w->config.key));
	w->config.strict = !strict;
	configure();
	cr_assert(flow_lives());
	conn_init(&again, w, PORT + 2, 80);
	conn_open(&again, OPT_ALL);
	conn_send(&again, F_ACK | F_PSH, "hello", 5);
	conn_send(&again, F_RST | F_ACK, NULL, 0);
	conn_send(&c, F_RST | F_ACK, NULL, 0);
	world_sleep(w, 200 * SECOND);
	cr_assert(world_at_rest(w));
}
