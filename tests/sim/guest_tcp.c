/*
 * Theory of operation. TCP (RFC 9293) with MSS, window scaling and SACK both ways (RFC 7323, RFC 2018, RFC 6675) and
 * RFC 6298's timer. Positions are 64-bit, so nothing wraps here. Data to send is a pattern or a
 * short text and needs no buffer; received bytes are checked as they come, whatever their order.
 */
#include "guest.h"

#include <string.h>

#include "cable.h"
#include "pattern.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum {
	HEADER = 20,
	OPTIONS_MAX = 40,
	SHIFT = 7,
	BULK_BYTES = 32768,
	EXPIRIES_MAX = 12,
	FIRST_PORT = 40000
};
enum { CWND_START = 10 * GUEST_MSS, CWND_MAX = 1 << 20 };
#define RTO_MIN (200 * MS)
#define RTO_MAX (60 * SECOND)

struct incoming {
	uint16_t from, to;
	uint32_t seq, ack, window;
	uint8_t flags, shift;
	struct wire_in payload;
	uint32_t sacks;
	struct {
		uint32_t start, end;
	} sack[4];
};

static uint16_t next_port = FIRST_PORT;

static void output(struct guest_conn *c);
static void timer_set(struct guest_conn *c);

static bool alive(const struct guest_conn *c)
{
	return c->state != GUEST_FREE && c->state != GUEST_RESET && c->state != GUEST_DEAD;
}

uint32_t guest_open_conns(void)
{
	uint32_t n = 0;
	for (int i = 0; i < GUEST_CONNS; i++)
		n += guest.conn[i].state != GUEST_DONE && alive(&guest.conn[i]);
	return n;
}

uint64_t guest_received(const struct guest_conn *c)
{
	bool fin = c->fin_at && c->rcv_nxt > c->fin_at;
	return c->rcv_nxt ? c->rcv_nxt - 1 - fin : 0;
}

static uint64_t end_of_data(const struct guest_conn *c)
{
	return 1 + c->send_total;
}

/* Segments out. */

static uint32_t window_of(const struct guest_conn *c)
{
	return c->window > c->unread ? c->window - c->unread : 0;
}

static void put_options(const struct guest_conn *c, struct wire_out *w, bool syn)
{
	if (syn) {
		wire_put_u32(w, 2 << 24 | 4 << 16 | GUEST_MSS);
		wire_put_u32(w, 1u << 24 | 3 << 16 | 3 << 8 | SHIFT);
		wire_put_u32(w, 1u << 24 | 1 << 16 | 4 << 8 | 2);
		return;
	}
	if (!c->ranges)
		return;
	uint32_t n = c->ranges < 3 ? c->ranges : 3;
	wire_put_u16(w, 0x0101);
	wire_put_u8(w, 5);
	wire_put_u8(w, (uint8_t)(2 + 8 * n));
	for (uint32_t i = 0; i < n; i++) {
		const struct guest_range *r = &c->range[(c->last_range + i) % c->ranges];
		wire_put_u32(w, c->irs + (uint32_t)r->start);
		wire_put_u32(w, c->irs + (uint32_t)r->end);
	}
}

static void fill(const struct guest_conn *c, uint64_t position, uint8_t *out, uint32_t n)
{
	if (c->send_seed)
		pattern_fill(c->send_seed, position - 1, out, n);
	else
		memcpy(out, c->text + position - 1, n);
}

static void transmit(
	const struct guest_conn *c, const uint8_t *segment, uint32_t bytes, uint32_t header)
{
	static uint8_t frame[CABLE_FRAME_MAX];
	struct wire_vnet vnet = {0};
	uint32_t length = guest_make_ip(frame, IP_PROTO_TCP, c->remote_ip, segment, bytes);
	if (bytes - header > GUEST_MSS)
		vnet = (struct wire_vnet){.flags = WIRE_VNET_NEEDS_CSUM,
			.gso_type = WIRE_GSO_TCP4,
			.hdr_len = (uint16_t)(ETH_HEADER_BYTES + 20 + header),
			.gso_size = GUEST_MSS,
			.csum_start = ETH_HEADER_BYTES + 20,
			.csum_offset = 16};
	cable_send(CABLE_UP, &vnet, frame, length);
}

