/* The sending side: conformance S3, S4, S6, S7, S8, S22, S23, S24, S25, super-frames, credit and invariant 6. */
#include <criterion/criterion.h>
#include <string.h>

#include "world.h"

static struct world *w;
static struct conn c;
static uint8_t data[300000];

static void setup(void)
{
	w = world_new(NULL);
	conn_init(&c, w, 40000, 80);
	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + (i >> 8));
}

static void teardown(void)
{
	cr_assert_eq(w->error, 0);
	world_free(w);
}

TestSuite(tcp_out, .init = setup, .fini = teardown);

/* Bytes of payload sent so far, and whether they are the right ones. */
static uint32_t sent(uint32_t start)
{
	uint32_t total = 0;
	for (unsigned int i = 0; i < world_count(w, 6); i++) {
		const struct seen *s = world_seen(w, 6, i);
		if (!s->payload_len)
			continue;
		cr_assert_eq(memcmp(s->payload, data + (s->seq - start), s->payload_len), 0,
			"wrong bytes");
		total += s->payload_len;
	}
	return total;
}

static void far_bytes(uint32_t n)
{
	for (uint32_t at = 0; at < n; at += 60000)
		conn_far_data(&c, at, data + at, n - at < 60000 ? n - at : 60000);
}

Test(tcp_out, mss_is_honoured)
{
	static const uint16_t mss[] = {1460, 900, 536, 88};
	for (unsigned int i = 0; i < 4; i++) {
		uint8_t frame[100], o[4] = {2, 4, (uint8_t)(mss[i] >> 8), (uint8_t)mss[i]};
		struct tcp_spec t = {.src = GUEST,
			.dst = OUTSIDE,
			.sport = (uint16_t)(100 + i),
			.dport = 80,
			.seq = 5,
			.window = 60000,
			.flags = F_SYN,
			.options = o,
			.options_len = 4};
		world_clear(w);
		world_frame(w, frame, make_tcp(frame, &t), true);
		world_run(w);
		c.flow = world_told(w, RING_NETSTACK_TCP_OPEN, 0)->flow;
		t.seq = 6;
		t.ack = world_seen(w, 6, 0)->seq + 1;
		t.flags = F_ACK;
		t.options_len = 0;
		world_frame(w, frame, make_tcp(frame, &t), true);
		world_run(w);
		world_clear(w);
		conn_far_data(&c, 0, data, 5000);
		for (unsigned int k = 0; k < world_count(w, 6); k++)
			cr_assert_leq(world_seen(w, 6, k)->payload_len, mss[i]);
		cr_assert_eq(world_seen(w, 6, 0)->payload_len, mss[i]);
	}
}

Test(tcp_out, initial_burst_is_ten_segments)
{
	conn_open(&c, OPT_ALL);
	far_bytes(100000);
	cr_assert_leq(sent(c.ack), 14600);
	cr_assert_geq(sent(c.ack), 10 * 1448);
	cr_assert_geq(w->bulk_segments, 1, "as a super-frame");
}

Test(tcp_out, window_used_and_never_overrun)
{
	c.window = 50; /* 6,400 bytes */
	conn_open(&c, OPT_ALL);
	far_bytes(100000);
	cr_assert_leq(sent(c.ack), 6400);
	cr_assert_geq(sent(c.ack), 6400 - 1448);
}

Test(tcp_out, all_arrives_and_every_buffer_goes_home)
{
	uint32_t start, got = 0;
	conn_open(&c, OPT_ALL);
	start = c.ack;
	far_bytes(200000);
	for (unsigned int i = 0; i < 100 && got < 200000; i++) {
		uint32_t n = sent(start + 0);
		got += n;
		c.ack = start + got;
		world_clear(w);
		world_advance(w, 5 * MS);
		c.ts_value += 5;
		conn_send(&c, F_ACK, NULL, 0);
	}
	cr_assert_eq(got, 200000);
	world_sleep(w, SECOND);
	cr_assert(world_at_rest(w));
	cr_assert_geq(w->credit, 200000 + 262144);
}

Test(tcp_out, three_duplicates_resend_at_once)
{
	uint32_t before;
	conn_open(&c, OPT_ALL);
	far_bytes(14000);
	before = world_count(w, 6);
	for (unsigned int i = 0; i < 3; i++) {
		cr_assert_eq(world_count(w, 6), before);
		conn_send(&c, F_ACK, NULL, 0);
	}
	cr_assert_eq(world_seen(w, 6, before)->seq, c.ack);
	cr_assert_eq(world_seen(w, 6, before)->payload_len, 1448);
}

