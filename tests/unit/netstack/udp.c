/* Datagram flows: conformance U1..U13, U20 as far as netstack has a part in them. */
#include <criterion/criterion.h>
#include <string.h>

#include "world.h"

static struct world *w;
static uint8_t frame[70000], payload[65507];

static void setup(void)
{
	w = world_new(NULL);
	for (uint32_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 17 + (i >> 9));
}

static void teardown(void)
{
	cr_assert_eq(w->error, 0);
	cr_assert(world_at_rest(w));
	world_free(w);
}

TestSuite(udp, .init = setup, .fini = teardown);

static void send_from(uint16_t sport, uint32_t dst, uint16_t dport, uint32_t n)
{
	struct ip_spec ip = {.dst = dst};
	world_frame(w, frame, make_udp(frame, &ip, sport, dport, payload, n), false);
	world_run(w);
}

static uint32_t open_flow(uint16_t sport)
{
	unsigned int n = world_told_count(w, RING_NETSTACK_DGRAM_OPEN);
	send_from(sport, OUTSIDE, 2000, 4);
	return world_told(w, RING_NETSTACK_DGRAM_OPEN, n)->flow;
}

static void answer(uint32_t flow, uint32_t n)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_DATA,
		.flow = flow,
		.remote = {.ip_be = htobe32(OUTSIDE), .port = 2000}};
	cr_assert(world_payload(w, &d, payload, n));
	world_run(w);
}

Test(udp, one_flow_for_all_destinations)
{
	send_from(1000, OUTSIDE, 1, 4);
	send_from(1000, OUTSIDE, 2, 4);
	send_from(1000, OUTSIDE + 1, 1, 4);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 1);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 3);
	send_from(1001, OUTSIDE, 1, 4);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 2);
}

Test(udp, every_size_both_ways)
{
	static const uint32_t size[] = {0, 1, 74, 1472};
	uint32_t flow = open_flow(1000);
	for (unsigned int i = 0; i < 4; i++) {
		const struct seen *s;
		world_clear(w);
		send_from(1000, OUTSIDE, 9, size[i]);
		cr_assert_eq(world_told(w, RING_NETSTACK_DGRAM_DATA, 0)->nseg, size[i] ? 1 : 0);
		answer(flow, size[i]);
		s = world_seen(w, 17, 0);
		cr_assert_eq(s->l4_len, 8 + size[i]);
		cr_assert_eq(memcmp(s->l4 + 8, payload, size[i]), 0);
		cr_assert_eq(s->src, OUTSIDE);
		cr_assert_eq(s->l4[2] << 8 | s->l4[3], 1000);
		cr_assert_eq(s->port, WORLD_PORT);
	}
}

Test(udp, large_ones_are_fragmented_with_a_true_checksum)
{
	static const uint32_t size[] = {1473, 3000, 65507};
	static uint8_t whole[70000];
	uint32_t flow = open_flow(1000);
	for (unsigned int i = 0; i < 3; i++) {
		uint32_t total = 0, sum;
		world_clear(w);
		answer(flow, size[i]);
		for (unsigned int k = 0; k < world_count(w, 17); k++) {
			const struct seen *s = world_seen(w, 17, k);
			memcpy(whole + (s->frag & 0x1fff) * 8, s->l4, s->l4_len);
			total += s->l4_len;
		}
		cr_assert_eq(total, 8 + size[i]);
		cr_assert_eq(memcmp(whole + 8, payload, size[i]), 0);
		sum = (OUTSIDE >> 16) + (OUTSIDE & 0xffff) + (GUEST >> 16) + (GUEST & 0xffff) + 17 +
		      total;
		cr_assert_eq(sum16(whole, total, sum), 0);
	}
}

/* U16, S11 */
Test(udp, ttl_one_less_and_no_counter_towards_the_guest)
{
	uint32_t flow = open_flow(1000);
	static const uint8_t came[] = {0, 1, 2, 64, 255}, leaves[] = {64, 1, 1, 63, 254};
	uint16_t last = 0;
	unsigned int near = 0;
	for (unsigned int i = 0; i < 5; i++) {
		struct ring_desc d = {.op = RING_NATPROXY_DGRAM_DATA,
			.flow = flow,
			.remote = {.ip_be = htobe32(OUTSIDE), .port = 2000, .ttl = came[i]}};
		world_clear(w);
		world_payload(w, &d, payload, 10);
		world_run(w);
		cr_assert_eq(world_seen(w, 17, 0)->ttl, leaves[i]);
		near += (uint16_t)(world_seen(w, 17, 0)->ip_id - last) < 16;
		last = world_seen(w, 17, 0)->ip_id;
	}
	cr_assert_lt(near, 3);
}

