/*
 * Theory of operation: segments leave in tcp_flush, once a turn for each flow that was marked, so that what many events
 * of a turn ask for becomes few frames: lost bytes first, then new ones as far as congestion window, the guest's
 * window and the coalescing rules allow, in super-frames of up to 64 KiB that the last one to touch the bytes
 * cuts up; then an acknowledgement, if no segment carried it.
 *
 * Small segments (RFC 896, in Minshall's form): one that is smaller than the MSS waits while another small one is not yet
 * acknowledged. A request or answer that is written in one piece so never waits.
 */
#include "state.h"

enum { TCP_CHECKSUM_AT = 16 };

struct shape {
	uint32_t seq, ack;
	uint16_t window, urgent;
	uint8_t flags;
	enum tcp_shape kind;
	uint32_t payload;
	bool ect; /* routers may mark it */
};

static struct out_ip out_tcp_ip(const struct flow *f)
{
	return (struct out_ip){.src_be = f->key.remote_ip_be,
		.dst_be = f->key.guest_ip_be,
		.frag = IP_DONT_FRAGMENT,
		.protocol = IP_PROTO_TCP,
		.ttl = OUT_TTL};
}

static uint16_t out_window_field(struct stack *s, struct tcp *t, enum tcp_shape kind)
{
	uint32_t window = tcp_rx_window(s, t);
	if (kind == TCP_SHAPE_SYN)
		return (uint16_t)(window > 65535 ? 65535 : window);
	return (uint16_t)(window >> t->rcv_scale);
}

/* Headers of one segment; IP length and checksums are set by whoever knows the payload. */
static struct out_ip out_begin(
	struct stack *s, struct flow *f, struct out *o, const struct shape *shape)
{
	struct out_ip ip = out_tcp_ip(f);
	uint8_t options[40];
	struct wire_out w = wire_out(options, sizeof(options));
	uint32_t n = tcp_options_write(s, &f->tcp, &w, shape->kind);
	ip.payload_bytes = TCP_HEADER_BYTES + n + shape->payload;
	ip.tos = shape->ect ? IP_ECN_ECT0 : 0;
	out_ip(s, o, flow_guest(s, f), &ip);
	wire_put_u16(&o->wire, f->key.remote_port);
	wire_put_u16(&o->wire, f->key.guest_port);
	wire_put_u32(&o->wire, shape->seq);
	wire_put_u32(&o->wire, shape->ack);
	wire_put_u8(&o->wire, (uint8_t)((TCP_HEADER_BYTES + n) / 4 << 4));
	wire_put_u8(&o->wire, shape->flags);
	wire_put_u16(&o->wire, shape->window);
	wire_put_u16(&o->wire, 0);
	wire_put_u16(&o->wire, shape->urgent);
	wire_put(&o->wire, options, n);
	s->counts.segments_out++;
	return ip;
}

static int out_bare(struct stack *s, struct flow *f, const struct shape *shape)
{
	struct out o;
	struct out_ip ip = out_begin(s, f, &o, shape);
	out_full_checksum(&o, TCP_CHECKSUM_AT,
		wire_pseudo_sum(ip.src_be, ip.dst_be, ip.protocol, (uint16_t)ip.payload_bytes));
	return out_send(s, &o, LINK_CONTROL);
}

/* An acknowledgement left with data. Duplicates stay owed: their SACK blocks ride on bare segments only. */
static void out_acknowledged(struct tcp *t, uint32_t ack)
{
	t->rcv_last_ack = ack;
	t->ack_now = false;
	tcp_timer_clear(t, TCP_TIMER_ACK);
}

void tcp_syn_due(struct stack *s, struct flow *f)
{
	f->tcp.syn_due = true;
	flow_owe(s, f, OWED_OUTPUT);
}

void tcp_send_syn(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	bool answer = t->state == TCP_SYN_RECEIVED;
	struct shape shape = {.seq = t->iss,
		.ack = answer ? t->irs + 1 : 0,
		.flags = (uint8_t)(answer ? TCP_SYN | TCP_ACK : TCP_SYN),
		.kind = TCP_SHAPE_SYN};
	shape.flags |= tcp_ecn_syn(s, t, answer);
	t->syn_due = false;
	t->snd_nxt = t->iss + 1;
	tcp_timer_update(s, f, true);
	if (!flow_guest(s, f)->known) {
		arp_ask(s, flow_guest(s, f));
		return;
	}
	if (answer)
		shape.window = out_window_field(s, t, TCP_SHAPE_SYN);
	else
		shape.window = 65535;
	if (out_bare(s, f, &shape) < 0)
		return;
	t->timed_ns = t->backoff ? 0 : s->now_ns;
	t->rcv_last_ack = shape.ack;
}

