/*
 * Which station an IP address of the hub belongs to, so that no guest takes over its neighbour's address by ARP. Pure.
 *
 * An address belongs to the station that was the first to claim it (RFC 826: sender address of its ARP), or that
 * dhcpd has given it to. It changes hands when the station is silent for FDB_QUIET_NS or gone, as a station changes
 * ports (fdb.h), and among the stations of one port at once. The gateway's own address is steer.c's business.
 *
 * Bounds: CLAIM_ENTRIES addresses in all, `limit` of the stations of one port; what is beyond is not remembered and passes.
 */
#ifndef NATLOCK_BROKER_CLAIM_H
#define NATLOCK_BROKER_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "fdb.h"
#include "hash.h"

enum {
	CLAIM_ENTRIES = 4096,
	CLAIM_BUCKETS = 4096, /* power of two */
	CLAIM_SWEEP = 64,     /* entries that one call of claim_sweep looks at */
};

struct claim_entry {
	uint32_t ip_be;
	uint8_t mac[6];
	int8_t slot;  /* port that it counts for, or FDB_NONE: the entry is free */
	int16_t next; /* in the bucket or the free list; FDB_NONE ends it */
};

struct claims {
	struct hash_key key;
	uint32_t limit;
	uint32_t held[PORTS_MAX];
	int16_t bucket[CLAIM_BUCKETS];
	int16_t free;
	uint32_t sweep; /* where claim_sweep goes on */
	struct claim_entry entry[CLAIM_ENTRIES];
};

void claim_init(struct claims *c, const struct hash_key *key, uint32_t limit);
/*
 * The station `mac` says by ARP on a port that it has ip_be. False: the address belongs to a station of another port
 * that is there. The frame's source address is known to live on that port; sent_by says whether it is `mac`, as else
 * nothing is learnt.
 */
bool claim_hear(struct claims *c, const struct fdb *f, uint32_t ip_be, const uint8_t mac[6],
	bool sent_by, unsigned int slot, uint64_t now_ns);
/* dhcpd gave the address to a station. Nothing happens when that lives nowhere. */
void claim_lease(struct claims *c, const struct fdb *f, uint32_t ip_be, const uint8_t mac[6],
	uint64_t now_ns);
/* The port is gone, and all that its stations had. */
void claim_forget(struct claims *c, unsigned int slot);
/* Forgets addresses of stations that are not there any more, among the next CLAIM_SWEEP entries. */
void claim_sweep(struct claims *c, const struct fdb *f, uint64_t now_ns);

#endif
