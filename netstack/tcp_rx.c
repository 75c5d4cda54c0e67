/*
 * Theory of operation: one queue of buffers sorted by sequence number. Its first part is in order and waits for room in
 * natproxy's ring, the rest waits for what is missing; the broker's buffers themselves are the queue, nothing is
 * copied.
 *
 *     acknowledged          rx_sent            rcv_nxt                                rcv_adv
 *   ───────┬───────────────────┬──────────────────┬─────────────────────────────────────┬──▶
 *          │ lent to natproxy  │ queued, in order │  holes and out-of-order buffers     │
 *       consumed
 *
 * Only what the far end's kernel took (TCP_CONSUMED) is acknowledged. There is one exception, the valve: what has
 * waited while nothing was consumed for TCP_VALVE_NS is acknowledged all the same, and the window, whose edge does not
 * move, closes. Silence for longer would break RFC 9293 MUST-58 (500 ms) and make the guest's retransmission timer, 200 ms
 * or more, take a far end that merely reads slowly for a lossy network.
 *
 * How much that may be, and what a window may say, is tcp_share.c's.
 */
#include <errno.h>
#include <string.h>

#include "state.h"

enum {
	GROW_PERCENT = 50, /* windows grow while less than this is pinned */
	COPY_LARGE_MIN =
		ARENA_LARGE_BYTES / 4, /* fewer bytes are copied to small buffers: none is wasted */
};

static const uint64_t TCP_VALVE_NS = 100 * NS_PER_MS;
static const uint64_t TCP_DELAYED_ACK_NS = 40 * NS_PER_MS;
static struct hold *rx_item(struct stack *s, uint16_t link)
{
	return &s->holds.rx[link - 1];
}

uint32_t tcp_rx_ack(const struct tcp *t)
{
	uint32_t ack = t->irs + 1 + (uint32_t)t->rx_consumed;
	if (t->fin_done)
		return ack + 1;
	return t->rx_next != t->rx_consumed && seq_lt(ack, t->rcv_taken) ? t->rcv_taken : ack;
}

/* Bytes that the valve acknowledged and nobody has taken yet. */
static uint32_t rx_taken(const struct tcp *t)
{
	return t->fin_done ? 0 : tcp_rx_ack(t) - (t->irs + 1 + (uint32_t)t->rx_consumed);
}

uint32_t tcp_rx_window(struct stack *s, struct tcp *t)
{
	uint32_t taken = rx_taken(t), ack = tcp_rx_ack(t), from = ack - taken;
	uint32_t old = seq_lt(from, t->rcv_adv) ? t->rcv_adv - from : 0;
	uint32_t promise = tcp_share_promise(s, t);
	uint32_t window = tcp_share_window(s, t, t->rcv_nxt - from, promise);
	/* the window of a SYN is not scaled (RFC 7323 2.2): what it can't say was not promised */
	uint8_t scale = t->state == TCP_SYN_RECEIVED ? 0 : t->rcv_scale;
	uint32_t step = 1u << scale, most = UINT32_C(65535) << scale;
	if (window < old + t->mss && window < old + t->rcv_budget / 2)
		window = old;
	if (window > most)
		window = most;
	window = window > taken ? window - taken : 0;
	window = (window + step - 1) / step * step;
	t->rcv_adv = ack + window;
	if (t->state == TCP_SYN_RECEIVED)
		tcp_share_active(s, t);
	tcp_share_ahead(s, t, promise);
	return window;
}

/* A guest that fills the window is limited by it: give it more while there is more to give. */
static void rx_grow(struct stack *s, struct tcp *t, uint32_t end)
{
	if (!t->use_scale || t->rcv_budget >= TCP_WINDOW_MAX ||
		hold_pinned_percent(s) >= GROW_PERCENT)
		return;
	if (seq_lt(t->rcv_adv, end) || t->rcv_adv - end > t->rcv_budget / 4)
		return;
	if (t->rcv_adv - tcp_rx_ack(t) < t->rcv_budget / 2)
		return; /* something else than the budget keeps it narrow */
	t->rcv_budget *= 2;
}

