/*
 * Reassembly of IPv4 fragments (RFC 791, RFC 815 limits) into one large buffer of our own arena.
 *
 * Budget: FRAG_MAX unfinished datagrams, of which one port of the hub may have FRAG_PER_PORT and one source address
 * FRAG_PER_GUEST. Who is at a limit loses the one of his own that has not grown for longest; when the table is full, the
 * port that holds most does. So a flood costs its sender only (a port can't be forged, an address can), a newcomer
 * always finds a place, and a datagram whose fragments keep coming outlives FRAG_PER_GUEST strangers between
 * two of them. Overlap with other bytes drops the datagram (RFC 5722 in spirit, RFC 8900 3.1); an exact repetition is
 * harmless. Every operation costs the same however many wait.
 */
#ifndef NATLOCK_NETSTACK_FRAG_H
#define NATLOCK_NETSTACK_FRAG_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"
#include "packet.h"

enum {
	FRAG_MAX = 256, /* of the arena's 512 large buffers */
	FRAG_PER_PORT = 96,
	FRAG_PER_GUEST = 48,
	FRAG_PORTS = 64, /* ports of a hub; higher numbers share a place */
	FRAG_BUCKETS = 256,
	FRAG_PAYLOAD_MAX = 65515, /* 65,535 less an IPv4 header */
	FRAG_WORDS = 128,	  /* one bit for each 8 bytes of payload */
};

/* What a waiting datagram is in line for; each line has its oldest first. */
enum frag_line {
	FRAG_BY_AGE,   /* since the first fragment: for the time-out */
	FRAG_BY_GUEST, /* since the last growth, of one source address */
	FRAG_BY_PORT,  /* since the last growth, of one port */
	FRAG_LINES,
};

/* Ends of a line, by entry number + 1; 0 = empty. */
struct frag_list {
	uint16_t first, last;
};

struct frag {
	uint32_t src_be, dst_be;
	uint32_t id;	   /* of the buffer */
	uint32_t total;	   /* payload bytes, 0 while the last fragment is missing */
	uint32_t received; /* payload bytes */
	uint32_t highest;  /* end of the furthest fragment */
	uint16_t ip_id, guest;
	uint8_t protocol, port;
	uint16_t hash_next; /* entry number + 1; of unused ones: the free list */
	uint16_t next[FRAG_LINES], prev[FRAG_LINES]; /* entry number + 1 */
	uint64_t started_ns;
	struct packet first; /* the fragment with offset 0 once it came, for its header */
	bool have_first;
	uint64_t present[FRAG_WORDS];
};

struct frag_table {
	struct frag entry[FRAG_MAX];
	uint32_t used, fresh;	       /* entries from `fresh` on were never used */
	uint16_t free;		       /* entry number + 1 */
	uint16_t bucket[FRAG_BUCKETS]; /* entry number + 1 */
	struct frag_list age, guest[GUEST_MAX], port[FRAG_PORTS];
	uint16_t port_used[FRAG_PORTS];
};

/* One fragment from guest g. True when *p was made the complete datagram, whose buffer (MINE) the caller handles. */
bool frag_input(struct stack *s, struct packet *p, struct guest *g);
/* Gives up what has waited too long. */
void frag_poll(struct stack *s);
/* When frag_poll is wanted; UINT64_MAX for never. */
uint64_t frag_next_ns(const struct stack *s);

#endif
