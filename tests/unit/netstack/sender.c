/* See sender.h. */
#include "sender.h"

#include <criterion/criterion.h>
#include <string.h>

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

struct tcp *sender_tcp(struct sender *x)
{
	struct flow *f;
	cr_assert_eq(flow_of_id(x->w->stack, x->c.flow, &f), 0);
	cr_assert_not_null(f);
	return &f->tcp;
}

void sender_give(struct sender *x, uint32_t n)
{
	static uint8_t data[60000];
	for (uint32_t at = 0; at < n; at += (uint32_t)sizeof(data)) {
		uint32_t piece = n - at < sizeof(data) ? n - at : (uint32_t)sizeof(data);
		conn_far_data(&x->c, x->offset, data, piece);
		x->offset += piece;
	}
}

void sender_ack_at(struct sender *x, uint32_t acked, const uint32_t *pairs, unsigned int blocks,
	uint64_t echo_ns)
{
	static uint8_t frame[200];
	uint8_t o[40] = {1, 1, 8, 10};
	struct tcp_spec t = {.src = GUEST,
		.dst = OUTSIDE,
		.sport = x->c.sport,
		.dport = x->c.dport,
		.seq = x->c.seq,
		.ack = x->start + acked,
		.window = x->c.window,
		.flags = F_ACK,
		.options = o};
	struct tcp *s = sender_tcp(x);
	cr_assert_leq(blocks, SENDER_BLOCKS);
	if (x->c.ts) {
		put32(o + 4, x->c.ts_value);
		put32(o + 8, (uint32_t)(echo_ns / MS) + s->ts_offset);
		t.options_len = 12;
	}
	if (blocks) {
		uint8_t *p = o + t.options_len;
		memcpy(p, "\x01\x01\x05", 3);
		p[3] = (uint8_t)(2 + 8 * blocks);
		for (unsigned int i = 0; i < 2 * blocks; i++)
			put32(p + 4 + 4 * i, x->start + pairs[i]);
		t.options_len = (uint8_t)(t.options_len + 4 + 8 * blocks);
	}
	cr_assert(world_frame(x->w, frame, make_tcp(frame, &t), false));
	world_run(x->w);
}

void sender_ack(struct sender *x, uint32_t acked, const uint32_t *pairs, unsigned int blocks)
{
	sender_ack_at(x, acked, pairs, blocks, x->w->now);
}

unsigned int sender_seen(struct sender *x, uint32_t *first)
{
	unsigned int n = 0;
	for (unsigned int i = 0; i < world_count(x->w, 6); i++) {
		const struct seen *s = world_seen(x->w, 6, i);
		if (!s->payload_len)
			continue;
		if (!n++)
			*first = s->seq - x->start;
	}
	world_clear(x->w);
	return n;
}

void sender_whole(struct sender *x)
{
	struct stack *s = x->w->stack;
	struct tcp *t = sender_tcp(x);
	struct sent_cursor c = tcp_sent_first(t);
	uint32_t sacked = 0, lost = 0, n = 0;
	for (; c.at; n++) {
		const struct sent *r = tcp_sent_at(s, &c);
		cr_assert(seq_lt(c.start, r->end), "an empty record");
		cr_assert_neq(r->flags & (SENT_SACKED | SENT_LOST), SENT_SACKED | SENT_LOST);
		sacked += r->flags & SENT_SACKED ? r->end - c.start : 0;
		lost += r->flags & SENT_LOST ? r->end - c.start : 0;
		tcp_sent_step(s, &c);
	}
	cr_assert_eq(c.start, t->snd_nxt, "records end %d before snd_nxt", t->snd_nxt - c.start);
	cr_assert_eq(c.before, t->sent_tail);
	cr_assert_eq(n, t->sent_count);
	cr_assert_leq(n, SENT_FLOW_MAX);
	cr_assert_eq(sacked, t->sacked);
	cr_assert_eq(lost, t->lost);
	cr_assert(!t->lost || t->recovery, "lost and nobody cares");
}

void sender_open(struct sender *x, unsigned int options, uint64_t rtt_ns)
{
	uint32_t first;
	*x = (struct sender){.w = world_new(NULL)};
	conn_init(&x->c, x->w, 40000, 80);
	conn_open(&x->c, options);
	x->start = x->c.ack;
	x->c.window = 60000;
	sender_give(x, SENDER_MSS);
	world_advance(x->w, rtt_ns);
	sender_ack_at(x, SENDER_MSS, NULL, 0, x->w->now - rtt_ns);
	cr_assert_eq(sender_seen(x, &first), 1);
	/* the handshake took no time here */
	sender_tcp(x)->srtt_ns = rtt_ns;
	sender_tcp(x)->rttvar_ns = rtt_ns / 4;
}

void sender_close(struct sender *x)
{
	cr_assert_eq(x->w->error, 0);
	world_free(x->w);
}
