/*
 * Theory of operation (RFC 8985): time, not order, says what is lost. Of all that the guest is known to have, one
 * segment left last (rack_us); whatever left before it and has not arrived a reordering window later is lost, sent once or
 * again, so a retransmission that is lost again is found too.
 *
 *      sent ──●────●────●──────▶ time        due: sent + rack_rtt + window <= now ─▶ LOST
 *             1    2    3 SACKed             else: the timer looks again then
 *
 * The window is zero until the guest's path was seen to reorder (6.2): then a quarter of the shortest round trip, more
 * for each round in which a retransmission turned out to be needless (D-SACK), for the next sixteen recoveries.
 * At the tail nothing comes after that could tell: one probe, new bytes or the last ones again, makes the guest speak
 * (7). All of it needs SACK; a guest without it is served by duplicate acknowledgements (tcp_cc.c).
 */
#include "state.h"

enum { REORDER_ROUNDS_MAX = 64, REORDER_PERSIST = 16 };

static const uint64_t PROBE_MIN_NS = 10 * NS_PER_MS;
static const uint64_t PROBE_DELAYED_ACK_NS = 200 * NS_PER_MS; /* WCDelAckT */

/* RFC 8985 5.2: what left later, or at the same time and lies behind. */
static bool rack_after(uint32_t a_us, uint32_t a_end, uint32_t b_us, uint32_t b_end)
{
	return seq_lt(b_us, a_us) || (a_us == b_us && seq_lt(b_end, a_end));
}

static void rack_min_rtt(struct stack *s, struct tcp *t, uint32_t rtt_us)
{
	const uint64_t epoch_ns = 30 * NS_PER_S;
	if (s->now_ns - t->min_rtt_ns > epoch_ns) {
		t->min_rtt_us = t->min_rtt_next_us;
		t->min_rtt_next_us = 0;
		t->min_rtt_ns = s->now_ns;
	}
	if (!t->min_rtt_us || rtt_us < t->min_rtt_us)
		t->min_rtt_us = rtt_us;
	if (!t->min_rtt_next_us || rtt_us < t->min_rtt_next_us)
		t->min_rtt_next_us = rtt_us;
}

/* What an acknowledgement of a segment that left once tells: a round trip, reordering, and that it was not lost. */
static void rack_original(
	struct stack *s, struct tcp *t, const struct sent *r, uint32_t end, struct tcp_ack *a)
{
	uint32_t rtt_us = tcp_now_us(s) - r->sent_us;
	rtt_us += !rtt_us;
	if (!a->rtt_us)
		a->rtt_first_us = rtt_us;
	a->rtt_us = rtt_us;
	a->original |= seq_le(end, t->recover);
	if (seq_lt(end, t->rack_high))
		t->reordering = true;
	rack_min_rtt(s, t, rtt_us);
}

void tcp_rack_delivered(
	struct stack *s, struct tcp *t, const struct sent *r, uint32_t end, struct tcp_ack *a)
{
	uint32_t rtt_us = tcp_now_us(s) - r->sent_us;
	if (!(r->flags & SENT_RESENT))
		rack_original(s, t, r, end, a);
	else if (rtt_us < t->min_rtt_us ||
		 (a->has_ts && seq_lt(a->ts_echo, tcp_ts_at(s, t, r->sent_us))))
		return; /* 6.2 step 2: it may be the first one that arrived */
	t->rack_high = seq_max(t->rack_high, end);
	if (t->rack_known && !rack_after(r->sent_us, end, t->rack_us, t->rack_end))
		return;
	t->rack_us = r->sent_us;
	t->rack_end = end;
	t->rack_rtt_us = rtt_us;
	t->rack_known = true;
}

/* RFC 8985 6.2 step 4. */
static uint32_t rack_window_us(const struct tcp *t)
{
	uint64_t window = (uint64_t)t->min_rtt_us * (1u + t->reorder_rounds) / 4;
	uint64_t most = t->srtt_ns / 1000;
	if (!t->reordering && (t->recovery || t->sacked > (TCP_DUP_ACKS - 1u) * t->mss))
		return 0;
	return (uint32_t)(window < most ? window : most);
}

void tcp_rack_dsack(struct tcp *t, const struct tcp_ack *a)
{
	if (!a->dsack || !seq_le(t->rack_round, t->snd_una))
		return;
	t->rack_round = t->snd_nxt;
	t->reorder_persist = REORDER_PERSIST;
	t->reordering = true;
	if (t->reorder_rounds < REORDER_ROUNDS_MAX)
		t->reorder_rounds++;
}