/* RFC 2018 section 4: the block that holds the newest segment comes first. */
static void rx_sack_note(struct tcp *t, uint32_t start, uint32_t end)
{
	struct tcp_range block = {start, end};
	unsigned int keep = 0;
	struct tcp_range kept[TCP_SACK_BLOCKS];
	for (unsigned int i = 0; i < TCP_SACK_BLOCKS; i++) {
		struct tcp_range b = t->sack[i];
		if (b.start == b.end)
			continue;
		if (seq_le(b.start, block.end) && seq_le(block.start, b.end)) {
			block.start = seq_min(block.start, b.start);
			block.end = seq_max(block.end, b.end);
		} else if (keep < TCP_SACK_BLOCKS - 1) {
			kept[keep++] = b;
		}
	}
	memset(t->sack, 0, sizeof(t->sack));
	t->sack[0] = block;
	memcpy(t->sack + 1, kept, keep * sizeof(kept[0]));
}

static void rx_sack_trim(struct tcp *t)
{
	for (unsigned int i = 0; i < TCP_SACK_BLOCKS; i++)
		if (seq_le(t->sack[i].end, t->rcv_nxt))
			t->sack[i] = (struct tcp_range){0};
}

/* Removes queued buffers that [.., end) covers and cuts `end` where the next one begins. Returns the new end. */
static uint32_t rx_make_room(struct stack *s, struct tcp *t, uint16_t *link, uint32_t end)
{
	while (*link) {
		uint16_t number = (uint16_t)(*link - 1);
		struct hold *h = &s->holds.rx[number];
		if (seq_le(end, h->seq))
			break;
		if (seq_lt(end, h->seq + h->len))
			return h->seq;
		*link = h->next;
		if (t->rx_tail == number + 1)
			t->rx_tail = 0;
		hold_release(s, hold_id(number));
	}
	return end;
}

/* The last queued buffer that begins at or before seq, 0 for none. In order and append are the common cases. */
static uint16_t rx_before(struct stack *s, const struct tcp *t, uint32_t seq)
{
	uint16_t before = t->rx_prefix;
	if (t->rx_tail && seq_le(rx_item(s, t->rx_tail)->seq, seq))
		return t->rx_tail;
	for (uint16_t at = before ? rx_item(s, before)->next : t->rx_head; at;
		at = rx_item(s, at)->next) {
		if (seq_lt(seq, rx_item(s, at)->seq))
			break;
		before = at;
	}
	return before;
}

static void rx_find_tail(struct stack *s, struct tcp *t, uint16_t from)
{
	if (t->rx_tail)
		return;
	for (t->rx_tail = from; rx_item(s, t->rx_tail)->next;)
		t->rx_tail = rx_item(s, t->rx_tail)->next;
}

/* Queues [seq, end) that lies at `off` of buffer id; false when all of it was there already. */
static bool rx_insert(struct stack *s, struct flow *f, uint32_t seq, const struct ring_seg *piece)
{
	struct tcp *t = &f->tcp;
	uint16_t before = rx_before(s, t, seq), *link,
		 self = (uint16_t)(hold_number(piece->id) + 1);
	uint32_t end = seq + piece->len, off = piece->off;
	struct hold *h = rx_item(s, self);
	if (before) {
		uint32_t have = rx_item(s, before)->seq + rx_item(s, before)->len;
		if (seq_le(end, have))
			return false;
		if (seq_lt(seq, have)) {
			off += have - seq;
			seq = have;
		}
	}
	link = before ? &rx_item(s, before)->next : &t->rx_head;
	end = rx_make_room(s, t, link, end);
	*h = (struct hold){.seq = seq,
		.off = off,
		.len = end - seq,
		.flow = flow_id_of(s, f),
		.next = *link,
		.state = HOLD_QUEUED};
	*link = self;
	if (!h->next)
		t->rx_tail = self;
	rx_find_tail(s, t, self);
	tcp_share_pin(s, t, piece->id);
	tcp_share_used(s, t, buf_class_of(piece->id));
	return true;
}

