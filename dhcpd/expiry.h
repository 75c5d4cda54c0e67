/*
 * Which lease runs out next: a binary heap of (time, lease index), in which each index occurs at
 * most once. Pure. O(log n) to set and clear, O(1) to ask. Memory is the caller's:
 * expiry_bytes(count), aligned for uint64_t and zeroed.
 */
#ifndef NATLOCK_DHCPD_EXPIRY_H
#define NATLOCK_DHCPD_EXPIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expiry_slot {
	uint64_t at_ns;
	uint32_t id;
};

struct expiry {
	struct expiry_slot *slot; /* the heap, slot[0] is next */
	uint32_t *place;	  /* of an id: 1 + index into slot, 0 = not in the heap */
	uint32_t count;
};

size_t expiry_bytes(uint32_t count);
/* Ids are 0..count-1. */
void expiry_init(struct expiry *e, void *memory, uint32_t count);
/* Sets or moves the time of an id. */
void expiry_set(struct expiry *e, uint32_t id, uint64_t at_ns);
void expiry_clear(struct expiry *e, uint32_t id);
/* UINT64_MAX when empty. */
uint64_t expiry_next(const struct expiry *e);
/* Takes the earliest id whose time has come; false when there is none. */
bool expiry_pop(struct expiry *e, uint64_t now_ns, uint32_t *id);

#endif
