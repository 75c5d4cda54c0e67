/* Segment arrival and the receiving side: conformance S5, S9, S10, S14, S15, S19, S21, S22, S26, and honest acknowledgement. */
#include <criterion/criterion.h>
#include <string.h>

#include "world.h"

static struct world *w;
static struct conn c;

static void setup(void)
{
	w = world_new(NULL);
	conn_init(&c, w, 40000, 80);
	conn_open(&c, OPT_ALL);
}

static void teardown(void)
{
	cr_assert_eq(w->error, 0);
	world_free(w);
}

TestSuite(tcp_in, .init = setup, .fini = teardown);

static const struct seen *last_tcp(void)
{
	return world_seen(w, 6, world_count(w, 6) - 1);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

Test(tcp_in, only_what_was_consumed_is_acknowledged)
{
	struct ring_desc consumed = {.op = RING_NATPROXY_TCP_CONSUMED, .flow = c.flow, .arg = 3};
	uint32_t start = c.seq;
	w->consume_at_once = false;
	conn_send(&c, F_ACK | F_PSH, "abcdef", 6);
	world_sleep(w, 90 * MS);
	cr_assert_eq(world_count(w, 6), 0);
	world_tell(w, &consumed);
	world_run(w);
	cr_assert_eq(last_tcp()->ack, start + 3);
	consumed.arg = 6;
	world_tell(w, &consumed);
	world_run(w);
	cr_assert_eq(last_tcp()->ack, start + 6);
}

Test(tcp_in, window_never_drawn_back_and_honest)
{
	static uint8_t data[1000];
	uint32_t edge = 0;
	/* the first acknowledgement shows the scaled window */
	conn_send(&c, F_ACK, data, sizeof(data));
	world_sleep(w, SECOND);
	world_clear(w);
	w->consume_at_once = false;
	for (unsigned int i = 0; i < 600; i++)
		conn_send(&c, F_ACK, data, sizeof(data));
	/* nothing was consumed: beyond 256 KiB nothing is taken */
	for (uint32_t i = 0; i < w->told_n; i++)
		if (w->told[i].d.op == RING_NETSTACK_TCP_DATA)
			for (unsigned int k = 0; k < w->told[i].d.nseg; k++)
				edge += w->told[i].d.seg[k].len;
	cr_assert_leq(edge, 262144 + 128);
	cr_assert_gt(edge, 250000);
}

/* RFC 9293 MUST-58: the guest's retransmission timer (200 ms) never runs out for a far end that merely does not read. */
Test(tcp_in, a_guest_is_told_in_time_that_the_far_end_does_not_read)
{
	uint32_t start = c.seq, edge;
	w->consume_at_once = false;
	conn_send(&c, F_ACK, "abcdef", 6);
	world_sleep(w, 20 * MS);
	conn_send_at(&c, start, c.ack, F_ACK, "abcdef", 6);
	cr_assert_eq(last_tcp()->ack, start, "a quick repetition changes nothing");
	edge = last_tcp()->ack + ((uint32_t)last_tcp()->window << 7);
	world_clear(w);
	world_sleep(w, 130 * MS);
	cr_assert_eq(world_count(w, 6), 1, "one acknowledgement, by itself");
	cr_assert_eq(last_tcp()->ack, start + 6);
	edge = last_tcp()->ack + ((uint32_t)last_tcp()->window << 7) - edge;
	cr_assert_lt(edge, 128, "the window closes, but for what its scale cannot say");
}

/* However long the far end does not read, the guest sends no more than its window, and hears when it opens again. */
Test(tcp_in, the_valve_gives_no_more_window)
{
	static const uint8_t data[1000];
	struct ring_desc consumed = {
		.op = RING_NATPROXY_TCP_CONSUMED, .flow = c.flow, .arg = 40000};
	uint32_t start = c.seq, edge;
	w->consume_at_once = false;
	for (unsigned int i = 0; i < 60; i++)
		conn_send(&c, F_ACK, data, sizeof(data));
	for (unsigned int i = 0; i < 5; i++)
		world_sleep(w, 200 * MS);
	edge = last_tcp()->ack + ((uint32_t)last_tcp()->window << 7);
	cr_assert_eq(last_tcp()->ack, c.seq);
	cr_assert_leq(edge - start, 262144 + 128);
	world_clear(w);
	world_tell(w, &consumed);
	world_run(w);
	cr_assert_eq(last_tcp()->ack, c.seq);
	cr_assert_geq(last_tcp()->ack + ((uint32_t)last_tcp()->window << 7), edge + 40000 - 128);
}

Test(tcp_in, what_comes_after_the_valve_opened_waits_again)
{
	uint32_t start = c.seq;
	w->consume_at_once = false;
	conn_send(&c, F_ACK, "abcdef", 6);
	world_sleep(w, 110 * MS);
	cr_assert_eq(last_tcp()->ack, start + 6);
	world_clear(w);
	conn_send(&c, F_ACK, "ghi", 3);
	world_sleep(w, 60 * MS);
	cr_assert_eq(world_count(w, 6), 0);
	world_sleep(w, 140 * MS);
	cr_assert_eq(last_tcp()->ack, start + 9);
}

Test(tcp_in, out_of_order_duplicate_ack_and_sack_newest_first)
{
	uint32_t start = c.seq;
	const uint8_t *sack;
	uint8_t len;
	conn_send_at(&c, start + 100, c.ack, F_ACK, "0123456789", 10);
	cr_assert_eq(last_tcp()->ack, start);
	sack = seen_option(last_tcp(), 5, &len);
	cr_assert_eq(len, 8);
	cr_assert_eq(be32(sack), start + 100);
	cr_assert_eq(be32(sack + 4), start + 110);
	conn_send_at(&c, start + 300, c.ack, F_ACK, "0123456789", 10);
	sack = seen_option(last_tcp(), 5, &len);
	cr_assert_eq(len, 16);
	cr_assert_eq(be32(sack), start + 300);
	cr_assert_eq(be32(sack + 8), start + 100);
	conn_send_at(&c, start + 110, c.ack, F_ACK, "0123456789", 10);
	sack = seen_option(last_tcp(), 5, &len);
	cr_assert_eq(be32(sack), start + 100);
	cr_assert_eq(be32(sack + 4), start + 120);
	cr_assert_eq(world_count(w, 6), 3, "one duplicate each");
}

/* RFC 2883: above the acknowledgement the block would read as bytes beyond a hole, and all before it as lost. */
Test(tcp_in, duplicate_is_reported_once_it_is_acknowledged)
{
	uint32_t start = c.seq;
	const uint8_t *sack;
	uint8_t len = 0;
	w->consume_at_once = false;
	conn_send(&c, F_ACK, "abcdef", 6);
	world_advance(w, 20 * MS);
	conn_send_at(&c, start, c.ack, F_ACK, "abcdef", 6);
	cr_assert_eq(last_tcp()->ack, start);
	cr_assert_null(seen_option(last_tcp(), 5, &len));
	world_advance(w, 200 * MS);
	conn_send_at(&c, start, c.ack, F_ACK, "abcdef", 6);
	cr_assert_eq(last_tcp()->ack, start + 6);
	sack = seen_option(last_tcp(), 5, &len);
	cr_assert_not_null(sack);
	cr_assert_eq(len, 8);
	cr_assert_eq(be32(sack), start);
	cr_assert_eq(be32(sack + 4), start + 6);
}

Test(tcp_in, bytes_held_before_a_hole_are_reported_too)
{
	static uint8_t data[1000];
	uint32_t start = c.seq;
	const uint8_t *sack;
	uint8_t len = 0;
	w->consume_at_once = false;
	for (unsigned int i = 0; i < 3; i++)
		conn_send(&c, F_ACK, data, sizeof(data));
	conn_send_at(&c, start + 5000, c.ack, F_ACK, data, sizeof(data));
	cr_assert_eq(last_tcp()->ack, start);
	sack = seen_option(last_tcp(), 5, &len);
	cr_assert_not_null(sack);
	cr_assert_eq(len, 16);
	cr_assert_eq(be32(sack), start + 5000, "the newest first");
	cr_assert_gt(be32(sack + 8) - start, 500, "the first segment is not claimed");
	cr_assert_leq(be32(sack + 8) - start, 1460);
	cr_assert_eq(be32(sack + 12), start + 3000);
}

Test(tcp_in, kept_data_is_used_when_the_gap_closes)
{
	uint32_t start = c.seq;
	conn_send_at(&c, start + 5, c.ack, F_ACK, "fghij", 5);
	conn_send_at(&c, start + 10, c.ack, F_ACK, "klmno", 5);
	conn_send_at(&c, start, c.ack, F_ACK, "abcde", 5);
	cr_assert_eq(w->upload_n, 15);
	cr_assert_arr_eq(w->upload, "abcdefghijklmno", 15);
	cr_assert_eq(last_tcp()->ack, start + 15);
	cr_assert(world_at_rest(w));
}

Test(tcp_in, overlaps_of_every_kind_give_the_stream)
{
	static const char text[] = "abcdefghijklmnopqrstuvwxyz";
	static const uint8_t piece[][2] = {{10, 5}, {20, 3}, {8, 4}, {12, 10}, {18, 8}, {9, 1},
		{2, 20}, {0, 2}, {0, 26}, {3, 3}};
	uint32_t start = c.seq;
	for (unsigned int i = 0; i < sizeof(piece) / 2; i++)
		conn_send_at(
			&c, start + piece[i][0], c.ack, F_ACK, text + piece[i][0], piece[i][1]);
	cr_assert_eq(w->upload_n, 26);
	cr_assert_arr_eq(w->upload, text, 26);
	cr_assert(world_at_rest(w));
}

Test(tcp_in, bad_checksum_and_offsets_are_dropped)
{
	uint8_t frame[200];
	struct tcp_spec t = {.src = GUEST,
		.dst = OUTSIDE,
		.sport = 40000,
		.dport = 80,
		.seq = c.seq,
		.ack = c.ack,
		.flags = F_ACK,
		.data = "x",
		.len = 1,
		.bad_checksum = true};
	uint32_t n = make_tcp(frame, &t);
	world_frame(w, frame, n, false);
	frame[14 + 20 + 12] = 0x10;
	world_frame(w, frame, n, true);
	frame[14 + 20 + 12] = 0xf0;
	world_frame(w, frame, n, true);
	world_run(w);
	cr_assert_eq(w->drops.count[DROP_TCP_BAD], 3);
	cr_assert_eq(w->upload_n, 0);
}

Test(tcp_in, blind_reset_is_challenged)
{
	conn_send_at(&c, c.seq + 100, c.ack, F_RST, NULL, 0);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 0);
	cr_assert_eq(last_tcp()->flags, F_ACK);
	cr_assert_eq(last_tcp()->ack, c.seq);
	conn_send_at(&c, c.seq + 3000000, c.ack, F_RST, NULL, 0);
	cr_assert_eq(world_count(w, 6), 1, "outside the window: silence");
	conn_send_at(&c, c.seq, c.ack, F_RST, NULL, 0);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 1);
}

