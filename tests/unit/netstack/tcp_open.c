/* How connections begin and end: conformance T3, S1, S2, S11, S12, S16, S17, S20 and the ways in which natproxy fails. */
#include <criterion/criterion.h>

#include "world.h"

static struct world *w;
static struct conn c;

static void setup(void)
{
	w = world_new(NULL);
	conn_init(&c, w, 40000, 80);
}

static void teardown(void)
{
	cr_assert_eq(w->error, 0);
	world_free(w);
}

TestSuite(tcp_open, .init = setup, .fini = teardown);

Test(tcp_open, syn_ack_only_after_the_far_end)
{
	w->open_at_once = false;
	conn_syn(&c, OPT_ALL);
	cr_assert_eq(world_count(w, 6), 0);
	cr_assert_eq(world_told(w, RING_NETSTACK_TCP_OPEN, 0)->pair.remote_port, 80);
	c.flow = world_told(w, RING_NETSTACK_TCP_OPEN, 0)->flow;
	conn_far(&c, RING_NATPROXY_TCP_OPENED, 0);
	cr_assert_eq(world_seen(w, 6, 0)->flags, F_SYN | F_ACK);
}

Test(tcp_open, all_options_offered_back)
{
	uint8_t len;
	const struct seen *s;
	conn_syn(&c, OPT_ALL);
	s = world_seen(w, 6, 0);
	cr_assert_not_null(seen_option(s, 2, &len));
	cr_assert_arr_eq(seen_option(s, 2, &len), "\x05\xb4", 2);
	cr_assert_not_null(seen_option(s, 3, &len));
	cr_assert_not_null(seen_option(s, 4, &len));
	cr_assert_not_null(seen_option(s, 8, &len));
}

Test(tcp_open, nothing_offered_that_was_not_asked)
{
	uint8_t len;
	const struct seen *s;
	conn_syn(&c, 0);
	s = world_seen(w, 6, 0);
	cr_assert_null(seen_option(s, 3, &len));
	cr_assert_null(seen_option(s, 4, &len));
	cr_assert_null(seen_option(s, 8, &len));
}

Test(tcp_open, without_mss_segments_of_536)
{
	static uint8_t data[3000];
	conn_open(&c, 0);
	conn_far_data(&c, 0, data, sizeof(data));
	cr_assert_eq(world_seen(w, 6, 0)->payload_len, 536);
}

static void greatest_mtu(struct stack_config *config)
{
	config->mtu = 65520;
}

Test(tcp_open, the_greatest_mtu_still_carries_data)
{
	static uint8_t data[100];
	world_free(w);
	w = world_new(greatest_mtu);
	conn_init(&c, w, 40000, 80);
	conn_open(&c, OPT_MSS_65480 | OPT_TIMESTAMPS);
	conn_far_data(&c, 0, data, sizeof(data));
	cr_assert_eq(world_seen(w, 6, 0)->payload_len, sizeof(data));
}

Test(tcp_open, refused_is_an_exact_reset)
{
	const struct seen *s;
	w->open_at_once = false;
	conn_syn(&c, OPT_ALL);
	c.flow = world_told(w, RING_NETSTACK_TCP_OPEN, 0)->flow;
	conn_far(&c, RING_NATPROXY_TCP_FAILED, RING_FAIL_REFUSED);
	s = world_seen(w, 6, 0);
	cr_assert_eq(s->flags, F_RST | F_ACK);
	cr_assert_eq(s->seq, 0);
	cr_assert_eq(s->ack, c.seq + 1);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 0);
	cr_assert(world_at_rest(w));
}

Test(tcp_open, failures_as_the_network_said)
{
	static const struct {
		uint64_t why;
		int code;
	} row[] = {{RING_FAIL_HOST, 1}, {RING_FAIL_NET, 0}, {RING_FAIL_PROHIBITED, 13},
		{RING_FAIL_TIMEOUT, -1}};
	for (unsigned int i = 0; i < 4; i++) {
		const struct seen *s;
		w->open_at_once = false;
		world_clear(w);
		c.sport++;
		conn_syn(&c, OPT_ALL);
		c.flow = world_told(w, RING_NETSTACK_TCP_OPEN, 0)->flow;
		conn_far(&c, RING_NATPROXY_TCP_FAILED, row[i].why);
		s = world_seen(w, 1, 0);
		cr_assert_eq(world_count(w, 6), 0);
		if (row[i].code < 0) {
			cr_assert_null(s);
			continue;
		}
		cr_assert_not_null(s);
		cr_assert_eq(s->l4[0], 3);
		cr_assert_eq(s->l4[1], row[i].code);
		cr_assert_eq(s->l4[8 + 20] << 8 | s->l4[8 + 21], c.sport, "quoted source port");
	}
}

