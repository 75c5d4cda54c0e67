/*
 * Theory of operation: a datagram flow is a guest's endpoint (address, port or echo identifier), whoever it talks to
 * (RFC 4787 REQ-1); natproxy owns mapping, filter and timeout and says when it is over. Nothing is kept here but
 * the way between the two, so a flow is small and a datagram crosses without being queued; but see park.h.
 *
 * Runs of datagrams stay whole both ways: a guest's super-frame (UDP_SEGMENT) is one DGRAM_DATA, and what natproxy
 * received or put together as a run is one frame to the guest.
 */
#include <errno.h>
#include <string.h>

#include "state.h"

enum { UDP_HEADER_BYTES = 8, DNS_PORT = 53 };

static struct flow *dgram_open(
	struct stack *s, const struct flow_key *key, struct guest *g, uint32_t token)
{
	struct flow *f = flow_open(s, key, g);
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN};
	if (!f)
		return NULL;
	d.flow = flow_id_of(s, f);
	d.pair = (struct ring_pair){.guest_ip_be = key->guest_ip_be,
		.guest_port = key->guest_port,
		.token = token,
		.kind = key->kind == FLOW_UDP ? DGRAM_UDP : DGRAM_ECHO};
	if (link_send(s->natproxy, LINK_DATA, &d, NULL) < 0) {
		drop_count(s->drops, DROP_RING_FULL);
		flow_end(s, f);
		return NULL;
	}
	f->told = true;
	return f;
}

void dgram_upload(struct stack *s, struct packet *p, struct guest *g, const struct flow_key *key,
	const struct ring_remote *remote, uint32_t payload_at, uint16_t each)
{
	struct flow *f = flow_find(s, key);
	struct ring_desc d = {.op = p->frag & IP_DONT_FRAGMENT ? RING_NETSTACK_DGRAM_WHOLE
							       : RING_NETSTACK_DGRAM_DATA};
	struct ring_seg piece[PACKET_SEGS];
	unsigned int n = packet_pieces(p, payload_at, p->bytes - payload_at, piece);
	if (!f && !s->uplink) {
		icmp_error(s, p, g, ICMP_UNREACHABLE, ICMP_NET);
		return;
	}
	if (!f)
		f = dgram_open(s, key, g, 0);
	if (!f) { /* RFC 6888 REQ-8 */
		icmp_error(s, p, g, ICMP_UNREACHABLE, ICMP_HOST);
		return;
	}
	if (s->config.strict && !hold_copy(s, piece, &n)) {
		drop_count(s->drops, DROP_NO_BUFFER);
		return;
	}
	d.flow = flow_id_of(s, f);
	d.nseg = (uint8_t)n;
	d.hlen = each;
	d.remote = *remote;
	for (unsigned int i = 0; i < n; i++)
		d.seg[i] = piece[i];
	if (link_send(s->natproxy, LINK_DATA, &d, NULL) < 0) {
		drop_count_many(
			s->drops, DROP_RING_FULL, ring_run_count(p->bytes - payload_at, each));
		if (s->config.strict && n && !p->was_fragmented)
			hold_release(s, piece[0].id);
		return;
	}
	quote_note(&s->quotes, d.flow, p, remote);
	for (unsigned int i = 0; i < n; i++)
		hold_lend(s, piece[i].id);
	if (remote->ip_be == s->config.ip_be)
		f->asked_ip_be = p->dst_be;
}

/* Where what came from natproxy comes from for the guest: the gateway answers by the name it was called. */
static uint32_t dgram_source(const struct stack *s, const struct flow *f, uint32_t ip_be)
{
	return ip_be == s->config.ip_be && f->asked_ip_be ? f->asked_ip_be : ip_be;
}

void dgram_flush(struct stack *s, struct flow *f)
{
	struct ring_desc d = {.op = RING_NETSTACK_FLOW_FREE, .flow = flow_id_of(s, f)};
	if (f->told && link_send(s->natproxy, LINK_CONTROL, &d, NULL) < 0) {
		flow_owe(s, f, OWED_FREE);
		return;
	}
	f->told = false;
	f->owed = 0;
	flow_settle(s, f);
}

void dgram_closed(struct stack *s, struct flow *f)
{
	flow_owe(s, f, OWED_FREE);
	flow_end(s, f);
}

