/*
 * Theory of operation: segment arrival, one function per step of RFC 9293 3.10.7.4 in its order, each of which says
 * whether to go on. RFC 5961 tightens steps two, four and five (blind attacks), RFC 7323 adds PAWS to the first.
 * A segment only changes state and marks the flow; what has to be said is said by tcp_flush.
 */
#include "state.h"

enum { CHALLENGES_BURST = 10, CHALLENGES_PER_S = 10 };

static const uint64_t PAWS_EXPIRE_NS =
	UINT64_C(24) * 24 * 3600 * NS_PER_S; /* RFC 7323 5.5: 24 days */

static bool in_parse(struct stack *s, const struct packet *p, struct tcp_segment *seg)
{
	struct wire_in w = packet_wire(p, p->l4_at);
	uint32_t header, all = p->bytes - p->l4_at;
	seg->source = wire_u16(&w);
	seg->target = wire_u16(&w);
	seg->seq = wire_u32(&w);
	seg->ack = wire_u32(&w);
	header = (uint32_t)(wire_u8(&w) >> 4) * 4;
	seg->flags = wire_u8(&w);
	seg->wnd = wire_u16(&w);
	wire_u16(&w);
	seg->urgent = wire_u16(&w);
	if (!wire_ok(&w) || header < TCP_HEADER_BYTES || header > all || !seg->source ||
		!seg->target)
		return false;
	if (p->l4_at + header > p->head_bytes)
		return false;
	if (!p->csum_ok) {
		uint32_t sum = wire_pseudo_sum(p->src_be, p->dst_be, IP_PROTO_TCP, (uint16_t)all);
		if (wire_fold(packet_sum(s, p, p->l4_at, all, sum)) != 0)
			return false;
	}
	w.end = w.p + (header - TCP_HEADER_BYTES);
	tcp_options_parse(&w, seg->flags & TCP_SYN, &seg->options);
	seg->payload_at = p->l4_at + header;
	seg->payload_bytes = all - header;
	seg->length = seg->payload_bytes + (seg->flags & TCP_SYN ? 1 : 0) +
		      (seg->flags & TCP_FIN ? 1 : 0);
	return true;
}

/* An ACK that asks "was that really you?" (RFC 5961 7), so many a second for each connection. */
static void in_challenge(struct stack *s, struct flow *f)
{
	const uint64_t one = NS_PER_S / CHALLENGES_PER_S, full = one * CHALLENGES_BURST;
	struct tcp *t = &f->tcp;
	if (s->now_ns - t->challenge_ns > full)
		t->challenge_ns = s->now_ns - full;
	if (s->now_ns - t->challenge_ns < one) {
		drop_count(s->drops, DROP_RATE_LIMIT);
		return;
	}
	t->challenge_ns += one;
	t->ack_now = true;
	flow_owe(s, f, OWED_ACK);
}

/*
 * First step: is the segment acceptable? (3.10.7.4 "First, check sequence number", RFC 7323 5.3) One that begins at the
 * window's edge is: it may be a probe of a shut window, whose acknowledgement counts though its text does not.
 */
static bool in_window(struct tcp *t, const struct tcp_segment *seg)
{
	uint32_t ack = tcp_rx_ack(t), last = seg->seq + seg->length - 1;
	if (seq_le(ack, seg->seq) && seq_le(seg->seq, t->rcv_adv))
		return true;
	return seg->length && seq_le(ack, last) && seq_lt(last, t->rcv_adv);
}

static bool in_paws_ok(struct stack *s, struct tcp *t, const struct tcp_segment *seg)
{
	/* RFC 7323 3.2 would drop a segment without the option; widely used stacks take it, and so do we */
	if (!t->use_ts || !seg->options.has_ts || (seg->flags & TCP_RST))
		return true;
	return !seq_lt(seg->options.ts_value, t->ts_recent) ||
	       s->now_ns - t->ts_recent_ns > PAWS_EXPIRE_NS;
}