static void rx_advance(struct stack *s, struct tcp *t)
{
	uint16_t at = t->rx_prefix ? rx_item(s, t->rx_prefix)->next : t->rx_head;
	while (at && rx_item(s, at)->seq == t->rcv_nxt) {
		t->rcv_nxt += rx_item(s, at)->len;
		t->rx_next += rx_item(s, at)->len;
		t->rx_prefix = at;
		at = rx_item(s, at)->next;
	}
	rx_sack_trim(t);
}

/* A segment that holds nothing new. */
static void rx_duplicate(struct stack *s, struct flow *f, uint32_t start, uint32_t end)
{
	f->tcp.dsack = (struct tcp_range){start, end};
	f->tcp.ack_now = true;
	flow_owe(s, f, OWED_ACK);
}

/* The timer runs on for as long as anything waits: a store for each segment, a look every TCP_VALVE_NS. */
static void rx_watch_wait(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	if (t->rx_next == t->rx_consumed)
		t->consumed_ns = s->now_ns;
	if (!t->deadline[TCP_TIMER_VALVE])
		tcp_timer_set(s, f, TCP_TIMER_VALVE, s->now_ns + TCP_VALVE_NS);
}

void tcp_rx_waited(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	if (t->rx_next == t->rx_consumed)
		return;
	if (s->now_ns - t->consumed_ns >= TCP_VALVE_NS) {
		t->rcv_taken = t->irs + 1 + (uint32_t)t->rx_next;
		t->ack_now |= tcp_rx_ack(t) != t->rcv_last_ack;
		flow_owe(s, f, OWED_ACK);
		t->consumed_ns = s->now_ns;
	}
	tcp_timer_set(s, f, TCP_TIMER_VALVE, t->consumed_ns + TCP_VALVE_NS);
}

static void rx_acknowledge_later(struct stack *s, struct flow *f)
{
	if (!f->tcp.deadline[TCP_TIMER_ACK])
		tcp_timer_set(s, f, TCP_TIMER_ACK, s->now_ns + TCP_DELAYED_ACK_NS);
}

static void rx_store(struct stack *s, struct flow *f, const struct tcp_segment *seg, uint32_t start,
	uint32_t end)
{
	struct tcp *t = &f->tcp;
	struct ring_seg piece[PACKET_SEGS];
	uint32_t before = t->rcv_nxt, at = start;
	bool had_gap = t->rx_tail != t->rx_prefix, news = false;
	unsigned int n = packet_pieces(
		seg->packet, seg->payload_at + (start - seg->seq), end - start, piece);
	rx_watch_wait(s, f);
	tcp_share_measure(t, seg, piece, n);
	for (unsigned int i = 0; i < n; i++) {
		news |= rx_insert(s, f, at, &piece[i]);
		at += piece[i].len;
	}
	rx_advance(s, t);
	rx_grow(s, t, end);
	if (t->rcv_nxt != before) {
		flow_owe(s, f, OWED_UPLOAD);
		rx_acknowledge_later(s, f);
		/* at once (RFC 5681 4.2) means with its consumption: before, it would be one more duplicate */
		if (had_gap)
			t->interactive = false;
		return;
	}
	rx_sack_note(t, start, end);
	if (!news)
		t->dsack = (struct tcp_range){start, end};
	if (t->acks_owed < TCP_ACKS_OWED_MAX)
		t->acks_owed++;
	flow_owe(s, f, OWED_ACK);
}

void tcp_rx_segment(struct stack *s, struct flow *f, const struct tcp_segment *seg)
{
	struct tcp *t = &f->tcp;
	uint32_t start = seg->seq, end = seg->seq + seg->payload_bytes;
	if (seq_lt(start, t->rcv_nxt))
		start = t->rcv_nxt;
	if (seq_le(end, t->rcv_nxt)) {
		rx_duplicate(s, f, seg->seq, end);
		return;
	}
	if (seq_lt(t->rcv_adv, end))
		end = t->rcv_adv;
	if (seq_le(end, start)) { /* a probe of the shut window */
		t->ack_now = true;
		flow_owe(s, f, OWED_ACK);
		return;
	}
	tcp_share_active(s, t);
	if (!tcp_share_afford(s, t, seg, start == t->rcv_nxt)) {
		drop_count(s->drops, DROP_NO_BUFFER);
		return;
	}
	rx_store(s, f, seg, start, end);
}

