/*
 * Theory of operation: a recovery that turns out to have been needless is taken back, the window as it was before. Three
 * witnesses, each of which is enough:
 *
 *   - Eifel (RFC 3522, 4015): the acknowledgement that ends the wait echoes a timestamp from before the first
 *     retransmission, so the first copy had arrived. Needs timestamps, and more than a tick between the two.
 *   - D-SACK (RFC 2883, 3708): each byte that was sent again was reported as a duplicate. The last few ranges sent
 *     again are remembered, so that a duplicate made by the network itself is not taken for one of ours.
 *   - F-RTO (RFC 5682 3): after a timeout, bytes arrive that were sent only once.
 *
 * The memory lasts for one round trip after the recovery, which is when a late D-SACK comes.
 */
#include "state.h"

void tcp_undo_begin(struct tcp *t)
{
	t->undo = (struct tcp_undo){.armed = true,
		.exact = true,
		.cwnd = t->cwnd,
		.ssthresh = t->ssthresh,
		.end = t->snd_nxt,
		.cubic = t->cubic};
}

static void undo_note(struct tcp_undo *u, uint32_t start, uint32_t end)
{
	struct tcp_range *last = u->resent + (u->ranges ? u->ranges - 1 : 0);
	if (u->ranges && seq_le(last->start, start) && seq_le(start, last->end)) {
		last->end = seq_max(last->end, end);
	} else if (u->ranges < TCP_UNDO_RANGES) {
		u->resent[u->ranges++] = (struct tcp_range){start, end};
	} else {
		u->exact = false;
	}
}

void tcp_undo_resent(struct stack *s, struct tcp *t, uint32_t start, uint32_t end)
{
	struct tcp_undo *u = &t->undo;
	if (!u->armed)
		return;
	if (!u->bytes)
		u->stamp = tcp_ts_now(s, t);
	u->bytes += end - start;
	undo_note(u, start, end);
}

bool tcp_undo_dsack(struct tcp *t, const struct tcp_range *block)
{
	struct tcp_undo *u = &t->undo;
	bool ours = false;
	for (unsigned int i = 0; u->armed && i < u->ranges; i++) {
		uint32_t start = seq_max(block->start, u->resent[i].start);
		uint32_t end = seq_min(block->end, u->resent[i].end);
		if (!seq_lt(start, end))
			continue;
		u->twice += end - start;
		ours = true;
	}
	return ours;
}

static bool undo_witness(const struct tcp *t, const struct tcp_ack *a)
{
	const struct tcp_undo *u = &t->undo;
	if (!u->armed || !u->bytes)
		return false;
	if (u->exact && u->twice >= u->bytes)
		return true;
	if (!t->recovery)
		return false;
	if (a->has_ts && a->acked && !u->asked && seq_lt(a->ts_echo, u->stamp))
		return true;
	return t->recovery == TCP_RECOVERY_TIMEOUT && t->frto && t->use_sack && a->original;
}

bool tcp_undo_try(struct stack *s, struct tcp *t, const struct tcp_ack *a)
{
	struct tcp_undo *u = &t->undo;
	bool needless = undo_witness(t, a);
	u->asked |= a->acked && u->bytes;
	if (needless) {
		if (t->cwnd < u->cwnd)
			t->cwnd = u->cwnd;
		t->ssthresh = u->ssthresh;
		t->cubic = u->cubic;
		if (t->recovery)
			tcp_sent_unlose(s, t);
		t->recovery = TCP_RECOVERY_NONE;
		t->frto = TCP_FRTO_OFF;
		t->dup_acks = 0;
		t->reordering = true;
		u->armed = false;
		s->counts.undone++;
	}
	if (u->armed && !t->recovery && seq_lt(u->end, t->snd_una))
		u->armed = false;
	return needless;
}
