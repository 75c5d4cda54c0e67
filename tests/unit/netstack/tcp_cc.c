/* The congestion window: reduction, undo of what was needless, growth, idleness. A round trip is 20 ms. */
#include <criterion/criterion.h>

#include "sender.h"

enum { M = SENDER_MSS };
static const uint64_t RTT = 20 * MS;
static struct sender x;

static void teardown(void)
{
	sender_whole(&x);
	sender_close(&x);
}

TestSuite(tcp_cc, .fini = teardown);

static void begin(unsigned int options)
{
	sender_open(&x, options, RTT);
}

static uint32_t base(void)
{
	return sender_tcp(&x)->snd_una - x.start;
}

static uint64_t undone(void)
{
	struct stack_counts n;
	stack_counts(x.w->stack, &n);
	return n.undone;
}

/* n segments are out and the first is reported missing by those after it: recovery. Returns where they begin. */
static uint32_t lose_first(unsigned int n)
{
	uint32_t at = base(), first;
	const uint32_t block[] = {at + M, at + n * M};
	sender_give(&x, n * M);
	world_advance(x.w, RTT);
	sender_seen(&x, &first);
	sender_ack_at(&x, at, block, 1, x.w->now - RTT);
	cr_assert_eq(sender_tcp(&x)->recovery, TCP_RECOVERY_FAST);
	cr_assert_geq(sender_seen(&x, &first), 1);
	cr_assert_eq(first, at);
	return at;
}

/* RFC 3522: the echo is older than the retransmission. */
Test(tcp_cc, undo_by_timestamp)
{
	uint32_t before, at;
	uint64_t sent;
	begin(OPT_ALL);
	before = sender_tcp(&x)->cwnd;
	sent = x.w->now;
	at = lose_first(6);
	world_advance(x.w, 3 * MS);
	sender_ack_at(&x, at + 6 * M, NULL, 0, sent);
	cr_assert_eq(undone(), 1);
	cr_assert_geq(sender_tcp(&x)->cwnd, before);
	cr_assert_eq(sender_tcp(&x)->ssthresh, UINT32_MAX);
}

Test(tcp_cc, true_loss_is_not_undone)
{
	uint32_t before, at;
	begin(OPT_ALL);
	before = sender_tcp(&x)->cwnd;
	at = lose_first(6);
	world_advance(x.w, RTT);
	sender_ack_at(&x, at + 6 * M, NULL, 0, x.w->now - RTT);
	cr_assert_eq(undone(), 0);
	cr_assert_lt(sender_tcp(&x)->cwnd, before);
	cr_assert_geq(sender_tcp(&x)->cwnd, before / 2);
}

/* RFC 3708: all that was sent again was a duplicate; no timestamps needed. */
Test(tcp_cc, undo_by_duplicate_report)
{
	uint32_t before, at;
	begin(OPT_ALL & ~OPT_TIMESTAMPS);
	before = sender_tcp(&x)->cwnd;
	at = lose_first(6);
	sender_ack(&x, at + 6 * M, NULL, 0);
	cr_assert_lt(sender_tcp(&x)->cwnd, before);
	const uint32_t twice[] = {at, at + M};
	sender_ack(&x, at + 6 * M, twice, 1);
	cr_assert_eq(undone(), 1);
	cr_assert_geq(sender_tcp(&x)->cwnd, before);
	cr_assert_gt(sender_tcp(&x)->reorder_rounds, 0, "and the reordering window grows");
}

/* A copy that the network made is none of ours. */
Test(tcp_cc, duplicate_of_the_network_undoes_nothing)
{
	uint32_t at;
	begin(OPT_ALL & ~OPT_TIMESTAMPS);
	at = lose_first(6);
	const uint32_t twice[] = {at + 2 * M, at + 3 * M};
	sender_ack(&x, at + 6 * M, twice, 1);
	cr_assert_eq(undone(), 0);
	cr_assert_eq(sender_tcp(&x)->reorder_rounds, 0);
}

/* Eight segments without an answer, from *at on, until the timeout: the window before it. */
static uint32_t time_out(uint32_t *at)
{
	uint32_t before;
	begin(OPT_ALL & ~OPT_TIMESTAMPS);
	sender_give(&x, 8 * M);
	before = sender_tcp(&x)->cwnd;
	*at = base();
	while (sender_tcp(&x)->recovery != TCP_RECOVERY_TIMEOUT)
		world_advance(x.w, 10 * MS);
	return before;
}

/* RFC 5682 3: after the timeout bytes arrive that were never sent again. */
Test(tcp_cc, timeout_that_was_none)
{
	uint32_t before, at, first;
	before = time_out(&at);
	sender_seen(&x, &first);
	sender_ack(&x, at + 4 * M, NULL, 0);
	cr_assert_eq(undone(), 1);
	cr_assert_geq(sender_tcp(&x)->cwnd, before);
	cr_assert_eq(sender_tcp(&x)->lost, 0);
	cr_assert_eq(sender_seen(&x, &first), 0, "nothing is sent again");
}

Test(tcp_cc, timeout_that_was_one)
{
	uint32_t before, at, first;
	before = time_out(&at);
	sender_seen(&x, &first);
	for (unsigned int i = 1; i <= 8; i++) {
		world_advance(x.w, RTT);
		sender_ack(&x, at + i * M, NULL, 0);
	}
	cr_assert_eq(undone(), 0);
	cr_assert_lt(sender_tcp(&x)->cwnd, before);
	cr_assert_eq(sender_tcp(&x)->recovery, TCP_RECOVERY_NONE);
}

