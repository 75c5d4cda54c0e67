/*
 * Theory of operation: a flow's records are a singly linked list in sequence order. Sending appends to its tail and an
 * acknowledgement takes from its head, so a clean path costs constant time. SACK blocks and loss detection
 * walk it, which is bounded by SENT_FLOW_MAX whatever the guest sends.
 *
 * Two things keep lists short: bytes that leave within a 32nd of a round trip of each other share a record, with the time
 * of the first of them; and neighbours of the same fate are joined. t->sacked and t->lost are the sums of the
 * records' bytes, so what is on the way (RFC 6675 Pipe) is a subtraction.
 */
#include "state.h"

static struct sent *sent_of(struct stack *s, uint32_t link)
{
	return &s->sent.record[link - 1];
}

struct sent *tcp_sent_at(struct stack *s, const struct sent_cursor *c)
{
	return sent_of(s, c->at);
}

void tcp_sent_step(struct stack *s, struct sent_cursor *c)
{
	const struct sent *r = sent_of(s, c->at);
	c->before = c->at;
	c->start = r->end;
	c->at = r->next;
}

static uint32_t sent_take(struct stack *s, struct tcp *t)
{
	struct sent_table *table = &s->sent;
	bool tight = table->used >= SENT_RECORDS - SENT_FLOW_SURE * STACK_FLOWS_MAX;
	uint32_t link = table->free_head;
	if (t->sent_count >= (tight ? SENT_FLOW_SURE : SENT_FLOW_MAX))
		return 0;
	if (link)
		table->free_head = sent_of(s, link)->next;
	else
		link = ++table->touched;
	table->used++;
	t->sent_count++;
	return link;
}

static void sent_give(struct stack *s, struct tcp *t, uint32_t link)
{
	sent_of(s, link)->next = s->sent.free_head & 0xffffff;
	s->sent.free_head = link;
	s->sent.used--;
	t->sent_count--;
}

static void sent_flags(struct tcp *t, struct sent *r, uint32_t bytes, unsigned int flags)
{
	t->sacked -= r->flags & SENT_SACKED ? bytes : 0;
	t->lost -= r->flags & SENT_LOST ? bytes : 0;
	t->sacked += flags & SENT_SACKED ? bytes : 0;
	t->lost += flags & SENT_LOST ? bytes : 0;
	r->flags = flags & 0xff;
}

static uint32_t sent_grain_us(const struct tcp *t)
{
	return (uint32_t)(t->srtt_ns / 1000 / SENT_GRAINS);
}

static bool sent_alike(const struct tcp *t, const struct sent *a, const struct sent *b)
{
	uint32_t apart = b->sent_us - a->sent_us;
	if (a->flags != b->flags)
		return false;
	return (a->flags & (SENT_SACKED | SENT_LOST)) || apart <= sent_grain_us(t);
}

/* The record after `link` becomes part of it when the two need not be told apart. */
static bool sent_join(struct stack *s, struct tcp *t, uint32_t link)
{
	struct sent *r = sent_of(s, link), *after = r->next ? sent_of(s, r->next) : NULL;
	uint32_t gone = r->next;
	if (!after || !sent_alike(t, r, after))
		return false;
	r->end = after->end;
	r->next = after->next;
	if (t->sent_tail == gone)
		t->sent_tail = link;
	sent_give(s, t, gone);
	return true;
}

void tcp_sent_change(struct stack *s, struct tcp *t, struct sent_cursor *c, unsigned int flags)
{
	struct sent *r = sent_of(s, c->at);
	sent_flags(t, r, r->end - c->start, flags);
	sent_join(s, t, c->at);
	if (c->before && sent_join(s, t, c->before))
		c->at = c->before;
	c->start = sent_of(s, c->at)->end;
	c->before = c->at;
	c->at = sent_of(s, c->at)->next;
}

bool tcp_sent_split(struct stack *s, struct tcp *t, const struct sent_cursor *c, uint32_t seq)
{
	struct sent *r = sent_of(s, c->at);
	uint32_t link = sent_take(s, t);
	if (!link)
		return false;
	*sent_of(s, link) = *r;
	r->end = seq;
	r->next = link & 0xffffff;
	if (t->sent_tail == c->at)
		t->sent_tail = link;
	return true;
}

/* No record is left for new bytes: they share the last one, which counts as in flight and sent now. */
static void sent_share_tail(struct stack *s, struct tcp *t, uint32_t end)
{
	struct sent_cursor c = tcp_sent_first(t);
	struct sent *r = sent_of(s, t->sent_tail);
	while (c.at != t->sent_tail)
		tcp_sent_step(s, &c);
	sent_flags(t, r, r->end - c.start, SENT_RESENT);
	r->end = end;
	r->sent_us = tcp_now_us(s);
}

void tcp_sent_append(struct stack *s, struct tcp *t, uint32_t end)
{
	struct sent *tail = t->sent_tail ? sent_of(s, t->sent_tail) : NULL;
	uint32_t now_us = tcp_now_us(s), link;
	t->snd_nxt = end;
	if (tail && !tail->flags && now_us - tail->sent_us <= sent_grain_us(t)) {
		tail->end = end;
		return;
	}
	link = sent_take(s, t);
	if (!link) {
		sent_share_tail(s, t, end);
		return;
	}
	*sent_of(s, link) = (struct sent){.end = end, .sent_us = now_us};
	if (tail)
		tail->next = link & 0xffffff;
	else
		t->sent_head = link;
	t->sent_tail = link;
}

