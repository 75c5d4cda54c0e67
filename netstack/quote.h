/*
 * What guests sent lately, so that an ICMP error from outside can quote it: RFC 5508 REQ-4 wants the embedded packet
 * as the guest wrote it, but the host's kernel hands an error to an unprivileged socket without its headers. A
 * fixed table, the newest of each place; what it has forgotten is quoted with what the flow itself tells.
 */
#ifndef NATLOCK_NETSTACK_QUOTE_H
#define NATLOCK_NETSTACK_QUOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "packet.h"
#include "ring.h"

enum { QUOTE_SLOTS = 1024, QUOTE_INNER_BYTES = 8 };

struct quote {
	uint32_t flow; /* id, 0 = unused */
	uint32_t remote_ip_be;
	uint16_t remote_port; /* echo: the sequence number */
	uint16_t ip_id, ip_bytes, ip_frag;
	uint8_t ip_tos;
	uint8_t inner[QUOTE_INNER_BYTES]; /* the first bytes behind the IP header */
};

struct quote_table {
	struct quote slot[QUOTE_SLOTS];
};

/* Packet p, whose transport header lies in its head, went to `remote` on the flow `flow`. */
void quote_note(struct quote_table *t, uint32_t flow, const struct packet *p,
	const struct ring_remote *remote);
/* The last that went there on this flow, or NULL when it is forgotten. */
const struct quote *quote_find(
	const struct quote_table *t, uint32_t flow, const struct ring_remote *remote);

#endif