void tcp_send_ack(struct stack *s, struct flow *f, uint32_t seq)
{
	struct tcp *t = &f->tcp;
	struct shape shape = {
		.seq = seq, .ack = tcp_rx_ack(t), .flags = TCP_ACK, .kind = TCP_SHAPE_ACK};
	shape.flags |= tcp_ecn_flags(t);
	shape.window = out_window_field(s, t, TCP_SHAPE_ACK);
	if (out_bare(s, f, &shape) < 0) {
		flow_owe(s, f, OWED_ACK);
		return;
	}
	s->counts.acks_out++;
	t->rcv_last_ack = shape.ack;
	tcp_timer_clear(t, TCP_TIMER_ACK);
}

void tcp_send_reset(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	bool synced = t->state != TCP_OPENING && t->state != TCP_SYN_SENT;
	struct shape shape = {.seq = synced ? t->snd_nxt : 0,
		.ack = synced ? tcp_rx_ack(t) : t->irs + 1,
		.flags = TCP_RST | TCP_ACK,
		.kind = TCP_SHAPE_DATA};
	if (!flow_guest(s, f)->known || t->state == TCP_SYN_SENT)
		return;
	s->counts.resets_out++;
	if (out_bare(s, f, &shape) < 0)
		drop_count(s->drops, DROP_RING_FULL);
}

void tcp_refuse(struct stack *s, const struct tcp_segment *seg)
{
	struct out o;
	struct out_ip ip = {.src_be = seg->packet->dst_be,
		.dst_be = seg->packet->src_be,
		.frag = IP_DONT_FRAGMENT,
		.protocol = IP_PROTO_TCP,
		.ttl = OUT_TTL,
		.payload_bytes = TCP_HEADER_BYTES};
	bool has_ack = seg->flags & TCP_ACK;
	if (seg->flags & TCP_RST)
		return;
	out_ip(s, &o, seg->guest, &ip);
	wire_put_u16(&o.wire, seg->target);
	wire_put_u16(&o.wire, seg->source);
	wire_put_u32(&o.wire, has_ack ? seg->ack : 0);
	wire_put_u32(&o.wire, has_ack ? 0 : seg->seq + seg->length);
	wire_put_u16(&o.wire, (uint16_t)(0x5000 | TCP_RST | (has_ack ? 0 : TCP_ACK)));
	wire_put_u16(&o.wire, 0);
	wire_put_u32(&o.wire, 0);
	out_full_checksum(&o, TCP_CHECKSUM_AT,
		wire_pseudo_sum(ip.src_be, ip.dst_be, ip.protocol, TCP_HEADER_BYTES));
	s->counts.resets_out++;
	if (out_send(s, &o, LINK_CONTROL) < 0)
		drop_count(s->drops, DROP_RING_FULL);
}

/* Most payload of one descriptor: whole segments of a super-frame, or one segment that bears a mark. */
static uint32_t out_data_limit(const struct tcp *t, uint32_t seq, uint32_t bytes)
{
	uint32_t most = (uint32_t)TCP_PAYLOAD_MAX / t->mss * t->mss;
	if ((t->snd_urgent && seq_lt(seq, t->snd_up)) || tcp_ecn_sends_cwr(t, seq))
		most = t->mss;
	return bytes < most ? bytes : most;
}

struct payload {
	struct ring_seg piece[RING_SEGS];
	unsigned int n;
	uint32_t bytes;
	uint32_t copy; /* a buffer of our own, or 0 */
};

/*
 * The bytes of one descriptor from seq on, by reference. A far end that writes a few bytes at a time would make runt
 * segments of four pieces each: such bytes are copied together into one segment. On a strict data path all are
 * copied; without a buffer there are none this time.
 */
static void out_payload(
	struct stack *s, struct tcp *t, uint32_t seq, uint32_t bytes, struct payload *p)
{
	uint32_t left = tcp_tx_end_seq(t) - seq, want = out_data_limit(t, seq, bytes);
	p->copy = p->bytes = p->n = 0;
	if (!s->config.strict)
		p->bytes = tcp_tx_pieces(s, t, seq, want, p->piece, &p->n);
	if (want > left)
		want = left;
	if (want > t->mss && !s->config.strict)
		want = t->mss;
	if (p->bytes >= want)
		return;
	p->copy = tcp_tx_copy(s, t, seq, want);
	if (!p->copy)
		return;
	p->piece[0] = (struct ring_seg){buf_offset(buf_index(p->copy)), want, p->copy};
	p->n = 1;
	p->bytes = want;
}

