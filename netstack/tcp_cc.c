/*
 * Theory of operation: slow start and recovery as RFC 5681 and RFC 6675 describe, ten segments to begin with (RFC
 * 6928), CUBIC's curve in between (RFC 9438). An acknowledgement covers any number of segments (broker and
 * guest both merge them), so all growth is counted in bytes.
 *
 *   open ──hole is lost, or 3 duplicates──▶ recovering ──all sent before the loss acknowledged──▶ open
 *     └────────── timeout ──▶ recovering, everything lost (slow start again) ───────────────────────┘
 *
 * RFC 6675 leaves a retransmission that is lost again to the timer. Here it is noticed when data that left after the
 * retransmission has arrived and the hole has not: resent_mark remembers where that data begins.
 */
#include "state.h"

enum { CWND_MAX = 2 * TCP_WINDOW_MAX, CUBIC_BETA_10 = 7 };

void tcp_cc_start(struct tcp *t)
{
	uint32_t two = 2u * t->mss, ten = 10u * t->mss;
	t->cwnd = two > 14600 ? two : ten < 14600 ? ten : 14600;
	t->ssthresh = UINT32_MAX;
}

static uint32_t cube_root(uint64_t x)
{
	uint64_t root = 0;
	for (int bit = 20; bit >= 0; bit--) {
		uint64_t trial = root | UINT64_C(1) << bit;
		if (trial * trial * trial <= x)
			root = trial;
	}
	return (uint32_t)root;
}

static void cubic_reduce(struct tcp *t)
{
	uint32_t before = t->cwnd;
	t->cubic_max = before < t->cubic_max ? before / 20 * 17 : before;
	t->ssthresh = before / 10 * CUBIC_BETA_10;
	if (t->ssthresh < 2u * t->mss)
		t->ssthresh = 2u * t->mss;
	t->cubic_epoch_ns = 0;
}

static void cubic_begin(struct stack *s, struct tcp *t)
{
	uint64_t gap = t->cubic_max > t->cwnd ? (t->cubic_max - t->cwnd) / t->mss : 0;
	t->cubic_epoch_ns = s->now_ns;
	t->cubic_reno = t->cwnd;
	if (!gap)
		t->cubic_max = t->cwnd;
	t->cubic_k_ms = cube_root(gap * UINT64_C(2500000000)); /* cbrt(gap / 0.4) in ms */
}

/* W_cubic(t) = 0.4 (t - K)^3 + W_max, in bytes. */
static uint32_t cubic_target(const struct stack *s, const struct tcp *t)
{
	int64_t ms =
		(int64_t)((s->now_ns - t->cubic_epoch_ns + t->srtt_ns) / NS_PER_MS) - t->cubic_k_ms;
	int64_t bytes;
	if (ms > 50000)
		ms = 50000;
	bytes = ms * ms * ms / 1000000 * t->mss * 4 / 10000 + t->cubic_max;
	if (bytes < 2 * t->mss)
		return 2u * t->mss;
	return bytes > CWND_MAX ? CWND_MAX : (uint32_t)bytes;
}

static void cubic_grow(struct stack *s, struct tcp *t, uint32_t bytes)
{
	uint32_t target;
	if (!t->cubic_epoch_ns)
		cubic_begin(s, t);
	target = cubic_target(s, t);
	t->cubic_reno += (uint32_t)((uint64_t)bytes * t->mss * 9 / 17 / t->cwnd);
	if (target < t->cubic_reno)
		target = t->cubic_reno;
	if (target > t->cwnd + t->cwnd / 2)
		target = t->cwnd + t->cwnd / 2;
	if (target > t->cwnd)
		t->cwnd += (uint32_t)((uint64_t)(target - t->cwnd) * bytes / t->cwnd) + 1;
}

void tcp_cc_acked(struct stack *s, struct tcp *t, uint32_t bytes)
{
	if (!t->cwnd_limited && !t->lost_all)
		return;
	if (t->cwnd < t->ssthresh) {
		uint32_t room = t->ssthresh - t->cwnd, step = bytes < room ? bytes : room;
		t->cwnd += step;
		bytes -= step;
	}
	if (bytes && t->cwnd >= t->ssthresh)
		cubic_grow(s, t, bytes < t->cwnd ? bytes : t->cwnd);
	if (t->cwnd > CWND_MAX)
		t->cwnd = CWND_MAX;
}