static void segment(
	struct guest_conn *c, uint8_t flags, uint64_t position, uint64_t acknowledge, uint32_t n)
{
	static uint8_t p[HEADER + OPTIONS_MAX + BULK_BYTES];
	struct wire_out w = wire_out(p + HEADER, OPTIONS_MAX);
	uint32_t header, window = window_of(c) >> (flags & SYN ? 0 : SHIFT);
	uint16_t sum;
	put_options(c, &w, flags & SYN);
	header = HEADER + (uint32_t)wire_written(&w);
	w = wire_out(p, HEADER);
	wire_put_u16(&w, c->port);
	wire_put_u16(&w, c->remote_port);
	wire_put_u32(&w, c->iss + (uint32_t)position);
	wire_put_u32(&w, flags & ACK ? c->irs + (uint32_t)acknowledge : 0);
	wire_put_u16(&w, (uint16_t)(header / 4 << 12 | flags));
	wire_put_u16(&w, (uint16_t)(window > 65535 ? 65535 : window));
	wire_put_u32(&w, 0);
	if (n)
		fill(c, position, p + header, n);
	sum = guest_sum(guest.ip, c->remote_ip, IP_PROTO_TCP, p, header + n);
	p[16] = (uint8_t)(sum >> 8);
	p[17] = (uint8_t)sum;
	c->segments_sent++;
	transmit(c, p, header + n, header);
}

static void send_ack(struct guest_conn *c)
{
	segment(c, ACK, c->nxt, c->rcv_nxt, 0);
}

void guest_acknowledge_early(struct guest_conn *c, uint32_t ahead)
{
	if (c->state == GUEST_OPEN)
		segment(c, ACK, c->nxt, c->rcv_nxt + ahead, 0);
}

/* Sends what may start at a position: data, and the FIN with its last byte. Returns sequence numbers used. */
static uint32_t send_from(struct guest_conn *c, uint64_t position, uint64_t limit)
{
	uint64_t end = end_of_data(c);
	uint64_t most = guest.tso && c->bulk && !c->recovering ? BULK_BYTES : GUEST_MSS;
	uint64_t n = position < end ? end - position : 0;
	uint8_t flags = ACK;
	if (position + n > limit)
		n = limit > position ? limit - position : 0;
	n = n < most ? n : most;
	if (c->finish && position + n == end && position <= end)
		flags |= FIN;
	if (!n && !(flags & FIN))
		return 0;
	if (n && position + n == end)
		flags |= PSH;
	c->segments_resent += position < c->max;
	segment(c, flags, position, c->rcv_nxt, (uint32_t)n);
	n += flags & FIN;
	if (position + n > c->max) {
		c->max = position + n;
		if (!c->timed) {
			c->timed = c->max;
			c->timed_ns = clock_ns();
		}
	}
	return (uint32_t)n;
}

/* No part of a segment only because the window ends there (RFC 9293 3.8.6.2.1). */
static bool is_whole(const struct guest_conn *c, uint64_t limit)
{
	return c->nxt + GUEST_MSS <= limit || limit >= end_of_data(c) || c->nxt == c->una;
}

static void output(struct guest_conn *c)
{
	uint64_t pipe = c->nxt - c->una, room, limit;
	uint32_t n;
	if (c->state != GUEST_OPEN)
		return;
	pipe = c->recovering ? guest_sack_pipe(c) : pipe;
	room = c->cwnd > pipe ? (c->cwnd - pipe) / GUEST_MSS * GUEST_MSS : 0;
	limit = c->nxt + room < c->una + c->wnd ? c->nxt + room : c->una + c->wnd;
	while (is_whole(c, limit) && (n = send_from(c, c->nxt, limit)))
		c->nxt += n;
	timer_set(c);
}