void tcp_rack_recovered(struct tcp *t)
{
	if (t->reorder_persist && !--t->reorder_persist)
		t->reorder_rounds = 0;
}

/* Marks what is overdue; *wait_us is when the last of the others will be, 0 for never. */
static void rack_mark(struct stack *s, struct tcp *t, uint32_t *wait_us)
{
	uint32_t now_us = tcp_now_us(s), due_us = t->rack_rtt_us + rack_window_us(t);
	struct sent_cursor c = tcp_sent_first(t);
	*wait_us = 0;
	while (c.at) {
		struct sent *r = tcp_sent_at(s, &c);
		uint32_t age_us = now_us - r->sent_us;
		bool before = rack_after(t->rack_us, t->rack_end, r->sent_us, r->end);
		if ((r->flags & (SENT_SACKED | SENT_LOST)) || !before) {
			tcp_sent_step(s, &c);
		} else if (age_us >= due_us) {
			tcp_sent_change(s, t, &c, r->flags | SENT_LOST);
		} else {
			if (due_us - age_us > *wait_us)
				*wait_us = due_us - age_us;
			tcp_sent_step(s, &c);
		}
	}
}

bool tcp_rack_detect(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	uint32_t before = t->lost, wait_us;
	t->reorder_wait_us = 0;
	if (!t->use_sack || !t->rack_known || (!t->sacked && !t->recovery))
		return false;
	rack_mark(s, t, &wait_us);
	t->reorder_wait_us = wait_us;
	if (wait_us && t->deadline[TCP_TIMER_RESEND] > s->now_ns + wait_us * UINT64_C(1000)) {
		t->resend = TCP_RESEND_REORDER;
		tcp_timer_set(s, f, TCP_TIMER_RESEND, s->now_ns + wait_us * UINT64_C(1000));
	}
	return t->lost > before;
}

/* RFC 8985 6.3: the head, and what has been out for longer than anything would take. */
void tcp_rack_timeout(struct stack *s, struct tcp *t)
{
	uint32_t now_us = tcp_now_us(s), due_us = t->rack_rtt_us + rack_window_us(t);
	struct sent_cursor c = tcp_sent_first(t);
	t->reorder_wait_us = 0;
	if (t->sent_head && (tcp_sent_at(s, &c)->flags & SENT_SACKED))
		tcp_sent_unsack(s, t);
	if (!t->use_sack || !t->rack_known) {
		tcp_sent_lose(s, t, UINT32_MAX);
		return;
	}
	tcp_sent_lose(s, t, t->mss);
	for (c = tcp_sent_first(t); c.at;) {
		struct sent *r = tcp_sent_at(s, &c);
		if (!(r->flags & (SENT_SACKED | SENT_LOST)) && now_us - r->sent_us >= due_us)
			tcp_sent_change(s, t, &c, r->flags | SENT_LOST);
		else
			tcp_sent_step(s, &c);
	}
}

uint64_t tcp_probe_wait_ns(const struct tcp *t)
{
	uint64_t wait = 2 * t->srtt_ns > PROBE_MIN_NS ? 2 * t->srtt_ns : PROBE_MIN_NS;
	if (!t->use_sack || !t->srtt_ns || t->backoff || t->recovery || t->sacked || t->probing ||
		t->state < TCP_ESTABLISHED)
		return 0;
	if (t->snd_nxt - t->snd_una <= t->mss)
		wait += PROBE_DELAYED_ACK_NS;
	return wait;
}

void tcp_probe_send(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	uint32_t flight = t->snd_nxt - t->snd_una, start = t->snd_nxt;
	bool fresh = !t->fin_sent && tcp_tx_end_seq(t) != start && flight + t->mss <= t->snd_wnd;
	if (!fresh)
		start -= flight < t->mss ? flight : t->mss;
	if (!tcp_send_data(s, f, start, t->mss))
		return;
	s->counts.retransmits += !fresh;
	t->probing = true;
	t->probe_again = !fresh;
	t->probe_end = t->snd_nxt;
}

/* RFC 8985 7.4.2. */
void tcp_probe_acked(struct stack *s, struct tcp *t, const struct tcp_ack *a)
{
	if (!t->probing || seq_lt(t->snd_una, t->probe_end))
		return;
	if (!t->probe_again || a->probe_twice || (a->duplicate && !a->sacks)) {
		t->probing = false;
	} else if (seq_lt(t->probe_end, t->snd_una)) {
		tcp_cc_reduce(s, t);
		t->probing = false;
	}
}