/* Notes what just left: how far, and what it acknowledged. */
static void out_sent(struct stack *s, struct tcp *t, const struct shape *shape)
{
	bool fin = shape->flags & TCP_FIN;
	uint32_t end = shape->seq + shape->payload + fin;
	t->fin_sent |= fin;
	t->ecn_cwr &= !(shape->flags & TCP_CWR);
	t->sent_ns = s->now_ns;
	t->prr_out += end - shape->seq;
	if (shape->seq == t->snd_nxt) {
		tcp_sent_append(s, t, end);
	} else {
		tcp_sent_again(s, t, shape->seq, end);
		tcp_undo_resent(s, t, shape->seq, end);
	}
	if (shape->payload % t->mss)
		t->snd_small = shape->seq + shape->payload;
	if (shape->ack != t->rcv_last_ack)
		t->interactive = true;
	out_acknowledged(t, shape->ack);
}

static void out_data_flags(const struct tcp *t, struct shape *shape)
{
	bool end = shape->seq + shape->payload == tcp_tx_end_seq(t);
	shape->ect = t->use_ecn && shape->payload && shape->seq == t->snd_nxt;
	shape->flags |= tcp_ecn_flags(t);
	if (shape->ect && t->ecn_cwr)
		shape->flags |= TCP_CWR;
	if (t->tx_fin && end)
		shape->flags |= TCP_FIN;
	if (shape->payload && end)
		shape->flags |= TCP_PSH;
	if (t->snd_urgent && seq_lt(shape->seq, t->snd_up)) {
		uint32_t distance = t->snd_up - shape->seq;
		shape->flags |= TCP_URG;
		shape->urgent = (uint16_t)(distance > 65535 ? 65535 : distance);
	}
}

uint32_t tcp_send_data(struct stack *s, struct flow *f, uint32_t seq, uint32_t bytes)
{
	struct tcp *t = &f->tcp;
	struct shape shape = {
		.seq = seq, .ack = tcp_rx_ack(t), .flags = TCP_ACK, .kind = TCP_SHAPE_DATA};
	struct payload p;
	struct out_ip ip;
	struct out o;
	int err;
	out_payload(s, t, seq, bytes, &p);
	shape.payload = p.bytes;
	out_data_flags(t, &shape);
	if (!shape.payload && !(shape.flags & TCP_FIN))
		return 0;
	shape.window = out_window_field(s, t, TCP_SHAPE_DATA);
	ip = out_begin(s, f, &o, &shape);
	for (unsigned int i = 0; i < p.n; i++)
		out_seg(&o, p.piece[i].id, p.piece[i].off, p.piece[i].len);
	out_partial_checksum(&o, &ip, TCP_CHECKSUM_AT, (uint16_t)(ip.payload_bytes - shape.payload),
		shape.payload > t->mss ? t->mss : 0);
	err = out_send(s, &o, LINK_DATA);
	if (p.copy)
		hold_limbo(s, p.copy);
	if (err)
		return 0;
	out_sent(s, t, &shape);
	return shape.payload + (shape.flags & TCP_FIN ? 1 : 0);
}

/* False when the ring is full. */
static bool out_lost(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	struct tcp_range hole;
	while (t->frto != TCP_FRTO_NEW && tcp_sent_next_lost(s, t, &hole)) {
		uint32_t pipe = tcp_pipe(t), room = t->cwnd > pipe ? t->cwnd - pipe : 0;
		uint32_t bytes = hole.end - hole.start;
		if (room < t->mss && room < bytes)
			return true;
		if (bytes > room)
			bytes = room - room % t->mss;
		if (!tcp_send_data(s, f, hole.start, bytes))
			return false;
		s->counts.retransmits++;
	}
	return true;
}

/* How much new data may go now. */
static uint32_t out_allowed(struct tcp *t)
{
	uint32_t avail = tcp_tx_end_seq(t) - t->snd_nxt, pipe = tcp_pipe(t),
		 edge = t->snd_una + t->snd_wnd;
	uint32_t window = seq_lt(t->snd_nxt, edge) ? edge - t->snd_nxt : 0;
	uint32_t room = t->cwnd > pipe ? t->cwnd - pipe : 0, len = avail;
	if (room < avail && room < window) {
		t->cwnd_limited = true;
		t->limited_end = t->snd_nxt;
	}
	if (len > window)
		len = window;
	if (len > room)
		len = room;
	if (len == avail && len >= t->mss)
		return len % t->mss && seq_lt(t->snd_una, t->snd_small) ? len - len % t->mss : len;
	if (len >= t->mss)
		return len - len % t->mss;
	if (len < avail && (len == room || !len || len < t->snd_wnd_max / 2))
		return 0;
	return seq_lt(t->snd_una, t->snd_small) && t->snd_una != t->snd_nxt && !t->tx_fin ? 0 : len;
}

