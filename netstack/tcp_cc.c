/*
 * Theory of operation: when the congestion window is reduced, how recovery sends, and what ends it. Growth is
 * tcp_cubic.c, what is lost says tcp_rack.c or, without SACK, three duplicates (RFC 6582).
 *
 *   NONE ──lost──▶ FAST ──all from before acknowledged──▶ NONE
 *     └─ timeout ─▶ TIMEOUT, slow start from one segment ──┘     needless: tcp_undo.c, back to NONE
 *
 * In FAST the window follows what is delivered (PRR, RFC 9937), so that it comes down to ssthresh within a round trip
 * without a pause and never in bursts.
 *
 * A loss need not be congestion: the link to a guest may be radio or a tunnel. What the guest received in a round trip
 * (bytes a ms, the best of the last rounds) times the shortest round trip is what the path carries with no queue at
 * all; a single loss does not take the window below that. Where there is a queue this is below CUBIC's 0.7 or
 * drains just the queue. Heavy loss, timeouts and ECN get the full reduction (docs/decisions/0004-tcp-recovery.md).
 */
#include "state.h"

enum { RATE_ROUNDS = 8, HEAVY_LOSS = 4 /* more than this part of what was out */ };

static uint32_t cc_initial(const struct tcp *t)
{
	uint32_t two = 2u * t->mss, ten = 10u * t->mss;
	return two > 14600 ? two : ten < 14600 ? ten : 14600;
}

void tcp_cc_start(struct tcp *t)
{
	t->cwnd = cc_initial(t);
	t->ssthresh = UINT32_MAX;
}

/* Counts what a round trip delivered. */
static void cc_rate(struct stack *s, struct tcp *t, const struct tcp_ack *a)
{
	struct tcp_rate *r = &t->rate;
	uint32_t now_us = tcp_now_us(s), took_us = now_us - r->start_us, rate;
	r->delivered += a->delivered;
	if (seq_lt(t->snd_una, r->end))
		return;
	rate = took_us ? (uint32_t)((uint64_t)r->delivered * 1000 / took_us) : 0;
	if (rate > r->best)
		r->best = rate;
	if (++r->rounds >= RATE_ROUNDS) {
		r->best_before = r->best;
		r->best = 0;
		r->rounds = 0;
	}
	r->end = t->snd_nxt;
	r->start_us = now_us;
	r->delivered = 0;
}

/* What the path carries without a queue, in bytes. */
static uint32_t cc_carried(const struct tcp *t)
{
	uint32_t rate = t->rate.best > t->rate.best_before ? t->rate.best : t->rate.best_before;
	uint64_t bytes = (uint64_t)rate * t->min_rtt_us / 1000;
	return bytes < t->cwnd ? (uint32_t)bytes : t->cwnd;
}

static void cc_lower(struct tcp *t)
{
	uint32_t carried = cc_carried(t), out = t->snd_nxt - t->snd_una;
	tcp_cubic_reduce(t);
	if (t->lost <= out / HEAVY_LOSS && t->ssthresh < carried)
		t->ssthresh = carried;
}

void tcp_cc_reduce(struct stack *s, struct tcp *t)
{
	if (t->recovery)
		return;
	cc_lower(t);
	t->cwnd = t->ssthresh;
	tcp_ecn_reduced(t);
}

/* RFC 9937 6: how much may be on the way after this acknowledgement. */
static void cc_prr(struct tcp *t, uint32_t delivered, bool safe)
{
	uint32_t pipe = tcp_pipe(t), may;
	t->prr_delivered += delivered;
	if (pipe > t->ssthresh) {
		uint64_t share = ((uint64_t)t->prr_delivered * t->ssthresh + t->prr_flight - 1) /
				 t->prr_flight;
		may = share > t->prr_out ? (uint32_t)share - t->prr_out : 0;
	} else {
		may = t->prr_delivered > t->prr_out ? t->prr_delivered - t->prr_out : 0;
		may = (may > delivered ? may : delivered) + (safe ? t->mss : 0);
		if (may > t->ssthresh - pipe)
			may = t->ssthresh - pipe;
	}
	if (!t->prr_out && may < t->mss)
		may = t->mss;
	t->cwnd = pipe + may;
}

void tcp_cc_loss(struct stack *s, struct tcp *t, const struct tcp_ack *a)
{
	tcp_undo_begin(t);
	cc_lower(t);
	t->recovery = TCP_RECOVERY_FAST;
	t->recover = t->snd_nxt;
	t->prr_delivered = t->prr_out = 0;
	t->prr_flight = t->snd_nxt - t->snd_una - t->sacked + (a ? a->delivered : 0);
	t->prr_flight += !t->prr_flight;
	tcp_ecn_reduced(t);
	t->timed_ns = 0;
	t->probing = false;
}

void tcp_cc_resize(struct stack *s, struct tcp *t)
{
	if (!t->lost || t->recovery)
		return;
	t->recovery = TCP_RECOVERY_FAST;
	t->recover = t->snd_nxt;
	t->prr_delivered = t->prr_out = 0;
	t->prr_flight = t->snd_nxt - t->snd_una;
	t->ssthresh = t->cwnd;
	t->undo.armed = false;
}

void tcp_cc_timeout(struct stack *s, struct tcp *t)
{
	t->frto = t->recovery ? TCP_FRTO_OFF : TCP_FRTO_HEAD;
	if (!t->recovery) {
		tcp_undo_begin(t);
		tcp_cubic_reduce(t);
		tcp_ecn_reduced(t);
	}
	tcp_rack_timeout(s, t);
	t->recovery = TCP_RECOVERY_TIMEOUT;
	t->recover = t->snd_nxt;
	t->dup_acks = 0;
	t->cwnd = tcp_pipe(t) + t->mss;
	t->timed_ns = 0;
	t->probing = false;
}

