/*
 * Reassembly of IPv4 fragments (RFC 791, RFC 815 limits) into one large buffer of our own arena.
 *
 * Budget: FRAG_MAX unfinished datagrams, FRAG_PER_GUEST of one source; the oldest of the same source (or of the
 * source that holds most) gives way, so a flood hurts its sender only and a good datagram always finds a place.
 * Overlap with other bytes drops the datagram (RFC 5722 in spirit); an exact repetition is harmless.
 */
#ifndef NATLOCK_NETSTACK_FRAG_H
#define NATLOCK_NETSTACK_FRAG_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"
#include "packet.h"

enum {
	FRAG_MAX = 64,
	FRAG_PER_GUEST = 16,
	FRAG_PAYLOAD_MAX = 65515, /* 65,535 less an IPv4 header */
	FRAG_WORDS = 128,	  /* one bit for each 8 bytes of payload */
};

struct frag {
	uint32_t src_be, dst_be;
	uint32_t id;	   /* of the buffer; 0 = entry unused */
	uint32_t total;	   /* payload bytes, 0 while the last fragment is missing */
	uint32_t received; /* payload bytes */
	uint32_t highest;  /* end of the furthest fragment */
	uint16_t ip_id, guest;
	uint8_t protocol;
	uint64_t started_ns;
	struct packet first; /* the fragment with offset 0 once it came, for its header */
	bool have_first;
	uint64_t present[FRAG_WORDS];
};

struct frag_table {
	struct frag entry[FRAG_MAX];
	uint32_t used;
};

/* One fragment from guest g. True when *p was made the complete datagram, whose buffer (MINE) the caller handles. */
bool frag_input(struct stack *s, struct packet *p, struct guest *g);
/* Gives up what has waited too long. */
void frag_poll(struct stack *s);
/* When frag_poll is wanted; UINT64_MAX for never. */
uint64_t frag_next_ns(const struct stack *s);

#endif
