/* Timers and windows of a connection: RFC 6298, RFC 9293 3.8.6. A round trip is 20 ms. */
#include <criterion/criterion.h>
#include <string.h>

#include "sender.h"

enum { M = SENDER_MSS };
static const uint64_t RTT = 20 * MS;
static struct sender x;

static void setup(void)
{
	sender_open(&x, OPT_ALL & ~OPT_TIMESTAMPS, RTT);
}

static void teardown(void)
{
	sender_close(&x);
}

TestSuite(tcp_timer, .init = setup, .fini = teardown);

static uint32_t base(void)
{
	return sender_tcp(&x)->snd_una - x.start;
}

static void until_timeouts(unsigned int n)
{
	uint64_t before = x.w->stack->counts.timeouts;
	while (x.w->stack->counts.timeouts < before + n)
		world_advance(x.w, 10 * MS);
}

/* RFC 6298 5.7, Karn: progress alone does not end the back-off, a round trip of something sent once does. */
Test(tcp_timer, back_off_lasts_until_a_round_trip_is_measured)
{
	struct tcp *t = sender_tcp(&x);
	uint64_t rto = tcp_rto(t);
	sender_give(&x, M);
	until_timeouts(2);
	sender_ack(&x, base() + M, NULL, 0);
	cr_assert_geq(tcp_rto(t), 4 * rto);
	cr_assert_eq(t->tries, 0);
	sender_give(&x, M);
	world_advance(x.w, RTT);
	sender_ack(&x, base() + M, NULL, 0);
	cr_assert_leq(tcp_rto(t), 2 * rto);
}

/* RFC 7323 4: an echoed timestamp measures what was sent again as well. */
Test(tcp_timer, timestamps_measure_retransmissions)
{
	struct tcp *t;
	sender_close(&x);
	sender_open(&x, OPT_ALL, RTT);
	t = sender_tcp(&x);
	sender_give(&x, M);
	until_timeouts(3);
	world_advance(x.w, RTT);
	sender_ack_at(&x, base() + M, NULL, 0, x.w->now - RTT);
	cr_assert_eq(t->backoff, 0);
	cr_assert_lt(t->srtt_ns, 2 * RTT);
}

/* RFC 9293 3.8.6.1: a window shut over what is on its way ends nothing while the guest answers. */
Test(tcp_timer, shut_window_over_sent_bytes)
{
	sender_give(&x, 4 * M);
	x.c.window = 0;
	for (unsigned int i = 0; i < 120; i++) {
		sender_ack(&x, base(), NULL, 0);
		world_sleep(x.w, 30 * SECOND);
		world_clear(x.w);
	}
	cr_assert_eq(world_told_count(x.w, RING_NETSTACK_TCP_RESET), 0);
	cr_assert_eq(sender_tcp(&x)->state, TCP_ESTABLISHED);
	x.c.window = 60000;
	for (unsigned int i = 0; i < 8 && sender_tcp(&x)->snd_una != sender_tcp(&x)->snd_nxt; i++) {
		sender_ack(&x, base() + M, NULL, 0);
		world_sleep(x.w, RTT);
	}
	cr_assert_eq(sender_tcp(&x)->tx_una, 5 * M);
}

Test(tcp_timer, shut_window_of_a_dead_guest)
{
	sender_give(&x, 4 * M);
	x.c.window = 0;
	sender_ack(&x, base(), NULL, 0);
	world_sleep(x.w, 3600 * SECOND);
	cr_assert_eq(world_told_count(x.w, RING_NETSTACK_TCP_RESET), 1);
}

/* Timers that move back and forth with hostile acknowledgements never stop while something is on its way. */
Test(tcp_timer, always_armed_while_bytes_are_out)
{
	uint32_t state = 99;
	for (unsigned int i = 0; i < 2000; i++) {
		struct tcp *t = sender_tcp(&x);
		uint32_t out = t->snd_nxt - t->snd_una, pair[2];
		state = state * 1664525 + 1013904223;
		if (x.w->credit > x.offset + 10000 && out < 60000)
			sender_give(&x, 7000);
		pair[0] = base() + state % (out + 1);
		pair[1] = pair[0] + (state >> 16) % 5000;
		sender_ack(&x, base() + (i % 3 ? 0 : state % (out + 1)), pair, 1);
		world_advance(x.w, state % 3 * MS);
		t = sender_tcp(&x);
		cr_assert(t->snd_una == t->snd_nxt || t->deadline[TCP_TIMER_RESEND]);
		world_clear(x.w);
	}
}
