/*
 * Theory of operation: who may hold how many buffers on the way up, and so what a window may promise.
 *
 * The window counts bytes and buffers: a guest of tiny segments runs out of its share of buffers before it can take
 * anybody else's. Buffers are shared three ways. What is promised: a flow's budget, 256 KiB at first and doubled on
 * demand while less than half of either class is pinned, but what a flow pins and is promised is no more than what is
 * neither pinned nor promised, divided by the flows that pin something; an edge once promised is never drawn back, so under
 * pressure it stands still and the window shrinks as it fills. What is promised is reserved (rx_ahead) and never refused, but
 * for no longer than the flow goes on sending (PERIOD_NS): thousands may be idle, and each has a window. Windows open slowly
 * once a quarter of a class is spoken for, because flows that begin together can't tell how many they will be. What is
 * kept (tcp_share_afford): beyond what is reserved no flow holds more of a class than is left of it, so far ends that stopped
 * reading cost others throughput but never the way. What goes on a strict data path: copies, which pin what the
 * originals pinned (tcp_rx.c: rx_copy_out).
 */
#include <string.h>

#include "state.h"

enum {
	LITTLE_PART =
		512, /* who holds less than this part of a class holds little: 8 small, 1 large */
	KEPT_PART = 16, /* and this part of it is kept for them */
	UNITS_TO_FILL =
		HOLD_UNITS_FLOW_MAX / 8, /* of a flow's share: only for the next bytes in order */
	UNITS_PROMISED = HOLD_UNITS_FLOW_MAX - UNITS_TO_FILL, /* the window counts on these */
	FIRST_SEGMENTS = 10,	/* what a guest may send before it hears of us (RFC 6928) */
	FRAMES_AHEAD_MAX = 896, /* of all windows: less than the queue of a TAP holds, 1000 */
	LARGE_WEIGHT = HOLD_UNITS_LARGE + 1, /* a small one comes with each */
};

/* A reservation lasts for one to two periods of silence. */
static const uint64_t PERIOD_NS = 50 * NS_PER_MS;
/* What a flow may take of what is left, however alone it is: an eighth of all small buffers, 2 MB of large ones. */
static const uint32_t FLOWS_LEAST[] = {[BUF_SMALL] = 4, [BUF_LARGE] = 8};

static bool share_pins(const struct tcp *t)
{
	return t->rx_held[BUF_SMALL] || t->rx_held[BUF_LARGE];
}

static uint32_t share_units(const struct tcp *t)
{
	return t->rx_held[BUF_SMALL] + t->rx_held[BUF_LARGE] * (uint32_t)HOLD_UNITS_LARGE;
}

void tcp_share_pin(struct stack *s, struct tcp *t, uint32_t id)
{
	s->holds.pinning_flows += !share_pins(t);
	t->rx_held[buf_class_of(id)]++;
}

/* The sums that count what is reserved for the flow, NULL when it has been silent for too long. */
static uint32_t *share_reserved(struct stack *s, const struct tcp *t)
{
	struct hold_table *h = &s->holds;
	uint32_t period = (uint32_t)(s->now_ns / PERIOD_NS), passed = period - h->period;
	if (passed)
		memset(h->promised[period % 2], 0, sizeof(h->promised[0]));
	if (passed > 1)
		memset(h->promised[(period + 1) % 2], 0, sizeof(h->promised[0]));
	h->period = period;
	return period - t->rx_period < 2 ? h->promised[t->rx_period % 2] : NULL;
}

static void share_reserve(struct stack *s, struct tcp *t, enum buf_class c, uint32_t n)
{
	uint32_t *sum = share_reserved(s, t);
	if (sum)
		sum[c] += n - t->rx_ahead[c];
	t->rx_ahead[c] = sum ? (uint16_t)n : 0;
}

/* The flow sends: what is reserved for it counts anew, what was reserved too long ago no more. */
void tcp_share_active(struct stack *s, struct tcp *t)
{
	const uint32_t *sum = share_reserved(s, t);
	for (int i = BUF_SMALL; i <= BUF_LARGE; i++) {
		uint32_t n = sum ? t->rx_ahead[i] : 0;
		share_reserve(s, t, i, 0);
		s->holds.promised[s->holds.period % 2][i] += n;
		t->rx_ahead[i] = (uint16_t)n;
	}
	t->rx_period = s->holds.period;
}

/* The class of which a flow's segments use up the most. */
static enum buf_class share_class(const struct tcp *t)
{
	return t->rx_large ? BUF_LARGE : BUF_SMALL;
}

/*
 * Reserves what the open part of the window may still pin, as far as the flow may be promised that: a window that stood
 * while its segments became smaller gives no right to more buffers.
 */
void tcp_share_ahead(struct stack *s, struct tcp *t, uint32_t promise)
{
	enum buf_class c = share_class(t);
	uint32_t each = (t->rx_unit_bytes + 1) * (c == BUF_LARGE ? LARGE_WEIGHT : 1);
	uint32_t ahead = seq_lt(t->rcv_nxt, t->rcv_adv) ? t->rcv_adv - t->rcv_nxt : 0;
	uint32_t need = (ahead + each - 1) / each, n = t->rx_ahead[c];
	n = n > promise ? n : promise;
	share_reserve(s, t, c, n < need ? n : need);
	share_reserve(s, t, c == BUF_SMALL ? BUF_LARGE : BUF_SMALL, 0);
}

void tcp_share_unpinned(struct stack *s, uint32_t flow, enum buf_class c)
{
	struct flow *f;
	if (flow_of_id(s, flow, &f) < 0 || !f || f->key.kind != FLOW_TCP || !f->tcp.rx_held[c])
		return;
	f->tcp.rx_held[c]--;
	s->holds.pinning_flows -= !share_pins(&f->tcp);
}

