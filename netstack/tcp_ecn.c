/*
 * Theory of operation (RFC 3168): routers mark instead of dropping. Agreed on in the handshake; then
 *
 *   guest's data marked CE ─▶ ecn_echo: each segment to the guest says ECE until its data says CWR (6.1.3)
 *   our data leaves as ECT(0), first transmissions only (6.1.5); the guest says ECE ─▶ the window is reduced once
 *   for each window of data, as for a loss, and the next new data says CWR (6.1.2)
 *
 * A guest's SYN that asks is answered unless ECN is off. Our own SYN asks only where the configuration says so, and not
 * when it is repeated: something on the way may drop such a SYN (6.1.1.1).
 */
#include "state.h"

enum { ECN_ASKS = TCP_ECE | TCP_CWR };

static bool ecn_asks(const struct stack *s, const struct tcp *t)
{
	return t->active && s->config.tcp_ecn == STACK_ECN_ASK && !t->backoff;
}

void tcp_ecn_agree(const struct stack *s, struct tcp *t, const struct tcp_segment *seg)
{
	uint8_t says = seg->flags & ECN_ASKS;
	bool answer = seg->flags & TCP_ACK;
	t->use_ecn = answer ? t->ecn_asked && says == TCP_ECE
			    : s->config.tcp_ecn != STACK_ECN_OFF && says == ECN_ASKS;
	t->ecn_echo = t->ecn_cwr = false;
	t->ecn_end = t->iss;
}

uint8_t tcp_ecn_syn(const struct stack *s, struct tcp *t, bool answer)
{
	if (answer)
		return t->use_ecn ? TCP_ECE : 0;
	t->ecn_asked = ecn_asks(s, t);
	return t->ecn_asked ? ECN_ASKS : 0;
}

bool tcp_ecn_sends_cwr(const struct tcp *t, uint32_t seq)
{
	return t->use_ecn && t->ecn_cwr && seq == t->snd_nxt;
}

uint8_t tcp_ecn_flags(const struct tcp *t)
{
	return t->use_ecn && t->ecn_echo ? TCP_ECE : 0;
}

void tcp_ecn_heard(struct tcp *t, const struct tcp_segment *seg)
{
	if (!t->use_ecn)
		return;
	if (seg->flags & TCP_CWR)
		t->ecn_echo = false;
	if ((seg->packet->tos & IP_ECN_MASK) != IP_ECN_CE)
		return;
	t->ack_now |= !t->ecn_echo;
	t->ecn_echo = true;
}

void tcp_ecn_reduced(struct tcp *t)
{
	t->ecn_cwr = true;
	t->ecn_end = t->snd_nxt;
}

void tcp_ecn_acked(struct stack *s, struct tcp *t, const struct tcp_segment *seg)
{
	if (!t->use_ecn)
		return;
	if ((seg->flags & TCP_ECE) && seq_lt(t->ecn_end, t->snd_una)) {
		t->undo.armed = false; /* RFC 4015 3.2: never taken back */
		if (!t->recovery) {
			tcp_cubic_reduce(t);
			t->cwnd = t->ssthresh;
		}
		tcp_ecn_reduced(t);
		s->counts.marks++;
	}
	t->ecn_end = seq_max(t->ecn_end, t->snd_una - 1);
}