void tcp_cc_loss(struct stack *s, struct tcp *t)
{
	cubic_reduce(t);
	t->cwnd = t->ssthresh;
	t->recovering = true;
	t->lost_all = false;
	t->recover = t->snd_nxt;
	t->resent_to = t->snd_una;
	t->resent_mark = t->snd_nxt;
	t->by_count = !t->ranges;
	if (t->by_count)
		t->lost_edge = seq_min(t->snd_una + t->mss, t->snd_nxt);
	t->timed_ns = 0;
}

void tcp_cc_timeout(struct stack *s, struct tcp *t)
{
	if (!t->lost_all)
		cubic_reduce(t);
	t->cwnd = t->mss;
	t->recovering = true;
	t->lost_all = true;
	t->by_count = false;
	t->recover = t->snd_nxt;
	t->lost_edge = t->snd_nxt;
	t->resent_to = t->snd_una;
	t->resent_mark = t->snd_nxt;
	t->dup_acks = 0;
	t->timed_ns = 0;
	t->probe_end = t->probe_start;
}

static void cc_recovered(struct tcp *t)
{
	if (!t->lost_all)
		t->cwnd = t->ssthresh;
	t->recovering = false;
	t->lost_all = false;
	t->dup_acks = 0;
	t->lost_edge = t->snd_una;
}

/* The first hole was sent again and data sent later has arrived: send it once more. */
static void cc_lost_again(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	uint32_t end = t->ranges ? t->board[0].start : t->snd_una;
	if (t->lost_all || seq_le(t->resent_to, t->snd_una) || seq_le(end, t->snd_una))
		return;
	if (tcp_sack_bytes(t, seq_max(t->resent_mark, t->snd_una), t->snd_nxt) <= 2u * t->mss)
		return;
	if (end - t->snd_una > t->mss)
		end = t->snd_una + t->mss;
	if (tcp_send_data(s, f, t->snd_una, end - t->snd_una)) {
		t->resent_mark = t->snd_nxt;
		s->counts.retransmits++;
	}
}

static void cc_in_recovery(struct stack *s, struct flow *f, uint32_t acked, bool duplicate)
{
	struct tcp *t = &f->tcp;
	if (acked && seq_le(t->recover, t->snd_una)) {
		cc_recovered(t);
		return;
	}
	if (acked) {
		t->resent_mark = t->snd_nxt;
		t->dup_acks = 0;
		if (t->by_count && !t->lost_all) {
			t->lost_edge = seq_min(t->snd_una + t->mss, t->snd_nxt);
			t->resent_to = t->snd_una;
		}
		if (t->lost_all)
			tcp_cc_acked(s, t, acked < 2u * t->mss ? acked : 2u * t->mss);
	} else if (duplicate && t->by_count && t->dup_acks < UINT8_MAX) {
		t->dup_acks++;
	}
	if (t->ranges && !t->lost_all) {
		tcp_sack_find_lost(t);
		cc_lost_again(s, f);
	}
}

void tcp_cc_ack(struct stack *s, struct flow *f, uint32_t acked, bool sacked, bool duplicate)
{
	struct tcp *t = &f->tcp;
	flow_owe(s, f, OWED_OUTPUT);
	if (t->recovering) {
		cc_in_recovery(s, f, acked, duplicate);
		return;
	}
	if (acked) {
		t->dup_acks = 0;
		if (seq_le(t->probe_end, t->snd_una))
			t->probe_end = t->probe_start = t->snd_una;
		tcp_cc_acked(s, t, acked);
	} else if (duplicate && t->dup_acks < UINT8_MAX) {
		t->dup_acks++;
	}
	if (seq_lt(t->lost_edge, t->snd_una))
		t->lost_edge = t->snd_una;
	if ((sacked && tcp_sack_find_lost(t)) || t->dup_acks >= TCP_DUP_ACKS)
		tcp_cc_loss(s, t);
}