static void send_syn(struct guest_conn *c)
{
	segment(c, c->state == GUEST_SYN_SENT ? SYN : SYN | ACK, 0, c->rcv_nxt, 0);
}

static void refuse(uint32_t ip, const struct wire_in *payload, uint16_t from, uint16_t to,
	uint32_t seq, uint32_t ack, uint8_t flags)
{
	struct guest_conn c = {.remote_ip = ip, .port = to, .remote_port = from};
	if (flags & RST)
		return;
	c.irs = seq;
	c.iss = flags & ACK ? ack : 0;
	segment(&c, flags & ACK ? RST : RST | ACK, 0,
		wire_left(payload) + (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0), 0);
}

/* Timers. */

static void expire(struct guest_conn *c)
{
	c->timeouts++;
	if (++c->expiries > EXPIRIES_MAX) {
		c->state = GUEST_DEAD;
		return;
	}
	c->rto_ns = c->rto_ns * 2 < RTO_MAX ? c->rto_ns * 2 : RTO_MAX;
	c->timed = 0;
	if (c->state == GUEST_SYN_SENT || c->state == GUEST_SYN_RECEIVED) {
		send_syn(c);
	} else if (c->una == c->nxt) { /* a closed window: probe it */
		c->nxt += send_from(c, c->nxt, c->nxt + 1);
	} else {
		c->ssthresh = (uint32_t)(c->nxt - c->una) / 2;
		c->ssthresh = c->ssthresh > 2 * GUEST_MSS ? c->ssthresh : 2 * GUEST_MSS;
		c->cwnd = GUEST_MSS;
		c->recovering = false;
		c->recover = c->max;
		c->nxt = c->una;
		guest_sack_clear(c);
		output(c);
	}
	c->timer_ns = 0;
	timer_set(c);
}

static void timer_event(void *arg)
{
	struct guest_conn *c = arg;
	if (c->timer_ns && c->timer_ns == clock_ns() && alive(c))
		expire(c);
}

static bool has_more(const struct guest_conn *c)
{
	return c->nxt < end_of_data(c) + c->finish;
}

static void timer_set(struct guest_conn *c)
{
	bool wanted = c->state == GUEST_SYN_SENT || c->state == GUEST_SYN_RECEIVED ||
		      (c->state == GUEST_OPEN && (c->una != c->nxt || has_more(c)));
	if (!wanted) {
		c->timer_ns = 0;
	} else if (!c->timer_ns) {
		c->timer_ns = clock_ns() + c->rto_ns;
		clock_at(c->timer_ns, timer_event, c);
	}
}

static void compute_rto(struct guest_conn *c)
{
	c->rto_ns = c->srtt_ns ? c->srtt_ns + 4 * c->rttvar_ns : SECOND;
	c->rto_ns = c->rto_ns > RTO_MIN ? c->rto_ns : RTO_MIN;
}

static void sample(struct guest_conn *c, uint64_t rtt_ns)
{
	uint64_t off = c->srtt_ns > rtt_ns ? c->srtt_ns - rtt_ns : rtt_ns - c->srtt_ns;
	c->rttvar_ns = c->srtt_ns ? (3 * c->rttvar_ns + off) / 4 : rtt_ns / 2;
	c->srtt_ns = c->srtt_ns ? (7 * c->srtt_ns + rtt_ns) / 8 : rtt_ns;
}

/* Acknowledgements (RFC 6675). */

static void recover_begin(struct guest_conn *c)
{
	c->ssthresh = (uint32_t)(c->nxt - c->una) / 10 * 7;
	c->ssthresh = c->ssthresh > 2 * GUEST_MSS ? c->ssthresh : 2 * GUEST_MSS;
	c->cwnd = c->ssthresh;
	c->recover = c->max;
	c->recovering = true;
	c->resent_to = c->una;
}