/* U20 */
Test(udp, df_goes_along)
{
	struct ip_spec ip = {.frag = 0x4000};
	world_frame(w, frame, make_udp(frame, &ip, 1000, 2000, payload, 10), false);
	ip.frag = 0;
	world_frame(w, frame, make_udp(frame, &ip, 1000, 2000, payload, 10), false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_WHOLE), 1);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 1);
}

Test(udp, wrong_checksum_is_dropped_zero_is_none)
{
	struct ip_spec ip = {0};
	uint32_t n = make_udp(frame, &ip, 1000, 2000, payload, 101);
	frame[n - 1] ^= 1;
	world_frame(w, frame, n, false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 0);
	cr_assert_eq(w->drops.count[DROP_UDP_BAD], 1);
	frame[40] = frame[41] = 0;
	world_frame(w, frame, n, false);
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 1);
}

Test(udp, bad_lengths)
{
	struct ip_spec ip = {0};
	static const uint16_t length[] = {0, 7, 200, 65535};
	for (unsigned int i = 0; i < 4; i++) {
		uint32_t n = make_udp(frame, &ip, 1000, 2000, payload, 100);
		frame[38] = (uint8_t)(length[i] >> 8);
		frame[39] = (uint8_t)length[i];
		world_frame(w, frame, n, true);
	}
	world_run(w);
	cr_assert_eq(w->drops.count[DROP_UDP_BAD], 4);
}

Test(udp, errors_reach_the_guest_with_its_own_packet)
{
	static const struct {
		uint8_t type, code;
		uint16_t mtu;
	} row[] = {{3, 3, 0}, {11, 0, 0}, {3, 4, 1400}};
	uint32_t flow = open_flow(1000);
	for (unsigned int i = 0; i < 3; i++) {
		struct ring_desc d = {.op = RING_NATPROXY_DGRAM_ERROR,
			.flow = flow,
			.remote = {.ip_be = htobe32(OUTSIDE), .port = 2000},
			.pair = {.remote_ip_be = htobe32(0x0a090807),
				.token = (uint32_t)row[i].type << 8 | row[i].code,
				.kind = row[i].mtu}};
		const struct seen *s;
		world_clear(w);
		world_tell(w, &d);
		world_run(w);
		s = world_seen(w, 1, 0);
		cr_assert_eq(s->src, 0x0a090807);
		cr_assert_eq(s->l4[0], row[i].type);
		cr_assert_eq(s->l4[1], row[i].code);
		cr_assert_eq(s->l4[6] << 8 | s->l4[7], row[i].mtu);
		cr_assert_eq(sum16(s->l4 + 8, 20, 0), 0, "quoted header");
		cr_assert_arr_eq(
			s->l4 + 8 + 12, "\xc0\xa8\x1e\x0a\xcb\x00\x71\x09\x03\xe8\x07\xd0", 12);
	}
	world_clear(w);
	answer(flow, 10);
	cr_assert_eq(world_count(w, 17), 1, "the mapping lives on");
}

Test(udp, expiry_is_answered)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_CLOSED};
	d.flow = open_flow(1000);
	world_tell(w, &d);
	world_run(w);
	cr_assert_eq(world_told(w, RING_NETSTACK_FLOW_FREE, 0)->flow, d.flow);
	/* what comes late is ignored and given back */
	answer(d.flow, 100);
	cr_assert_eq(world_count(w, 17), 0);
	cr_assert_neq(open_flow(1000), d.flow, "a new generation");
}

Test(udp, incoming_for_a_guest_without_flow)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_INCOMING,
		.pair = {.guest_ip_be = htobe32(GUEST),
			.guest_port = 5060,
			.token = 99,
			.kind = DGRAM_UDP}};
	world_tell(w, &d);
	world_run(w);
	cr_assert_eq(world_told(w, RING_NETSTACK_DGRAM_OPEN, 0)->pair.token, 99);
	cr_assert_eq(world_told(w, RING_NETSTACK_DGRAM_OPEN, 0)->pair.guest_port, 5060);
	cr_assert_eq(w->frame[0].ethertype, 0x0806, "and the guest is looked for");
}

