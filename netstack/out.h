/*
 * Building one frame for a guest: headers into the private header slot, payload by reference, then one SEND.
 */
#ifndef NATLOCK_NETSTACK_OUT_H
#define NATLOCK_NETSTACK_OUT_H

#include <stdint.h>

#include "guest.h"
#include "ring.h"
#include "wire/wire.h"

enum { OUT_FRAME_BYTES = RING_HEADER_BYTES - 12, OUT_L4_AT = 34, IP_HEADER_BYTES = 20 };

struct out {
	struct ring_desc desc;
	struct ring_header header;
	struct wire_out wire; /* into header.frame */
	struct wire_vnet vnet;
};

struct out_ip {
	uint32_t src_be, dst_be;
	uint32_t payload_bytes; /* transport header and data */
	uint16_t id, frag;	/* frag: flags and offset as in the header */
	uint8_t protocol, ttl, tos;
};
enum {
	IP_DONT_FRAGMENT = 0x4000,
	IP_MORE_FRAGMENTS = 0x2000,
	IP_OFFSET_MASK = 0x1fff,
	OUT_TTL = 64,
	IP_ECN_MASK = 3,
	IP_ECN_ECT0 = 2,
	IP_ECN_CE = 3,
};

/* Ethernet header from the gateway to one station, or to all of the hub when mac is NULL. */
void out_ethernet(
	struct stack *s, struct out *o, const uint8_t mac[6], uint32_t port, uint16_t ethertype);
/* Ethernet and IPv4 header to guest g; the IPv4 checksum is complete. */
void out_ip(struct stack *s, struct out *o, const struct guest *g, const struct out_ip *ip);
/* Payload by reference; false when the descriptor has no segment left. */
bool out_seg(struct out *o, uint32_t id, uint32_t off, uint32_t bytes);
/*
 * Asks the receiver to finish the L4 checksum: the field at l4 + field gets the pseudo-header's sum. gso_bytes > 0
 * also asks for segmentation, TCP or UDP as the protocol says. l4_header_bytes: up to where the payload begins.
 */
void out_partial_checksum(struct out *o, const struct out_ip *ip, uint16_t field,
	uint16_t l4_header_bytes, uint16_t gso_bytes);
/* Stores the complete checksum of what is in the slot from l4 on, plus `sum` of the payload and pseudo-header. */
void out_full_checksum(struct out *o, uint16_t field, uint32_t sum);
/* 0, or -EAGAIN when broker's ring has no room for that class. */
int out_send(struct stack *s, struct out *o, enum link_class c);

#endif