static void recover(struct guest_conn *c)
{
	uint64_t start, end;
	if (!c->recovering && guest_sack_edge(c) > c->una && c->nxt == c->max)
		recover_begin(c);
	while (c->recovering && guest_sack_pipe(c) < c->cwnd && guest_sack_hole(c, &start, &end)) {
		uint32_t n = send_from(c, start, end);
		if (!n)
			return;
		c->resent_to = c->resent_to > start + n ? c->resent_to : start + n;
	}
}

static void new_ack(struct guest_conn *c, uint64_t acknowledged)
{
	uint64_t bytes = acknowledged - c->una;
	c->una = acknowledged;
	c->nxt = c->nxt > c->una ? c->nxt : c->una;
	c->expiries = 0;
	if (c->timed && acknowledged >= c->timed) {
		sample(c, clock_ns() - c->timed_ns);
		c->timed = 0;
	}
	compute_rto(c); /* progress ends the back-off, as in Linux */
	if (c->recovering && acknowledged >= c->recover)
		c->recovering = false;
	else if (!c->recovering && c->cwnd < CWND_MAX)
		c->cwnd += c->cwnd < c->ssthresh ? (uint32_t)bytes
						 : GUEST_MSS * GUEST_MSS / c->cwnd + 1;
	guest_sack_trim(c);
	c->timer_ns = 0;
}

static void take_ack(struct guest_conn *c, uint64_t acknowledged, const struct incoming *in)
{
	c->wnd = in->window << c->wnd_shift;
	if (acknowledged > c->una)
		new_ack(c, acknowledged);
	for (uint32_t i = 0; i < in->sacks; i++)
		guest_sack_take(c, c->una + (in->sack[i].start - c->iss - (uint32_t)c->una),
			c->una + (in->sack[i].end - c->iss - (uint32_t)c->una));
	recover(c);
	output(c);
}

/* Data in. */

static void drain(void *arg)
{
	struct guest_conn *c = arg;
	uint32_t before = window_of(c);
	c->unread -= c->read_per_ms < c->unread ? c->read_per_ms : c->unread;
	if (c->unread)
		clock_at(clock_ns() + MS, drain, c);
	if (alive(c) && before < 2 * GUEST_MSS && window_of(c) >= 2 * GUEST_MSS)
		send_ack(c);
}

static void read_in_order(struct guest_conn *c, uint64_t bytes)
{
	if (!c->read_per_ms)
		return;
	if (!c->unread && bytes)
		clock_at(clock_ns() + MS, drain, c);
	c->unread += (uint32_t)bytes;
}

/* Notes [start, end) as received, ranges stay ascending and apart. One that finds no room is forgotten. */
static void note_range(struct guest_conn *c, uint64_t start, uint64_t end)
{
	uint32_t i = 0, j;
	while (i < c->ranges && c->range[i].end < start)
		i++;
	for (j = i; j < c->ranges && c->range[j].start <= end; j++) {
		start = start < c->range[j].start ? start : c->range[j].start;
		end = end > c->range[j].end ? end : c->range[j].end;
	}
	if (i == j && c->ranges == GUEST_RANGES)
		return;
	memmove(&c->range[i + 1], &c->range[j], (c->ranges - j) * sizeof(c->range[0]));
	c->ranges = c->ranges + 1 + i - j;
	c->range[i] = (struct guest_range){start, end};
	c->last_range = i;
}

static void advance(struct guest_conn *c)
{
	uint64_t before = c->rcv_nxt;
	if (c->ranges && c->range[0].start <= c->rcv_nxt) {
		if (c->range[0].end > c->rcv_nxt)
			c->rcv_nxt = c->range[0].end;
		memmove(&c->range[0], &c->range[1], --c->ranges * sizeof(c->range[0]));
		c->last_range = 0;
	}
	read_in_order(c, c->rcv_nxt - before);
}

static void check(struct guest_conn *c, uint64_t position, const uint8_t *bytes, size_t n)
{
	if (c->recv_seed)
		c->wrong += pattern_wrong(c->recv_seed, position - 1, bytes, n);
	else if (position - 1 + n < GUEST_TEXT)
		memcpy(c->heard + position - 1, bytes, n);
}