Test(tcp_out, sack_resends_only_the_hole)
{
	uint8_t frame[200], o[24] = {1, 1, 8, 10, 0, 0, 0x20, 0, 0, 0, 0, 0, 1, 1, 5, 10};
	struct tcp_spec t = {.src = GUEST,
		.dst = OUTSIDE,
		.sport = 40000,
		.dport = 80,
		.seq = 0,
		.window = 1000,
		.flags = F_ACK,
		.options = o,
		.options_len = 24};
	uint32_t start, before, blocks[2];
	conn_open(&c, OPT_ALL);
	start = c.ack;
	far_bytes(14000);
	before = world_count(w, 6);
	blocks[0] = htobe32(start + 1448);
	blocks[1] = htobe32(start + 1448 * 5);
	memcpy(o + 16, blocks, 8);
	t.seq = c.seq;
	t.ack = start;
	world_frame(w, frame, make_tcp(frame, &t), true);
	world_run(w);
	cr_assert_eq(world_seen(w, 6, before)->seq, start);
	cr_assert_eq(world_seen(w, 6, before)->payload_len, 1448);
	for (unsigned int i = before + 1; i < world_count(w, 6); i++)
		cr_assert_geq((int32_t)(world_seen(w, 6, i)->seq - (start + 1448 * 5)), 0,
			"SACKed bytes sent again");
}

Test(tcp_out, timeout_backs_off_exponentially)
{
	uint64_t at[8];
	unsigned int n = 0, seen;
	conn_open(&c, OPT_ALL);
	conn_far_data(&c, 0, data, 100);
	seen = world_count(w, 6);
	for (unsigned int i = 0; i < 20000 && n < 5; i++) {
		world_advance(w, MS);
		if (world_count(w, 6) > seen) {
			at[n++] = w->now;
			seen = world_count(w, 6);
		}
	}
	cr_assert_eq(n, 5);
	for (unsigned int i = 2; i < 5; i++) {
		double ratio = (double)(at[i] - at[i - 1]) / (double)(at[i - 1] - at[i - 2]);
		cr_assert(ratio > 1.9 && ratio < 2.1, "ratio %f", ratio);
	}
	cr_assert_geq(at[1] - at[0], 180 * MS, "the first was the tail loss probe");
}

Test(tcp_out, gives_up_in_the_end)
{
	conn_open(&c, OPT_ALL);
	conn_far_data(&c, 0, data, 100);
	world_sleep(w, 1800 * SECOND);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 1);
	cr_assert(world_seen(w, 6, world_count(w, 6) - 1)->flags & F_RST);
	cr_assert(world_at_rest(w));
}

Test(tcp_out, zero_window_is_probed_not_overrun)
{
	uint32_t before;
	conn_open(&c, OPT_ALL);
	c.window = 0;
	conn_send(&c, F_ACK, NULL, 0);
	conn_far_data(&c, 0, data, 5000);
	cr_assert_eq(sent(c.ack), 0);
	world_sleep(w, 5 * SECOND);
	before = world_count(w, 6);
	cr_assert_geq(before, 2, "probes");
	cr_assert_eq(sent(c.ack), 0, "nothing beyond the window");
	c.window = 1000;
	conn_send(&c, F_ACK, NULL, 0);
	cr_assert_eq(sent(c.ack), 5000);
}

Test(tcp_out, shrinking_window)
{
	conn_open(&c, OPT_ALL);
	far_bytes(14000);
	c.ack += 1448;
	c.window = 10;
	world_clear(w);
	conn_send(&c, F_ACK, NULL, 0);
	cr_assert_eq(world_count(w, 6), 0);
	c.ack += 14000 - 1448;
	c.window = 1000;
	conn_send(&c, F_ACK, NULL, 0);
	far_bytes(0);
	cr_assert(world_at_rest(w));
}

Test(tcp_out, small_writes_are_gathered)
{
	conn_open(&c, OPT_ALL);
	for (unsigned int i = 0; i < 20; i++)
		conn_far_data(&c, i * 10, data + i * 10, 10);
	cr_assert_eq(world_count(w, 6), 1, "one small segment in flight");
	cr_assert_eq(world_seen(w, 6, 0)->payload_len, 10);
	c.ack += 10;
	world_clear(w);
	conn_send(&c, F_ACK, NULL, 0);
	cr_assert_eq(world_count(w, 6), 1);
	cr_assert_eq(world_seen(w, 6, 0)->payload_len, 190, "the rest in one");
}

Test(tcp_out, frag_needed_lowers_the_segment_size)
{
	static uint8_t icmp[200], frame[300];
	struct ip_spec ip = {.protocol = 1, .dst = GATEWAY};
	uint32_t before, n;
	uint16_t sum;
	conn_open(&c, OPT_ALL);
	far_bytes(14000);
	before = world_count(w, 6);
	icmp[0] = 3;
	icmp[1] = 4;
	icmp[6] = 1000 >> 8;
	icmp[7] = 1000 & 255;
	memcpy(icmp + 8, world_seen(w, 6, 0)->bytes + 14, 28);
	sum = sum16(icmp, 36, 0);
	icmp[2] = (uint8_t)(sum >> 8);
	icmp[3] = (uint8_t)sum;
	n = make_ip(frame, &ip, icmp, 36);
	world_frame(w, frame, n, true);
	world_run(w);
	cr_assert_gt(world_count(w, 6), before);
	for (unsigned int i = before; i < world_count(w, 6); i++)
		cr_assert_leq(world_seen(w, 6, i)->len - 14, 1000);
}

