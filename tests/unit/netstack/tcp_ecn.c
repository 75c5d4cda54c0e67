/* Explicit congestion notification, RFC 3168. */
#include <criterion/criterion.h>
#include <string.h>

#include "sender.h"

enum { M = SENDER_MSS, ECE = 64, CWR = 128 };
static const uint64_t RTT = 20 * MS;
static struct sender x;

static void off(struct stack_config *c)
{
	c->tcp_ecn = STACK_ECN_OFF;
}

static void ask(struct stack_config *c)
{
	c->tcp_ecn = STACK_ECN_ASK;
}

static const struct seen *last(void)
{
	return world_seen(x.w, 6, world_count(x.w, 6) - 1);
}

static unsigned int ecn(const struct seen *s)
{
	return s->bytes[15] & 3u;
}

static void segment(
	uint8_t flags, uint32_t seq, uint32_t ack, uint8_t tos, const void *data, uint32_t n)
{
	static uint8_t frame[3000];
	struct tcp_spec t = {.src = GUEST,
		.dst = OUTSIDE,
		.sport = 40000,
		.dport = 80,
		.seq = seq,
		.ack = ack,
		.window = 60000,
		.flags = flags,
		.data = data,
		.len = n,
		.tos = tos};
	cr_assert(world_frame(x.w, frame, make_tcp(frame, &t), false));
	world_run(x.w);
}

/* The handshake with these flags in the SYN; returns what the SYN-ACK had. */
static uint8_t open_with(void (*adjust)(struct stack_config *c), uint8_t flags)
{
	uint8_t answer;
	x = (struct sender){.w = world_new(adjust)};
	conn_init(&x.c, x.w, 40000, 80);
	segment(F_SYN | flags, 1000, 0, 0, NULL, 0);
	cr_assert_eq(ecn(last()), 0, "a SYN-ACK is not ECT");
	answer = last()->flags;
	x.c.flow = world_told(x.w, RING_NETSTACK_TCP_OPEN, 0)->flow;
	x.c.seq = 1001;
	x.start = x.c.ack = last()->seq + 1;
	segment(F_ACK, x.c.seq, x.c.ack, 0, NULL, 0);
	world_clear(x.w);
	return answer;
}

static void done(void)
{
	sender_whole(&x);
	sender_close(&x);
}

/* 6.1.1 */
Test(tcp_ecn, handshake)
{
	cr_assert_eq(open_with(NULL, ECE | CWR), F_SYN | F_ACK | ECE);
	done();
	cr_assert_eq(open_with(NULL, 0), F_SYN | F_ACK);
	done();
	cr_assert_eq(open_with(NULL, ECE), F_SYN | F_ACK, "one of the two is no request");
	done();
	cr_assert_eq(open_with(off, ECE | CWR), F_SYN | F_ACK);
	done();
}

/* 6.1.5: data the first time, nothing else. */
Test(tcp_ecn, only_new_data_is_ect)
{
	open_with(NULL, ECE | CWR);
	sender_give(&x, 500);
	cr_assert_eq(last()->payload_len, 500);
	cr_assert_eq(ecn(last()), 2);
	world_sleep(x.w, 3 * SECOND);
	cr_assert_eq(last()->payload_len, 500);
	cr_assert_eq(ecn(last()), 0, "a retransmission");
	segment(F_ACK, x.c.seq, x.start + 500, 0, "abc", 3);
	world_sleep(x.w, SECOND);
	cr_assert_eq(last()->payload_len, 0);
	cr_assert_eq(ecn(last()), 0, "an acknowledgement");
	done();
	open_with(NULL, 0);
	sender_give(&x, 500);
	cr_assert_eq(ecn(last()), 0);
	done();
}