/* A repetition of what was received (its acknowledgement was lost), or a keepalive: answer, do not count it as odd. */
static void in_unacceptable(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	struct tcp *t = &f->tcp;
	uint32_t end = seg->seq + seg->payload_bytes;
	if (seg->flags & TCP_RST)
		return;
	if (seg->payload_bytes && seq_le(end, t->rcv_nxt)) {
		t->dsack = (struct tcp_range){seg->seq, end};
		t->ack_now = true;
		flow_owe(s, f, OWED_ACK);
		return;
	}
	if (t->state == TCP_TIME_WAIT && (seg->flags & TCP_FIN))
		tcp_timer_idle(s, f); /* eighth step: its FIN again */
	drop_count(s->drops, DROP_TCP_WINDOW);
	in_challenge(s, f);
}

static bool in_step1_sequence(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	struct tcp *t = &f->tcp;
	if (!in_paws_ok(s, t, seg)) {
		drop_count(s->drops, DROP_TCP_WINDOW);
		in_challenge(s, f);
		return false;
	}
	if (!in_window(t, seg)) {
		in_unacceptable(s, f, seg);
		return false;
	}
	return true;
}

/* RFC 7323 4.3, but of segments whose ACK is possible only: one that guesses a number would shut out the guest (PAWS). */
static void in_note_timestamp(struct stack *s, struct tcp *t, const struct tcp_segment *seg)
{
	if (!seg->options.has_ts || !t->use_ts || seq_lt(t->rcv_last_ack, seg->seq))
		return;
	t->ts_recent = seg->options.ts_value;
	t->ts_recent_ns = s->now_ns;
}

/* Second step: RST. Exact, or it is challenged (RFC 5961 3.2). */
static bool in_step2_reset(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	struct tcp *t = &f->tcp;
	if (!(seg->flags & TCP_RST))
		return true;
	if (seg->seq != tcp_rx_ack(t) && seg->seq != t->rcv_nxt && seg->seq != t->rcv_last_ack) {
		in_challenge(s, f);
		return false;
	}
	f->failure = RING_FAIL_REFUSED;
	if (t->state == TCP_TIME_WAIT)
		tcp_forget(s, f);
	else
		tcp_abort(s, f, true);
	return false;
}

