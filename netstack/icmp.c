/*
 * Theory of operation: echo to the gateway (and to everybody, in dummy mode) is answered here, echo to the outside is
 * a datagram flow of its own kind whose "port" is the identifier. Of the errors that guests send those about TCP mean
 * something to us: "fragmentation needed" lowers the segment size of a connection that it provably quotes (RFC 5927), any
 * other refuses a connection from outside that was not answered yet. About datagrams they go on to natproxy, which
 * tells the sender where it can (RFC 5508 REQ-5); no mapping ends by one (RFC 4787 REQ-12).
 * Errors to guests quote as much as fits into a header slot, at least the 8 bytes of RFC 792.
 */
#include <string.h>

#include "state.h"

enum {
	ICMP_HEADER_BYTES = 8,
	UDP_HEADER_BYTES = 8,
	ICMP_QUOTE_MAX = OUT_FRAME_BYTES - OUT_L4_AT - ICMP_HEADER_BYTES,
};

static bool icmp_is_error(uint8_t type)
{
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

bool icmp_is_passed(uint8_t type, uint8_t code)
{
	return (type == ICMP_UNREACHABLE && code <= 15) ||
	       (type == ICMP_TIME_EXCEEDED && code <= 1) || (type == ICMP_PARAMETER && code <= 2);
}

/* RFC 1122 3.2.2: no error about an error, a later fragment, or anything not meant for one station. */
static bool icmp_may_complain(const struct packet *p)
{
	uint8_t type = p->l4_at < p->head_bytes ? p->head[p->l4_at] : 0;
	if (!p->to_us || (p->frag & IP_OFFSET_MASK))
		return false;
	return p->protocol != IP_PROTO_ICMP || (p->l4_at < p->head_bytes && !icmp_is_error(type));
}

static void icmp_begin(struct stack *s, struct out *o, struct guest *g, uint32_t src_be,
	uint32_t quoted, uint8_t type, uint8_t code, uint16_t detail)
{
	struct out_ip ip = {.src_be = src_be,
		.dst_be = g->ip_be,
		.protocol = IP_PROTO_ICMP,
		.ttl = OUT_TTL,
		.tos = 0xc0,
		.payload_bytes = ICMP_HEADER_BYTES + quoted};
	out_ip(s, o, g, &ip);
	wire_put_u8(&o->wire, type);
	wire_put_u8(&o->wire, code);
	wire_put_u16(&o->wire, 0);
	wire_put_u16(&o->wire, type == ICMP_PARAMETER ? (uint16_t)(detail << 8) : 0);
	wire_put_u16(&o->wire, type == ICMP_PARAMETER ? 0 : detail);
}

static void icmp_finish(struct stack *s, struct out *o)
{
	out_full_checksum(o, 2, 0);
	if (out_send(s, o, LINK_CONTROL) < 0)
		drop_count(s->drops, DROP_RING_FULL);
}

void icmp_error(
	struct stack *s, const struct packet *p, struct guest *g, uint8_t type, uint8_t code)
{
	uint32_t quoted = p->head_bytes - ETH_HEADER_BYTES;
	struct out o;
	if (!g->known || !icmp_may_complain(p) || !guest_may_answer(s, g))
		return;
	if (quoted > ICMP_QUOTE_MAX)
		quoted = ICMP_QUOTE_MAX;
	icmp_begin(s, &o, g, s->config.ip_be, quoted, type, code, 0);
	wire_put(&o.wire, p->head + ETH_HEADER_BYTES, quoted);
	icmp_finish(s, &o);
}

void icmp_quote_error(struct stack *s, struct guest *g, const struct icmp_quote *q)
{
	const struct quote guess = {
		.ip_bytes = IP_HEADER_BYTES + sizeof(q->inner), .ip_frag = IP_DONT_FRAGMENT};
	const struct quote *sent = q->sent ? q->sent : &guess;
	uint8_t *inner;
	uint16_t sum;
	struct out o;
	if (!g->known || !(q->offender_ip_be ? guest_may_hear(s, g) : guest_may_answer(s, g)))
		return;
	icmp_begin(s, &o, g, q->offender_ip_be ? q->offender_ip_be : s->config.ip_be,
		IP_HEADER_BYTES + sizeof(q->inner), q->type, q->code, q->detail);
	inner = o.wire.p;
	wire_put_u8(&o.wire, 0x45);
	wire_put_u8(&o.wire, sent->ip_tos);
	wire_put_u16(&o.wire, sent->ip_bytes);
	wire_put_u16(&o.wire, sent->ip_id);
	wire_put_u16(&o.wire, sent->ip_frag);
	wire_put_u8(&o.wire, 1);
	wire_put_u8(&o.wire, q->protocol);
	wire_put_u16(&o.wire, 0);
	wire_put(&o.wire, &g->ip_be, 4);
	wire_put(&o.wire, &q->remote_ip_be, 4);
	sum = wire_fold(wire_sum(0, inner, IP_HEADER_BYTES));
	inner[10] = (uint8_t)(sum >> 8);
	inner[11] = (uint8_t)sum;
	wire_put(&o.wire, q->sent ? q->sent->inner : q->inner, sizeof(q->inner));
	icmp_finish(s, &o);
}

/* The answer is a copy in a buffer of our own: broker does not read its own arena on our word. */
static void icmp_answer_echo(struct stack *s, const struct packet *p, const struct guest *g)
{
	uint32_t payload = p->bytes - p->l4_at - ICMP_HEADER_BYTES, sum;
	uint32_t id =
		payload ? hold_take_own(s, payload <= ARENA_SMALL_BYTES ? BUF_SMALL : BUF_LARGE)
			: 0;
	struct ring_seg seg = {id ? buf_offset(buf_index(id)) : 0, payload, id};
	struct datagram d = {.ip = {.src_be = p->dst_be,
				     .dst_be = p->src_be,
				     .protocol = IP_PROTO_ICMP,
				     .ttl = OUT_TTL,
				     .tos = p->tos,
				     .payload_bytes = ICMP_HEADER_BYTES + payload},
		.seg = &seg,
		.nseg = payload ? 1 : 0,
		.field = 2,
		.sum_known = true};
	if (payload && !id) {
		drop_count(s->drops, DROP_NO_BUFFER);
		return;
	}
	memcpy(d.l4 + 4, p->head + p->l4_at + 4, 4);
	if (payload)
		packet_copy(s, p, p->l4_at + ICMP_HEADER_BYTES, payload, arena_ptr(s->arena, id));
	sum = wire_sum(
		wire_sum(0, d.l4, sizeof(d.l4)), payload ? arena_ptr(s->arena, id) : d.l4, payload);
	d.l4[2] = (uint8_t)(wire_fold(sum) >> 8);
	d.l4[3] = (uint8_t)wire_fold(sum);
	datagram_send(s, g, &d);
	if (id)
		hold_limbo(s, id);
}

static void icmp_forward_echo(struct stack *s, struct packet *p, struct guest *g)
{
	struct wire_in w = packet_wire(p, p->l4_at + 4);
	struct flow_key key = {
		.guest_ip_be = p->src_be, .guest_port = wire_u16(&w), .kind = FLOW_ECHO};
	struct ring_remote remote = {.ip_be = p->dst_be,
		.port = wire_u16(&w),
		.ttl = (uint8_t)(p->ttl - 1),
		.tos = p->tos};
	if (!s->config.nat_enable) {
		drop_count(s->drops, DROP_DENIED);
		icmp_error(s, p, g, ICMP_UNREACHABLE, ICMP_PROHIBITED);
		return;
	}
	if (!s->uplink.echo) {
		drop_count(s->drops, DROP_DENIED);
		return;
	}
	dgram_upload(s, p, g, &key, &remote, p->l4_at + ICMP_HEADER_BYTES, 0);
}

void icmp_wrap_echo(
	struct stack *s, const struct flow *f, const struct ring_desc *d, struct datagram *out)
{
	struct wire_out w = wire_out(out->l4, sizeof(out->l4));
	uint16_t sum;
	wire_put_u16(&w, ICMP_ECHO_REPLY);
	wire_put_u16(&w, 0);
	wire_put_u16(&w, f->key.guest_port);
	wire_put_u16(&w, d->remote.port);
	sum = wire_fold(
		packet_sum_segs(s, out->seg, out->nseg, wire_sum(0, out->l4, sizeof(out->l4))));
	out->l4[2] = (uint8_t)(sum >> 8);
	out->l4[3] = (uint8_t)sum;
	out->sum_known = true;
}

void icmp_quote_echo(const struct flow *f, const struct ring_desc *d, struct wire_out *inner)
{
	wire_put_u16(inner, ICMP_ECHO_REQUEST << 8);
	wire_put_u16(inner, 0);
	wire_put_u16(inner, f->key.guest_port);
	wire_put_u16(inner, d->remote.port);
}

/* What an error of a guest says about a packet that we sent it. */
struct icmp_about {
	struct flow_key key;
	uint32_t seq; /* UDP: length and checksum */
	uint16_t mtu; /* of fragmentation needed */
};

/* True when the quoted packet was TCP or UDP (`kind`), from the outside to this very guest. */
static bool icmp_about(const struct packet *p, enum flow_kind kind, struct icmp_about *about)
{
	struct wire_in w = packet_wire(p, p->l4_at + 6);
	struct flow_key *key = &about->key;
	uint8_t version, protocol;
	*about = (struct icmp_about){.key.kind = kind, .mtu = wire_u16(&w)};
	version = wire_u8(&w);
	wire_bytes(&w, 8);
	protocol = wire_u8(&w);
	wire_u16(&w);
	key->remote_ip_be = wire_u32_be(&w);
	key->guest_ip_be = wire_u32_be(&w);
	wire_bytes(&w, (version & 15u) > 5 ? ((version & 15u) - 5) * 4 : 0);
	key->remote_port = wire_u16(&w);
	key->guest_port = wire_u16(&w);
	about->seq = wire_u32(&w);
	return wire_ok(&w) && version >> 4 == 4 && key->guest_ip_be == p->src_be &&
	       protocol == (kind == FLOW_TCP ? IP_PROTO_TCP : IP_PROTO_UDP);
}

/*
 * A guest whose filter refuses a connection from outside by ICMP, as Linux's REJECT does: what the peer can be given is
 * a reset at once instead of a wait. A connection that stands outlives any error (RFC 5927 5.2).
 */
static void icmp_syn_refused(struct stack *s, const struct icmp_about *about)
{
	struct flow *f = flow_find(s, &about->key);
	if (!f || f->tcp.state != TCP_SYN_SENT || about->seq != f->tcp.iss)
		return;
	f->failure = RING_FAIL_REFUSED;
	tcp_abort(s, f, false);
}

static void icmp_unreachable(struct stack *s, const struct packet *p, uint8_t code)
{
	struct icmp_about about;
	if (!icmp_about(p, FLOW_TCP, &about))
		return;
	if (code == ICMP_FRAG_NEEDED)
		tcp_path_mtu(s, &about.key, about.seq, about.mtu);
	else
		icmp_syn_refused(s, &about);
}

/* An error about a datagram: who sent that may be told. natproxy knows whether there was such a one. */
static void icmp_about_datagram(
	struct stack *s, const struct packet *p, struct guest *g, uint8_t type, uint8_t code)
{
	const uint8_t *head = p->head + p->l4_at;
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_ERROR};
	struct icmp_about about;
	if (!icmp_about(p, FLOW_UDP, &about))
		return;
	const uint32_t remote_ip_be = about.key.remote_ip_be;
	const uint16_t remote_port = about.key.remote_port;
	about.key.remote_ip_be = 0;
	about.key.remote_port = 0;
	const struct flow *f = flow_find(s, &about.key);
	const uint32_t bytes = about.seq >> 16;
	if (!f || bytes < UDP_HEADER_BYTES || bytes > UINT16_MAX - IP_HEADER_BYTES) {
		drop_count(s->drops, DROP_ICMP_ENDS);
		return;
	}
	if (!guest_may_tell(s, g))
		return;
	d.flow = flow_id_of(s, f);
	d.remote = (struct ring_remote){.ip_be = remote_ip_be, .port = remote_port};
	d.pair = (struct ring_pair){.guest_ip_be = about.key.guest_ip_be,
		.guest_port = about.key.guest_port,
		.remote_port = (uint16_t)bytes,
		.token = (uint32_t)type << 8 | code,
		.kind = type == ICMP_PARAMETER ? head[4] : about.mtu};
	/* not of the slots that are kept for ends: guests send as many as they like */
	if (link_send(s->natproxy, LINK_DATA, &d, NULL) < 0)
		drop_count(s->drops, DROP_RING_FULL);
}

static bool icmp_ok(const struct stack *s, const struct packet *p)
{
	uint32_t bytes = p->bytes - p->l4_at;
	if (bytes < ICMP_HEADER_BYTES || p->head_bytes < p->l4_at + ICMP_HEADER_BYTES)
		return false;
	return wire_fold(packet_sum(s, p, p->l4_at, bytes, 0)) == 0;
}

void icmp_input(struct stack *s, struct packet *p, struct guest *g)
{
	const uint8_t *head = p->head + p->l4_at;
	if (!icmp_ok(s, p)) {
		drop_count(s->drops, DROP_ICMP_BAD);
		return;
	}
	if (head[0] == ICMP_UNREACHABLE)
		icmp_unreachable(s, p, head[1]);
	if (icmp_is_passed(head[0], head[1]))
		icmp_about_datagram(s, p, g, head[0], head[1]);
	if (head[0] != ICMP_ECHO_REQUEST || head[1] != 0)
		return;
	if (stack_is_gateway_ip(s, p->dst_be) || (s->config.icmp_dummy && s->config.nat_enable))
		icmp_answer_echo(s, p, g);
	else
		icmp_forward_echo(s, p, g);
}
