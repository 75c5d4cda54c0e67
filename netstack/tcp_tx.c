/*
 * Theory of operation: natproxy's buffers, in stream order, are the retransmission store. A buffer leaves when its
 * last byte was acknowledged, and goes through limbo (hold.h) because the broker may still be reading it. natproxy
 * fills at most tx_credit, which is what was acknowledged plus a budget that grows with the congestion window.
 */
#include <errno.h>
#include <string.h>

#include "state.h"

enum {
	GROW_PERCENT = 50, /* credit grows while less than this of natproxy's buffers is here */
	SHRINK_PERCENT =
		75, /* and shrinks above this, by what is not granted: none is taken back */
	CREDIT_MIN = 64 * 1024,
};

static struct hold *tx_item(struct stack *s, uint16_t link)
{
	return &s->holds.tx[link - 1];
}

static void tx_append(struct stack *s, struct tcp *t, const struct ring_seg *seg)
{
	uint16_t self = (uint16_t)(buf_index(seg->id) + 1);
	struct hold *h = tx_item(s, self);
	h->seq = tcp_tx_end_seq(t);
	h->off = seg->off;
	h->len = seg->len;
	h->next = 0;
	*(t->tx_tail ? &tx_item(s, t->tx_tail)->next : &t->tx_head) = self;
	t->tx_tail = self;
	t->tx_end += seg->len;
}

int tcp_tx_add(struct stack *s, struct flow *f, const struct ring_desc *d)
{
	for (unsigned int i = 0; i < d->nseg; i++) {
		if (!d->seg[i].len || hold_take_read(s, d->seg[i].id) < 0)
			return -EPROTO;
		tx_append(s, &f->tcp, &d->seg[i]);
	}
	if (d->hlen) {
		f->tcp.snd_urgent = true;
		f->tcp.snd_up = tcp_tx_end_seq(&f->tcp);
	}
	return 0;
}

static void tx_pop(struct stack *s, struct tcp *t)
{
	uint16_t first = t->tx_head;
	t->tx_head = tx_item(s, first)->next;
	if (!t->tx_head)
		t->tx_tail = 0;
	if (t->tx_cursor == first)
		t->tx_cursor = 0;
	hold_limbo(s, buf_id(ARENA_NATPROXY, first - 1u));
}

void tcp_tx_acked(struct stack *s, struct tcp *t, uint32_t una)
{
	while (t->tx_head && seq_le(tx_item(s, t->tx_head)->seq + tx_item(s, t->tx_head)->len, una))
		tx_pop(s, t);
	if (t->snd_urgent && seq_le(t->snd_up, una))
		t->snd_urgent = false;
	/* a mark that stood still for 2^31 bytes would seem to lie ahead */
	t->snd_small = seq_max(t->snd_small, una);
}

void tcp_tx_drop(struct stack *s, struct tcp *t)
{
	while (t->tx_head)
		tx_pop(s, t);
	tcp_sent_drop(s, t);
}

uint32_t tcp_tx_pieces(struct stack *s, struct tcp *t, uint32_t seq, uint32_t bytes,
	struct ring_seg out[RING_SEGS], unsigned int *n)
{
	uint16_t at = t->tx_cursor && seq_le(tx_item(s, t->tx_cursor)->seq, seq) ? t->tx_cursor
										 : t->tx_head;
	uint32_t got = 0;
	*n = 0;
	while (at && seq_le(tx_item(s, at)->seq + tx_item(s, at)->len, seq))
		at = tx_item(s, at)->next;
	for (; at && got < bytes && *n < RING_SEGS; at = tx_item(s, at)->next) {
		struct hold *h = tx_item(s, at);
		uint32_t skip = seq + got - h->seq, take = h->len - skip;
		if (take > bytes - got)
			take = bytes - got;
		out[(*n)++] =
			(struct ring_seg){h->off + skip, take, buf_id(ARENA_NATPROXY, at - 1u)};
		got += take;
		t->tx_cursor = at;
	}
	return got;
}

uint32_t tcp_tx_copy(struct stack *s, struct tcp *t, uint32_t seq, uint32_t bytes)
{
	uint32_t id = hold_take_own(s, bytes <= ARENA_SMALL_BYTES ? BUF_SMALL : BUF_LARGE), at = 0;
	while (id && at < bytes) {
		struct ring_seg piece[RING_SEGS];
		unsigned int n;
		uint32_t got = tcp_tx_pieces(s, t, seq + at, bytes - at, piece, &n);
		if (!got) {
			hold_release(s, id);
			return 0;
		}
		for (unsigned int i = 0; i < n; i++) {
			memcpy(arena_ptr(s->arena, id) + at,
				arena_view_ptr(s->view, piece[i].id, piece[i].off), piece[i].len);
			at += piece[i].len;
		}
	}
	return id;
}

/* What the guest could use in the time of two windows, within the limits of one flow. */
static void tx_budget(struct stack *s, struct tcp *t)
{
	uint32_t useful = t->cwnd < t->snd_wnd ? t->cwnd : t->snd_wnd;
	unsigned int used = hold_read_percent(s);
	if (used > SHRINK_PERCENT && t->tx_budget > CREDIT_MIN)
		t->tx_budget /= 2;
	else if (t->tx_budget < TCP_WINDOW_MAX && useful > t->tx_budget / 2 && used < GROW_PERCENT)
		t->tx_budget *= 2;
}

bool tcp_tx_credit(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	struct ring_desc d = {.op = RING_NETSTACK_TCP_CREDIT, .flow = flow_id_of(s, f)};
	uint64_t left = t->tx_credit - t->tx_end;
	int err;
	tx_budget(s, t);
	d.arg = t->tx_una + t->tx_budget;
	if (d.arg < t->tx_credit + t->tx_budget / 8) {
		if (!t->guest_alive)
			return true;
		d.arg = t->tx_credit;
	}
	if (left > t->tx_budget / 2 && link_announced(s->natproxy, t->announced))
		err = link_send_lazy(s->natproxy, LINK_CONTROL, &d);
	else
		err = link_send(s->natproxy, LINK_CONTROL, &d, NULL);
	if (err)
		return false;
	t->guest_alive = false;
	t->tx_credit = d.arg;
	t->announced = link_sent_index(s->natproxy);
	return true;
}
