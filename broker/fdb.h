/*
 * The forwarding database: which station (MAC address) lives behind which port. Pure.
 *
 * Bounds: FDB_ENTRIES stations in all, `limit` behind one port. The hash is keyed, so that a guest
 * cannot choose addresses that collide. Time is the actor clock in ns.
 *
 * A station belongs to the port where it was first heard. It moves to another port only after
 * FDB_QUIET_NS without a frame at the old one, or when the old port is gone: a guest cannot take
 * over a neighbour that talks. A station that says nothing for FDB_AGE_NS is forgotten.
 */
#ifndef NATLOCK_BROKER_FDB_H
#define NATLOCK_BROKER_FDB_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "hash.h"

enum {
	FDB_ENTRIES = 4096,
	FDB_BUCKETS = 4096, /* power of two */
	FDB_NONE = -1,
	FDB_SWEEP = 64, /* entries that one call of fdb_sweep looks at */
};
#define FDB_AGE_NS   (300 * UINT64_C(1000000000)) /* IEEE 802.1D 7.9.2, recommended default */
#define FDB_QUIET_NS (60 * UINT64_C(1000000000))

struct fdb_entry {
	uint64_t heard_ns;
	uint8_t mac[6];
	int8_t slot;  /* port, or FDB_NONE: the entry is free */
	int16_t next; /* in the bucket or the free list; FDB_NONE ends it */
};

struct fdb {
	struct hash_key key;
	uint32_t limit;		   /* stations behind one port */
	uint32_t macs[PORTS_MAX];  /* stations behind each now */
	int16_t recent[PORTS_MAX]; /* the entry last heard on a port: most frames need no hash */
	int16_t bucket[FDB_BUCKETS];
	int16_t free;
	uint32_t sweep; /* where fdb_sweep goes on */
	struct fdb_entry entry[FDB_ENTRIES];
};

enum fdb_learned {
	FDB_KNOWN,     /* new or known here: carry on */
	FDB_ELSEWHERE, /* it lives on another port and was heard there lately: MAC_SPOOF */
	FDB_FULL,      /* this port has its share, or the table is full: MAC_LIMIT */
};

/* limit: 1..FDB_ENTRIES; more is taken as FDB_ENTRIES. */
void fdb_init(struct fdb *f, const struct hash_key *key, uint32_t limit);
/* Another limit; stations that are known stay. */
void fdb_set_limit(struct fdb *f, uint32_t limit);
/* A frame from `mac` was heard on a port. */
enum fdb_learned fdb_learn(struct fdb *f, const uint8_t mac[6], unsigned int slot, uint64_t now_ns);
/* The port of a station, or FDB_NONE when it is unknown or too long silent. */
int fdb_find(const struct fdb *f, const uint8_t mac[6], uint64_t now_ns);
/* The same for one that may keep what it has: FDB_NONE when it said nothing for FDB_QUIET_NS. */
int fdb_find_talking(const struct fdb *f, const uint8_t mac[6], uint64_t now_ns);
/* Forgets the next station of a port and says which; false when none is left. *cursor starts at 0.
 */
bool fdb_forget(struct fdb *f, unsigned int slot, uint32_t *cursor, uint8_t mac[6]);
/* Forgets silent stations among the next FDB_SWEEP entries. */
void fdb_sweep(struct fdb *f, uint64_t now_ns);

#endif
