/*
 * Theory of operation (RFC 9438): between losses the window follows a cubic of the time since the last one, flat where
 * that one happened. All sizes are bytes; an acknowledgement may cover any number of segments.
 *
 *     cwnd     max ┈┈┈┈┈┈▁▂▃▃▃▃▃▃▄▆   W(t) = 0.4 (t - K)^3 + max, in segments and seconds
 *                 ╲ ▂▄▅▇
 *      0.7 x max   ▇       but at least what Reno would have (4.3)
 *                  └─────K─────▶ t
 *
 * Slow start ends at the first sign of a queue: HyStart++ (RFC 9406) compares the shortest round trip of each round with
 * the round before.
 */
#include "state.h"

enum {
	CWND_MAX = 2 * TCP_WINDOW_MAX,
	CUBIC_BETA_10 = 7,
	HYSTART_SAMPLES = 8,
	HYSTART_DIVISOR = 4,
	HYSTART_ROUNDS = 5,
	HYSTART_MIN_US = 4000,
	HYSTART_MAX_US = 16000,
};

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

void tcp_cubic_reduce(struct tcp *t)
{
	struct tcp_cubic *c = &t->cubic;
	c->prior = t->cwnd;
	c->max = t->cwnd < c->max ? t->cwnd / 20 * 17 : t->cwnd; /* 4.7 fast convergence */
	t->ssthresh = t->cwnd / 10 * CUBIC_BETA_10;
	if (t->ssthresh < 2u * t->mss)
		t->ssthresh = 2u * t->mss;
	c->epoch_ns = 0;
}

static void cubic_begin(struct stack *s, struct tcp *t)
{
	struct tcp_cubic *c = &t->cubic;
	uint64_t gap = c->max > t->cwnd ? (c->max - t->cwnd) / t->mss : 0;
	c->epoch_ns = s->now_ns;
	c->reno = t->cwnd;
	if (!gap)
		c->max = t->cwnd;
	c->k_ms = cube_root(gap * UINT64_C(2500000000)); /* cbrt(gap / 0.4) in ms */
}

static uint32_t cubic_curve(const struct stack *s, const struct tcp *t, uint64_t ahead_ns)
{
	const struct tcp_cubic *c = &t->cubic;
	int64_t ms = (int64_t)((s->now_ns - c->epoch_ns + ahead_ns) / NS_PER_MS) - c->k_ms;
	int64_t bytes;
	if (ms > 50000)
		ms = 50000;
	bytes = ms * ms * ms / 1000000 * t->mss * 4 / 10000 + c->max;
	if (bytes < INT64_C(2) * t->mss)
		return 2u * t->mss;
	return bytes > CWND_MAX ? CWND_MAX : (uint32_t)bytes;
}

/* 4.3: Reno's window, with the smaller step until it has won back what was given up. */
static uint32_t cubic_reno(struct tcp *t, uint32_t bytes)
{
	struct tcp_cubic *c = &t->cubic;
	uint64_t step = (uint64_t)bytes * t->mss / t->cwnd;
	c->reno += (uint32_t)(c->reno < c->prior ? step * 9 / 17 : step);
	if (c->reno > CWND_MAX)
		c->reno = CWND_MAX;
	return c->reno;
}

static void cubic_avoid(struct stack *s, struct tcp *t, uint32_t bytes)
{
	uint32_t target, reno;
	if (!t->cubic.epoch_ns)
		cubic_begin(s, t);
	reno = cubic_reno(t, bytes);
	if (cubic_curve(s, t, 0) < reno) {
		t->cwnd = t->cwnd < reno ? reno : t->cwnd;
		return;
	}
	target = cubic_curve(s, t, t->srtt_ns); /* 4.2: one round trip from now */
	if (target > t->cwnd + t->cwnd / 2)
		target = t->cwnd + t->cwnd / 2;
	if (target > t->cwnd)
		t->cwnd += (uint32_t)((uint64_t)(target - t->cwnd) * bytes / t->cwnd) + 1;
}

void tcp_cubic_grow(struct stack *s, struct tcp *t, uint32_t bytes)
{
	if (t->cwnd < t->ssthresh) {
		uint32_t room = t->ssthresh - t->cwnd;
		uint32_t step = t->hystart.cautious ? bytes / HYSTART_DIVISOR : bytes;
		step = step < room ? step : room;
		t->cwnd += step;
		bytes = t->cwnd < t->ssthresh || bytes < step ? 0 : bytes - step;
	}
	if (bytes && t->cwnd >= t->ssthresh)
		cubic_avoid(s, t, bytes < t->cwnd ? bytes : t->cwnd);
	if (t->cwnd > CWND_MAX)
		t->cwnd = CWND_MAX;
}

void tcp_cubic_idle(struct tcp *t, uint64_t idle_ns)
{
	if (t->cubic.epoch_ns)
		t->cubic.epoch_ns += idle_ns;
}

/* RFC 9406 4.2: a round is over when what was sent at its beginning is acknowledged. */
static void hystart_round(struct tcp *t)
{
	struct tcp_hystart *h = &t->hystart;
	if (h->cautious && ++h->rounds >= HYSTART_ROUNDS)
		t->ssthresh = t->cwnd;
	h->last_us = h->now_us;
	h->now_us = 0;
	h->samples = 0;
	h->end = t->snd_nxt;
}

static uint32_t hystart_threshold_us(uint32_t rtt_us)
{
	uint32_t threshold = rtt_us / 8;
	if (threshold < HYSTART_MIN_US)
		return HYSTART_MIN_US;
	return threshold > HYSTART_MAX_US ? HYSTART_MAX_US : threshold;
}

void tcp_cubic_rtt(struct tcp *t, const struct tcp_ack *a)
{
	struct tcp_hystart *h = &t->hystart;
	if (t->cwnd >= t->ssthresh || t->recovery) {
		*h = (struct tcp_hystart){.end = t->snd_nxt};
		return;
	}
	if (a->rtt_us && (!h->now_us || a->rtt_us < h->now_us))
		h->now_us = a->rtt_us;
	if (a->rtt_us && h->samples < HYSTART_SAMPLES)
		h->samples++;
	if (h->samples >= HYSTART_SAMPLES && h->last_us) {
		if (h->cautious && h->now_us < h->base_us) {
			h->cautious = false;
		} else if (!h->cautious &&
			   h->now_us >= h->last_us + hystart_threshold_us(h->last_us)) {
			h->cautious = true;
			h->rounds = 0;
			h->base_us = h->now_us;
		}
	}
	if (seq_le(h->end, t->snd_una))
		hystart_round(t);
}