/* What is promised to others. */
static uint32_t share_others(struct stack *s, const struct tcp *t, enum buf_class c)
{
	const uint32_t *sum = share_reserved(s, t);
	return s->holds.promised[0][c] + s->holds.promised[1][c] - (sum ? t->rx_ahead[c] : 0);
}

static uint32_t share_less(uint32_t from, uint32_t n)
{
	return from > n ? from - n : 0;
}

static uint32_t share_least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t share_promised_max(enum buf_class c)
{
	return share_least(hold_room_max(c), FRAMES_AHEAD_MAX);
}

/* Buffers of the class that may still be promised to the flow. */
static uint32_t share_room(struct stack *s, const struct tcp *t, enum buf_class c)
{
	return share_less(share_least(hold_room(s, c), FRAMES_AHEAD_MAX), share_others(s, t, c));
}

/*
 * The buffers of its class that the next window may promise: as many that the flow then has no more than what is left,
 * divided by the flows that pin something, a few at least, for those that are about to; and no more than such a part of
 * the frames that all windows together may hold. In the handshake from the upper half only: who never sends takes nothing
 * from those that do.
 */
uint32_t tcp_share_promise(struct stack *s, const struct tcp *t)
{
	enum buf_class c = share_class(t);
	uint32_t flows = s->holds.pinning_flows + !share_pins(t);
	uint32_t own =
		share_less(UNITS_PROMISED, share_units(t)) / (c == BUF_LARGE ? LARGE_WEIGHT : 1);
	uint32_t room = share_room(s, t, c), few = flows > FLOWS_LEAST[c] ? flows : FLOWS_LEAST[c];
	uint32_t left = share_less(hold_room(s, c), share_others(s, t, c) + few * t->rx_held[c]);
	if (t->state == TCP_SYN_RECEIVED)
		room = share_less(room, share_promised_max(c) / 2);
	return share_least(own, share_least(room / (flows + 1), left / (few + 1)));
}

/* What the window may be while the class is tight: all that a guest in slow start can use. */
static uint32_t share_opening(struct stack *s, const struct tcp *t)
{
	enum buf_class c = share_class(t);
	if (share_room(s, t, c) >= share_promised_max(c) / 4 * 3 || t->rx_next > TCP_WINDOW_MAX)
		return TCP_WINDOW_MAX;
	return FIRST_SEGMENTS * t->mss + 2 * (uint32_t)t->rx_next;
}

/* The bytes from the first that was not consumed that the flow may be promised. */
uint32_t tcp_share_window(struct stack *s, const struct tcp *t, uint32_t in_order, uint32_t promise)
{
	uint32_t units = promise * (share_class(t) == BUF_LARGE ? LARGE_WEIGHT : 1);
	uint32_t window = in_order + units * t->rx_unit_bytes, opening = share_opening(s, t);
	window = t->rcv_budget < window ? t->rcv_budget : window;
	window = opening < window ? opening : window;
	return share_pins(t) || window > 2u * t->mss ? window : 2u * t->mss;
}

/*
 * Whether the flow may pin one more buffer of the class: what is reserved for it; else no more than an eighth of it, nor more than is left of it when a
 * part is kept for who holds little. What waits behind a hole may not take the last of the flow's share, or the hole could
 * never be filled.
 */
static bool share_afford_one(
	const struct stack *s, const struct tcp *t, enum buf_class c, bool in_order)
{
	uint32_t all = buf_class_count(c), room = hold_room(s, c), held = t->rx_held[c];
	uint32_t kept = all / KEPT_PART;
	if (t->rx_ahead[c] || held == 0 || (held < all / LITTLE_PART && room))
		return true;
	room = room > kept ? room - kept : 0;
	return held < all / HOLD_FLOW_SHARE && held <= (in_order ? room : room / 2);
}

bool tcp_share_afford(
	const struct stack *s, const struct tcp *t, const struct tcp_segment *seg, bool in_order)
{
	const struct packet *p = seg->packet;
	if (share_units(t) >= (in_order ? HOLD_UNITS_FLOW_MAX : UNITS_PROMISED))
		return false;
	for (unsigned int i = 0; i < p->nseg; i++)
		if (!share_afford_one(s, t, buf_class_of(p->seg[i].id), in_order))
			return false;
	return true;
}

/* Smooths how much payload a unit of buffer carries: what the window may promise follows from it. */
void tcp_share_measure(
	struct tcp *t, const struct tcp_segment *seg, const struct ring_seg *piece, unsigned int n)
{
	uint32_t units = 0;
	bool large = false;
	for (unsigned int i = 0; i < n; i++) {
		units += hold_units(piece[i].id);
		large |= buf_class_of(piece[i].id) == BUF_LARGE;
	}
	if (large || seg->payload_bytes >= t->mss)
		t->rx_large = large;
	if (units)
		t->rx_unit_bytes = (7 * t->rx_unit_bytes + seg->payload_bytes / units + 7) / 8;
}

void tcp_share_used(struct stack *s, struct tcp *t, enum buf_class c)
{
	if (t->rx_ahead[c])
		share_reserve(s, t, c, t->rx_ahead[c] - 1u);
}

void tcp_share_drop(struct stack *s, struct tcp *t)
{
	s->holds.pinning_flows -= share_pins(t);
	memset(t->rx_held, 0, sizeof(t->rx_held));
	share_reserve(s, t, BUF_SMALL, 0);
	share_reserve(s, t, BUF_LARGE, 0);
}