Test(tcp_open, an_icmp_error_is_told_as_it_came)
{
	static const struct {
		uint8_t type, codes, pointer;
	} row[] = {{3, 16, 0}, {11, 2, 0}, {12, 3, 9}};
	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		for (uint8_t code = 0; code < row[i].codes; code++) {
			const struct seen *s;
			w->open_at_once = false;
			world_clear(w);
			c.sport++;
			conn_syn(&c, OPT_ALL);
			c.flow = world_told(w, RING_NETSTACK_TCP_OPEN, 0)->flow;
			conn_far(&c, RING_NATPROXY_TCP_FAILED,
				(uint64_t)htobe32(0x0a090807) << 32 |
					(uint32_t)row[i].pointer << 24 |
					(uint32_t)row[i].type << 16 | (uint32_t)code << 8 |
					RING_FAIL_ICMP);
			s = world_seen(w, 1, 0);
			cr_assert_eq(world_count(w, 6), 0);
			cr_assert_not_null(s, "%u %u", row[i].type, code);
			cr_assert_eq(s->src, 0x0a090807);
			cr_assert_eq(s->l4[0], row[i].type);
			cr_assert_eq(s->l4[1], code);
			cr_assert_eq(s->l4[4], row[i].pointer);
			cr_assert_eq(s->l4[6] << 8 | s->l4[7], 0);
			cr_assert_eq(
				s->l4[8 + 20] << 8 | s->l4[8 + 21], c.sport, "quoted source port");
		}
}

Test(tcp_open, syn_ack_repeated_with_backoff)
{
	conn_syn(&c, OPT_ALL);
	cr_assert_eq(world_count(w, 6), 1);
	world_sleep(w, 900 * MS);
	cr_assert_eq(world_count(w, 6), 1);
	world_sleep(w, 200 * MS);
	cr_assert_eq(world_count(w, 6), 2);
	world_sleep(w, 1800 * MS);
	cr_assert_eq(world_count(w, 6), 2);
	world_sleep(w, 400 * MS);
	cr_assert_eq(world_count(w, 6), 3);
	world_sleep(w, 120 * SECOND);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 1, "given up");
}

Test(tcp_open, duplicate_syn_is_harmless)
{
	conn_syn(&c, OPT_ALL);
	conn_syn(&c, OPT_ALL);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_OPEN), 1);
	cr_assert_eq(world_count(w, 6), 2);
	cr_assert_eq(world_seen(w, 6, 0)->seq, world_seen(w, 6, 1)->seq);
}

Test(tcp_open, odd_flags_open_nothing)
{
	static const uint8_t odd[] = {0, F_FIN, F_SYN | F_FIN, F_SYN | F_RST, F_FIN | F_PSH | F_URG,
		F_RST, F_SYN | F_ACK, F_FIN | F_ACK};
	for (unsigned int i = 0; i < sizeof(odd); i++)
		conn_send_at(&c, 77, 99, odd[i], NULL, 0);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_OPEN), 0);
}

Test(tcp_open, stray_ack_gets_the_exact_reset)
{
	conn_send_at(&c, 77, 99, F_ACK, NULL, 0);
	cr_assert_eq(world_seen(w, 6, 0)->flags, F_RST);
	cr_assert_eq(world_seen(w, 6, 0)->seq, 99);
	conn_send_at(&c, 77, 0, F_FIN, "abc", 3);
	cr_assert_eq(world_seen(w, 6, 1)->flags, F_RST | F_ACK);
	cr_assert_eq(world_seen(w, 6, 1)->ack, 81);
}

Test(tcp_open, other_ports_of_the_gateway_are_refused)
{
	c.dst = GATEWAY;
	conn_syn(&c, OPT_ALL);
	cr_assert_eq(world_seen(w, 6, 0)->flags, F_RST | F_ACK);
	world_clear(w);
	c.dport = 53;
	conn_syn(&c, OPT_ALL);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_OPEN), 1);
}