static void take_data(
	struct guest_conn *c, uint64_t position, const uint8_t *bytes, size_t n, bool fin)
{
	if (n || fin) {
		uint64_t limit = c->rcv_nxt + window_of(c) + GUEST_MSS;
		if (position + n + fin <= limit) {
			if (n)
				check(c, position, bytes, n);
			if (fin)
				c->fin_at = position + n;
			note_range(c, position, position + n + fin);
			advance(c);
		}
		send_ack(c);
	}
}

static void settle(struct guest_conn *c)
{
	bool sent = c->finish && c->una == end_of_data(c) + 1;
	if (c->state == GUEST_OPEN && sent && c->fin_at && c->rcv_nxt > c->fin_at) {
		c->state = GUEST_DONE;
		c->timer_ns = 0;
	}
}

/* Segments in. */

static void read_options(struct wire_in *w, struct incoming *in)
{
	while (wire_left(w)) {
		uint8_t kind = wire_u8(w), length;
		if (kind == 0)
			return;
		if (kind == 1)
			continue;
		length = wire_u8(w);
		if (length < 2 || length - 2u > wire_left(w))
			return;
		if (kind == 3 && length == 3) {
			in->shift = wire_u8(w);
		} else if (kind == 5 && length <= 34) {
			for (in->sacks = 0; in->sacks < (length - 2u) / 8; in->sacks++) {
				in->sack[in->sacks].start = wire_u32(w);
				in->sack[in->sacks].end = wire_u32(w);
			}
		} else {
			wire_bytes(w, length - 2u);
		}
	}
}

static bool parse(const uint8_t *p, size_t n, struct incoming *in)
{
	struct wire_in w = wire_in(p, n), options;
	uint16_t offset;
	in->from = wire_u16(&w);
	in->to = wire_u16(&w);
	in->seq = wire_u32(&w);
	in->ack = wire_u32(&w);
	offset = wire_u16(&w);
	in->window = wire_u16(&w);
	in->flags = offset & 0x3f;
	in->shift = 0;
	in->sacks = 0;
	if (!wire_ok(&w) || offset >> 12 < 5 || (size_t)(offset >> 12) * 4 > n)
		return false;
	options = wire_in(p + HEADER, (size_t)(offset >> 12) * 4 - HEADER);
	read_options(&options, in);
	in->payload = wire_in(p + (offset >> 12) * 4, n - (size_t)(offset >> 12) * 4);
	return true;
}

static void conn_start(struct guest_conn *c, enum guest_state state)
{
	c->state = state;
	c->iss = 0xfffff000u + (uint32_t)(c - guest.conn) * 64000; /* soon wraps */
	c->window = GUEST_WINDOW;
	c->cwnd = CWND_START;
	c->ssthresh = CWND_MAX;
	c->rto_ns = SECOND;
	c->nxt = c->max = 1;
}

static void establish(struct guest_conn *c, const struct incoming *in)
{
	c->state = GUEST_OPEN;
	c->wnd_shift = in->shift;
	c->una = 1;
	c->timer_ns = 0;
	c->expiries = 0;
	c->rto_ns = SECOND;
}

static void syn_sent(struct guest_conn *c, const struct incoming *in)
{
	if (in->flags & ACK && in->ack != c->iss + 1)
		return;
	if (in->flags & RST) {
		c->state = in->flags & ACK ? GUEST_RESET : c->state;
		return;
	}
	if ((in->flags & (SYN | ACK)) != (SYN | ACK))
		return;
	c->irs = in->seq;
	c->rcv_nxt = 1;
	establish(c, in);
	c->wnd = in->window;
	send_ack(c);
	output(c);
}