/*
 * Bytes after the urgent one go into a buffer of our own, because a buffer is lent once and a descriptor ends with
 * the urgent byte. Without a free buffer the mark is lost, not the data.
 */
static void rx_split(struct stack *s, struct tcp *t, uint16_t at)
{
	struct hold *h = rx_item(s, at);
	uint32_t keep = t->rcv_up - h->seq, bytes = h->len - keep;
	uint32_t id = hold_take_own(s, bytes <= ARENA_SMALL_BYTES ? BUF_SMALL : BUF_LARGE);
	if (!id) {
		drop_count(s->drops, DROP_NO_BUFFER);
		t->urgent = false;
		return;
	}
	memcpy(arena_ptr(s->arena, id),
		arena_view_ptr(s->view, hold_id((uint16_t)(at - 1)), h->off + keep), bytes);
	hold_pin_own(s, id,
		&(struct hold){.seq = t->rcv_up,
			.off = buf_offset(buf_index(id)),
			.len = bytes,
			.flow = h->flow,
			.next = h->next,
			.state = HOLD_QUEUED});
	tcp_share_pin(s, t, id);
	h->len = keep;
	h->next = (uint16_t)(hold_number(id) + 1);
	if (t->rx_tail == at)
		t->rx_tail = h->next;
	if (t->rx_prefix == at)
		t->rx_prefix = h->next;
}

/* Whether the queued buffer holds the urgent byte; then it ends with it afterwards. */
static bool rx_urgent_in(struct stack *s, struct tcp *t, uint16_t at)
{
	struct hold *h = rx_item(s, at);
	if (!t->urgent || seq_le(t->rcv_up, h->seq) || seq_lt(h->seq + h->len, t->rcv_up))
		return false;
	if (h->seq + h->len != t->rcv_up)
		rx_split(s, t, at);
	return t->urgent;
}

/* Collects up to four buffers into one descriptor; returns the link after the last one. */
static uint16_t rx_collect(struct stack *s, struct tcp *t, struct ring_desc *d)
{
	uint16_t at = t->rx_head, last;
	do {
		struct hold *h = rx_item(s, at);
		d->hlen = rx_urgent_in(s, t, at);
		d->seg[d->nseg++] = (struct ring_seg){h->off, h->len, hold_id((uint16_t)(at - 1))};
		last = at;
		at = h->next;
	} while (last != t->rx_prefix && d->nseg < RING_SEGS && !d->hlen);
	return at;
}

static bool rx_send(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	struct ring_desc d = {
		.op = RING_NETSTACK_TCP_DATA, .flow = flow_id_of(s, f), .arg = t->rx_sent};
	uint16_t next = rx_collect(s, t, &d);
	if (link_send(s->natproxy, LINK_DATA, &d, NULL) < 0)
		return false;
	for (unsigned int i = 0; i < d.nseg; i++) {
		if (hold_number(d.seg[i].id) + 1 == t->rx_prefix)
			t->rx_prefix = 0;
		t->rx_sent += d.seg[i].len;
		hold_lend(s, d.seg[i].id);
	}
	t->rx_head = next;
	if (!next)
		t->rx_tail = 0;
	if (d.hlen)
		t->urgent = false;
	return true;
}

/* Moves bytes from the head of the queue to `out`; buffers that are empty then go back to the broker. */
static void rx_drain(struct stack *s, struct tcp *t, uint8_t *out, uint32_t bytes)
{
	while (bytes) {
		uint16_t number = (uint16_t)(t->rx_head - 1);
		struct hold *h = rx_item(s, t->rx_head);
		uint32_t take = h->len < bytes ? h->len : bytes;
		memcpy(out, arena_view_ptr(s->view, hold_id(number), h->off), take);
		out += take;
		bytes -= take;
		h->seq += take;
		h->off += take;
		h->len -= take;
		if (h->len)
			return;
		t->rx_head = h->next;
		if (t->rx_prefix == number + 1)
			t->rx_prefix = 0;
		hold_release(s, hold_id(number));
	}
	if (!t->rx_head)
		t->rx_tail = 0;
}

