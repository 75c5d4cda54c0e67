/*
 *   link header ── IPv4 ── TCP or UDP ── payload ── what Ethernet pads with
 *        ip_at ────┘         └── transport_at
 */
#include "packet.h"

#include <string.h>

#include "wire/wire.h"

enum {
	LINK_NULL = 0,
	LINK_ETHERNET = 1,
	LINK_RAW_12 = 12,
	LINK_RAW_14 = 14,
	LINK_RAW = 101,
	LINK_LOOP = 108,
	LINK_SLL = 113,
	LINK_IPV4 = 228,
	LINK_SLL2 = 276,
	TYPE_IPV4 = 0x0800,
	TYPE_VLAN = 0x8100,
	TYPE_VLAN_OUTER = 0x88a8,
	VLANS = 2, /* tags inside each other */
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	IP_BYTES = 20,
	TCP_BYTES = 20,
	UDP_BYTES = 8,
	OPTION_END = 0,
	OPTION_NOTHING = 1,
	OPTION_SACK = 5,
};

static bool skip_ethernet(struct wire_in *in)
{
	wire_bytes(in, 12);
	uint16_t type = wire_u16(in);
	for (int i = 0; i < VLANS && (type == TYPE_VLAN || type == TYPE_VLAN_OUTER); i++) {
		wire_bytes(in, 2);
		type = wire_u16(in);
	}
	return type == TYPE_IPV4;
}

/* Moves to the IPv4 header; false where there is none. */
static bool skip_link(struct wire_in *in, uint16_t link)
{
	switch (link) {
	case LINK_ETHERNET: return skip_ethernet(in);
	case LINK_SLL: wire_bytes(in, 14); return wire_u16(in) == TYPE_IPV4;
	case LINK_SLL2:
		if (wire_u16(in) != TYPE_IPV4)
			return false;
		wire_bytes(in, 18);
		return true;
	case LINK_NULL:
	case LINK_LOOP: wire_bytes(in, 4); return true;
	case LINK_RAW:
	case LINK_RAW_12:
	case LINK_RAW_14:
	case LINK_IPV4: return true;
	default: return false;
	}
}

static bool parse_tcp(struct packet *p, struct wire_in *in, uint32_t length)
{
	const struct wire_in begin = *in;
	p->src_port = wire_u16(in);
	p->dst_port = wire_u16(in);
	p->seq = wire_u32(in);
	p->ack = wire_u32(in);
	const uint32_t header = 4u * (wire_u8(in) >> 4);
	p->flags = wire_u8(in);
	*in = begin;
	p->stream = true;
	if (header < TCP_BYTES || header > length || !wire_bytes(in, header))
		return false;
	p->bytes = length - header;
	return true;
}

static bool parse_udp(struct packet *p, struct wire_in *in, uint32_t length)
{
	p->src_port = wire_u16(in);
	p->dst_port = wire_u16(in);
	const uint32_t total = wire_u16(in);
	wire_u16(in);
	if (!wire_ok(in) || total < UDP_BYTES || total > length)
		return false;
	p->bytes = total - UDP_BYTES;
	return true;
}

bool packet_parse(struct packet *p, uint16_t link, const uint8_t *frame, size_t size)
{
	struct wire_in in = wire_in(frame, size);
	*p = (struct packet){0};
	if (!skip_link(&in, link) || !wire_ok(&in))
		return false;
	p->ip_at = (uint32_t)(in.p - frame);
	const uint8_t first = wire_u8(&in);
	const uint32_t header = 4u * (first & 15);
	wire_u8(&in);
	const uint32_t total = wire_u16(&in);
	wire_u16(&in);
	const uint16_t fragment = wire_u16(&in) & 0x3fff;
	wire_u8(&in);
	const uint8_t protocol = wire_u8(&in);
	wire_u16(&in);
	p->src_ip_be = wire_u32_be(&in);
	p->dst_ip_be = wire_u32_be(&in);
	if (first >> 4 != 4 || header < IP_BYTES || total < header || fragment ||
		!wire_bytes(&in, header - IP_BYTES))
		return false;
	p->transport_at = p->ip_at + header;
	if (protocol == PROTOCOL_TCP
			? !parse_tcp(p, &in, total - header)
			: protocol != PROTOCOL_UDP || !parse_udp(p, &in, total - header))
		return false;
	p->cut = wire_left(&in) < p->bytes;
	if (p->cut)
		p->bytes = (uint32_t)wire_left(&in);
	p->payload = in.p;
	return true;
}

static uint32_t headers_of(const struct packet *p, const uint8_t *frame)
{
	return (uint32_t)(p->payload - frame);
}

static void put_u16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put_u32(uint8_t *at, uint32_t value)
{
	put_u16(at, value >> 16);
	put_u16(at + 2, value & 0xffff);
}

/* Options of n bytes. */
static void forget_sack(uint8_t *options, size_t n)
{
	for (size_t at = 0; at < n && options[at] != OPTION_END;) {
		const size_t length = options[at] == OPTION_NOTHING ? 1
				      : at + 1 < n		    ? options[at + 1]
								    : 0;
		if (length == 0 || (length == 1 && options[at] != OPTION_NOTHING) ||
			length > n - at)
			return;
		if (options[at] == OPTION_SACK)
			memset(options + at, OPTION_NOTHING, length);
		at += length;
	}
}

static void finish_tcp(uint8_t *tcp, uint32_t header, uint32_t seq, uint32_t ack, uint8_t flags)
{
	put_u32(tcp + 4, seq);
	put_u32(tcp + 8, ack);
	tcp[13] = flags;
	forget_sack(tcp + TCP_BYTES, header - TCP_BYTES);
}

size_t packet_write(const struct packet *p, const uint8_t *frame, uint32_t seq, uint32_t ack,
	uint8_t flags, const uint8_t *payload, size_t n, uint8_t *out)
{
	const uint32_t headers = headers_of(p, frame), ip_bytes = p->transport_at - p->ip_at,
		       transport = headers - p->transport_at + (uint32_t)n;
	uint8_t *ip = out + p->ip_at, *at = out + p->transport_at;
	memcpy(out, frame, headers);
	if (n)
		memcpy(out + headers, payload, n);
	put_u16(ip + 2, ip_bytes + transport);
	put_u16(ip + 10, 0);
	put_u16(ip + 10, wire_fold(wire_sum(0, ip, ip_bytes)));
	if (p->stream)
		finish_tcp(at, headers - p->transport_at, seq, ack, flags);
	else
		put_u16(at + 4, transport);
	uint8_t *sum = at + (p->stream ? 16 : 6);
	if (!p->stream && !sum[0] && !sum[1])
		return headers + n;
	put_u16(sum, 0);
	const uint16_t folded = wire_fold(
		wire_sum(wire_pseudo_sum(p->src_ip_be, p->dst_ip_be,
				 p->stream ? PROTOCOL_TCP : PROTOCOL_UDP, (uint16_t)transport),
			at, transport));
	put_u16(sum, folded || p->stream ? folded : 0xffff);
	return headers + n;
}