Test(tcp_in, blind_syn_and_data_are_challenged)
{
	conn_send_at(&c, c.seq + 5, 0, F_SYN, NULL, 0);
	cr_assert_eq(world_count(w, 6), 1);
	cr_assert_eq(last_tcp()->flags, F_ACK);
	conn_send_at(&c, c.seq, c.ack + 100000, F_ACK, "evil", 4);
	cr_assert_eq(world_count(w, 6), 2);
	conn_send_at(&c, c.seq, c.ack - 100000000, F_ACK, "evil", 4);
	cr_assert_eq(world_count(w, 6), 3);
	cr_assert_eq(w->upload_n, 0);
	for (unsigned int i = 0; i < 100; i++)
		conn_send_at(&c, c.seq + 5, 0, F_SYN, NULL, 0);
	cr_assert_lt(world_count(w, 6), 20, "rate limited");
}

Test(tcp_in, paws)
{
	c.ts_value += 1000;
	conn_send(&c, F_ACK, "new", 3);
	cr_assert_eq(w->upload_n, 3);
	c.ts_value -= 500;
	world_clear(w);
	conn_send_at(&c, c.seq, c.ack, F_ACK, "old", 3);
	cr_assert_eq(w->upload_n, 3);
	cr_assert_eq(last_tcp()->ack, c.seq, "answered with an ACK");
}