/* 6.1.3: ECE on every segment until CWR. */
Test(tcp_ecn, marks_are_echoed_until_heard)
{
	open_with(NULL, ECE | CWR);
	segment(F_ACK, 1001, x.start, 3, "abc", 3);
	cr_assert_eq(last()->flags & ECE, ECE);
	segment(F_ACK, 1004, x.start, 2, "def", 3);
	world_sleep(x.w, SECOND);
	cr_assert_eq(last()->flags & ECE, ECE, "still");
	sender_give(&x, 100);
	cr_assert_eq(last()->flags & ECE, ECE, "data too");
	segment(F_ACK | CWR, 1007, x.start + 100, 2, "ghi", 3);
	world_sleep(x.w, SECOND);
	cr_assert_eq(last()->flags & ECE, 0);
	segment(F_ACK | CWR, 1010, x.start + 100, 3, "jkl", 3);
	world_sleep(x.w, SECOND);
	cr_assert_eq(last()->flags & ECE, ECE, "a mark on the very segment that says CWR");
	done();
}

Test(tcp_ecn, marks_without_agreement_mean_nothing)
{
	open_with(NULL, 0);
	segment(F_ACK, 1001, x.start, 3, "abc", 3);
	world_sleep(x.w, SECOND);
	cr_assert_eq(last()->flags & ECE, 0);
	sender_give(&x, 1000);
	segment(F_ACK | ECE, 1004, x.start + 1000, 0, NULL, 0);
	cr_assert_eq(x.w->stack->counts.marks, 0);
	done();
}

/* 6.1.2: one reduction a window of data whatever the guest repeats, and one segment that says CWR. */
Test(tcp_ecn, one_reduction_a_window)
{
	struct tcp *t;
	uint32_t before, cwr = 0, edge;
	open_with(NULL, ECE | CWR);
	t = sender_tcp(&x);
	t->cwnd = 40u * t->mss;
	sender_give(&x, 60u * t->mss);
	before = t->cwnd;
	edge = t->snd_nxt;
	for (uint32_t i = 1; i <= 20; i++)
		segment(F_ACK | ECE, x.c.seq, x.start + i * t->mss, 0, NULL, 0);
	cr_assert_eq(x.w->stack->counts.marks, 1);
	cr_assert_lt(t->cwnd, before);
	cr_assert_geq(t->cwnd, before / 2);
	for (unsigned int i = 0; i < world_count(x.w, 6); i++) {
		const struct seen *s = world_seen(x.w, 6, i);
		cr_assert(!(s->flags & CWR) || (s->payload_len && s->seq == edge));
		cwr += (s->flags & CWR) != 0;
	}
	cr_assert_eq(cwr, 1);
	before = t->cwnd;
	segment(F_ACK | ECE, x.c.seq, edge + t->mss, 0, NULL, 0);
	cr_assert_eq(x.w->stack->counts.marks, 2);
	cr_assert_lt(t->cwnd, before);
	done();
}

/* A guest that says ECE for ever has two segments a round trip, not none. */
Test(tcp_ecn, flood_leaves_a_window)
{
	struct tcp *t;
	open_with(NULL, ECE | CWR);
	t = sender_tcp(&x);
	for (unsigned int i = 0; i < 200; i++) {
		if (x.w->credit > x.offset + 5000)
			sender_give(&x, 5000);
		world_advance(x.w, RTT);
		segment(F_ACK | ECE, x.c.seq, t->snd_nxt, 0, NULL, 0);
		cr_assert_geq(t->cwnd, 2u * t->mss);
		world_clear(x.w);
	}
	cr_assert_gt(t->tx_una, 100000);
	done();
}

/* Our own SYN asks where it is configured, and not when it is repeated (6.1.1.1). */
Test(tcp_ecn, our_syn)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_INCOMING,
		.pair = {.guest_ip_be = htobe32(GUEST),
			.remote_ip_be = htobe32(OUTSIDE),
			.guest_port = 22,
			.remote_port = 5555,
			.token = 9}};
	for (unsigned int i = 0; i < 2; i++) {
		x = (struct sender){.w = world_new(i ? ask : NULL)};
		conn_init(&x.c, x.w, 40000, 80);
		segment(F_ACK, 1, 1, 0, NULL, 0); /* the gateway learns where the guest is */
		world_clear(x.w);
		world_tell(x.w, &d);
		world_run(x.w);
		cr_assert_eq(last()->flags, i ? F_SYN | ECE | CWR : F_SYN);
		world_sleep(x.w, 1500 * MS);
		cr_assert_eq(last()->flags, F_SYN);
		sender_close(&x);
	}
}