static bool udp_parse(const struct stack *s, struct packet *p, uint16_t *source, uint16_t *target)
{
	struct wire_in w = packet_wire(p, p->l4_at);
	uint16_t length, checksum;
	uint32_t sum;
	*source = wire_u16(&w);
	*target = wire_u16(&w);
	length = wire_u16(&w);
	checksum = wire_u16(&w);
	if (!wire_ok(&w) || length < UDP_HEADER_BYTES || length > p->bytes - p->l4_at || !*source ||
		!*target)
		return false;
	p->bytes = p->l4_at + length;
	if (!checksum || p->csum_ok)
		return true;
	sum = wire_pseudo_sum(p->src_be, p->dst_be, IP_PROTO_UDP, length);
	return wire_fold(packet_sum(s, p, p->l4_at, length, sum)) == 0;
}

/* The bytes of each datagram in a super-frame, 0 for an ordinary one; false: not a run that may go on. */
static bool udp_each(const struct packet *p, uint16_t *each)
{
	uint32_t payload = p->bytes - p->l4_at - UDP_HEADER_BYTES;
	*each = p->gso_bytes < payload ? p->gso_bytes : 0;
	return !*each ||
	       (payload <= RING_RUN_BYTES && ring_run_count(payload, *each) <= RING_RUN_DATAGRAMS);
}

/* Whom natproxy shows as the gateway (somebody on its own computer) may be answered; which of its ports that is, natproxy knows. */
static bool may_be_answer(struct stack *s, const struct flow_key *key)
{
	const struct flow *f = flow_find(s, key);
	return f && f->as_gateway;
}

void udp_input(struct stack *s, struct packet *p, struct guest *g)
{
	uint16_t source, target, each;
	struct flow_key key = {.guest_ip_be = p->src_be, .kind = FLOW_UDP};
	struct ring_remote remote = {.ip_be = stack_told_ip(s, p->dst_be), .tos = p->tos};
	bool to_gateway = remote.ip_be == s->config.ip_be;
	if (!udp_parse(s, p, &source, &target) || !udp_each(p, &each)) {
		drop_count(s->drops, DROP_UDP_BAD);
		return;
	}
	key.guest_port = source;
	if (to_gateway && !(s->config.dns_redirect && target == DNS_PORT) &&
		!may_be_answer(s, &key)) {
		icmp_error(s, p, g, ICMP_UNREACHABLE, ICMP_PORT);
		return;
	}
	if (!s->config.nat_enable) {
		drop_count(s->drops, DROP_DENIED);
		icmp_error(s, p, g, ICMP_UNREACHABLE, ICMP_PROHIBITED);
		return;
	}
	remote.port = target;
	remote.ttl = to_gateway ? OUT_TTL : (uint8_t)(p->ttl - 1);
	dgram_upload(s, p, g, &key, &remote, p->l4_at + UDP_HEADER_BYTES, each);
}

/* natproxy lends the segments of d: -EPROTO when it lent one of them before and never got it back. */
static int dgram_take(struct stack *s, const struct ring_desc *d)
{
	for (unsigned int i = 0; i < d->nseg; i++)
		if (hold_take_read(s, d->seg[i].id) < 0)
			return -EPROTO;
	return 0;
}

/* One less than it came with (RFC 1812 5.3.1); it has reached the address that it was sent to, so 1 is not too few. */
static uint8_t dgram_ttl(uint8_t came)
{
	if (!came)
		return OUT_TTL;
	return came > 1 ? came - 1 : came;
}

static uint32_t dgram_bytes(const struct ring_desc *d)
{
	uint32_t bytes = 0;
	for (unsigned int i = 0; i < d->nseg; i++)
		bytes += d->seg[i].len;
	return bytes;
}

void dgram_download(struct stack *s, struct flow *f, const struct ring_desc *d)
{
	const struct guest *g = flow_guest(s, f);
	bool udp = f->key.kind == FLOW_UDP;
	uint32_t bytes = dgram_bytes(d);
	struct ring_seg piece[RING_SEGS];
	unsigned int n = d->nseg;
	struct datagram out = {.ip = {.src_be = dgram_source(s, f, d->remote.ip_be),
				       .dst_be = f->key.guest_ip_be,
				       .protocol = udp ? IP_PROTO_UDP : IP_PROTO_ICMP,
				       .ttl = dgram_ttl(d->remote.ttl),
				       .tos = d->remote.tos,
				       .payload_bytes = UDP_HEADER_BYTES + bytes},
		.seg = piece,
		.each = d->hlen,
		.field = udp ? 6 : 2};
	struct wire_out w = wire_out(out.l4, sizeof(out.l4));
	f->as_gateway |= d->remote.ip_be == s->config.ip_be && d->remote.port != DNS_PORT;
	memcpy(piece, d->seg, sizeof(piece));
	if (s->config.strict && !hold_copy(s, piece, &n)) {
		drop_count(s->drops, DROP_NO_BUFFER);
		return;
	}
	out.nseg = n;
	wire_put_u16(&w, udp ? d->remote.port : ICMP_ECHO_REPLY);
	wire_put_u16(&w, udp ? f->key.guest_port : 0);
	wire_put_u16(&w, udp ? (uint16_t)(UDP_HEADER_BYTES + bytes) : f->key.guest_port);
	wire_put_u16(&w, udp ? 0 : d->remote.port);
	if (!udp) {
		uint16_t sum = wire_fold(
			packet_sum_segs(s, piece, n, wire_sum(0, out.l4, sizeof(out.l4))));
		out.l4[2] = (uint8_t)(sum >> 8);
		out.l4[3] = (uint8_t)sum;
		out.sum_known = true;
	}
	datagram_send(s, g, &out);
	if (s->config.strict && n)
		hold_limbo(s, piece[0].id);
}