/* RFC 3465 2.3: after a timeout one acknowledgement, however much it covers, opens the window by two segments. */
Test(tcp_cc, slow_start_after_a_timeout)
{
	uint32_t at, before;
	begin(OPT_ALL & ~OPT_TIMESTAMPS);
	sender_give(&x, 10 * M);
	at = base();
	while (x.w->stack->counts.timeouts < 2)
		world_advance(x.w, 10 * MS);
	before = sender_tcp(&x)->cwnd;
	sender_ack(&x, at + 7 * M, NULL, 0);
	cr_assert_eq(sender_tcp(&x)->recovery, TCP_RECOVERY_TIMEOUT);
	cr_assert_leq(sender_tcp(&x)->cwnd, before + 2 * sender_tcp(&x)->mss);
	cr_assert_gt(sender_tcp(&x)->cwnd, before);
}

/* RFC 9937: recovery sends as the guest receives, never a burst, and ends at ssthresh. */
Test(tcp_cc, recovery_sends_in_proportion)
{
	struct tcp *t;
	uint32_t at, sent = 0, first;
	begin(OPT_ALL);
	t = sender_tcp(&x);
	t->cwnd = 40 * M;
	at = base();
	sender_give(&x, 80 * M);
	world_advance(x.w, RTT);
	sender_seen(&x, &first);
	for (uint32_t i = 4; i <= 40; i++) {
		const uint32_t block[] = {at + M, at + i * M};
		unsigned int n;
		sender_ack_at(&x, at, block, 1, x.w->now - RTT);
		n = sender_seen(&x, &first);
		sent += n;
		cr_assert_leq(n, 3, "a burst of %u", n);
		cr_assert_leq(tcp_pipe(t), 40 * M);
	}
	cr_assert_leq(tcp_pipe(t), t->ssthresh + M);
	cr_assert_geq(sent, 40 * 6 / 10 - 4);
	world_advance(x.w, RTT);
	sender_ack(&x, at + 40 * M, NULL, 0);
	cr_assert_eq(t->recovery, TCP_RECOVERY_NONE);
	cr_assert_eq(t->cwnd, t->ssthresh);
}

/* RFC 9438 5.8: a window that is not used does not grow. */
Test(tcp_cc, unused_window_stays)
{
	uint32_t before;
	begin(OPT_ALL);
	before = sender_tcp(&x)->cwnd;
	for (unsigned int i = 0; i < 50; i++) {
		sender_give(&x, 2 * M);
		world_advance(x.w, RTT);
		sender_ack(&x, base() + 2 * M, NULL, 0);
	}
	cr_assert_eq(sender_tcp(&x)->cwnd, before);
}

Test(tcp_cc, used_window_doubles_in_slow_start)
{
	uint32_t before;
	begin(OPT_ALL);
	before = sender_tcp(&x)->cwnd;
	sender_give(&x, 200000);
	for (unsigned int i = 0; i < 2; i++) {
		world_advance(x.w, RTT);
		sender_ack(&x, sender_tcp(&x)->snd_nxt - x.start, NULL, 0);
	}
	cr_assert_geq(sender_tcp(&x)->cwnd, 3 * before);
}

/* RFC 5681 4.1: after a silence longer than the timeout the old window proves nothing. */
Test(tcp_cc, restart_after_idle)
{
	uint32_t first;
	begin(OPT_ALL);
	sender_tcp(&x)->cwnd = 100 * M;
	world_sleep(x.w, 100 * MS);
	sender_give(&x, 30 * M);
	cr_assert_eq(sender_seen(&x, &first), 30, "a short pause changes nothing");
	sender_ack(&x, base() + 30 * M, NULL, 0);
	world_sleep(x.w, 2 * SECOND);
	sender_give(&x, 30 * M);
	cr_assert_leq(sender_seen(&x, &first), 11);
	cr_assert_geq(sender_tcp(&x)->ssthresh, 70 * M);
}

/* RFC 9406: round trips that grow end the doubling before anything is lost. */
Test(tcp_cc, slow_start_ends_when_a_queue_grows)
{
	uint64_t rtt = RTT;
	begin(OPT_ALL);
	x.c.window = 30000;
	for (unsigned int i = 0; i < 14; i++) {
		struct tcp *t = sender_tcp(&x);
		uint32_t want = 2 * t->cwnd, step;
		if (x.w->credit > x.offset + 1000)
			sender_give(&x, want < x.w->credit - x.offset
						? want
						: (uint32_t)(x.w->credit - x.offset));
		world_advance(x.w, rtt);
		world_clear(x.w);
		step = (t->snd_nxt - t->snd_una) / 10;
		for (unsigned int k = 0; step && k < 10; k++)
			sender_ack_at(&x, base() + step, NULL, 0, x.w->now - rtt);
		rtt += 6 * MS;
	}
	cr_assert_neq(sender_tcp(&x)->ssthresh, UINT32_MAX);
}

/* The window of a path without a queue is not taken down by a single loss; that of one with a queue is. */
Test(tcp_cc, single_loss_leaves_what_the_path_carries)
{
	struct tcp *t;
	uint32_t at;
	begin(OPT_ALL);
	t = sender_tcp(&x);
	for (unsigned int i = 0; i < 4; i++) {
		sender_give(&x, 40 * M);
		world_advance(x.w, RTT);
		for (; t->snd_una != t->snd_nxt; world_advance(x.w, RTT))
			sender_ack(&x, t->snd_nxt - x.start, NULL, 0);
		world_clear(x.w);
	}
	t->cwnd = 30 * M;
	sender_give(&x, 30 * M);
	at = base();
	world_advance(x.w, RTT);
	world_clear(x.w);
	const uint32_t block[] = {at + M, at + 6 * M};
	t->rate.best = 30u * M / 20;
	sender_ack(&x, at, block, 1);
	cr_assert_eq(t->recovery, TCP_RECOVERY_FAST);
	cr_assert_geq(t->ssthresh, 28 * M);
}