Test(tcp_open, isn_is_not_guessable)
{
	uint32_t isn[16];
	for (unsigned int i = 0; i < 16; i++) {
		world_clear(w);
		c.sport++;
		conn_syn(&c, OPT_ALL);
		isn[i] = world_seen(w, 6, 0)->seq;
		for (unsigned int k = 0; k < i; k++)
			cr_assert_gt(isn[i] > isn[k] ? isn[i] - isn[k] : isn[k] - isn[i], 1000u);
	}
}

Test(tcp_open, syn_flood_recycles_the_oldest)
{
	struct conn good;
	conn_init(&good, w, 50000, 80);
	conn_open(&good, OPT_ALL);
	w->open_at_once = false;
	for (unsigned int i = 0; i < 3000; i++) {
		c.sport = (uint16_t)(1024 + i);
		conn_syn(&c, OPT_ALL);
		if (i == 2000) {
			cr_assert_eq(w->told[0].d.op, RING_NETSTACK_TCP_RESET,
				"natproxy, which counts too, hears of the end first");
			cr_assert_eq(w->told[1].d.op, RING_NETSTACK_TCP_OPEN);
		}
		if (i % 1000 == 999)
			world_clear(w);
	}
	world_clear(w);
	conn_send(&good, F_ACK | F_PSH, "still here", 10);
	cr_assert_eq(w->upload_n, 10);
	w->open_at_once = true;
	c.sport = 60001;
	conn_open(&c, OPT_ALL);
	conn_send(&c, F_ACK, "new", 3);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_DATA), 1);
}

Test(tcp_open, session_limit_holds)
{
	w->open_at_once = true;
	for (unsigned int i = 0; i < 1030; i++) {
		c.sport = (uint16_t)(2000 + i);
		conn_init(&c, w, (uint16_t)(2000 + i), 80);
		world_clear(w);
		conn_syn(&c, OPT_ALL);
		c.seq++;
		if (world_seen(w, 6, 0)->flags & F_RST)
			break;
		c.ack = world_seen(w, 6, 0)->seq + 1;
		conn_send(&c, F_ACK, NULL, 0);
	}
	cr_assert_eq(w->drops.count[DROP_FLOW_LIMIT], 1);
	cr_assert_eq(world_count(w, 6), 1);
	cr_assert_eq(world_seen(w, 6, 0)->flags, F_RST | F_ACK, "refused at once");
	cr_assert_eq(world_seen(w, 6, 0)->ack, c.seq);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_OPEN), 0);
}

Test(tcp_open, guest_closes_then_far_end)
{
	conn_open(&c, OPT_ALL);
	conn_send(&c, F_FIN | F_ACK, "bye", 3);
	cr_assert(w->upload_fin);
	cr_assert_eq(w->upload_n, 3);
	cr_assert_eq(world_seen(w, 6, world_count(w, 6) - 1)->ack, c.seq, "FIN acknowledged");
	conn_far_data(&c, 0, "and you", 7);
	conn_far(&c, RING_NATPROXY_TCP_FIN, 0);
	c.ack += 8;
	cr_assert_eq(world_seen(w, 6, world_count(w, 6) - 1)->flags & F_FIN, F_FIN);
	conn_send(&c, F_ACK, NULL, 0);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_FLOW_FREE), 1);
	cr_assert(world_at_rest(w));
}

Test(tcp_open, far_end_closes_then_a_mebibyte)
{
	static uint8_t data[1400];
	conn_open(&c, OPT_ALL);
	conn_far(&c, RING_NATPROXY_TCP_FIN, 0);
	cr_assert_eq(world_seen(w, 6, 0)->flags & F_FIN, F_FIN);
	c.ack++;
	conn_send(&c, F_ACK, NULL, 0);
	for (unsigned int i = 0; i < 750; i++) {
		world_clear(w);
		conn_send(&c, F_ACK, data, sizeof(data));
	}
	cr_assert_eq(w->upload_n, 750 * 1400);
	conn_send(&c, F_FIN | F_ACK, NULL, 0);
	cr_assert(w->upload_fin);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_FLOW_FREE), 1);
	world_sleep(w, 61 * SECOND);
	cr_assert(world_at_rest(w));
}

