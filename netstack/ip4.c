/*
 * Theory of operation: one function a rule, in the order in which RFC 791, RFC 1122 3.2.1 and RFC 1812 5 ask for
 * them: the header itself, where it comes from, where it wants to go, whether it lives long enough, whether it is
 * whole. Only what passed all of them teaches us where the guest lives.
 */
#include <string.h>

#include "state.h"

enum {
	IP_OPTION_END = 0,
	IP_OPTION_NOP = 1,
	IP_OPTION_LOOSE_ROUTE = 131,
	IP_OPTION_STRICT_ROUTE = 137,
};

static bool ip4_parse(struct packet *p)
{
	struct wire_in w = packet_wire(p, ETH_HEADER_BYTES);
	uint8_t version = wire_u8(&w);
	uint32_t header = (version & 15u) * 4, total;
	p->tos = wire_u8(&w);
	total = wire_u16(&w);
	p->ip_id = wire_u16(&w);
	p->frag = wire_u16(&w);
	p->ttl = wire_u8(&w);
	p->protocol = wire_u8(&w);
	wire_u16(&w);
	p->src_be = wire_u32_be(&w);
	p->dst_be = wire_u32_be(&w);
	if (!wire_ok(&w) || version >> 4 != 4 || header < IP_HEADER_BYTES || total < header)
		return false;
	if (ETH_HEADER_BYTES + total > p->bytes || ETH_HEADER_BYTES + header > p->head_bytes)
		return false;
	if (wire_fold(wire_sum(0, p->head + ETH_HEADER_BYTES, header)) != 0)
		return false;
	p->bytes = ETH_HEADER_BYTES + total;
	if (p->head_bytes > p->bytes)
		p->head_bytes = p->bytes;
	p->l4_at = ETH_HEADER_BYTES + header;
	return true;
}

/* Source routes are refused (RFC 1812 5.2.4.1 lets a router be configured so), other options are not passed on. */
static bool ip4_options_ok(const struct packet *p)
{
	struct wire_in w = packet_wire(p, OUT_L4_AT);
	size_t left = p->l4_at - OUT_L4_AT;
	while (left) {
		uint8_t kind = wire_u8(&w), length;
		left--;
		if (kind == IP_OPTION_END)
			return true;
		if (kind == IP_OPTION_NOP)
			continue;
		if (kind == IP_OPTION_LOOSE_ROUTE || kind == IP_OPTION_STRICT_ROUTE || !left)
			return false;
		length = wire_u8(&w);
		if (length < 2 || length - 1u > left)
			return false;
		wire_bytes(&w, length - 2u);
		left -= length - 1u;
	}
	return true;
}

static bool ip4_source_ok(const struct stack *s, uint32_t ip_be)
{
	return stack_may_be_guest(s, ip_be) && !stack_is_former_ip(s, ip_be);
}

static bool ip4_destination_ok(const struct stack *s, uint32_t ip_be)
{
	uint8_t top;
	memcpy(&top, &ip_be, 1);
	if (stack_is_gateway_ip(s, ip_be))
		return true;
	return !stack_in_subnet(s, ip_be) && top != 0 && top != 127 && top < 224;
}

static bool ip4_lives(struct stack *s, struct packet *p, struct guest *g)
{
	if (stack_is_gateway_ip(s, p->dst_be) || p->ttl > 1)
		return true;
	drop_count(s->drops, DROP_IP_TTL);
	icmp_error(s, p, g, ICMP_TIME_EXCEEDED, 0);
	return false;
}

static void ip4_unknown_protocol(struct stack *s, const struct packet *p, struct guest *g)
{
	drop_count(s->drops, DROP_IP_PROTOCOL);
	icmp_error(s, p, g, ICMP_UNREACHABLE, ICMP_PROTOCOL);
}

void ip4_deliver(struct stack *s, struct packet *p, struct guest *g)
{
	if (p->protocol == IP_PROTO_TCP)
		tcp_input(s, p, g);
	else if (p->protocol == IP_PROTO_UDP)
		udp_input(s, p, g);
	else if (p->protocol == IP_PROTO_ICMP)
		icmp_input(s, p, g);
	else if (p->protocol == IP_PROTO_ESP && s->uplink.esp)
		esp_input(s, p, g);
	else
		ip4_unknown_protocol(s, p, g);
}

static enum drop ip4_check(const struct stack *s, struct packet *p)
{
	if (!ip4_parse(p))
		return DROP_IP_HEADER;
	if (!ip4_options_ok(p))
		return DROP_IP_OPTIONS;
	if (!ip4_source_ok(s, p->src_be))
		return DROP_IP_SOURCE;
	if (!p->to_us || !ip4_destination_ok(s, p->dst_be))
		return DROP_IP_DESTINATION;
	return DROP_COUNT;
}

void ip4_input(struct stack *s, struct packet *p)
{
	enum drop why = ip4_check(s, p);
	struct guest *g;
	if (why != DROP_COUNT) {
		drop_count(s->drops, why);
		return;
	}
	g = guest_learn(s, p->src_be, p->head + 6, p->port);
	if (!g || !ip4_lives(s, p, g))
		return;
	if (p->frag & (IP_MORE_FRAGMENTS | IP_OFFSET_MASK)) {
		uint32_t id;
		if (!frag_input(s, p, g))
			return;
		id = p->seg[0].id;
		ip4_deliver(s, p, g);
		if (hold_rx(s, id)->state == HOLD_MINE)
			hold_release(s, id);
		return;
	}
	ip4_deliver(s, p, g);
}