int stack_op_dgram_data(struct stack *s, const struct ring_desc *d)
{
	struct flow *f;
	if (flow_of_id(s, d->flow, &f) < 0 || dgram_take(s, d) < 0)
		return -EPROTO;
	if (dgram_bytes(d) > FRAG_PAYLOAD_MAX - UDP_HEADER_BYTES ||
		(f && f->key.kind == FLOW_TCP) || (f && f->key.kind == FLOW_ECHO && d->hlen))
		return -EPROTO;
	if (f && !flow_guest(s, f)->known) {
		park_datagram(s, flow_guest(s, f), d);
		return 0;
	}
	if (f)
		dgram_download(s, f, d);
	for (unsigned int i = 0; i < d->nseg; i++)
		hold_limbo(s, d->seg[i].id);
	return 0;
}

int stack_op_dgram_error(struct stack *s, const struct ring_desc *d)
{
	struct flow *f;
	struct icmp_quote q = {.offender_ip_be = d->pair.remote_ip_be,
		.remote_ip_be = d->remote.ip_be,
		.type = (uint8_t)(d->pair.token >> 8),
		.code = (uint8_t)d->pair.token,
		.detail = (uint16_t)d->pair.kind,
		.sent = quote_find(&s->quotes, d->flow, &d->remote)};
	struct wire_out w = wire_out(q.inner, sizeof(q.inner));
	if (flow_of_id(s, d->flow, &f) < 0 || !icmp_is_passed(q.type, q.code))
		return -EPROTO;
	if (!f)
		return 0;
	if (f->key.kind == FLOW_TCP)
		return -EPROTO;
	q.remote_ip_be = dgram_source(s, f, q.remote_ip_be);
	if (f->key.kind == FLOW_UDP) {
		q.protocol = IP_PROTO_UDP;
		wire_put_u16(&w, f->key.guest_port);
		wire_put_u16(&w, d->remote.port);
		wire_put_u16(&w, UDP_HEADER_BYTES);
		wire_put_u16(&w, 0);
	} else {
		q.protocol = IP_PROTO_ICMP;
		wire_put_u16(&w, ICMP_ECHO_REQUEST << 8);
		wire_put_u16(&w, 0);
		wire_put_u16(&w, f->key.guest_port);
		wire_put_u16(&w, d->remote.port);
	}
	icmp_quote_error(s, flow_guest(s, f), &q);
	return 0;
}

int stack_op_dgram_incoming(struct stack *s, const struct ring_desc *d)
{
	struct flow_key key = {.guest_ip_be = d->pair.guest_ip_be,
		.guest_port = d->pair.guest_port,
		.kind = FLOW_UDP};
	struct guest *g;
	if (d->pair.kind != DGRAM_UDP)
		return -EPROTO;
	if (!stack_may_reach(s, key.guest_ip_be)) {
		drop_count(s->drops, DROP_DENIED);
		return 0;
	}
	if (flow_find(s, &key))
		return 0; /* our own DGRAM_OPEN for it is on the way */
	g = guest_need(s, key.guest_ip_be);
	if (!g || !dgram_open(s, &key, g, d->pair.token))
		return 0;
	if (!g->known)
		arp_ask(s, g);
	return 0;
}

int stack_op_dgram_closed(struct stack *s, const struct ring_desc *d)
{
	struct flow *f;
	if (flow_of_id(s, d->flow, &f) < 0)
		return -EPROTO;
	if (f && f->key.kind == FLOW_TCP)
		return -EPROTO;
	if (f)
		dgram_closed(s, f);
	return 0;
}
