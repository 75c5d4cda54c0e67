/*
 * Theory of operation: each connection has four deadlines and one place in the wheel, at the earliest of them. A
 * deadline that moves later leaves the wheel alone: when it fires too early it is armed again. So the
 * retransmission timer, which moves with every acknowledgement, costs two stores.
 *
 *   RESEND  while something is on the way: retransmission timeout (RFC 6298) or, before it, one tail loss probe or
 *           a look at what RACK calls overdue (RFC 8985 7, 6.2); while the window is shut: persist probes (RFC 9293
 *           3.8.6.1)
 *   ACK     delayed acknowledgement
 *   VALVE   while bytes wait for the far end (tcp_rx.c)
 *   IDLE    TIME-WAIT, FIN-WAIT-2, keepalive probes towards a silent guest
 */
#include "state.h"

enum { SYN_TRIES = 6, RESEND_TRIES = 14, KEEPALIVE_TRIES = 8 };

static const uint64_t RTO_START_NS = NS_PER_S;
static const uint64_t RTO_MIN_NS = 200 * NS_PER_MS;
static const uint64_t RTO_MAX_NS = 60 * NS_PER_S;
static const uint64_t KEEPALIVE_IDLE_NS = 600 * NS_PER_S;
static const uint64_t KEEPALIVE_AGAIN_NS = 30 * NS_PER_S;
static const uint64_t FIN_WAIT_2_NS = 600 * NS_PER_S;
static const uint64_t TIME_WAIT_NS = 60 * NS_PER_S;

static void timer_arm(struct stack *s, struct tcp *t)
{
	uint64_t first = UINT64_MAX;
	for (unsigned int i = 0; i < TCP_TIMERS; i++)
		if (t->deadline[i] && t->deadline[i] < first)
			first = t->deadline[i];
	if (first != UINT64_MAX)
		wheel_arm(&s->wheel, &t->timer, first);
}

void tcp_timer_set(struct stack *s, struct flow *f, enum tcp_timer which, uint64_t deadline_ns)
{
	struct tcp *t = &f->tcp;
	t->deadline[which] = deadline_ns;
	if (!wheel_armed(&t->timer) || deadline_ns < t->timer.tick << WHEEL_TICK_SHIFT)
		timer_arm(s, t);
}

void tcp_timer_clear(struct tcp *t, enum tcp_timer which)
{
	t->deadline[which] = 0;
}

void tcp_timer_stop_all(struct stack *s, struct flow *f)
{
	wheel_disarm(&s->wheel, &f->tcp.timer);
	for (unsigned int i = 0; i < TCP_TIMERS; i++)
		f->tcp.deadline[i] = 0;
}

void tcp_rtt_sample(struct tcp *t, uint64_t rtt_ns)
{
	uint64_t deviation;
	rtt_ns += !rtt_ns; /* 0 means that nothing was measured */
	if (!t->srtt_ns) {
		t->srtt_ns = rtt_ns;
		t->rttvar_ns = rtt_ns / 2;
	} else {
		deviation = rtt_ns > t->srtt_ns ? rtt_ns - t->srtt_ns : t->srtt_ns - rtt_ns;
		t->rttvar_ns = (3 * t->rttvar_ns + deviation) / 4;
		t->srtt_ns = (7 * t->srtt_ns + rtt_ns) / 8;
	}
	t->rto_ns = t->srtt_ns + 4 * t->rttvar_ns;
	if (t->rto_ns < RTO_MIN_NS)
		t->rto_ns = RTO_MIN_NS;
	if (t->rto_ns > RTO_MAX_NS)
		t->rto_ns = RTO_MAX_NS;
}

/*
 * RFC 6298 3, RFC 7323 4: bytes that were sent once time themselves; while something is sent again (Karn) the echoed
 * timestamp does, which also ends a back-off with a true figure.
 */
void tcp_rtt_measure(struct stack *s, struct tcp *t, const struct tcp_ack *a)
{
	uint32_t ticks = tcp_ts_now(s, t) - a->ts_echo;
	uint64_t rtt_ns = a->rtt_first_us * UINT64_C(1000);
	if (!rtt_ns && a->acked && a->has_ts && ticks <= RTO_MAX_NS / NS_PER_MS)
		rtt_ns = (ticks + !ticks) * NS_PER_MS;
	if (!rtt_ns)
		return;
	if (t->resend != TCP_RESEND_PERSIST)
		t->backoff = 0;
	if (t->srtt_ns && s->now_ns - t->rtt_ns < t->srtt_ns)
		return;
	tcp_rtt_sample(t, rtt_ns);
	t->rtt_ns = s->now_ns;
}

uint64_t tcp_rto(const struct tcp *t)
{
	uint64_t rto = (t->rto_ns ? t->rto_ns : RTO_START_NS)
		       << (t->backoff < 16 ? t->backoff : 16);
	return rto > RTO_MAX_NS ? RTO_MAX_NS : rto;
}

static void timer_resend(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	uint64_t wait = tcp_rto(t), probe = tcp_probe_wait_ns(t);
	t->resend = TCP_RESEND_TIMEOUT;
	if (t->reorder_wait_us) {
		t->resend = TCP_RESEND_REORDER;
		wait = t->reorder_wait_us * UINT64_C(1000);
	} else if (probe) {
		t->resend = TCP_RESEND_PROBE; /* in the place of the timeout when that is sooner */
		wait = probe < wait ? probe : wait;
	}
	tcp_timer_set(s, f, TCP_TIMER_RESEND, s->now_ns + wait);
}

