/* See talk.h. */
#include <endian.h>
#include <string.h>

#include "talk.h"

enum { TALK_PIECE = ARENA_LARGE_BYTES, TALK_SCALE_MAX = 14 };

void talk_begin(struct talk *t, const struct script_connection *name)
{
	*t = (struct talk){.name = name, .numbers = {.guest_isn = name->guest_isn}};
}

static uint8_t talk_byte(const struct talk *t, bool down, uint64_t offset)
{
	uint64_t x = offset + ((uint64_t)t->name->guest_isn << 33 | (uint64_t)down << 32);
	x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 32) * UINT64_C(0x94d049bb133111eb);
	return (uint8_t)(x >> 56);
}

void talk_pattern(const struct talk *t, uint32_t start, bool forged, uint8_t *out, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = talk_byte(t, false, (uint64_t)start + i - 1) ^ (forged ? 0xff : 0);
}

static void talk_wrong(struct talk *t, bool wrong, const char *what)
{
	if (wrong && !t->fault)
		t->fault = what;
}

static void talk_see(struct talk *t, struct edge *e, enum far_sight what, uint32_t value)
{
	talk_wrong(t, t->sight_tail - t->sight_head == TALK_SIGHTS_MAX, "too much for natproxy");
	t->sight[t->sight_tail++ % TALK_SIGHTS_MAX] = (struct talk_sight){what, value, edge_now(e)};
}

void talk_guest_sends(struct talk *t, const struct segment *s)
{
	uint32_t scale = 0, edge;
	if (s->protocol != 6)
		return;
	if (s->flags & FLAG_SYN) {
		t->scaled = check_option(s, OPTION_SCALE, &scale);
		t->guest_scale = (uint8_t)(scale < TALK_SCALE_MAX ? scale : TALK_SCALE_MAX);
	}
	if (!(s->flags & FLAG_ACK))
		return;
	scale = t->scaled && !(s->flags & FLAG_SYN) ? t->guest_scale : 0;
	edge = s->ack - t->numbers.stack_isn + ((uint32_t)s->window << scale);
	if ((int32_t)(edge - t->offered) > 0)
		t->offered = edge;
}

static void talk_stack_began(struct talk *t, const struct segment *s)
{
	uint32_t value;
	talk_wrong(t, t->numbers.stack_isn && t->numbers.stack_isn != s->seq,
		"a SYN repeated with another number");
	t->numbers.stack_isn = s->seq;
	t->stack_scale = check_option(s, OPTION_SCALE, &value) ? (uint8_t)value : 0;
	if (!t->numbers.ts_known && check_option(s, OPTION_TS, &value)) {
		t->numbers.stack_ts = value;
		t->numbers.ts_known = true;
	}
	if (!t->offered)
		t->offered = 65536;
}

/* RFC 9293 3.8.6: a window is not drawn back, an acknowledgement is not taken back. */
static void talk_check_window(struct talk *t, const struct segment *s)
{
	uint32_t scale = t->scaled && !(s->flags & FLAG_SYN) ? t->stack_scale : 0;
	uint32_t edge = s->ack + ((uint32_t)s->window << scale);
	if (t->granted_any) {
		talk_wrong(t, (int32_t)(edge - t->granted) < 0, "the window was drawn back");
		talk_wrong(t, (int32_t)(s->ack - t->acked) < 0, "an acknowledgement went back");
	}
	t->granted_any = true;
	t->granted = edge;
	t->acked = s->ack;
}

static void talk_stack_reached(struct talk *t, const struct segment *s)
{
	uint32_t end = s->seq + s->payload_bytes + (s->flags & (FLAG_SYN | FLAG_FIN) ? 1 : 0);
	if (s->flags & FLAG_SYN || (int32_t)(end - t->numbers.stack_end) > 0)
		t->numbers.stack_end = end;
}