static void cc_recovered(struct stack *s, struct tcp *t)
{
	if (t->recovery == TCP_RECOVERY_FAST)
		t->cwnd = t->ssthresh;
	t->recovery = TCP_RECOVERY_NONE;
	t->frto = TCP_FRTO_OFF;
	t->dup_acks = 0;
	t->undo.end = t->snd_nxt;
	tcp_rack_recovered(t);
}

/*
 * RFC 6582: the third duplicate, or an acknowledgement that ends before the loss did. True when the head is lost. A
 * guest that agreed to SACK and then says nothing with it is served the same.
 */
static bool cc_duplicates(struct stack *s, struct tcp *t, struct tcp_ack *a)
{
	if (a->acked) {
		uint32_t known = (uint32_t)t->dup_acks * t->mss;
		a->delivered = a->acked > known ? a->acked - known : 0;
		t->dup_acks = 0;
		if (t->recovery != TCP_RECOVERY_FAST)
			return false;
		tcp_sent_lose(s, t, t->mss);
		return true;
	}
	if (!a->duplicate)
		return false;
	a->delivered = t->mss;
	if (t->dup_acks < UINT8_MAX)
		t->dup_acks++;
	if (t->recovery || t->dup_acks < TCP_DUP_ACKS || !seq_lt(t->recover, t->snd_una))
		return false;
	tcp_sent_lose(s, t, t->mss);
	return true;
}

/* RFC 5682 2 and 3: after the head was sent again, new bytes ask whether the others are lost at all. */
static void cc_frto(struct tcp *t, const struct tcp_ack *a)
{
	bool fresh = tcp_tx_end_seq(t) != t->snd_nxt && !t->fin_sent &&
		     t->snd_nxt - t->snd_una + t->mss <= t->snd_wnd;
	if (t->frto == TCP_FRTO_HEAD && a->acked)
		t->frto = fresh ? TCP_FRTO_NEW : TCP_FRTO_OFF;
	else if (t->frto == TCP_FRTO_NEW)
		t->frto = TCP_FRTO_OFF;
}

/* Growth only for who uses the window (RFC 9438 5.8, RFC 7661): a window that was not filled proves nothing. */
static void cc_grow(struct stack *s, struct tcp *t, const struct tcp_ack *a)
{
	uint32_t out = t->snd_nxt - t->snd_una + a->acked;
	bool used = t->cwnd_limited || (t->cwnd < t->ssthresh && t->cwnd / 2 < out);
	if (t->cwnd_limited && seq_lt(t->limited_end, t->snd_una))
		t->cwnd_limited = false;
	if (t->recovery) /* RFC 3465 2.3: what fills a hole acknowledges much that left long ago */
		tcp_cubic_grow(s, t, a->acked < 2u * t->mss ? a->acked : 2u * t->mss);
	else if (used)
		tcp_cubic_grow(s, t, a->acked);
}

/* A mark that stood still for 2^31 bytes would seem to lie ahead. */
static void cc_marks(struct tcp *t, const struct tcp_ack *a)
{
	uint32_t una = t->snd_una;
	t->recover = seq_max(t->recover, una - 1);
	t->rack_high = seq_max(t->rack_high, una);
	t->rack_round = seq_max(t->rack_round, una);
	if (a->acked)
		t->dup_acks = 0;
	if (una == t->snd_nxt)
		t->rack_known = false; /* its time would seem to lie ahead as well */
}

void tcp_cc_overdue(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	if (!tcp_rack_detect(s, f))
		return;
	if (!t->recovery)
		tcp_cc_loss(s, t, NULL);
	if (t->recovery == TCP_RECOVERY_FAST)
		cc_prr(t, 0, false);
	flow_owe(s, f, OWED_OUTPUT);
}

void tcp_cc_ack(struct stack *s, struct flow *f, struct tcp_ack *a)
{
	struct tcp *t = &f->tcp;
	bool lost, fast = t->recovery == TCP_RECOVERY_FAST;
	flow_owe(s, f, OWED_OUTPUT);
	tcp_rack_dsack(t, a);
	tcp_probe_acked(s, t, a);
	tcp_cubic_rtt(t, a);
	cc_rate(s, t, a);
	tcp_undo_try(s, t, a);
	if (t->recovery && seq_le(t->recover, t->snd_una))
		cc_recovered(s, t);
	if (t->recovery == TCP_RECOVERY_TIMEOUT)
		cc_frto(t, a);
	if (t->use_sack && (a->acked || a->sacks))
		lost = tcp_rack_detect(s, f);
	else
		lost = cc_duplicates(s, t, a);
	if (t->lost && !t->recovery)
		tcp_cc_loss(s, t, a);
	if (t->recovery == TCP_RECOVERY_FAST)
		cc_prr(t, a->delivered, a->acked && !lost);
	else if (!fast)
		cc_grow(s, t, a);
	cc_marks(t, a);
}

void tcp_cc_restart(struct stack *s, struct tcp *t)
{
	uint64_t idle_ns = s->now_ns - t->sent_ns;
	uint32_t initial = cc_initial(t), three_quarters = t->cwnd / 4 * 3;
	if (!t->sent_ns)
		return;
	tcp_cubic_idle(t, idle_ns);
	if (idle_ns <= tcp_rto(t) || t->cwnd <= initial)
		return;
	if (t->ssthresh < three_quarters)
		t->ssthresh = three_quarters;
	t->cwnd = initial; /* RFC 5681 4.1 */
	t->cubic.epoch_ns = 0;
}
