/*
 * Theory of operation: how connections begin and end.
 *
 *   guest opens:    SYN ─▶ OPENING, TCP_OPEN ─TCP_OPENED─▶ SYN_RECEIVED, SYN-ACK ─ACK─▶ ESTABLISHED
 *                                  └─TCP_FAILED─▶ RST | ICMP | silence, as the far end did
 *   outside opens:  TCP_INCOMING ─▶ SYN_SENT, SYN ─SYN-ACK─▶ ESTABLISHED, TCP_ACCEPTED
 *                                  └─RST, timeout─▶ TCP_REJECTED
 *
 * A FIN of the guest is acknowledged only when everything before it was consumed and TCP_FIN went out, so a guest that
 * sees its FIN acknowledged knows that its bytes are with the far end's kernel. Half-open connections are on a
 * list of their guest, oldest first: one too many recycles the oldest, so a SYN flood costs its sender only. A guest
 * that has all the connections it may have is refused at once; silence would cost it minutes for each attempt.
 */
#include <errno.h>

#include "state.h"

/* RFC 6528: a clock of 4 microseconds plus a keyed hash of the endpoints. */
static uint32_t open_isn(const struct stack *s, const struct flow_key *key)
{
	return (uint32_t)(s->now_ns / 4000) + (uint32_t)hash_sip(&s->isn_key, key, sizeof(*key));
}

static void open_common(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	t->iss = open_isn(s, &f->key);
	t->snd_una = t->snd_nxt = t->snd_small = t->iss;
	t->recover = t->rack_high = t->rack_round = t->iss;
	t->rate.end = t->hystart.end = t->iss;
	t->rate.start_us = tcp_now_us(s);
	t->min_rtt_ns = s->now_ns;
	t->ts_offset = (uint32_t)stack_random(s);
	t->rcv_budget = TCP_WINDOW_START;
	t->rx_unit_bytes = 1400;
	t->tx_budget = TCP_WINDOW_START;
	t->mss = TCP_MSS_DEFAULT;
	t->heard_ns = s->now_ns;
	flow_move(s, f, FLOW_HALF_OPEN);
}

void tcp_agree(struct stack *s, struct tcp *t, const struct tcp_segment *seg)
{
	const struct tcp_options *o = &seg->options;
	uint32_t most = s->config.mtu - IP_HEADER_BYTES - TCP_HEADER_BYTES;
	if (most > TCP_PAYLOAD_MAX)
		most = TCP_PAYLOAD_MAX;
	t->irs = seg->seq;
	t->rcv_nxt = t->rcv_adv = t->rcv_taken = t->rcv_last_ack = seg->seq + 1;
	t->use_ts = o->has_ts;
	t->use_sack = o->has_sack_ok;
	t->use_scale = o->has_scale;
	t->snd_scale = o->has_scale ? o->scale : 0;
	t->rcv_scale = o->has_scale ? TCP_WINDOW_SCALE : 0;
	t->ts_recent = o->ts_value;
	t->ts_recent_ns = s->now_ns;
	t->peer_mss = o->has_mss ? o->mss : TCP_MSS_DEFAULT;
	if (t->peer_mss < TCP_MSS_MIN)
		t->peer_mss = TCP_MSS_MIN;
	if (t->peer_mss > most)
		t->peer_mss = (uint16_t)most;
	t->mss = (uint16_t)(t->peer_mss - (t->use_ts ? 12 : 0));
	t->snd_wnd = t->snd_wnd_max = seg->wnd;
	t->snd_wl1 = seg->seq;
	tcp_ecn_agree(s, t, seg);
	tcp_cc_start(t);
}

static void open_make_room(struct stack *s, struct guest *g)
{
	struct flow *oldest;
	if (!s->config.half_open_per_guest || g->half_open.count < s->config.half_open_per_guest)
		return;
	oldest = &s->flows.flow[g->half_open.head - 1];
	oldest->failure = RING_FAIL_SHORTAGE;
	drop_count(s->drops, DROP_FLOW_LIMIT);
	tcp_abort(s, oldest, true);
	tcp_flush(s,
		oldest); /* natproxy counts too: it hears of this end before the next beginning */
}