/* RFC 1191 7.1: a router that does not say what would fit. */
Test(tcp_out, frag_needed_without_a_size)
{
	static uint8_t icmp[36], frame[300];
	struct ip_spec ip = {.protocol = 1, .dst = GATEWAY};
	uint16_t sum;
	conn_open(&c, OPT_ALL);
	far_bytes(14000);
	icmp[0] = 3;
	icmp[1] = 4;
	memcpy(icmp + 8, world_seen(w, 6, 0)->bytes + 14, 28);
	sum = sum16(icmp, 36, 0);
	icmp[2] = (uint8_t)(sum >> 8);
	icmp[3] = (uint8_t)sum;
	world_clear(w);
	world_frame(w, frame, make_ip(frame, &ip, icmp, 36), true);
	world_run(w);
	cr_assert_gt(world_count(w, 6), 0);
	cr_assert_eq(world_seen(w, 6, 0)->len - 14, 1492);
}

Test(tcp_out, forged_frag_needed_is_ignored)
{
	static uint8_t icmp[36], frame[300];
	struct ip_spec ip = {.protocol = 1, .dst = GATEWAY};
	uint16_t sum;
	conn_open(&c, OPT_ALL);
	far_bytes(14000);
	icmp[0] = 3;
	icmp[1] = 4;
	icmp[6] = 1;
	memcpy(icmp + 8, world_seen(w, 6, 0)->bytes + 14, 28);
	icmp[8 + 24] ^= 0x40; /* a sequence number that is not in flight */
	sum = sum16(icmp, 36, 0);
	icmp[2] = (uint8_t)(sum >> 8);
	icmp[3] = (uint8_t)sum;
	world_clear(w);
	world_frame(w, frame, make_ip(frame, &ip, icmp, 36), true);
	world_run(w);
	cr_assert_eq(world_count(w, 6), 0);
}

Test(tcp_out, acknowledged_bytes_stay_until_the_broker_has_passed)
{
	struct stack_counts counts;
	uint32_t lent;
	conn_open(&c, OPT_ALL);
	w->broker_stuck = true;
	conn_far_data(&c, 0, data, 1000);
	lent = w->reads.free_count[BUF_SMALL];
	c.ack += 1000;
	conn_send(&c, F_ACK, NULL, 0);
	world_advance(w, 50 * MS);
	cr_assert_eq(w->reads.free_count[BUF_SMALL], lent,
		"released although the broker has not read it");
	w->broker_stuck = false;
	world_run(w);
	world_advance(w, MS);
	cr_assert_eq(w->reads.free_count[BUF_SMALL], ARENA_SMALL_COUNT);
	stack_counts(w->stack, &counts);
	cr_assert_eq(counts.read_buffers, 0);
}

Test(tcp_out, nothing_is_lost_when_the_ring_is_full)
{
	conn_open(&c, OPT_ALL);
	w->broker_stuck = true;
	for (unsigned int i = 0; i < 5000; i++) {
		uint8_t frame[100];
		struct ip_spec ip = {.dst = GATEWAY};
		world_frame(w, frame, make_echo(frame, &ip, 1, (uint16_t)i, "x", 1), true);
		if (i % 100 == 99)
			world_run(w);
	}
	conn_far_data(&c, 0, data, 1000);
	w->broker_stuck = false;
	world_run(w);
	world_clear(w);
	world_advance(w, 2 * MS);
	world_sleep(w, SECOND);
	cr_assert_geq(world_count(w, 6), 1);
	cr_assert_eq(world_seen(w, 6, 0)->payload_len, 1000);
}

Test(tcp_out, urgent_mark_goes_along)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_DATA, .hlen = 1};
	conn_open(&c, OPT_ALL);
	d.flow = c.flow;
	cr_assert(world_payload(w, &d, data, 5));
	world_run(w);
	cr_assert(world_seen(w, 6, 0)->flags & F_URG);
	cr_assert_eq(world_seen(w, 6, 0)->urgent, 5);
}

Test(tcp_out, tail_loss_is_probed_before_the_timeout)
{
	uint32_t before;
	conn_open(&c, OPT_ALL);
	far_bytes(5000);
	before = world_count(w, 6);
	world_sleep(w, 150 * MS);
	cr_assert_eq(world_count(w, 6), before + 1);
	cr_assert_eq(world_seen(w, 6, before)->seq + world_seen(w, 6, before)->payload_len,
		c.ack + 5000);
}
