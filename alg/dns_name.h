/*
 * One reverse name becomes another throughout a message, and every pointer goes on meaning what it
 * meant. Names must be shown in the order in which they stand; anything else that changes the
 * message's length would make pointers wrong. Pure.
 */
#ifndef NATLOCK_ALG_DNS_NAME_H
#define NATLOCK_ALG_DNS_NAME_H

#include "dns_walk.h"

enum { DNS_NAME_MOVES = 64, DNS_NAME_CHANGE_BYTES = 48 };

struct dns_name {
	const uint8_t *p;
	size_t n;
	uint32_t from_be, to_be; /* the address whose reverse name goes, and the one whose comes */
	unsigned int moves;
	struct {
		size_t at, old_bytes;
		int growth;
		uint16_t target; /* it was a pointer to here; 0: it was something else */
	} move[DNS_NAME_MOVES];	 /* bytes that were replaced by others, ascending */
	uint8_t starts[DNS_WALK_REACH /
		       8]; /* bit set: where a label of a name that was shown stands */
};

/* What becomes of one name. bytes 0 = it stays. */
struct dns_name_change {
	bool renamed; /* it means something else now, by these bytes or by its pointer */
	size_t end;   /* of the name as it was */
	size_t at, old_bytes, bytes;
	uint8_t text[DNS_NAME_CHANGE_BYTES];
};

void dns_name_start(
	struct dns_name *d, const uint8_t *p, size_t n, uint32_t from_be, uint32_t to_be);
/* The name at `at`. False: it cannot be read, or not be kept: then the message must stay as it is. */
bool dns_name_next(struct dns_name *d, size_t at, struct dns_name_change *c);

#endif