void talk_stack_sent(struct talk *t, const struct segment *s)
{
	uint32_t start = s->seq - t->numbers.stack_isn;
	if (s->protocol != 6)
		return;
	if (s->flags & FLAG_RST) {
		t->reset_seen = true;
		return;
	}
	if (s->flags & FLAG_SYN)
		talk_stack_began(t, s);
	if (s->flags & FLAG_ACK)
		talk_check_window(t, s);
	talk_stack_reached(t, s);
	if (!s->payload_bytes)
		return;
	talk_wrong(t, (int32_t)(start + s->payload_bytes - t->offered) > 0,
		"data beyond the guest's window");
	for (uint32_t i = 0; i < s->payload_bytes; i++)
		talk_wrong(t, s->payload[i] != talk_byte(t, true, (uint64_t)start + i - 1),
			"wrong bytes for the guest");
}

static void talk_take(struct talk *t, struct edge *e, uint64_t offset)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_CONSUMED, .flow = t->flow, .arg = offset};
	if (offset > t->up_got)
		offset = d.arg = t->up_got;
	t->up_taken = offset;
	for (; t->held_head != t->held_tail; t->held_head++) {
		const struct talk_held *h = &t->held[t->held_head % TALK_HELD_MAX];
		if (h->end > offset)
			break;
		edge_release(e, h->id);
	}
	if (t->alive)
		edge_say(e, &d, NULL, 0);
}

static void talk_hear_data(struct talk *t, struct edge *e, const struct ring_desc *d)
{
	talk_wrong(t, d->arg != t->up_got, "data for natproxy that does not follow on");
	for (unsigned int i = 0; i < d->nseg; i++) {
		const uint8_t *bytes = edge_bytes(e, &d->seg[i]);
		for (uint32_t k = 0; k < d->seg[i].len; k++)
			talk_wrong(t, bytes[k] != talk_byte(t, false, t->up_got + k),
				"wrong bytes for the far end");
		t->up_got += d->seg[i].len;
		talk_wrong(t, t->held_tail - t->held_head == TALK_HELD_MAX, "too many buffers");
		t->held[t->held_tail++ % TALK_HELD_MAX] =
			(struct talk_held){d->seg[i].id, t->up_got};
	}
	if (d->hlen)
		talk_see(t, e, SIGHT_URGENT, (uint32_t)t->up_got);
	if (!t->stalled)
		talk_take(t, e, t->up_got);
}

static void talk_hear_open(struct talk *t, struct edge *e, const struct ring_desc *d)
{
	talk_wrong(t, t->alive, "opened twice");
	talk_wrong(t,
		d->pair.guest_ip_be != htobe32(EDGE_GUEST) ||
			d->pair.remote_ip_be != htobe32(EDGE_FAR) ||
			d->pair.guest_port != t->name->guest_port ||
			d->pair.remote_port != t->name->far_port,
		"opened with other endpoints");
	t->alive = true;
	t->flow = d->flow;
	talk_see(t, e, d->op == RING_NETSTACK_TCP_OPEN ? SIGHT_OPEN : SIGHT_ACCEPTED, 0);
}

static void talk_over(struct talk *t, struct edge *e)
{
	t->alive = false;
	talk_take(t, e, t->up_got);
}

void talk_hear(struct talk *t, struct edge *e, const struct ring_desc *d)
{
	switch (d->op) {
	case RING_NETSTACK_TCP_OPEN:
	case RING_NETSTACK_TCP_ACCEPTED: talk_hear_open(t, e, d); break;
	case RING_NETSTACK_TCP_REJECTED: talk_see(t, e, SIGHT_REJECTED, (uint32_t)d->arg); break;
	case RING_NETSTACK_TCP_DATA: talk_hear_data(t, e, d); break;
	case RING_NETSTACK_TCP_CREDIT:
		talk_wrong(t, d->arg < t->credit, "credit was drawn back");
		t->credit = d->arg;
		break;
	case RING_NETSTACK_TCP_FIN: talk_see(t, e, SIGHT_FIN, 0); break;
	case RING_NETSTACK_TCP_RESET:
		talk_see(t, e, SIGHT_RESET, 0);
		talk_over(t, e);
		break;
	case RING_NETSTACK_FLOW_FREE:
		talk_see(t, e, SIGHT_END, 0);
		talk_over(t, e);
		break;
	default: talk_wrong(t, true, "a message that no script expects"); break;
	}
	talk_go_on(t, e);
}