static bool out_new(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	uint32_t len;
	while (!t->fin_sent && tcp_tx_end_seq(t) != t->snd_nxt) {
		if (t->snd_una == t->snd_nxt)
			tcp_cc_restart(s, t);
		len = out_allowed(t);
		if (!len)
			return true;
		if (!tcp_send_data(s, f, t->snd_nxt, len))
			return false;
	}
	if (t->tx_fin && !t->fin_sent && (t->snd_wnd || t->snd_nxt != t->snd_una))
		return tcp_send_data(s, f, t->snd_nxt, 0) != 0;
	return true;
}

static void out_fin_state(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	if (!t->fin_sent)
		return;
	if (t->state == TCP_ESTABLISHED)
		t->state = TCP_FIN_WAIT_1;
	else if (t->state == TCP_CLOSE_WAIT)
		t->state = TCP_LAST_ACK;
}

static void out_segments(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	uint32_t before = t->snd_nxt;
	if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECEIVED) {
		if (t->syn_due)
			tcp_send_syn(s, f);
		return;
	}
	if (t->state < TCP_ESTABLISHED || t->state == TCP_TIME_WAIT)
		return;
	if (!out_lost(s, f) || !out_new(s, f))
		flow_owe(s, f, OWED_OUTPUT);
	out_fin_state(s, f);
	tcp_timer_update(s, f, t->snd_nxt != before && t->resend == TCP_RESEND_PROBE);
}

static void out_due_acks(struct stack *s, struct flow *f)
{
	struct tcp *t = &f->tcp;
	unsigned int due = t->acks_owed > t->ack_now ? t->acks_owed : t->ack_now;
	if (t->state < TCP_SYN_RECEIVED)
		return;
	t->acks_owed = 0;
	t->ack_now = false;
	while (due--)
		tcp_send_ack(s, f, t->snd_nxt);
}

static bool out_tell(struct stack *s, struct flow *f, uint8_t op)
{
	struct ring_desc d = {.op = op, .flow = flow_id_of(s, f)};
	if (op == RING_NETSTACK_TCP_ACCEPTED)
		d.pair = (struct ring_pair){.guest_ip_be = f->key.guest_ip_be,
			.remote_ip_be = f->key.remote_ip_be,
			.guest_port = f->key.guest_port,
			.remote_port = f->key.remote_port,
			.token = f->token};
	if (op == RING_NETSTACK_TCP_REJECTED) {
		d.flow = 0;
		d.arg = f->failure;
		d.pair.token = f->token;
	}
	return link_send(s->natproxy, LINK_CONTROL, &d, NULL) == 0;
}

/* Sends what `bit` of the owed asks for; keeps the bit when the ring is full. */
static bool out_message(struct stack *s, struct flow *f, unsigned int bit, uint8_t op)
{
	if (!(f->owed & bit))
		return true;
	if (!out_tell(s, f, op)) {
		flow_owe(s, f, 0);
		return false;
	}
	f->owed &= (uint8_t)~bit;
	return true;
}

static void out_last_words(struct stack *s, struct flow *f)
{
	if (!out_message(s, f, OWED_REJECT, RING_NETSTACK_TCP_REJECTED) ||
		!out_message(s, f, OWED_RESET, RING_NETSTACK_TCP_RESET) ||
		!out_message(s, f, OWED_FREE, RING_NETSTACK_FLOW_FREE))
		return;
	flow_forget_id(f);
	f->owed = 0;
	flow_settle(s, f);
}

void tcp_flush(struct stack *s, struct flow *f)
{
	uint8_t owed;
	if (!f->hashed || (f->owed & OWED_FREE)) {
		if (f->hashed && f->tcp.state == TCP_TIME_WAIT && (f->owed & OWED_ACK))
			out_due_acks(s, f);
		out_last_words(s, f);
		return;
	}
	if (f->owed & OWED_ACCEPT) {
		if (!out_message(s, f, OWED_ACCEPT, RING_NETSTACK_TCP_ACCEPTED))
			return;
		f->told = true;
	}
	owed = f->owed;
	f->owed = 0;
	if ((owed & OWED_UPLOAD) && f->told && !tcp_rx_upload(s, f))
		flow_owe(s, f, OWED_UPLOAD);
	if ((owed & OWED_CREDIT) && f->told && !tcp_tx_credit(s, f))
		flow_owe(s, f, OWED_CREDIT);
	if (owed & OWED_OUTPUT)
		out_segments(s, f);
	if (f->hashed)
		out_due_acks(s, f);
}
