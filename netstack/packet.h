/*
 * A guest's frame, or a datagram put together from fragments, on its way through the stack.
 *
 * `head` is the private copy that alone is parsed (ring.h, invariant 4); payload stays where it lies and is named by
 * `seg`. Offsets count from the first byte of the Ethernet header.
 */
#ifndef NATLOCK_NETSTACK_PACKET_H
#define NATLOCK_NETSTACK_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"
#include "wire/wire.h"

struct stack;

enum {
	PACKET_HEAD_BYTES = 134, /* Ethernet 14, IPv4 at most 60, TCP at most 60 */
	PACKET_SEGS = 2,
};

struct packet {
	uint8_t head[PACKET_HEAD_BYTES];
	uint32_t head_bytes; /* of `head` that are valid */
	uint32_t bytes;	     /* of the whole packet, Ethernet padding cut off once IPv4 is parsed */
	struct ring_seg seg[PACKET_SEGS];
	unsigned int nseg;
	uint32_t
		seg_at; /* offset of the first byte that `seg` holds: 0, or behind the headers of a reassembled one */
	uint32_t port;
	uint16_t gso_bytes; /* payload a segment of a super-frame, 0 = an ordinary frame */
	bool csum_ok;
	bool to_us; /* sent to the gateway's MAC, not to a group */
	bool was_fragmented;
	/* IPv4, in host order unless _be */
	uint32_t src_be, dst_be;
	uint16_t ip_id, frag; /* frag: flags and offset as in the header */
	uint8_t ttl, tos, protocol;
	uint32_t l4_at; /* where the transport header begins */
};

/* Fills everything up to the IPv4 part from a FRAME whose segments the link has validated. */
void packet_from_frame(struct stack *s, struct packet *p, const struct ring_desc *d);
/* The pieces that hold bytes [at, at + bytes) of the packet, which must lie inside it. Returns how many (0..2). */
unsigned int packet_pieces(
	const struct packet *p, uint32_t at, uint32_t bytes, struct ring_seg out[PACKET_SEGS]);
/* Copies bytes [at, at + bytes) out; they must lie inside. */
void packet_copy(
	const struct stack *s, const struct packet *p, uint32_t at, uint32_t bytes, void *out);
/* Internet checksum over [at, at + bytes), added to sum: private copy for the head, arena for the rest. */
uint32_t packet_sum(
	const struct stack *s, const struct packet *p, uint32_t at, uint32_t bytes, uint32_t sum);
/* The same over pieces that may have odd lengths. */
uint32_t packet_sum_segs(
	const struct stack *s, const struct ring_seg *seg, unsigned int nseg, uint32_t sum);
static inline struct wire_in packet_wire(const struct packet *p, uint32_t at)
{
	return wire_in(p->head + (at < p->head_bytes ? at : p->head_bytes),
		at < p->head_bytes ? p->head_bytes - at : 0);
}

#endif