static void synchronized(struct guest_conn *c, const struct incoming *in)
{
	uint64_t position =
		c->rcv_nxt + (uint64_t)(int64_t)(int32_t)(in->seq - c->irs - (uint32_t)c->rcv_nxt);
	uint64_t acknowledged =
		c->una + (uint64_t)(int64_t)(int32_t)(in->ack - c->iss - (uint32_t)c->una);
	size_t n = wire_left(&in->payload);
	if (in->flags & RST) { /* in TIME-WAIT a reset means nothing (RFC 1337) */
		if (position == c->rcv_nxt && c->state != GUEST_DONE)
			c->state = GUEST_RESET;
		return;
	}
	if (in->flags & SYN) {
		if (c->state == GUEST_SYN_RECEIVED)
			send_syn(c);
		else
			send_ack(c);
		return;
	}
	if (!(in->flags & ACK) || (int64_t)acknowledged < 0 || acknowledged > c->max)
		return;
	if (c->state == GUEST_SYN_RECEIVED && acknowledged >= 1) {
		struct incoming agreed = *in;
		agreed.shift = c->wnd_shift;
		establish(c, &agreed);
	}
	if (c->state == GUEST_OPEN)
		take_ack(c, acknowledged, in);
	if (!n && position + 1 == c->rcv_nxt) /* a keepalive (RFC 1122 4.2.3.6) */
		send_ack(c);
	if ((int64_t)position > 0)
		take_data(c, position, in->payload.p, n, in->flags & FIN);
	settle(c);
}

static struct guest_conn *conn_take(uint32_t ip, uint16_t port, uint16_t remote_port)
{
	for (int i = 0; i < GUEST_CONNS; i++) {
		struct guest_conn *c = &guest.conn[i];
		if (c->state != GUEST_FREE)
			continue;
		*c = (struct guest_conn){.remote_ip = ip, .port = port, .remote_port = remote_port};
		return c;
	}
	return NULL;
}

static void accept_syn(uint32_t ip, const struct incoming *in)
{
	struct guest_conn *c = conn_take(ip, in->to, in->from);
	if (!c)
		return;
	conn_start(c, GUEST_SYN_RECEIVED);
	c->irs = in->seq;
	c->rcv_nxt = 1;
	c->wnd_shift = in->shift;
	guest.accepted = c;
	if (guest.accept)
		guest.accept(c);
	send_syn(c);
	timer_set(c);
}

void guest_tcp_input(uint32_t ip, const uint8_t *p, size_t n)
{
	struct incoming in;
	struct guest_conn *c = NULL;
	if (!parse(p, n, &in)) {
		guest.bad++;
		return;
	}
	for (int i = 0; i < GUEST_CONNS && !c; i++) {
		struct guest_conn *candidate = &guest.conn[i];
		if (alive(candidate) && candidate->remote_ip == ip && candidate->port == in.to &&
			candidate->remote_port == in.from)
			c = candidate;
	}
	if (c && c->state == GUEST_SYN_SENT)
		syn_sent(c, &in);
	else if (c)
		synchronized(c, &in);
	else if ((in.flags & (SYN | ACK | RST)) == SYN && in.to == guest.listen_port)
		accept_syn(ip, &in);
	else
		refuse(ip, &in.payload, in.from, in.to, in.seq, in.ack, in.flags);
}

struct guest_conn *guest_connect(uint32_t ip, uint16_t remote_port)
{
	struct guest_conn *c = conn_take(ip, next_port++, remote_port);
	if (!c)
		return NULL;
	conn_start(c, GUEST_SYN_SENT);
	send_syn(c);
	timer_set(c);
	return c;
}

void guest_push(struct guest_conn *c)
{
	output(c);
	settle(c);
}

void guest_say(struct guest_conn *c, const char *text)
{
	size_t n = strlen(text);
	memcpy(c->text + c->send_total, text, n);
	c->send_total += n;
	output(c);
}

void guest_abort(struct guest_conn *c)
{
	segment(c, RST | ACK, c->nxt, c->rcv_nxt, 0);
	c->state = GUEST_RESET;
	c->timer_ns = 0;
}