Test(udp, limit_of_sessions)
{
	for (unsigned int i = 0; i < 1100; i++)
		send_from((uint16_t)(2000 + i), OUTSIDE, 9, 1);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 1024);
	cr_assert_eq(w->drops.count[DROP_FLOW_LIMIT], 76);
	cr_assert_geq(world_count(w, 1), 20, "and is told, RFC 6888 REQ-8");
	cr_assert_eq(world_seen(w, 1, 0)->l4[1], 1);
}

Test(udp, station_that_left_takes_its_flows_along)
{
	struct conn c;
	uint32_t ip_be = 0;
	struct stack_counts counts;
	open_flow(1000);
	conn_init(&c, w, 40000, 80);
	conn_open(&c, OPT_ALL);
	cr_assert(stack_station_gone(w->stack, GUEST_MAC, &ip_be));
	cr_assert_eq(be32toh(ip_be), GUEST);
	cr_assert_not(stack_station_gone(w->stack, GUEST_MAC, &ip_be));
	world_run(w);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 1);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_FLOW_FREE), 1);
	stack_counts(w->stack, &counts);
	cr_assert_eq(counts.tcp + counts.udp, 0);
}

Test(udp, two_thousand_flows_and_dump)
{
	struct stack_row row;
	uint32_t cursor = 0, rows = 0;
	for (unsigned int i = 0; i < 1000; i++)
		send_from((uint16_t)(2000 + i), OUTSIDE, 9, 1);
	while (stack_dump(w->stack, &cursor, &row)) {
		cr_assert_eq(row.kind, 2);
		rows++;
	}
	cr_assert_eq(rows, 1000);
}

/* A program on natlock's computer is shown as the gateway, which has no port of its own but DNS. */
Test(udp, who_is_shown_as_the_gateway_may_be_answered)
{
	const uint32_t gateway = 0xc0a81e01, flow = open_flow(1000);
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_DATA,
		.flow = flow,
		.remote = {.ip_be = htobe32(gateway), .port = 53}};
	cr_assert(world_payload(w, &d, payload, 10));
	world_run(w);
	world_clear(w);
	send_from(1000, gateway, 5000, 4);
	cr_assert_eq(world_seen(w, 1, 0)->l4[1], 3, "an answer of the gateway's DNS is no peer");
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 0);
	d.nseg = 0;
	d.remote.port = 5000;
	cr_assert(world_payload(w, &d, payload, 10));
	world_run(w);
	world_clear(w);
	send_from(1000, gateway, 5000, 4);
	cr_assert_eq(world_count(w, 1), 0);
	cr_assert_eq(world_told(w, RING_NETSTACK_DGRAM_DATA, 0)->flow, flow);
	cr_assert_eq(world_told(w, RING_NETSTACK_DGRAM_DATA, 0)->remote.ip_be, htobe32(gateway));
	world_clear(w);
	send_from(1001, gateway, 5000, 4);
	cr_assert_eq(world_seen(w, 1, 0)->l4[1], 3, "another endpoint heard nobody");
}

/* What natproxy got with the nth DGRAM_DATA: bytes and the length of a run's datagrams. */
static void expect_run(unsigned int nth, uint32_t bytes, uint16_t each)
{
	const struct ring_desc *d = world_told(w, RING_NETSTACK_DGRAM_DATA, nth);
	uint32_t at = 0;
	cr_assert_not_null(d);
	cr_assert_eq(d->hlen, each);
	for (unsigned int i = 0; i < d->nseg; i++) {
		cr_assert_eq(memcmp(arena_view_ptr(&w->view, d->seg[i].id, d->seg[i].off),
				     payload + at, d->seg[i].len),
			0);
		at += d->seg[i].len;
	}
	cr_assert_eq(at, bytes);
}

Test(udp, super_frames_of_the_guest_stay_whole)
{
	w->gso_size = 1400;
	send_from(1000, OUTSIDE, 9, 30000);
	expect_run(0, 30000, 1400);
	send_from(1000, OUTSIDE, 9, 1401);
	expect_run(1, 1401, 1400);
	send_from(1000, OUTSIDE, 9, 1400);
	expect_run(2, 1400, 0);
	w->gso_size = 1;
	send_from(1000, OUTSIDE, 9, RING_RUN_DATAGRAMS);
	expect_run(3, RING_RUN_DATAGRAMS, 1);
	w->gso_size = 0xffff;
	send_from(1000, OUTSIDE, 9, 65507);
	expect_run(4, 65507, 0);
	cr_assert_eq(w->drops.count[DROP_UDP_BAD], 0);
}

