/*
 * Theory of operation: a direct-mapped cache, because a miss costs only accuracy. The place is a plain mix of flow
 * and destination: a guest that finds collisions makes its own errors less exact, or those of packets that it makes
 * everybody forget by sending a thousand more, which it could anyway.
 */
#include <string.h>

#include "out.h"
#include "quote.h"

enum { UDP_CHECKSUM_AT = 6 };

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
	*q = (struct quote){.flow = flow,
		.remote_ip_be = remote->ip_be,
		.remote_port = remote->port,
		.ip_id = p->ip_id,
		.ip_bytes = (uint16_t)(IP_HEADER_BYTES + p->bytes - p->l4_at),
		.ip_frag = p->frag & IP_DONT_FRAGMENT,
		.ip_tos = p->tos};
	memcpy(q->inner, p->head + p->l4_at, sizeof(q->inner));
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