void tcp_open_passive(struct stack *s, const struct flow_key *key, const struct tcp_segment *seg)
{
	const struct ring_remote remote = {.ip_be = key->remote_ip_be, .port = key->remote_port};
	struct ring_desc d = {.op = RING_NETSTACK_TCP_OPEN};
	struct flow *f;
	open_make_room(s, seg->guest);
	f = flow_open(s, key, seg->guest);
	if (!f) {
		tcp_refuse(s, seg);
		return;
	}
	open_common(s, f);
	f->tcp.state = TCP_OPENING;
	tcp_agree(s, &f->tcp, seg);
	d.flow = flow_id_of(s, f);
	d.pair = (struct ring_pair){.guest_ip_be = key->guest_ip_be,
		.remote_ip_be = stack_told_ip(s, key->remote_ip_be),
		.guest_port = key->guest_port,
		.remote_port = key->remote_port,
		.kind = (uint32_t)seg->packet->tos << 8 | (uint8_t)(seg->packet->ttl - 1)};
	if (link_send(s->natproxy, LINK_DATA, &d, NULL) < 0) {
		drop_count(s->drops, DROP_RING_FULL);
		tcp_abort(s, f, false);
		return;
	}
	quote_note(&s->quotes, d.flow, seg->packet, &remote);
	f->told = true;
	flow_owe(s, f, OWED_CREDIT);
}

void tcp_established(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	t->state = TCP_ESTABLISHED;
	t->backoff = 0;
	if (t->active)
		flow_owe(s, f, OWED_ACCEPT);
	flow_move(s, f, FLOW_OPEN);
	tcp_timer_clear(t, TCP_TIMER_RESEND);
	tcp_timer_idle(s, f);
	flow_owe(s, f, OWED_CREDIT | OWED_OUTPUT);
}

static void open_drop_buffers(struct stack *s, struct flow *f)
{
	tcp_rx_drop(s, &f->tcp);
	tcp_tx_drop(s, &f->tcp);
}

void tcp_abort(struct stack *s, struct flow *f, bool tell)
{
	tcp_timer_stop_all(s, f);
	open_drop_buffers(s, f);
	f->tcp.state = TCP_CLOSED;
	f->owed = 0;
	if (f->tcp.active && !f->told)
		flow_owe(s, f, OWED_REJECT);
	else if (tell && f->told)
		flow_owe(s, f, OWED_RESET);
	else
		flow_owe(s, f, 0);
	flow_end(s, f);
}

void tcp_kill(struct stack *s, struct flow *f)
{
	tcp_send_reset(s, f);
	tcp_abort(s, f, true);
}

void tcp_forget(struct stack *s, struct flow *f)
{
	tcp_timer_stop_all(s, f);
	open_drop_buffers(s, f);
	f->tcp.state = TCP_CLOSED;
	f->owed &= OWED_FREE;
	flow_end(s, f);
}

void tcp_finished(struct stack *s, struct flow *f, bool linger)
{
	struct tcp *t = &f->tcp;
	bool unsaid = t->rcv_last_ack != tcp_rx_ack(t);
	tcp_timer_stop_all(s, f);
	open_drop_buffers(s, f);
	t->state = TCP_TIME_WAIT;
	if (f->told)
		flow_owe(s, f, OWED_FREE);
	if (!linger) {
		if (unsaid)
			tcp_send_ack(s, f, t->snd_nxt);
		f->owed &= OWED_FREE;
		t->state = TCP_CLOSED;
		flow_end(s, f);
		return;
	}
	t->ack_now |= unsaid;
	flow_owe(s, f, OWED_ACK);
	if (s->flows.time_wait.count >= TIME_WAIT_MAX)
		tcp_forget(s, &s->flows.flow[s->flows.time_wait.head - 1]);
	flow_move(s, f, FLOW_TIME_WAIT);
	tcp_timer_idle(s, f);
}

void tcp_fin_check(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	if (!t->fin_in || !t->fin_told || t->fin_done || t->rx_consumed != t->rx_next)
		return;
	t->fin_done = true;
	t->ack_now = true;
	flow_owe(s, f, OWED_ACK);
	if (t->state == TCP_ESTABLISHED)
		t->state = TCP_CLOSE_WAIT;
	else if (t->state == TCP_FIN_WAIT_1)
		t->state = TCP_CLOSING;
	else if (t->state == TCP_FIN_WAIT_2)
		tcp_finished(s, f, true);
}

