/*
 * By which name a guest knows an address: that of the question whose answer held it. For the
 * operator only (NAT table, security log): nothing is decided by it. Bounded, and guests share a
 * shelf of DNSNAMES_SHELF only by chance of the keyed hash, so that one cannot push out what others
 * asked. A name holds letters, digits, '-', '_' and '.'; others are not noted, so it needs no
 * escaping. Pure.
 */
#ifndef NATLOCK_NATPROXY_DNSNAMES_H
#define NATLOCK_NATPROXY_DNSNAMES_H

#include <stddef.h>
#include <stdint.h>

#include "hash.h"

enum {
	DNSNAMES_SHELVES = 128, /* power of two */
	DNSNAMES_SHELF = 64,	/* addresses of the guests that share one */
	DNSNAMES_BYTES = 254,	/* text with its NUL */
};

struct dnsnames_key {
	uint32_t guest_ip_be, ip_be;
	uint32_t used; /* 0: free; else when it was noted, by the shelf's count */
};

struct dnsnames_shelf {
	uint32_t count;
	struct dnsnames_key key[DNSNAMES_SHELF];
	char name[DNSNAMES_SHELF][DNSNAMES_BYTES];
};

struct dnsnames {
	struct hash_key hash;
	struct dnsnames_shelf shelf[DNSNAMES_SHELVES];
};

/* `n` is zeroed. */
void dnsnames_init(struct dnsnames *n, const struct hash_key *key);
/* A guest was told that this name (wire format, `bytes` long, valid) has this address. The oldest of
 * its shelf makes room. */
void dnsnames_note(struct dnsnames *n, uint32_t guest_ip_be, uint32_t ip_be, const uint8_t *name,
	size_t bytes);
/* The name, valid until the next note, or NULL when the guest never asked for one. */
const char *dnsnames_of(const struct dnsnames *n, uint32_t guest_ip_be, uint32_t ip_be);

#endif