/* Where the next piece ends: at the credit, at an urgent byte, or where all ends. */
static uint64_t talk_piece_end(const struct talk *t)
{
	uint64_t end = t->down_wanted < t->credit ? t->down_wanted : t->credit;
	if (end > t->down_sent + TALK_PIECE)
		end = t->down_sent + TALK_PIECE;
	for (unsigned int i = 0; i < t->urges; i++)
		if (t->urge[i] > t->down_sent && t->urge[i] < end)
			end = t->urge[i];
	return end;
}

void talk_go_on(struct talk *t, struct edge *e)
{
	static uint8_t piece[TALK_PIECE];
	while (t->alive && t->down_sent < talk_piece_end(t)) {
		uint64_t end = talk_piece_end(t);
		struct ring_desc d = {
			.op = RING_NATPROXY_TCP_DATA, .flow = t->flow, .arg = t->down_sent};
		for (uint64_t i = t->down_sent; i < end; i++)
			piece[i - t->down_sent] = talk_byte(t, true, i);
		for (unsigned int i = 0; i < t->urges; i++)
			d.hlen |= t->urge[i] == end;
		edge_say(e, &d, piece, (uint32_t)(end - t->down_sent));
		t->down_sent = end;
	}
	if (t->alive && t->close_wanted && !t->close_sent && t->down_sent == t->down_wanted) {
		struct ring_desc d = {.op = RING_NATPROXY_TCP_FIN, .flow = t->flow};
		t->close_sent = true;
		edge_say(e, &d, NULL, 0);
	}
}

static void talk_fail(struct talk *t, struct edge *e, enum ring_failure why)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_FAILED, .flow = t->flow, .arg = why};
	edge_say(e, &d, NULL, 0);
	t->alive = false;
}

static void talk_connect(struct talk *t, struct edge *e)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_INCOMING};
	d.pair = (struct ring_pair){.guest_ip_be = htobe32(EDGE_GUEST),
		.remote_ip_be = htobe32(EDGE_FAR),
		.guest_port = t->name->guest_port,
		.remote_port = t->name->far_port,
		.token = t->name->guest_isn};
	edge_say(e, &d, NULL, 0);
}

static void talk_say(struct talk *t, struct edge *e, uint8_t op)
{
	struct ring_desc d = {.op = op, .flow = t->flow};
	edge_say(e, &d, NULL, 0);
}

void talk_far(struct talk *t, struct edge *e, enum far_act act, uint32_t value)
{
	switch (act) {
	case FAR_ACCEPTS: talk_say(t, e, RING_NATPROXY_TCP_OPENED); break;
	case FAR_REFUSES: talk_fail(t, e, RING_FAIL_REFUSED); break;
	case FAR_HOST_UNREACHABLE: talk_fail(t, e, RING_FAIL_HOST); break;
	case FAR_NET_UNREACHABLE: talk_fail(t, e, RING_FAIL_NET); break;
	case FAR_PROHIBITS: talk_fail(t, e, RING_FAIL_PROHIBITED); break;
	case FAR_TIMES_OUT: talk_fail(t, e, RING_FAIL_TIMEOUT); break;
	case FAR_RUNS_SHORT: talk_fail(t, e, RING_FAIL_SHORTAGE); break;
	case FAR_CONNECTS: talk_connect(t, e); break;
	case FAR_WRITES: t->down_wanted += value; break;
	case FAR_FINISHES:
		t->down_wanted += value;
		t->close_wanted = true;
		break;
	case FAR_URGES:
		t->down_wanted += value;
		if (t->urges < TALK_URGES_MAX)
			t->urge[t->urges++] = t->down_wanted;
		break;
	case FAR_CLOSES: t->close_wanted = true; break;
	case FAR_RESETS:
		talk_say(t, e, RING_NATPROXY_TCP_RESET);
		talk_over(t, e);
		break;
	case FAR_STALLS: t->stalled = true; break;
	case FAR_TAKES: talk_take(t, e, t->up_taken + value); break;
	case FAR_RESUMES:
		t->stalled = false;
		talk_take(t, e, t->up_got);
		break;
	}
	talk_go_on(t, e);
}

void talk_end(struct talk *t, struct edge *e)
{
	if (t->alive)
		talk_far(t, e, FAR_RESETS, 0);
}