Test(udp, hostile_segment_sizes)
{
	static uint8_t icmp[40];
	struct ip_spec ip = {.protocol = 1};
	w->gso_size = 1;
	send_from(1000, OUTSIDE, 9, RING_RUN_DATAGRAMS + 1);
	send_from(1000, OUTSIDE, 9, 65507);
	cr_assert_eq(w->drops.count[DROP_UDP_BAD], 2);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 0);
	send_from(1000, OUTSIDE, 9, 0);
	expect_run(0, 0, 0);
	world_frame(w, frame, make_echo(frame, &ip, 7, 1, icmp, sizeof(icmp)), false);
	world_run(w);
	cr_assert_eq(world_told(w, RING_NETSTACK_DGRAM_DATA, 1)->hlen, 0, "echo knows no runs");
}

/* A run for the guest in two buffers: every datagram as the guest's kernel sees it. */
static void answer_run(uint32_t flow, uint32_t bytes, uint16_t each)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_DATA,
		.hlen = each,
		.flow = flow,
		.remote = {.ip_be = htobe32(OUTSIDE), .port = 2000, .ttl = 33, .tos = 2}};
	const uint32_t first = bytes < 777 ? bytes / 2 : 777;
	for (uint32_t at = 0, n; at < bytes; at += n) {
		n = at ? bytes - at : first;
		const uint32_t id =
			arena_take(&w->reads, n > ARENA_SMALL_BYTES ? BUF_LARGE : BUF_SMALL, false);
		memcpy(arena_ptr(&w->reads, id), payload + at, n);
		arena_lend(&w->reads, id, ACTOR_NETSTACK);
		d.seg[d.nseg++] = (struct ring_seg){buf_offset(buf_index(id)), n, id};
	}
	world_clear(w);
	world_tell(w, &d);
	world_run(w);
}

Test(udp, runs_reach_the_guest_as_one_super_frame)
{
	static const struct {
		uint32_t bytes;
		uint16_t each;
	} run[] = {{2, 1}, {1000, 64}, {65507, 1472}, {14720, 1472}, {1473, 1472}, {512, 1}};
	const uint32_t flow = open_flow(1000);
	for (unsigned int i = 0; i < sizeof(run) / sizeof(run[0]); i++) {
		const uint32_t super = w->bulk_segments;
		unsigned int k = 0;
		answer_run(flow, run[i].bytes, run[i].each);
		cr_assert_eq(w->bulk_segments, super + 1);
		for (uint32_t at = 0; at < run[i].bytes; at += run[i].each, k++) {
			const struct seen *s = world_seen(w, 17, k);
			const uint32_t left = run[i].bytes - at;
			const uint32_t n = left < run[i].each ? left : run[i].each;
			cr_assert_not_null(s);
			cr_assert_eq(s->l4_len, 8 + n);
			cr_assert_eq(s->l4[4] << 8 | s->l4[5], (int)(8 + n));
			cr_assert_eq(memcmp(s->l4 + 8, payload + at, n), 0);
			cr_assert_eq(s->ttl, 32);
			cr_assert_eq(s->bytes[15], 2, "TOS");
		}
		cr_assert_eq(world_count(w, 17), k);
	}
}

Test(udp, runs_of_what_does_not_fit_are_fragmented_one_by_one)
{
	static uint8_t whole[70000];
	const uint32_t flow = open_flow(1000), each = 2000, bytes = 7 * 2000 + 1000;
	uint32_t at = 0, total = 0;
	answer_run(flow, bytes, (uint16_t)each);
	for (unsigned int k = 0; k < world_count(w, 17); k++) {
		const struct seen *s = world_seen(w, 17, k);
		memcpy(whole + (s->frag & 0x1fff) * 8, s->l4, s->l4_len);
		total += s->l4_len;
		if (s->frag & 0x2000)
			continue;
		const uint32_t n = bytes - at < each ? bytes - at : each;
		cr_assert_eq(total, 8 + n);
		cr_assert_eq((uint32_t)(whole[4] << 8 | whole[5]), total);
		cr_assert_eq(memcmp(whole + 8, payload + at, n), 0);
		cr_assert_eq(sum16(whole, total,
				     (OUTSIDE >> 16) + (OUTSIDE & 0xffff) + (GUEST >> 16) +
					     (GUEST & 0xffff) + 17 + total),
			0);
		at += n;
		total = 0;
	}
	cr_assert_eq(at, bytes);
}