void tcp_fin_acked(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	if (t->state == TCP_FIN_WAIT_1) {
		t->state = TCP_FIN_WAIT_2;
		tcp_timer_idle(s, f);
	} else if (t->state == TCP_CLOSING) {
		tcp_finished(s, f, true);
	} else if (t->state == TCP_LAST_ACK) {
		tcp_finished(s, f, false);
	}
}

const char *tcp_state_name(uint8_t state)
{
	static const char name[][16] = {"CLOSED", "OPENING", "SYN_SENT", "SYN_RECEIVED",
		"ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK",
		"TIME_WAIT"};
	return state < ARRAY_COUNT(name) ? name[state] : "?";
}

static int open_flow_of(struct stack *s, const struct ring_desc *d, struct flow **f)
{
	if (flow_of_id(s, d->flow, f) < 0)
		return -EPROTO;
	return *f && (*f)->key.kind != FLOW_TCP ? -EPROTO : 0;
}

int stack_op_tcp_opened(struct stack *s, const struct ring_desc *d)
{
	struct flow *f;
	if (open_flow_of(s, d, &f) < 0)
		return -EPROTO;
	if (!f)
		return 0;
	if (f->tcp.state != TCP_OPENING)
		return -EPROTO;
	f->tcp.state = TCP_SYN_RECEIVED;
	tcp_syn_due(s, f);
	return 0;
}

/* What TCP_FAILED says besides the reason. */
struct open_told {
	uint32_t offender_ip_be;
	uint8_t type, code, pointer;
};

static uint8_t open_code(uint32_t failure)
{
	switch (failure) {
	case RING_FAIL_HOST: return ICMP_HOST;
	case RING_FAIL_NET: return ICMP_NET;
	default: return ICMP_PROHIBITED;
	}
}

/* The guest learns what the network said about its SYN: a reset, an ICMP error, or nothing. */
static void open_report_failure(
	struct stack *s, struct flow *f, uint32_t failure, const struct open_told *told)
{
	const struct ring_remote remote = {
		.ip_be = f->key.remote_ip_be, .port = f->key.remote_port};
	struct icmp_quote q = {.offender_ip_be = told->offender_ip_be,
		.remote_ip_be = f->key.remote_ip_be,
		.protocol = IP_PROTO_TCP,
		.type = told->type,
		.code = told->code,
		.detail = told->pointer,
		.sent = quote_find(&s->quotes, flow_id_of(s, f), &remote)};
	struct wire_out w = wire_out(q.inner, sizeof(q.inner));
	wire_put_u16(&w, f->key.guest_port);
	wire_put_u16(&w, f->key.remote_port);
	wire_put_u32(&w, f->tcp.irs);
	if (failure == RING_FAIL_REFUSED || failure == RING_FAIL_SHORTAGE) {
		tcp_send_reset(s, f);
		return;
	}
	if (failure == RING_FAIL_TIMEOUT)
		return;
	if (failure != RING_FAIL_ICMP) {
		q.type = ICMP_UNREACHABLE;
		q.code = open_code(failure);
	}
	icmp_quote_error(s, flow_guest(s, f), &q);
}

int stack_op_tcp_failed(struct stack *s, const struct ring_desc *d)
{
	const uint32_t failure = d->arg & 0xff;
	const struct open_told told = {.offender_ip_be = (uint32_t)(d->arg >> 32),
		.code = (uint8_t)(d->arg >> 8),
		.type = (uint8_t)(d->arg >> 16),
		.pointer = (uint8_t)(d->arg >> 24)};
	struct flow *f;
	if (open_flow_of(s, d, &f) < 0 || failure < RING_FAIL_REFUSED || failure > RING_FAIL_ICMP ||
		(failure == RING_FAIL_ICMP ? !icmp_is_passed(told.type, told.code)
					   : d->arg >> 8 != 0))
		return -EPROTO;
	if (!f)
		return 0;
	if (f->tcp.state != TCP_OPENING)
		return -EPROTO;
	open_report_failure(s, f, failure, &told);
	tcp_abort(s, f, false);
	return 0;
}