Test(tcp_open, simultaneous_close)
{
	conn_open(&c, OPT_ALL);
	conn_far(&c, RING_NATPROXY_TCP_FIN, 0);
	conn_send(&c, F_FIN | F_ACK, NULL, 0);
	c.ack++;
	conn_send(&c, F_ACK, NULL, 0);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_FLOW_FREE), 1);
	world_clear(w);
	conn_send_at(&c, c.seq - 1, c.ack, F_FIN | F_ACK, NULL, 0);
	cr_assert_eq(world_seen(w, 6, 0)->ack, c.seq, "TIME-WAIT answers a repeated FIN");
}

Test(tcp_open, syn_in_time_wait_reopens)
{
	conn_open(&c, OPT_ALL);
	conn_far(&c, RING_NATPROXY_TCP_FIN, 0);
	c.ack++;
	conn_send(&c, F_FIN | F_ACK, NULL, 0);
	c.seq += 100000;
	c.ts_value += 100;
	world_advance(w, 100 * MS);
	conn_open(&c, OPT_ALL);
	conn_send(&c, F_ACK, "again", 5);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_DATA), 1);
}

Test(tcp_open, resets_stay_resets)
{
	conn_open(&c, OPT_ALL);
	conn_send(&c, F_RST, NULL, 0);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 1);
	c.sport++;
	conn_open(&c, OPT_ALL);
	conn_far(&c, RING_NATPROXY_TCP_RESET, 0);
	cr_assert(world_seen(w, 6, 0)->flags & F_RST);
	cr_assert_eq(world_seen(w, 6, 0)->seq, c.ack);
	cr_assert(world_at_rest(w));
}

static void incoming(uint32_t token)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_INCOMING,
		.pair = {.guest_ip_be = htobe32(GUEST),
			.remote_ip_be = htobe32(OUTSIDE),
			.guest_port = 22,
			.remote_port = 5555,
			.token = token}};
	world_tell(w, &d);
	world_run(w);
	conn_init(&c, w, 22, 5555);
}

Test(tcp_open, incoming_waits_for_arp_then_connects)
{
	uint8_t frame[60];
	static const uint8_t synack[] = {2, 4, 5, 0xb4};
	struct tcp_spec t = {.src = GUEST,
		.dst = OUTSIDE,
		.sport = 22,
		.dport = 5555,
		.seq = 7000,
		.window = 1000,
		.flags = F_SYN | F_ACK,
		.options = synack,
		.options_len = 4};
	uint8_t len;
	incoming(42);
	cr_assert_eq(world_count(w, 6), 0);
	cr_assert_eq(w->frame[0].ethertype, 0x0806);
	world_frame(w, frame, make_arp(frame, 2, GUEST_MAC, GUEST, GATEWAY), false);
	world_run(w);
	cr_assert_eq(world_seen(w, 6, 0)->flags, F_SYN);
	cr_assert_not_null(seen_option(world_seen(w, 6, 0), 8, &len));
	t.ack = world_seen(w, 6, 0)->seq + 1;
	world_frame(w, frame, make_tcp(frame, &t), false);
	world_run(w);
	cr_assert_eq(world_told(w, RING_NETSTACK_TCP_ACCEPTED, 0)->pair.token, 42);
	c.flow = world_told(w, RING_NETSTACK_TCP_ACCEPTED, 0)->flow;
	c.seq = 7001;
	c.ack = t.ack;
	cr_assert_eq(world_seen(w, 6, 1)->flags, F_ACK);
	world_clear(w);
	conn_far_data(&c, 0, "hello", 5);
	cr_assert_eq(world_seen(w, 6, 0)->payload_len, 5);
	cr_assert_null(seen_option(world_seen(w, 6, 0), 8, &len), "timestamps were not agreed on");
}