void tcp_timer_update(struct stack *s, struct flow *f, bool progress)
{
	struct tcp *t = &f->tcp;
	bool waiting = tcp_tx_end_seq(t) != t->snd_nxt || (t->tx_fin && !t->fin_sent);
	bool armed = t->deadline[TCP_TIMER_RESEND] != 0;
	if (t->snd_nxt != t->snd_una) {
		if (t->resend == TCP_RESEND_PERSIST)
			t->backoff = 0;
		if (progress || !armed || t->resend == TCP_RESEND_PERSIST)
			timer_resend(s, f);
	} else if (t->state >= TCP_ESTABLISHED && !t->fin_sent && waiting && t->snd_wnd < t->mss) {
		if (armed && t->resend == TCP_RESEND_PERSIST)
			return;
		t->resend = TCP_RESEND_PERSIST;
		t->backoff = 0;
		tcp_timer_set(s, f, TCP_TIMER_RESEND, s->now_ns + tcp_rto(t));
	} else {
		tcp_timer_clear(t, TCP_TIMER_RESEND);
		if (t->resend == TCP_RESEND_PERSIST)
			t->backoff = 0;
		t->resend = TCP_RESEND_TIMEOUT;
	}
}

static void timer_syn(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	if (++t->backoff >= SYN_TRIES) {
		f->failure = RING_FAIL_TIMEOUT;
		tcp_abort(s, f, true);
		return;
	}
	s->counts.timeouts++;
	tcp_send_syn(s, f);
}

static void timer_persist(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	if (t->backoff < 16)
		t->backoff++;
	if (t->snd_wnd > 0)
		tcp_send_data(s, f, t->snd_nxt, t->snd_wnd);
	else
		tcp_send_ack(s, f, t->snd_una - 1);
	if (t->snd_nxt == t->snd_una)
		tcp_timer_set(s, f, TCP_TIMER_RESEND, s->now_ns + tcp_rto(t));
	else
		tcp_timer_update(s, f, true);
}

/* A guest that has shut its window over what is on its way, and says so, is alive (RFC 9293 3.8.6.1). */
static bool timer_shut_but_alive(const struct stack *s, const struct tcp *t)
{
	return !t->snd_wnd && s->now_ns - t->heard_ns <= 2 * RTO_MAX_NS;
}

static void timer_timeout(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	if (t->tries >= RESEND_TRIES && !timer_shut_but_alive(s, t)) {
		tcp_kill(s, f);
		return;
	}
	if (t->tries < RESEND_TRIES)
		t->tries++;
	if (t->backoff < RESEND_TRIES)
		t->backoff++;
	s->counts.timeouts++;
	tcp_cc_timeout(s, t);
	tcp_timer_set(s, f, TCP_TIMER_RESEND, s->now_ns + tcp_rto(t));
	flow_owe(s, f, OWED_OUTPUT);
}

static void timer_fire_resend(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECEIVED) {
		timer_syn(s, f);
	} else if (t->resend == TCP_RESEND_PROBE || t->resend == TCP_RESEND_REORDER) {
		if (t->resend == TCP_RESEND_PROBE)
			tcp_probe_send(s, f);
		else
			tcp_cc_overdue(s, f);
		t->resend = TCP_RESEND_TIMEOUT;
		tcp_timer_set(s, f, TCP_TIMER_RESEND, s->now_ns + tcp_rto(t));
	} else if (t->resend == TCP_RESEND_PERSIST) {
		timer_persist(s, f);
	} else {
		timer_timeout(s, f);
	}
}

/* Starts the idle timer that fits the state. */
void tcp_timer_idle(struct stack *s, struct flow *f)
{
	uint64_t wait = KEEPALIVE_IDLE_NS;
	if (f->tcp.state == TCP_TIME_WAIT)
		wait = TIME_WAIT_NS;
	else if (f->tcp.state == TCP_FIN_WAIT_2)
		wait = FIN_WAIT_2_NS;
	tcp_timer_set(s, f, TCP_TIMER_IDLE, s->now_ns + wait);
}

static void timer_fire_idle(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	uint64_t quiet = s->now_ns - t->heard_ns;
	if (t->state == TCP_TIME_WAIT) {
		tcp_forget(s, f);
	} else if (quiet < KEEPALIVE_AGAIN_NS || (!t->keepalives && quiet < KEEPALIVE_IDLE_NS)) {
		t->keepalives = 0;
		tcp_timer_set(s, f, TCP_TIMER_IDLE, t->heard_ns + KEEPALIVE_IDLE_NS);
	} else if (t->state == TCP_FIN_WAIT_2 || t->keepalives >= KEEPALIVE_TRIES) {
		tcp_kill(s, f);
	} else {
		t->keepalives++;
		tcp_send_ack(s, f, t->snd_una - 1);
		tcp_timer_set(s, f, TCP_TIMER_IDLE, s->now_ns + KEEPALIVE_AGAIN_NS);
	}
}

static bool timer_due(struct stack *s, struct tcp *t, enum tcp_timer which)
{
	if (!t->deadline[which] || t->deadline[which] > s->now_ns)
		return false;
	t->deadline[which] = 0;
	return true;
}

void tcp_timer_fire(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	if (timer_due(s, t, TCP_TIMER_ACK)) {
		t->ack_now |= tcp_rx_ack(t) != t->rcv_last_ack;
		t->interactive = false;
		flow_owe(s, f, OWED_ACK);
	}
	if (timer_due(s, t, TCP_TIMER_VALVE))
		tcp_rx_waited(s, f);
	if (timer_due(s, t, TCP_TIMER_RESEND))
		timer_fire_resend(s, f);
	if (f->hashed && timer_due(s, t, TCP_TIMER_IDLE))
		timer_fire_idle(s, f);
	if (f->hashed)
		timer_arm(s, t);
}