/* RFC 9293 3.10.7.4, fifth step: who can't know what we sent can't move the clock that PAWS goes by. */
Test(tcp_in, an_impossible_acknowledgement_does_not_poison_paws)
{
	c.ts_value += 1000000000;
	conn_send_at(&c, c.seq, c.ack + 100000, F_ACK, "evil", 4);
	c.ts_value -= 1000000000;
	conn_send(&c, F_ACK, "good", 4);
	cr_assert_eq(w->upload_n, 4);
}

Test(tcp_in, keepalives_with_and_without_data)
{
	conn_send_at(&c, c.seq - 1, c.ack, F_ACK, NULL, 0);
	cr_assert_eq(world_count(w, 6), 1);
	cr_assert_eq(last_tcp()->ack, c.seq);
	conn_send_at(&c, c.seq - 1, c.ack, F_ACK, "z", 1);
	cr_assert_eq(world_count(w, 6), 2);
	cr_assert_eq(last_tcp()->ack, c.seq);
	cr_assert_eq(w->upload_n, 0);
}

/* RFC 2018 4: blocks ride on bare segments, so data that leaves at the same time must not replace those. */
Test(tcp_in, duplicates_are_sent_beside_data)
{
	unsigned int blocks = 0;
	uint8_t len, frame[200];
	uint8_t o[12] = {1, 1, 8, 10, 0, 0, 0x20, 0};
	struct tcp_spec t = {.src = GUEST,
		.dst = OUTSIDE,
		.sport = 40000,
		.dport = 80,
		.seq = c.seq + 100,
		.ack = c.ack,
		.window = 1000,
		.flags = F_ACK,
		.data = "0123456789",
		.len = 10,
		.options = o,
		.options_len = 12};
	struct ring_desc d = {.op = RING_NATPROXY_TCP_DATA, .flow = c.flow};
	cr_assert(world_payload(w, &d, "data", 4));
	world_frame(w, frame, make_tcp(frame, &t), false);
	world_run(w);
	for (unsigned int i = 0; i < world_count(w, 6); i++)
		blocks += seen_option(world_seen(w, 6, i), 5, &len) != NULL;
	cr_assert_eq(world_count(w, 6), 2);
	cr_assert_eq(blocks, 1);
}