Test(tcp_open, incoming_refused_or_silent)
{
	uint8_t frame[60];
	struct tcp_spec t = {
		.src = GUEST, .dst = OUTSIDE, .sport = 22, .dport = 5555, .flags = F_RST | F_ACK};
	world_frame(w, frame, make_arp(frame, 1, GUEST_MAC, GUEST, GATEWAY), false);
	incoming(43);
	t.ack = world_seen(w, 6, 0)->seq + 1;
	world_frame(w, frame, make_tcp(frame, &t), false);
	world_run(w);
	cr_assert_eq(world_told(w, RING_NETSTACK_TCP_REJECTED, 0)->pair.token, 43);
	cr_assert_eq(world_told(w, RING_NETSTACK_TCP_REJECTED, 0)->arg, RING_FAIL_REFUSED);
	incoming(44);
	world_sleep(w, 120 * SECOND);
	cr_assert_eq(world_told(w, RING_NETSTACK_TCP_REJECTED, 1)->pair.token, 44);
	cr_assert_eq(world_told(w, RING_NETSTACK_TCP_REJECTED, 1)->arg, RING_FAIL_TIMEOUT);
}

/* What strangers begin is limited apart, and takes no place among the guest's own connections that wait for an answer. */
Test(tcp_open, incoming_connections_cost_the_guest_nothing_of_its_own)
{
	uint8_t frame[60];
	uint32_t refused = 0;
	world_frame(w, frame, make_arp(frame, 1, GUEST_MAC, GUEST, GATEWAY), false);
	w->open_at_once = false;
	conn_syn(&c, OPT_ALL); /* waits for its answer all the time */
	const uint32_t flow = world_told(w, RING_NETSTACK_TCP_OPEN, 0)->flow;
	for (uint32_t i = 0; i < 2600; i++) {
		struct ring_desc d = {.op = RING_NATPROXY_TCP_INCOMING,
			.pair = {.guest_ip_be = htobe32(GUEST),
				.remote_ip_be = htobe32(OUTSIDE),
				.guest_port = 22,
				.remote_port = (uint16_t)(5000 + i),
				.token = i + 1}};
		world_clear(w);
		world_tell(w, &d);
		world_run(w);
		refused += world_told_count(w, RING_NETSTACK_TCP_REJECTED);
		cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 0, "after %u", i);
	}
	cr_assert_eq(refused, 2600 - 1024 * 5 / 2);
	world_clear(w);
	c.flow = flow;
	conn_far(&c, RING_NATPROXY_TCP_OPENED, 0);
	cr_assert_eq(world_seen(w, 6, 0)->flags, F_SYN | F_ACK);
	w->open_at_once = true;
	c.sport++;
	conn_open(&c, OPT_ALL);
	conn_send(&c, F_ACK, "own", 3);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_DATA), 1);
}

Test(tcp_open, simultaneous_open)
{
	uint8_t frame[60];
	struct tcp_spec t = {.src = GUEST,
		.dst = OUTSIDE,
		.sport = 22,
		.dport = 5555,
		.seq = 7000,
		.window = 1000,
		.flags = F_SYN};
	world_frame(w, frame, make_arp(frame, 1, GUEST_MAC, GUEST, GATEWAY), false);
	incoming(45);
	world_frame(w, frame, make_tcp(frame, &t), false);
	world_run(w);
	cr_assert_eq(world_seen(w, 6, 1)->flags, F_SYN | F_ACK);
	cr_assert_eq(world_seen(w, 6, 1)->seq, world_seen(w, 6, 0)->seq);
	t.flags = F_ACK;
	t.seq = 7001;
	t.ack = world_seen(w, 6, 0)->seq + 1;
	world_frame(w, frame, make_tcp(frame, &t), false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_ACCEPTED), 1);
}

Test(tcp_open, fin_wait_2_is_bounded)
{
	conn_open(&c, OPT_ALL);
	conn_far(&c, RING_NATPROXY_TCP_FIN, 0);
	c.ack++;
	conn_send(&c, F_ACK, NULL, 0);
	world_sleep(w, 700 * SECOND);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 1);
}

Test(tcp_open, dead_guest_is_noticed)
{
	conn_open(&c, OPT_ALL);
	world_sleep(w, 1000 * SECOND);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 1);
}

Test(tcp_open, keepalives_hold_a_quiet_guest)
{
	conn_open(&c, OPT_ALL);
	for (unsigned int i = 0; i < 40; i++) {
		world_sleep(w, 200 * SECOND);
		c.ts_value += 200000;
		conn_send(&c, F_ACK, NULL, 0);
	}
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 0);
}
