/* Loss detection by time, RFC 8985, and the tail loss probe. A round trip is 20 ms. */
#include <criterion/criterion.h>

#include "sender.h"

enum { M = SENDER_MSS };
static const uint64_t RTT = 20 * MS;
static struct sender x;

static void setup(void)
{
	sender_open(&x, OPT_ALL, RTT);
}

static void teardown(void)
{
	sender_whole(&x);
	sender_close(&x);
}

TestSuite(tcp_rack, .init = setup, .fini = teardown);

/* Gives n segments and lets a round trip pass: they lie at [M, M + n M). */
static void flight(unsigned int n)
{
	uint32_t first;
	sender_give(&x, n * M);
	cr_assert_eq(sender_seen(&x, &first), n);
	world_advance(x.w, RTT);
}

/* RFC 8985 6.2 step 4: one segment beyond a hole may be early; the hole is lost a quarter of a round trip later. */
Test(tcp_rack, one_early_segment_is_given_time)
{
	const uint32_t block[] = {2 * M, 3 * M};
	uint32_t first;
	flight(4);
	sender_ack(&x, M, block, 1);
	cr_assert_eq(sender_seen(&x, &first), 0);
	world_sleep(x.w, 4 * MS);
	cr_assert_eq(sender_seen(&x, &first), 0);
	world_sleep(x.w, 3 * MS);
	cr_assert_eq(sender_seen(&x, &first), 1);
	cr_assert_eq(first, M);
}

Test(tcp_rack, reordering_within_the_window_costs_nothing)
{
	const uint32_t block[] = {2 * M, 3 * M};
	uint32_t first;
	flight(4);
	sender_ack(&x, M, block, 1);
	world_advance(x.w, 2 * MS);
	sender_ack_at(&x, 3 * M, NULL, 0, x.w->now - RTT);
	cr_assert(sender_tcp(&x)->reordering);
	world_sleep(x.w, 8 * MS);
	cr_assert_eq(sender_seen(&x, &first), 0);
	/* from now on three segments are no proof either */
	sender_give(&x, 8 * M);
	sender_ack(&x, 5 * M, NULL, 0);
	world_advance(x.w, RTT);
	sender_seen(&x, &first);
	const uint32_t four[] = {6 * M, 10 * M};
	sender_ack(&x, 5 * M, four, 1);
	cr_assert_eq(sender_seen(&x, &first), 0);
	world_sleep(x.w, 7 * MS);
	cr_assert_eq(sender_seen(&x, &first), 1);
}

Test(tcp_rack, three_segments_beyond_are_proof_at_first)
{
	const uint32_t block[] = {2 * M, 5 * M};
	uint32_t first;
	flight(4);
	sender_ack(&x, M, block, 1);
	cr_assert_eq(sender_seen(&x, &first), 1);
	cr_assert_eq(first, M);
}

/* A super-frame is one record until blocks split it; only what is missing goes again. */
Test(tcp_rack, super_frame_is_split_by_blocks)
{
	const uint32_t blocks[] = {4 * M, 6 * M, 2 * M, 3 * M};
	uint32_t first;
	flight(6);
	cr_assert_eq(sender_tcp(&x)->sent_count, 1);
	sender_ack(&x, M, blocks, 2);
	cr_assert_eq(sender_tcp(&x)->sent_count, 5);
	cr_assert_eq(sender_tcp(&x)->sacked, 3 * M);
	cr_assert_geq(sender_seen(&x, &first), 1);
	cr_assert_eq(first, M);
	cr_assert_eq(tcp_pipe(sender_tcp(&x)) % M, 0);
	sender_ack(&x, 7 * M, NULL, 0);
	cr_assert_eq(sender_tcp(&x)->sent_count, 0);
}

/* What RFC 6675 leaves to the timer: what left after the retransmission arrives, the retransmission does not. */
Test(tcp_rack, lost_retransmission_is_sent_again_without_timeout)
{
	const uint32_t block[] = {2 * M, 7 * M};
	uint32_t first;
	struct stack_counts n;
	flight(6);
	sender_ack(&x, M, block, 1);
	cr_assert_eq(sender_seen(&x, &first), 1);
	sender_give(&x, 4 * M);
	world_advance(x.w, RTT);
	cr_assert_geq(sender_seen(&x, &first), 1);
	cr_assert_eq(first, 7 * M);
	const uint32_t more[] = {2 * M, 8 * M};
	sender_ack(&x, M, more, 1);
	world_sleep(x.w, 7 * MS);
	cr_assert_geq(sender_seen(&x, &first), 1);
	cr_assert_eq(first, M);
	stack_counts(x.w->stack, &n);
	cr_assert_eq(n.timeouts, 0);
}

/* 6.2 step 2: an acknowledgement of something sent twice that echoes the first copy proves nothing about the second. */
Test(tcp_rack, acknowledgement_of_the_first_copy_is_no_proof)
{
	const uint32_t block[] = {2 * M, 5 * M};
	uint64_t began = x.w->now;
	flight(8);
	sender_ack_at(&x, M, block, 1, began);
	sender_give(&x, 8 * M);
	world_advance(x.w, 30 * MS);
	sender_ack_at(&x, 2 * M, block, 1, began);
	cr_assert_leq(sender_tcp(&x)->rack_us, (uint32_t)(began / 1000));
}