/* RFC 5382 REQ-5: natproxy hears that the guest is there, once a second at most. */
Test(tcp_in, a_keepalive_after_silence_is_passed_on)
{
	world_sleep(w, 2 * SECOND);
	world_clear(w);
	for (unsigned int i = 0; i < 3; i++)
		conn_send_at(&c, c.seq - 1, c.ack, F_ACK, NULL, 0);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_CREDIT), 1);
	world_clear(w);
	world_sleep(w, 2 * SECOND);
	conn_send(&c, F_ACK, NULL, 0);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_CREDIT), 0, "a bare segment is none");
}

Test(tcp_in, acknowledged_within_half_a_second)
{
	/* interactive: the answer carries the acknowledgement, a lone byte is acknowledged by the timer */
	conn_send(&c, F_ACK, "q", 1);
	conn_far_data(&c, 0, "a", 1);
	c.ack++;
	world_clear(w);
	conn_send(&c, F_ACK, "q", 1);
	world_sleep(w, 200 * MS);
	cr_assert_eq(world_count(w, 6), 1);
	cr_assert_eq(last_tcp()->ack, c.seq);
}

Test(tcp_in, a_burst_costs_one_acknowledgement)
{
	static uint8_t frame[2000], data[1400];
	struct tcp_spec t = {.src = GUEST,
		.dst = OUTSIDE,
		.sport = 40000,
		.dport = 80,
		.seq = c.seq,
		.ack = c.ack,
		.window = 1000,
		.flags = F_ACK,
		.data = data,
		.len = 1400};
	uint8_t o[12] = {1, 1, 8, 10, 0, 0, 0x20, 0};
	t.options = o;
	t.options_len = 12;
	for (unsigned int i = 0; i < 40; i++) {
		world_frame(w, frame, make_tcp(frame, &t), false);
		t.seq += 1400;
	}
	world_run(w);
	cr_assert_eq(w->upload_n, 56000);
	cr_assert_eq(world_count(w, 6), 1);
	cr_assert_eq(last_tcp()->ack, t.seq);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_DATA), w->config.strict ? 1 : 10,
		"four buffers a descriptor, or one copy of all");
}

