/*
 * Datagrams from outside for a guest whose station is being looked for. RFC 1122 2.3.2.2: the newest packets to an address that
 * is not resolved yet are kept, and sent when it is. A guest that has not spoken yet (nat.static, a published port) would lose
 * the first word of every conversation otherwise.
 *
 * Each keeps the buffers that natproxy lent for it: at most PARK_MAX descriptors, an eighth of the arena.
 */
#ifndef NATLOCK_NETSTACK_PARK_H
#define NATLOCK_NETSTACK_PARK_H

#include <stdint.h>

#include "guest.h"
#include "ring.h"

enum {
	PARK_MAX = 16, /* of all guests */
	PARK_EACH = 4, /* of one guest: its oldest gives way */
	PARK_SECONDS = 3,
};

struct parked {
	struct ring_desc desc; /* DGRAM_DATA, whose buffers are held */
	uint32_t guest_ip_be;
	uint64_t until_ns;
};

struct park_table {
	struct parked entry[PARK_MAX]; /* oldest first */
	uint32_t count;
	uint64_t ask_ns; /* while there is any: when its guest is asked for again */
};

/*
 * Keeps a DGRAM_DATA, and asks for its guest, once a second for PARK_SECONDS. Then, and where others need the place, it is
 * dropped and counted.
 */
void park_datagram(struct stack *s, struct guest *g, const struct ring_desc *d);
/* The guest's MAC has just become known: what waits for it leaves in its order, if its flow is still there. */
void park_guest_found(struct stack *s, const struct guest *g);
/* Asks again and gives up what is due; when that is wanted, UINT64_MAX for never. */
void park_poll(struct stack *s);
uint64_t park_next_ns(const struct stack *s);

#endif
