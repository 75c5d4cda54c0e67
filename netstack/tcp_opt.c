/*
 * Theory of operation: options of RFC 9293 3.2, RFC 7323 and RFC 2018. Nothing is offered in a SYN-ACK that the SYN did
 * not offer. The timestamp clock ticks in milliseconds from a random offset for each connection. Data segments carry
 * 12 bytes of options at most when all is well, so the segment size is known beforehand; SACK blocks, the
 * duplicate first (RFC 2883) and then newest first, ride on bare acknowledgements only.
 */
#include <string.h>

#include "state.h"

enum {
	OPT_END = 0,
	OPT_NOP = 1,
	OPT_MSS = 2,
	OPT_SCALE = 3,
	OPT_SACK_OK = 4,
	OPT_SACK = 5,
	OPT_TS = 8,
	SCALE_MAX = 14,
};

uint32_t tcp_ts_now(const struct stack *s, const struct tcp *t)
{
	return (uint32_t)(s->now_ns / NS_PER_MS) + t->ts_offset;
}

uint32_t tcp_ts_at(const struct stack *s, const struct tcp *t, uint32_t sent_us)
{
	uint64_t now_us = s->now_ns / 1000;
	return (uint32_t)((now_us - (uint32_t)((uint32_t)now_us - sent_us)) / 1000) + t->ts_offset;
}

static void option_sack(struct wire_in *w, uint8_t bytes, struct tcp_options *o)
{
	for (o->sacks = 0; bytes >= 8 && o->sacks < TCP_SACK_BLOCKS; bytes -= 8, o->sacks++) {
		o->sack[o->sacks].start = wire_u32(w);
		o->sack[o->sacks].end = wire_u32(w);
	}
}

static void option_take(
	struct wire_in w, uint8_t kind, uint8_t bytes, bool syn, struct tcp_options *o)
{
	if (kind == OPT_MSS && bytes == 2 && syn) {
		o->has_mss = true;
		o->mss = wire_u16(&w);
	} else if (kind == OPT_SCALE && bytes == 1 && syn) {
		o->has_scale = true;
		o->scale = wire_u8(&w);
		if (o->scale > SCALE_MAX)
			o->scale = SCALE_MAX;
	} else if (kind == OPT_SACK_OK && bytes == 0 && syn) {
		o->has_sack_ok = true;
	} else if (kind == OPT_SACK && bytes && bytes % 8 == 0) {
		option_sack(&w, bytes, o);
	} else if (kind == OPT_TS && bytes == 8) {
		o->has_ts = true;
		o->ts_value = wire_u32(&w);
		o->ts_echo = wire_u32(&w);
	}
}

void tcp_options_parse(struct wire_in *w, bool syn, struct tcp_options *o)
{
	*o = (struct tcp_options){0};
	while (wire_left(w)) {
		uint8_t kind = wire_u8(w), length;
		const uint8_t *value;
		if (kind == OPT_END)
			return;
		if (kind == OPT_NOP)
			continue;
		length = wire_u8(w);
		if (length < 2)
			return;
		value = wire_bytes(w, length - 2u);
		if (!value)
			return;
		option_take(wire_in(value, length - 2u), kind, (uint8_t)(length - 2), syn, o);
	}
}

static void options_write_syn(struct stack *s, struct tcp *t, struct wire_out *w)
{
	wire_put_u8(w, OPT_MSS);
	wire_put_u8(w, 4);
	wire_put_u16(w, (uint16_t)(s->config.mtu - IP_HEADER_BYTES - TCP_HEADER_BYTES));
	if (t->use_sack) {
		wire_put_u16(w, OPT_NOP << 8 | OPT_NOP);
		wire_put_u16(w, OPT_SACK_OK << 8 | 2);
	}
	if (t->use_scale) {
		wire_put_u16(w, OPT_NOP << 8 | OPT_SCALE);
		wire_put_u16(w, 3 << 8 | TCP_WINDOW_SCALE);
	}
}

static bool option_inside(const struct tcp_range *r, const struct tcp_range *around)
{
	return around->start != around->end && seq_le(around->start, r->start) &&
	       seq_le(r->end, around->end);
}

/*
 * The acknowledgement may lag behind what we hold (tcp_rx.c), and a sender takes any block above it for bytes beyond a
 * hole. So a duplicate is reported (RFC 2883) only when the acknowledgement has covered it or the next block holds it:
 * told otherwise, it would be read as the loss of everything in between. And when there is a real hole, what we
 * hold before it is reported too, but for its first segment, or the sender would send it again.
 */
static unsigned int options_sack_blocks(struct tcp *t, struct tcp_range *block, unsigned int most)
{
	const uint32_t ack = tcp_rx_ack(t);
	unsigned int n = 0;
	if (t->dsack.start != t->dsack.end &&
		(seq_le(t->dsack.end, ack) || option_inside(&t->dsack, &t->sack[0]))) {
		block[n++] = t->dsack;
		t->dsack = (struct tcp_range){0};
	}
	for (unsigned int i = 0; i < TCP_SACK_BLOCKS && n < most; i++)
		if (t->sack[i].start != t->sack[i].end)
			block[n++] = t->sack[i];
	if (n && n < most && seq_lt(ack + t->mss, t->rcv_nxt) &&
		seq_lt(t->rcv_nxt, block[n - 1].start))
		block[n++] = (struct tcp_range){ack + t->mss, t->rcv_nxt};
	return n;
}

static void options_write_sack(struct tcp *t, struct wire_out *w)
{
	struct tcp_range block[TCP_SACK_BLOCKS + 1];
	unsigned int n = options_sack_blocks(t, block, t->use_ts ? 3 : 4);
	if (!n)
		return;
	wire_put_u16(w, OPT_NOP << 8 | OPT_NOP);
	wire_put_u8(w, OPT_SACK);
	wire_put_u8(w, (uint8_t)(2 + 8 * n));
	for (unsigned int i = 0; i < n; i++) {
		wire_put_u32(w, block[i].start);
		wire_put_u32(w, block[i].end);
	}
}

uint32_t tcp_options_write(struct stack *s, struct tcp *t, struct wire_out *w, enum tcp_shape shape)
{
	size_t before = wire_written(w);
	if (shape == TCP_SHAPE_SYN)
		options_write_syn(s, t, w);
	if (t->use_ts) {
		wire_put_u16(w, OPT_NOP << 8 | OPT_NOP);
		wire_put_u16(w, OPT_TS << 8 | 10);
		wire_put_u32(w, tcp_ts_now(s, t));
		wire_put_u32(w, t->ts_recent);
	}
	if (shape == TCP_SHAPE_ACK && t->use_sack)
		options_write_sack(t, w);
	return (uint32_t)(wire_written(w) - before);
}
