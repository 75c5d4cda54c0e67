/*
 * Theory of operation: a guest's UDP port is a datagram flow (dgram.c), whoever it talks to (RFC 4787 REQ-1).
 * Runs of datagrams stay whole both ways: a guest's super-frame (UDP_SEGMENT) is one DGRAM_DATA, and what natproxy
 * received or put together as a run is one frame to the guest.
 */
#include "state.h"

enum { UDP_HEADER_BYTES = 8, UDP_CHECKSUM_AT = 6, DNS_PORT = 53 };

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

void udp_wrap(
	const struct stack *s, struct flow *f, const struct ring_desc *d, struct datagram *out)
{
	struct wire_out w = wire_out(out->l4, sizeof(out->l4));
	f->as_gateway |= d->remote.ip_be == s->config.ip_be && d->remote.port != DNS_PORT;
	out->field = UDP_CHECKSUM_AT;
	out->each = d->hlen;
	wire_put_u16(&w, d->remote.port);
	wire_put_u16(&w, f->key.guest_port);
	wire_put_u16(&w, (uint16_t)out->ip.payload_bytes);
	wire_put_u16(&w, 0);
}

void udp_quote(const struct flow *f, const struct ring_desc *d, struct wire_out *inner)
{
	wire_put_u16(inner, f->key.guest_port);
	wire_put_u16(inner, d->remote.port);
	wire_put_u16(inner, UDP_HEADER_BYTES);
	wire_put_u16(inner, 0);
}