/* Strict: the first bytes of the queue leave in one buffer of our own. False when there is none: they wait. */
static bool rx_copy_out(struct stack *s, struct flow *f, struct ring_desc *d)
{
	struct tcp *t = &f->tcp;
	uint32_t seq = rx_item(s, t->rx_head)->seq, bytes = t->rcv_nxt - seq, room;
	uint32_t flow = flow_id_of(s, f);
	bool urgent = t->urgent && seq_lt(seq, t->rcv_up) && seq_le(t->rcv_up, t->rcv_nxt);
	uint32_t id = hold_take_own(s, bytes < COPY_LARGE_MIN ? BUF_SMALL : BUF_LARGE);
	if (!id)
		return false;
	if (urgent)
		bytes = t->rcv_up - seq;
	room = buf_bytes(buf_index(id));
	d->hlen = urgent && bytes <= room;
	bytes = bytes < room ? bytes : room;
	/* pinned before what it replaces is not: the flow stays one that pins something */
	hold_pin_own(
		s, id, &(struct hold){.seq = seq, .len = bytes, .flow = flow, .state = HOLD_MINE});
	tcp_share_pin(s, t, id);
	rx_drain(s, t, arena_ptr(s->arena, id), bytes);
	hold_lend(s, id);
	d->seg[d->nseg++] = (struct ring_seg){buf_offset(buf_index(id)), bytes, id};
	t->rx_sent += bytes;
	t->urgent = t->urgent && !d->hlen;
	return true;
}

static bool rx_send_copy(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	struct ring_desc d = {
		.op = RING_NETSTACK_TCP_DATA, .flow = flow_id_of(s, f), .arg = t->rx_sent};
	if (!link_room(s->natproxy, LINK_DATA))
		return false;
	while (t->rx_prefix && d.nseg < RING_SEGS && !d.hlen && rx_copy_out(s, f, &d))
		continue;
	return d.nseg && link_send(s->natproxy, LINK_DATA, &d, NULL) == 0;
}

bool tcp_rx_upload(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	while (t->rx_prefix)
		if (!(s->config.strict ? rx_send_copy(s, f) : rx_send(s, f)))
			return false;
	if (t->fin_in && !t->fin_told) {
		struct ring_desc d = {.op = RING_NETSTACK_TCP_FIN, .flow = flow_id_of(s, f)};
		if (link_send(s->natproxy, LINK_CONTROL, &d, NULL) < 0)
			return false;
		t->fin_told = true;
		tcp_fin_check(s, f);
	}
	return true;
}

void tcp_rx_consumed(struct stack *s, struct flow *f, uint64_t offset)
{
	struct tcp *t = &f->tcp;
	const bool shut = rx_taken(t) != 0;
	t->rx_consumed = offset;
	t->consumed_ns = s->now_ns;
	/* a mark that stood still for 2^31 bytes would seem to lie ahead */
	t->rcv_taken = seq_max(t->rcv_taken, t->irs + 1 + (uint32_t)offset);
	tcp_fin_check(s, f);
	if (shut || !t->interactive || tcp_rx_ack(t) - t->rcv_last_ack >= 2u * t->mss)
		t->ack_now = true;
	else
		rx_acknowledge_later(s, f);
	flow_owe(s, f, OWED_ACK);
}

void tcp_rx_drop(struct stack *s, struct tcp *t)
{
	for (uint16_t at = t->rx_head, next; at; at = next) {
		next = rx_item(s, at)->next;
		hold_release(s, hold_id((uint16_t)(at - 1)));
	}
	t->rx_head = t->rx_tail = t->rx_prefix = 0;
	tcp_share_drop(s, t);
}