void tcp_sent_again(struct stack *s, struct tcp *t, uint32_t start, uint32_t end)
{
	struct sent_cursor c = tcp_sent_first(t);
	while (c.at && seq_lt(c.start, end)) {
		struct sent *r = sent_of(s, c.at);
		bool before = seq_lt(c.start, start);
		if (seq_le(r->end, start) || (r->flags & SENT_SACKED) ||
			(before && tcp_sent_split(s, t, &c, start))) {
			tcp_sent_step(s, &c);
			continue;
		}
		if (seq_lt(end, r->end))
			tcp_sent_split(s, t, &c, end);
		r->sent_us = tcp_now_us(s);
		tcp_sent_change(s, t, &c, SENT_RESENT);
	}
}

/* Bytes of one record, from start to end, reached the guest. */
static void sent_delivered(struct stack *s, struct tcp *t, const struct sent *r, uint32_t start,
	uint32_t end, struct tcp_ack *a)
{
	if (r->flags & SENT_SACKED)
		return;
	a->delivered += end - start;
	tcp_rack_delivered(s, t, r, end, a);
}

void tcp_sent_acked(struct stack *s, struct tcp *t, uint32_t una, struct tcp_ack *a)
{
	while (t->sent_head && t->snd_una != una) {
		uint32_t link = t->sent_head, end = seq_min(sent_of(s, link)->end, una);
		struct sent *r = sent_of(s, link);
		sent_delivered(s, t, r, t->snd_una, end, a);
		t->sacked -= r->flags & SENT_SACKED ? end - t->snd_una : 0;
		t->lost -= r->flags & SENT_LOST ? end - t->snd_una : 0;
		t->snd_una = end;
		if (end != r->end)
			break;
		t->sent_head = r->next;
		if (!t->sent_head)
			t->sent_tail = 0;
		sent_give(s, t, link);
	}
	t->snd_una = una;
}

void tcp_sent_sacked(struct stack *s, struct tcp *t, struct sent_cursor *c, struct tcp_range block,
	struct tcp_ack *a)
{
	while (c->at && seq_lt(c->start, block.end)) {
		struct sent *r = sent_of(s, c->at);
		if (seq_le(r->end, block.start) || (r->flags & SENT_SACKED)) {
			tcp_sent_step(s, c);
			continue;
		}
		if (seq_lt(c->start, block.start)) {
			tcp_sent_split(s, t, c, block.start);
			tcp_sent_step(s, c);
			continue;
		}
		if (seq_lt(block.end, r->end) && !tcp_sent_split(s, t, c, block.end))
			return;
		sent_delivered(s, t, r, c->start, r->end, a);
		tcp_sent_change(s, t, c, SENT_SACKED);
	}
}

bool tcp_sent_next_lost(struct stack *s, const struct tcp *t, struct tcp_range *range)
{
	struct sent_cursor c = tcp_sent_first(t);
	if (!t->lost)
		return false;
	while (!(tcp_sent_at(s, &c)->flags & SENT_LOST))
		tcp_sent_step(s, &c);
	*range = (struct tcp_range){c.start, tcp_sent_at(s, &c)->end};
	return true;
}

void tcp_sent_lose(struct stack *s, struct tcp *t, uint32_t bytes)
{
	struct sent_cursor c = tcp_sent_first(t);
	while (c.at && c.start - t->snd_una < bytes) {
		struct sent *r = sent_of(s, c.at);
		if (r->flags & (SENT_SACKED | SENT_LOST)) {
			tcp_sent_step(s, &c);
			continue;
		}
		if (r->end - t->snd_una > bytes)
			tcp_sent_split(s, t, &c, t->snd_una + bytes);
		tcp_sent_change(s, t, &c, r->flags | SENT_LOST);
	}
}

void tcp_sent_unlose(struct stack *s, struct tcp *t)
{
	struct sent_cursor c = tcp_sent_first(t);
	while (t->lost && c.at) {
		if (sent_of(s, c.at)->flags & SENT_LOST)
			tcp_sent_change(s, t, &c, sent_of(s, c.at)->flags & ~(unsigned int)SENT_LOST);
		else
			tcp_sent_step(s, &c);
	}
}

void tcp_sent_unsack(struct stack *s, struct tcp *t)
{
	struct sent_cursor c = tcp_sent_first(t);
	while (t->sacked && c.at) {
		if (sent_of(s, c.at)->flags & SENT_SACKED)
			tcp_sent_change(s, t, &c, SENT_RESENT);
		else
			tcp_sent_step(s, &c);
	}
}

void tcp_sent_drop(struct stack *s, struct tcp *t)
{
	while (t->sent_head) {
		uint32_t link = t->sent_head;
		t->sent_head = sent_of(s, link)->next;
		sent_give(s, t, link);
	}
	t->sent_tail = 0;
	t->sacked = t->lost = 0;
}
