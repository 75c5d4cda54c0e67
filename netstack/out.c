/*
 * Theory of operation: the header slot is filled privately and copied into the ring by link_send, so the broker never
 * sees a half-made frame. A frame without payload has its checksum finished here, because the sum over 40 bytes is
 * cheaper than asking; a frame with payload leaves the checksum (and segmentation) to whoever touches the bytes
 * last: the guest's kernel on a TAP, the broker elsewhere.
 */
#include <string.h>

#include "state.h"

static const uint8_t OUT_BROADCAST[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

void out_ethernet(
	struct stack *s, struct out *o, const uint8_t mac[6], uint32_t port, uint16_t ethertype)
{
	memset(&o->desc, 0, sizeof(o->desc));
	memset(o->header.vnet, 0, sizeof(o->header.vnet));
	memset(o->header.zero, 0, sizeof(o->header.zero));
	o->vnet = (struct wire_vnet){0};
	o->desc.op = RING_NETSTACK_SEND;
	o->desc.flow = port;
	o->wire = wire_out(o->header.frame, sizeof(o->header.frame));
	wire_put(&o->wire, mac ? mac : OUT_BROADCAST, 6);
	wire_put(&o->wire, s->config.mac, 6);
	wire_put_u16(&o->wire, ethertype);
}

void out_ip(struct stack *s, struct out *o, const struct guest *g, const struct out_ip *ip)
{
	uint8_t *start;
	uint16_t sum;
	out_ethernet(s, o, g->mac, g->port, ETHERTYPE_IP4);
	start = o->wire.p;
	wire_put_u8(&o->wire, 0x45);
	wire_put_u8(&o->wire, ip->tos);
	wire_put_u16(&o->wire, (uint16_t)(IP_HEADER_BYTES + ip->payload_bytes));
	wire_put_u16(&o->wire, ip->id);
	wire_put_u16(&o->wire, ip->frag);
	wire_put_u8(&o->wire, ip->ttl);
	wire_put_u8(&o->wire, ip->protocol);
	wire_put_u16(&o->wire, 0);
	wire_put(&o->wire, &ip->src_be, 4);
	wire_put(&o->wire, &ip->dst_be, 4);
	sum = wire_fold(wire_sum(0, start, IP_HEADER_BYTES));
	start[10] = (uint8_t)(sum >> 8);
	start[11] = (uint8_t)sum;
}

bool out_seg(struct out *o, uint32_t id, uint32_t off, uint32_t bytes)
{
	if (!bytes)
		return true;
	if (o->desc.nseg == RING_SEGS)
		return false;
	o->desc.seg[o->desc.nseg++] = (struct ring_seg){off, bytes, id};
	return true;
}

static void out_store_u16(struct out *o, uint32_t at, uint16_t v)
{
	o->header.frame[at] = (uint8_t)(v >> 8);
	o->header.frame[at + 1] = (uint8_t)v;
}

void out_partial_checksum(struct out *o, const struct out_ip *ip, uint16_t field,
	uint16_t l4_header_bytes, uint16_t gso_bytes)
{
	uint32_t sum =
		wire_pseudo_sum(ip->src_be, ip->dst_be, ip->protocol, (uint16_t)ip->payload_bytes);
	out_store_u16(o, OUT_L4_AT + field, (uint16_t)~wire_fold(sum));
	o->vnet.flags = WIRE_VNET_NEEDS_CSUM;
	o->vnet.csum_start = OUT_L4_AT;
	o->vnet.csum_offset = field;
	o->vnet.hdr_len = (uint16_t)(OUT_L4_AT + l4_header_bytes);
	if (gso_bytes) {
		o->vnet.gso_type = ip->protocol == IP_PROTO_UDP ? WIRE_GSO_UDP : WIRE_GSO_TCP4;
		o->vnet.gso_size = gso_bytes;
	}
}

void out_full_checksum(struct out *o, uint16_t field, uint32_t sum)
{
	size_t n = wire_written(&o->wire) - OUT_L4_AT;
	sum += (uint16_t)~wire_fold(wire_sum(0, o->header.frame + OUT_L4_AT, n));
	out_store_u16(o, OUT_L4_AT + field, wire_fold(sum));
}

int out_send(struct stack *s, struct out *o, enum link_class c)
{
	o->desc.hlen = (uint16_t)wire_written(&o->wire);
	memcpy(o->header.vnet, &o->vnet, sizeof(o->header.vnet));
	return link_send(s->broker, c, &o->desc, &o->header);
}
