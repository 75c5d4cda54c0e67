/* A guest that receives: acknowledgements with any SACK blocks and timestamps, and a look into the sender. */
#ifndef NATLOCK_TESTS_NETSTACK_SENDER_H
#define NATLOCK_TESTS_NETSTACK_SENDER_H

#include "state.h"
#include "world.h"

enum { SENDER_MSS = 1448, SENDER_BLOCKS = 4 };

struct sender {
	struct world *w;
	struct conn c;
	uint32_t start;	 /* sequence number of the first byte for the guest */
	uint64_t offset; /* bytes natproxy gave so far */
};

/* An open connection of all options but those left out, with a round trip of rtt_ns measured. */
void sender_open(struct sender *x, unsigned int options, uint64_t rtt_ns);
void sender_close(struct sender *x);
struct tcp *sender_tcp(struct sender *x);
/* natproxy gives n bytes. */
void sender_give(struct sender *x, uint32_t n);
/* One acknowledgement: `acked` and the blocks (pairs) count bytes from the start; echo is our timestamp at echo_ns. */
void sender_ack_at(struct sender *x, uint32_t acked, const uint32_t *pairs, unsigned int blocks,
	uint64_t echo_ns);
/* The same that echoes what left now. */
void sender_ack(struct sender *x, uint32_t acked, const uint32_t *pairs, unsigned int blocks);
/* Payload frames seen since the last call, and the offset of the first of them. */
unsigned int sender_seen(struct sender *x, uint32_t *first);
/* The records are whole: without gaps, in order, and their sums are right. */
void sender_whole(struct sender *x);

#endif