static int open_reject(struct stack *s, uint32_t token, uint32_t failure)
{
	struct ring_desc d = {
		.op = RING_NETSTACK_TCP_REJECTED, .arg = failure, .pair = {.token = token}};
	if (link_send(s->natproxy, LINK_CONTROL, &d, NULL) < 0)
		drop_count(s->drops, DROP_RING_FULL);
	return 0;
}

int stack_op_tcp_incoming(struct stack *s, const struct ring_desc *d)
{
	struct flow_key key = {.guest_ip_be = d->pair.guest_ip_be,
		.remote_ip_be = d->pair.remote_ip_be,
		.guest_port = d->pair.guest_port,
		.remote_port = d->pair.remote_port,
		.kind = FLOW_TCP};
	struct guest *g;
	struct flow *f;
	if (!stack_may_reach(s, key.guest_ip_be)) {
		drop_count(s->drops, DROP_DENIED);
		return open_reject(s, d->pair.token, RING_FAIL_REFUSED);
	}
	f = flow_find(s, &key);
	if (f && f->tcp.state == TCP_TIME_WAIT)
		tcp_forget(s, f);
	else if (f)
		return open_reject(s, d->pair.token, RING_FAIL_REFUSED);
	g = guest_need(s, key.guest_ip_be);
	f = g ? flow_open_inward(s, &key, g) : NULL;
	if (!f)
		return open_reject(s, d->pair.token, RING_FAIL_SHORTAGE);
	open_common(s, f);
	f->token = d->pair.token;
	f->failure = RING_FAIL_TIMEOUT;
	f->tcp.active = true;
	f->tcp.state = TCP_SYN_SENT;
	f->tcp.use_ts = f->tcp.use_sack = f->tcp.use_scale = true;
	tcp_syn_due(s, f);
	return 0;
}

/* Whether natproxy may speak on the flow at all. */
static bool open_may_hear(const struct flow *f)
{
	return f->told && f->tcp.state >= TCP_SYN_RECEIVED && f->tcp.state != TCP_TIME_WAIT;
}

/* Bytes for a connection that is over go back at once. */
static int open_return(struct stack *s, const struct ring_desc *d)
{
	for (unsigned int i = 0; i < d->nseg; i++) {
		if (hold_tx(s, d->seg[i].id)->state != HOLD_FREE)
			return -EPROTO;
		link_release(s->natproxy, d->seg[i].id);
	}
	return 0;
}

int stack_op_tcp_data(struct stack *s, const struct ring_desc *d)
{
	struct flow *f;
	uint64_t bytes = 0;
	if (open_flow_of(s, d, &f) < 0 || !d->nseg)
		return -EPROTO;
	if (!f)
		return open_return(s, d);
	for (unsigned int i = 0; i < d->nseg; i++)
		bytes += d->seg[i].len;
	if (!open_may_hear(f) || f->tcp.tx_fin || d->arg != f->tcp.tx_end ||
		d->arg + bytes > f->tcp.tx_credit)
		return -EPROTO;
	if (tcp_tx_add(s, f, d) < 0)
		return -EPROTO;
	flow_owe(s, f, OWED_OUTPUT);
	return 0;
}

int stack_op_tcp_fin(struct stack *s, const struct ring_desc *d)
{
	struct flow *f;
	if (open_flow_of(s, d, &f) < 0)
		return -EPROTO;
	if (!f)
		return 0;
	if (!open_may_hear(f) || f->tcp.tx_fin)
		return -EPROTO;
	f->tcp.tx_fin = true;
	flow_owe(s, f, OWED_OUTPUT);
	return 0;
}

int stack_op_tcp_reset(struct stack *s, const struct ring_desc *d)
{
	struct flow *f;
	if (open_flow_of(s, d, &f) < 0)
		return -EPROTO;
	if (!f)
		return 0;
	tcp_send_reset(s, f);
	tcp_abort(s, f, false);
	return 0;
}

int stack_op_tcp_consumed(struct stack *s, const struct ring_desc *d)
{
	struct flow *f;
	if (open_flow_of(s, d, &f) < 0)
		return -EPROTO;
	if (!f)
		return 0;
	if (!open_may_hear(f) || d->arg < f->tcp.rx_consumed || d->arg > f->tcp.rx_sent)
		return -EPROTO;
	tcp_rx_consumed(s, f, d->arg);
	return 0;
}
