/*
 * Answers that were given before (RFC 1035 7.4, RFC 2308), for all guests of the hub. Memory is fixed:
 * entries as configured, and a pool of pieces that hold their bytes. When it is full, the guest whose
 * questions fill most of it loses its least recently used answer; so a guest that asks for a million
 * names pushes out its own. Pure; time is an argument.
 */
#ifndef NATLOCK_NATPROXY_DNSCACHE_H
#define NATLOCK_NATPROXY_DNSCACHE_H

#include "dnsmsg.h"
#include "hash.h"

enum {
	DNSCACHE_ENTRIES = 16384, /* most that dns.cache may ask for */
	DNSCACHE_PIECE_BYTES = 256,
	DNSCACHE_PIECES = 2 * DNSCACHE_ENTRIES,
	DNSCACHE_BUCKETS = 16384, /* power of two */
	DNSCACHE_ACCOUNTS = 256,  /* power of two; guests share one by chance of the keyed hash */
	DNSCACHE_BYTES = DNSMSG_PAYLOAD, /* longest answer that is kept */
	DNSCACHE_NONE = 0,		 /* entries are 1..DNSCACHE_ENTRIES */
};

struct dnscache_entry {
	uint64_t hash;
	uint64_t born_ns, dies_ns;
	uint16_t type, class, bytes;
	uint16_t account;
	uint8_t flags, name_bytes, ttls, addresses;
	uint32_t piece;	       /* first */
	uint32_t next;	       /* of the bucket, or of the free list */
	uint32_t newer, older; /* of the account */
};

struct dnscache_account {
	uint32_t entries, newest, oldest;
};

struct dnscache {
	struct hash_key key;
	uint32_t capacity, entries; /* 0: nothing is kept */
	uint32_t fresh, free;	    /* entries never used, entries given back */
	uint32_t pieces_fresh, pieces_free, pieces_used;
	uint64_t hits, misses;
	uint32_t bucket[DNSCACHE_BUCKETS];
	struct dnscache_account account[DNSCACHE_ACCOUNTS];
	struct dnscache_entry entry[DNSCACHE_ENTRIES + 1];
	uint32_t piece_next[DNSCACHE_PIECES + 1];
	uint8_t piece[DNSCACHE_PIECES + 1][DNSCACHE_PIECE_BYTES];
};

/* `c` is zeroed. */
void dnscache_init(struct dnscache *c, const struct hash_key *key, uint32_t capacity);
/* Another size; what is kept is forgotten if that is less. */
void dnscache_resize(struct dnscache *c, uint32_t capacity);
/* Other upstreams may answer otherwise: everything is forgotten. */
void dnscache_flush(struct dnscache *c);
uint64_t dnscache_hash(const struct dnscache *c, const struct dnsmsg_question *q);

/* What was served: where the addresses of its A records stand. */
struct dnscache_served {
	uint16_t bytes;
	uint8_t addresses;
	uint16_t address_at[DNSMSG_ADDRESSES];
};
/*
 * The answer to q with its TTLs counted down, AA clear, id and name as in `query`, which is what q was
 * read from. `out` has room for DNSCACHE_BYTES. False: it is not known, or no longer.
 */
bool dnscache_get(struct dnscache *c, const struct dnsmsg_question *q, const uint8_t *query,
	uint64_t now_ns, uint8_t *out, struct dnscache_served *served);
/*
 * Keeps an answer on account of the guest that asked. `a` is what dnsmsg_answer made of it and has
 * keep set; its question is q's. One longer than DNSCACHE_BYTES is not kept.
 */
void dnscache_put(struct dnscache *c, const struct dnsmsg_question *q, uint32_t guest_ip_be,
	const uint8_t *bytes, size_t n, const struct dnsmsg_answer *a, uint64_t now_ns);

#endif