Test(tcp_in, urgent_byte_ends_a_descriptor)
{
	static uint8_t frame[200];
	uint8_t o[12] = {1, 1, 8, 10, 0, 0, 0x20, 0};
	struct tcp_spec t = {.src = GUEST,
		.dst = OUTSIDE,
		.sport = 40000,
		.dport = 80,
		.seq = c.seq,
		.ack = c.ack,
		.window = 1000,
		.urgent = 4,
		.flags = F_ACK | F_URG,
		.data = "abcdefgh",
		.len = 8,
		.options = o,
		.options_len = 12};
	world_frame(w, frame, make_tcp(frame, &t), false);
	world_run(w);
	cr_assert_arr_eq(w->upload, "abcdefgh", 8);
	cr_assert_eq(world_told(w, RING_NETSTACK_TCP_DATA, 0)->hlen, 1);
	cr_assert_eq(world_told(w, RING_NETSTACK_TCP_DATA, 0)->seg[0].len, 4);
	cr_assert_eq(world_told(w, RING_NETSTACK_TCP_DATA, 1)->hlen, 0);
	cr_assert(world_at_rest(w));
}

Test(tcp_in, urgent_pointer_past_the_data_invents_nothing)
{
	static const uint16_t pointer[] = {11, 100, 65535};
	uint8_t o[12] = {1, 1, 8, 10, 0, 0, 0x20, 0};
	for (unsigned int i = 0; i < 3; i++) {
		static uint8_t frame[200];
		struct tcp_spec t = {.src = GUEST,
			.dst = OUTSIDE,
			.sport = 40000,
			.dport = 80,
			.seq = c.seq,
			.ack = c.ack,
			.window = 1000,
			.urgent = pointer[i],
			.flags = F_ACK | F_URG,
			.data = "0123456789",
			.len = 10,
			.options = o,
			.options_len = 12};
		world_frame(w, frame, make_tcp(frame, &t), false);
		world_run(w);
		c.seq += 10;
	}
	cr_assert_eq(w->upload_n, 30);
	cr_assert_arr_eq(w->upload, "012345678901234567890123456789", 30);
}

Test(tcp_in, ecn_and_unknown_options)
{
	uint8_t frame[100], o[8] = {254, 6, 1, 2, 3, 4, 1, 0};
	struct tcp_spec t = {.src = GUEST,
		.dst = OUTSIDE,
		.sport = 41000,
		.dport = 80,
		.seq = 5,
		.window = 1000,
		.flags = F_SYN,
		.options = o,
		.options_len = 8};
	uint32_t n = make_tcp(frame, &t);
	world_frame(w, frame, n, true);
	frame[14 + 20 + 13] |= 0xc0;
	frame[35] = 1;
	world_frame(w, frame, n, true);
	world_run(w);
	cr_assert_eq(world_count(w, 6), 2);
	cr_assert_eq(world_seen(w, 6, 1)->flags, F_SYN | F_ACK | 64);
}

Test(tcp_in, tiny_segments_cannot_take_the_arena)
{
	w->consume_at_once = false;
	for (unsigned int i = 0; i < 2000; i++) {
		uint8_t byte = (uint8_t)i;
		conn_send(&c, F_ACK, &byte, 1);
	}
	struct stack_counts counts;
	stack_counts(w->stack, &counts);
	cr_assert_leq(counts.frame_buffers, 520);
	cr_assert_gt(w->drops.count[DROP_NO_BUFFER], 0);
}