/* 7.3: two round trips of silence, then the last segment again; its SACK shows what is missing before it. */
Test(tcp_rack, tail_loss_probe_and_what_it_shows)
{
	const uint32_t tail[] = {4 * M, 5 * M};
	uint32_t first;
	sender_give(&x, 4 * M);
	cr_assert_eq(sender_seen(&x, &first), 4);
	world_sleep(x.w, 60 * MS);
	cr_assert_eq(sender_seen(&x, &first), 1);
	cr_assert_eq(first, 4 * M);
	world_advance(x.w, RTT);
	sender_ack(&x, M, tail, 1);
	world_sleep(x.w, 7 * MS);
	cr_assert_geq(sender_seen(&x, &first), 1);
	cr_assert_eq(first, M);
	cr_assert_eq(sender_tcp(&x)->recovery, TCP_RECOVERY_FAST);
}

Test(tcp_rack, probe_of_new_bytes_when_there_are_some)
{
	uint32_t first;
	sender_tcp(&x)->cwnd = 4 * M;
	sender_give(&x, 8 * M);
	cr_assert_eq(sender_seen(&x, &first), 4);
	world_sleep(x.w, 60 * MS);
	cr_assert_eq(sender_seen(&x, &first), 1);
	cr_assert_eq(first, 5 * M);
}

/* 7.4: the probe repaired the only loss, so nobody else would notice that there was one. */
Test(tcp_rack, loss_repaired_by_the_probe_counts)
{
	uint32_t before, first;
	flight(4);
	world_sleep(x.w, 60 * MS);
	cr_assert_eq(sender_seen(&x, &first), 1);
	before = sender_tcp(&x)->cwnd;
	sender_give(&x, M);
	sender_ack(&x, 6 * M, NULL, 0);
	cr_assert_lt(sender_tcp(&x)->cwnd, before);
}

Test(tcp_rack, needless_probe_costs_nothing)
{
	const uint32_t twice[] = {4 * M, 5 * M};
	uint32_t before, first;
	flight(4);
	world_sleep(x.w, 60 * MS);
	cr_assert_eq(sender_seen(&x, &first), 1);
	before = sender_tcp(&x)->cwnd;
	sender_ack(&x, 5 * M, NULL, 0);
	sender_ack(&x, 5 * M, twice, 1);
	cr_assert_not(sender_tcp(&x)->probing);
	cr_assert_geq(sender_tcp(&x)->cwnd, before);
}

/* RFC 8985 6.3 and RFC 2018 8: the guest took back what it had SACKed. */
Test(tcp_rack, bytes_the_guest_threw_away_are_sent_again)
{
	const uint32_t block[] = {2 * M, 5 * M};
	uint32_t first, got = 0;
	flight(4);
	sender_ack(&x, M, block, 1);
	sender_ack(&x, 2 * M, NULL, 0);
	cr_assert_eq(sender_tcp(&x)->sacked, 3 * M);
	sender_seen(&x, &first);
	for (uint32_t have = 2; have < 5 && got < 20; got++) {
		world_sleep(x.w, 100 * MS);
		if (!sender_seen(&x, &first) || first != have * M)
			continue;
		sender_ack(&x, ++have * M, NULL, 0);
	}
	cr_assert_lt(got, 20, "never");
}

/* Blocks of every kind, true and false: the records stay whole and few, and the stream still arrives. */
Test(tcp_rack, hostile_blocks)
{
	uint32_t state = 12345;
	for (unsigned int round = 0; round < 3000; round++) {
		uint32_t pair[8], out;
		struct tcp *t = sender_tcp(&x);
		if (x.offset - t->tx_una < 200000 && x.w->credit > x.offset + 30000)
			sender_give(&x, 20000);
		out = t->snd_nxt - t->snd_una;
		for (unsigned int i = 0; i < 8; i++) {
			state = state * 1664525 + 1013904223;
			pair[i] = t->snd_una - x.start + (state >> 8) % (out + 3000) - 1500;
			if (round % 7 == 0)
				pair[i] = state;
		}
		if (round % 2)
			world_advance(x.w, MS);
		sender_ack_at(&x,
			t->snd_una - x.start +
				(round % 5    ? 0
					: out ? 1 + state % out
					      : 0),
			pair, x.c.ts ? 3 : 4, x.w->now - state % 50 * MS);
		sender_whole(&x);
		world_clear(x.w);
	}
	cr_assert_gt(x.offset, 500000);
}

/* A flow that may have no more records keeps its bytes right, only coarser. */
Test(tcp_rack, without_records_to_spare)
{
	struct tcp *t = sender_tcp(&x);
	const uint32_t used = x.w->stack->sent.used;
	uint32_t have = M;
	x.w->stack->sent.used = SENT_RECORDS - SENT_FLOW_SURE * STACK_FLOWS_MAX;
	for (unsigned int round = 0; round < 60 && have < 61 * M; round++) {
		const uint32_t block[] = {have + M, have + 2 * M};
		if (x.offset < 60 * M)
			sender_give(&x, 3 * M);
		world_advance(x.w, 3 * MS);
		sender_ack(&x, have, block, 1);
		cr_assert_leq(t->sent_count, SENT_FLOW_SURE);
		sender_whole(&x);
		world_advance(x.w, RTT);
		world_clear(x.w);
		have = t->snd_nxt - x.start;
		sender_ack(&x, have, NULL, 0);
	}
	cr_assert_geq(have, 58 * M);
	x.w->stack->sent.used += used;
	x.w->stack->sent.used -= SENT_RECORDS - SENT_FLOW_SURE * STACK_FLOWS_MAX;
}