/* The SYN again, because our SYN-ACK was lost: it lies before the window, so it is looked at before step one. */
static bool in_repeated_syn(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	bool bare = (seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
	if (f->tcp.state != TCP_SYN_RECEIVED || !bare || seg->seq != f->tcp.irs)
		return false;
	tcp_syn_due(s, f);
	return true;
}

/* Fourth step: SYN in a synchronized state is challenged (RFC 5961 4.2). */
static bool in_step4_syn(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	if (!(seg->flags & TCP_SYN))
		return true;
	in_challenge(s, f);
	return false;
}

static void in_update_window(struct tcp *t, const struct tcp_segment *seg)
{
	if (seq_lt(seg->seq, t->snd_wl1) ||
		(seg->seq == t->snd_wl1 && seq_lt(seg->ack, t->snd_wl2)))
		return;
	t->snd_wnd = seg->wnd << t->snd_scale;
	t->snd_wl1 = seg->seq;
	t->snd_wl2 = seg->ack;
	if (t->snd_wnd_max < t->snd_wnd)
		t->snd_wnd_max = t->snd_wnd;
}

/* Our SYN was acknowledged: the first round trip, or three seconds when it had to be repeated (RFC 6298 5.7). */
static void in_measure(struct stack *s, struct tcp *t)
{
	if (t->timed_ns)
		tcp_rtt_sample(t, s->now_ns - t->timed_ns);
	else
		t->rto_ns = 3 * NS_PER_S;
	t->timed_ns = 0;
}

/* The acknowledgement moves snd_una to seg->ack. */
static void in_advance(
	struct stack *s, struct flow *f, const struct tcp_segment *seg, struct tcp_ack *a)
{
	struct tcp *t = &f->tcp;
	bool fin = t->fin_sent && seg->ack == t->snd_nxt;
	a->acked = seg->ack - t->snd_una - (fin ? 1 : 0);
	tcp_sent_acked(s, t, seg->ack, a);
	t->tx_una += a->acked;
	t->tries = 0;
	tcp_tx_acked(s, t, t->snd_una);
	flow_owe(s, f, OWED_CREDIT);
}

/* RFC 5681 2: what makes an acknowledgement a duplicate. */
static bool in_duplicate(const struct tcp *t, const struct tcp_segment *seg)
{
	return seg->ack == t->snd_una && t->snd_nxt != t->snd_una && seg->length == 0 &&
	       seg->wnd << t->snd_scale == t->snd_wnd;
}

static bool in_complete_open(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	struct tcp *t = &f->tcp;
	if (seg->ack != t->snd_nxt) {
		tcp_refuse(s, seg);
		return false;
	}
	t->snd_una = seg->ack;
	in_measure(s, t);
	t->snd_wl1 = seg->seq;
	t->snd_wl2 = seg->ack;
	t->snd_wnd = t->snd_wnd_max = seg->wnd << (seg->flags & TCP_SYN ? 0 : t->snd_scale);
	tcp_established(s, f);
	return true;
}

/*
 * Both SYNs crossed (RFC 9293 3.5, figure 7): the guest's SYN-ACK lies before the window too, but is the answer to ours.
 * A guest that took our SYN-ACK for that answer says nothing more.
 */
static bool in_crossed_syn(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	struct tcp *t = &f->tcp;
	bool answer = (seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == (TCP_SYN | TCP_ACK);
	if (t->state != TCP_SYN_RECEIVED || !answer || seg->seq != t->irs)
		return false;
	if (in_complete_open(s, f, seg)) {
		t->ack_now = true;
		flow_owe(s, f, OWED_ACK);
	}
	return true;
}

/* Fifth step: ACK (3.10.7.4, RFC 5961 5.2 for what is acceptable). */
static bool in_step5_ack(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	struct tcp *t = &f->tcp;
	struct tcp_ack a = {
		.has_ts = t->use_ts && seg->options.has_ts, .ts_echo = seg->options.ts_echo};
	bool fin_open = t->fin_sent && t->snd_una != t->snd_nxt;
	uint32_t before = t->snd_una;
	if (!(seg->flags & TCP_ACK))
		return false;
	if (t->state == TCP_SYN_RECEIVED) {
		if (!in_complete_open(s, f, seg))
			return false;
		in_note_timestamp(s, t, seg);
		return true;
	}
	if (seq_lt(t->snd_nxt, seg->ack) || seq_lt(seg->ack, t->snd_una - t->snd_wnd_max)) {
		in_challenge(s, f);
		return false;
	}
	in_note_timestamp(s, t, seg);
	a.duplicate = in_duplicate(t, seg);
	if (seq_lt(t->snd_una, seg->ack))
		in_advance(s, f, seg, &a);
	tcp_sack_take(s, t, seg, &a);
	tcp_rtt_measure(s, t, &a);
	tcp_ecn_acked(s, t, seg);
	if (!seq_lt(seg->ack, t->snd_una))
		in_update_window(t, seg);
	tcp_cc_ack(s, f, &a);
	if (t->snd_una != before)
		tcp_timer_update(s, f, true);
	if (fin_open && t->snd_una == t->snd_nxt)
		tcp_fin_acked(s, f);
	return f->hashed;
}

/* Sixth step: URG. A pointer past the data only says that the mark comes later. */
static void in_step6_urgent(struct tcp *t, const struct tcp_segment *seg)
{
	uint32_t up = seg->seq + seg->urgent;
	if (!(seg->flags & TCP_URG) || !seg->urgent || seq_le(up, t->rcv_nxt))
		return;
	if (!t->urgent || seq_lt(t->rcv_up, up))
		t->rcv_up = up;
	t->urgent = true;
}

/* Seventh step: text. Eighth: FIN, which counts when everything before it is here. */
static void in_step7_text(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	struct tcp *t = &f->tcp;
	if (!seg->payload_bytes)
		return;
	if (t->fin_in) {
		t->ack_now = true;
		flow_owe(s, f, OWED_ACK);
		return;
	}
	tcp_ecn_heard(t, seg);
	tcp_rx_segment(s, f, seg);
}

static void in_step8_fin(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	struct tcp *t = &f->tcp;
	uint32_t at = seg->seq + seg->payload_bytes;
	if ((seg->flags & TCP_FIN) && !t->fin_seen) {
		t->fin_seen = true;
		t->fin_seq = at;
	}
	if (seg->flags & TCP_FIN) {
		t->ack_now |= t->fin_done || at != t->rcv_nxt;
		flow_owe(s, f, OWED_ACK);
	}
	if (!t->fin_seen || t->fin_in || t->rcv_nxt != t->fin_seq)
		return;
	t->fin_in = true;
	flow_owe(s, f, OWED_UPLOAD);
}

/* 3.10.7.3: our SYN is out. */
static void in_syn_sent(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	struct tcp *t = &f->tcp;
	bool has_ack = seg->flags & TCP_ACK;
	if (has_ack && seg->ack != t->snd_nxt) {
		tcp_refuse(s, seg);
		return;
	}
	if (seg->flags & TCP_RST) {
		f->failure = RING_FAIL_REFUSED;
		if (has_ack)
			tcp_abort(s, f, true);
		return;
	}
	if (!(seg->flags & TCP_SYN))
		return;
	tcp_agree(s, t, seg);
	if (!has_ack) {
		t->state = TCP_SYN_RECEIVED;
		t->backoff = 0;
		tcp_syn_due(s, f);
		return;
	}
	t->snd_una = seg->ack;
	t->snd_wl2 = seg->ack;
	in_measure(s, t);
	tcp_established(s, f);
	t->ack_now = true;
	flow_owe(s, f, OWED_ACK);
}

/* The far end has not answered yet: nothing can be said. A SYN with another number is a guest that started again. */
static void in_opening(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	if ((seg->flags & TCP_RST) && seg->seq == f->tcp.irs + 1)
		tcp_abort(s, f, true);
	else if ((seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && seg->seq != f->tcp.irs)
		tcp_agree(s, &f->tcp, seg);
}

/* RFC 6191, RFC 1122 4.2.2.13: a new SYN may follow an old connection when it cannot be mistaken for the old one. */
static bool in_reopens(const struct tcp *t, const struct tcp_segment *seg)
{
	if (t->state != TCP_TIME_WAIT || (seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return false;
	if (t->use_ts && seg->options.has_ts && seg->options.ts_value != t->ts_recent)
		return seq_lt(t->ts_recent, seg->options.ts_value);
	return seq_lt(t->rcv_nxt, seg->seq);
}

/*
 * A keepalive of the guest after silence (RFC 9293 3.8.4): natproxy hears of it by a credit that grants nothing new, and
 * keeps the session young as the network would that it stands for (RFC 5382 REQ-5). At most one a second.
 */
static void in_keepalive(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	struct tcp *t = &f->tcp;
	if (s->now_ns - t->heard_ns < NS_PER_S || seg->payload_bytes > 1 ||
		seg->seq + 1 != tcp_rx_ack(t) || (seg->flags & (TCP_SYN | TCP_FIN | TCP_RST)))
		return;
	t->guest_alive = true;
	flow_owe(s, f, OWED_CREDIT);
}

static void in_synchronized(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	in_keepalive(s, f, seg);
	f->tcp.heard_ns = s->now_ns;
	f->tcp.keepalives = 0;
	if (in_repeated_syn(s, f, seg) || in_crossed_syn(s, f, seg) ||
		!in_step1_sequence(s, f, seg) || !in_step2_reset(s, f, seg) ||
		!in_step4_syn(s, f, seg) || !in_step5_ack(s, f, seg))
		return;
	if (f->tcp.state == TCP_TIME_WAIT) {
		if (seg->length)
			in_challenge(s, f);
		return;
	}
	in_step6_urgent(&f->tcp, seg);
	in_step7_text(s, f, seg);
	in_step8_fin(s, f, seg);
}

/* 3.10.7.1 and 3.10.7.2: no connection. Only a plain SYN opens one. */
static void in_closed(struct stack *s, const struct flow_key *key, const struct tcp_segment *seg)
{
	uint8_t kind = seg->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
	bool to_gateway = stack_is_gateway_ip(s, key->remote_ip_be);
	if (kind != TCP_SYN) {
		drop_count(s->drops, DROP_TCP_UNKNOWN);
		if ((kind & TCP_ACK) || (kind && !(kind & TCP_SYN)))
			tcp_refuse(s, seg);
		return;
	}
	if (to_gateway && !(s->config.dns_redirect && key->remote_port == 53)) {
		tcp_refuse(s, seg);
		return;
	}
	if (!s->config.nat_enable || !s->uplink.up) {
		drop_count(s->drops, DROP_DENIED);
		icmp_error(s, seg->packet, seg->guest, ICMP_UNREACHABLE,
			s->uplink.up ? ICMP_PROHIBITED : ICMP_NET);
		return;
	}
	tcp_open_passive(s, key, seg);
}

void tcp_input(struct stack *s, struct packet *p, struct guest *g)
{
	struct tcp_segment seg = {.packet = p, .guest = g};
	struct flow_key key = {
		.guest_ip_be = p->src_be, .remote_ip_be = p->dst_be, .kind = FLOW_TCP};
	struct flow *f;
	if (!in_parse(s, p, &seg)) {
		drop_count(s->drops, DROP_TCP_BAD);
		return;
	}
	s->counts.segments_in++;
	key.guest_port = seg.source;
	key.remote_port = seg.target;
	f = flow_find(s, &key);
	if (f && in_reopens(&f->tcp, &seg)) {
		tcp_forget(s, f);
		f = NULL;
	}
	if (!f)
		in_closed(s, &key, &seg);
	else if (f->tcp.state == TCP_OPENING)
		in_opening(s, f, &seg);
	else if (f->tcp.state == TCP_SYN_SENT)
		in_syn_sent(s, f, &seg);
	else
		in_synchronized(s, f, &seg);
}

/* RFC 1191 7.1: a router of old says that it is too large and not what would fit. */
static uint16_t in_plateau(uint32_t mtu)
{
	static const uint16_t plateau[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};
	unsigned int i = 0;
	while (i + 1 < ARRAY_COUNT(plateau) && plateau[i] >= mtu)
		i++;
	return plateau[i];
}

void tcp_path_mtu(struct stack *s, const struct flow_key *key, uint32_t seq, uint16_t mtu)
{
	struct flow *f = flow_find(s, key);
	struct tcp *t;
	uint32_t overhead = IP_HEADER_BYTES + TCP_HEADER_BYTES, mss;
	if (!f || f->tcp.state < TCP_ESTABLISHED)
		return;
	t = &f->tcp;
	if (seq_lt(seq, t->snd_una) || !seq_lt(seq, t->snd_nxt))
		return;
	if (t->use_ts)
		overhead += 12;
	if (!mtu)
		mtu = in_plateau(t->mss + overhead);
	mss = mtu > overhead ? mtu - overhead : 0;
	if (mss < TCP_MSS_MIN)
		mss = TCP_MSS_MIN;
	if (mss >= t->mss)
		return;
	t->mss = (uint16_t)mss;
	tcp_sent_lose(s, t, UINT32_MAX);
	tcp_cc_resize(s, t);
	flow_owe(s, f, OWED_OUTPUT);
}