Test(tcp_in, super_frame_of_64k)
{
	static uint8_t data[65000];
	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	conn_send(&c, F_ACK | F_PSH, data, sizeof(data));
	cr_assert_eq(w->upload_n, sizeof(data));
	cr_assert_eq(memcmp(w->upload, data, sizeof(data)), 0);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_DATA), 1);
	cr_assert(world_at_rest(w));
}

/* natproxy takes what it was shown and gives the buffers back. */
static void consume_all(void)
{
	const struct ring_desc *d;
	struct ring_desc done = {.op = RING_NATPROXY_TCP_CONSUMED, .flow = c.flow};
	for (unsigned int i = 0; (d = world_told(w, RING_NETSTACK_TCP_DATA, i)); i++) {
		done.arg = d->arg;
		for (unsigned int k = 0; k < d->nseg; k++) {
			done.arg += d->seg[k].len;
			link_release(&w->natproxy, d->seg[k].id);
		}
	}
	world_clear(w);
	world_tell(w, &done);
	world_run(w);
}

/* Sends until the window is full: how wide it was. */
static uint32_t fill_window(uint32_t *edge)
{
	static const uint8_t data[60000];
	uint32_t from = c.seq, before;
	do {
		uint32_t room = *edge - c.seq;
		before = *edge;
		if (room)
			conn_send(&c, F_ACK, data, room < sizeof(data) ? room : sizeof(data));
		for (unsigned int i = 0; i < world_count(w, 6); i++) {
			const struct seen *s = world_seen(w, 6, i);
			uint32_t says = s->ack + s->window * 128u;
			*edge = (int32_t)(says - *edge) > 0 ? says : *edge;
		}
	} while (*edge != c.seq || *edge != before);
	return c.seq - from;
}

static uint32_t widest_of(unsigned int rounds, bool full)
{
	static const uint8_t data[20000];
	uint32_t edge = c.seq + 65535, widest = 0;
	w->consume_at_once = false;
	for (unsigned int i = 0; i < rounds; i++) {
		uint32_t sent = 0;
		if (full)
			sent = fill_window(&edge);
		else
			conn_send(&c, F_ACK, data, sizeof(data));
		consume_all();
		widest = sent > widest ? sent : widest;
		for (unsigned int k = 0; k < world_count(w, 6); k++) {
			const struct seen *s = world_seen(w, 6, k);
			uint32_t says = s->ack + s->window * 128u;
			edge = (int32_t)(says - edge) > 0 ? says : edge;
			widest = !full && s->window * 128u > widest ? s->window * 128u : widest;
		}
		world_sleep(w, 50 * MS);
	}
	return widest;
}

Test(tcp_in, window_grows_for_a_guest_that_fills_it)
{
	uint32_t widest = widest_of(20, true);
	cr_assert_geq(widest, 4 * 262144, "%u", widest);
	cr_assert_leq(widest, 2 * 1024 * 1024 + 128);
}

Test(tcp_in, window_stays_for_a_guest_that_does_not)
{
	uint32_t widest = widest_of(40, false);
	cr_assert_leq(widest, 262144 + 128, "%u", widest);
}

/* RFC 9293 3.10.7.4: the text of a probe of the shut window is not taken, its acknowledgement is. */
Test(tcp_in, probe_of_a_shut_window)
{
	static const uint8_t data[1000];
	uint32_t edge;
	w->consume_at_once = false;
	conn_far_data(&c, 0, data, sizeof(data));
	edge = last_tcp()->ack + last_tcp()->window * 128u;
	fill_window(&edge);
	world_clear(w);
	conn_send_at(&c, edge, c.ack + 1000, F_ACK, "z", 1);
	cr_assert_eq(world_count(w, 6), 1);
	cr_assert_eq(last_tcp()->flags, F_ACK);
	world_clear(w);
	world_sleep(w, 5 * SECOND);
	cr_assert_eq(world_count(w, 6), 1, "the valve's; what it acknowledged is not sent again");
	cr_assert_eq(last_tcp()->flags, F_ACK);
}
