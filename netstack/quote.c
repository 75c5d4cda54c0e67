/*
 * Theory of operation: a direct-mapped cache, because a miss costs only accuracy. The place is a plain mix of flow
 * and destination: a guest that finds collisions makes its own errors less exact, or those of packets that it makes
 * everybody forget by sending a thousand more, which it could anyway.
 */
#include <string.h>

#include "out.h"
#include "quote.h"

enum { UDP_HEADER_BYTES = 8, UDP_LENGTH_AT = 4, UDP_CHECKSUM_AT = 6 };

static uint32_t quote_place(uint32_t flow, const struct ring_remote *remote)
{
	const uint32_t odd = 0x9e3779b1; /* 2^32 / golden ratio: consecutive ports spread */
	const uint32_t mixed = (flow * odd ^ remote->ip_be) * odd + remote->port;
	return mixed * odd >> 22;
}
_Static_assert(QUOTE_SLOTS == 1 << (32 - 22), "the hash's top bits");

void quote_note(struct quote_table *t, uint32_t flow, const struct packet *p,
	const struct ring_remote *remote)
{
	struct quote *q = &t->slot[quote_place(flow, remote)];
	const bool run = p->gso_bytes && p->protocol == IP_PROTO_UDP;
	uint32_t bytes = p->bytes - p->l4_at;
	if (run)
		bytes = UDP_HEADER_BYTES + (uint32_t)p->gso_bytes;
	*q = (struct quote){.flow = flow,
		.remote_ip_be = remote->ip_be,
		.remote_port = remote->port,
		.ip_id = p->ip_id,
		.ip_bytes = (uint16_t)(IP_HEADER_BYTES + bytes),
		.ip_frag = p->frag & IP_DONT_FRAGMENT,
		.ip_tos = p->tos};
	memcpy(q->inner, p->head + p->l4_at, sizeof(q->inner));
	if (run) { /* each datagram of a super-frame, as it left */
		q->inner[UDP_LENGTH_AT] = (uint8_t)(bytes >> 8);
		q->inner[UDP_LENGTH_AT + 1] = (uint8_t)bytes;
	}
	/* the kernel that vouches for a packet has not yet written its checksum: 0 = there is none (RFC 768) */
	if (p->csum_ok && p->protocol == IP_PROTO_UDP)
		memset(q->inner + UDP_CHECKSUM_AT, 0, 2);
}

const struct quote *quote_find(
	const struct quote_table *t, uint32_t flow, const struct ring_remote *remote)
{
	const struct quote *q = &t->slot[quote_place(flow, remote)];
	const bool same = q->flow == flow && q->remote_ip_be == remote->ip_be &&
			  q->remote_port == remote->port;
	return same ? q : NULL;
}
