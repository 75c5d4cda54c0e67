/*
 * Which guest an IKE message that came to the shared port 500 is for (RFC 2408 3.1, RFC 7296 3.1; Cisco's chapter: "ip nat
 * service list N IKE preserve-port"): its first 8 bytes are the initiator's cookie or SPI, which stays the same, both
 * ways, while the security association does. Pure.
 */
#ifndef NATLOCK_NATPROXY_IKE_H
#define NATLOCK_NATPROXY_IKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash.h"

enum {
	IKE_PORT = 500,
	IKE_HEADER_BYTES = 28,
	IKE_MESSAGE_MAX = 65507, /* what a UDP datagram holds over IPv4 */
	IKE_COOKIES = 4096,
	IKE_COOKIES_PER_GUEST = 64, /* with all its peers; the one unheard longest gives way */
	IKE_PEERS = 1024,	    /* guests with a peer: the one unheard longest gives way */
	IKE_PEERS_PER_GUEST =
		64, /* and of one guest's, so that it cannot crowd out what others have */
	IKE_GUESTS = IKE_PEERS,
	IKE_LEAD_MS =
		2000, /* by how much who spoke last must lead to say whose an unknown cookie is */
	IKE_NONE = 0,
	IKE_COOKIE_BUCKETS = 4096,
	IKE_PAIR_BUCKETS = 1024,
	IKE_PEER_BUCKETS = 1024,
	IKE_GUEST_BUCKETS = 1024,
};

struct ike_list {
	uint32_t first, last;
};
struct ike_links {
	uint32_t next, prev;
};

/* Entries are kept in lists of all and lists of one guest's, the one unheard longest first. */
enum ike_order { IKE_OF_ALL, IKE_OF_GUEST, IKE_ORDERS };
/* A cookie that a guest sent by is known better than one that only came for it. */
enum ike_source { IKE_GUESSED, IKE_SAID, IKE_SOURCES };

struct ike_entry { /* a cookie with a peer */
	uint64_t cookie;
	uint32_t pair;
	uint8_t source; /* enum ike_source */
	uint32_t bucket_next;
	struct ike_links links[IKE_ORDERS];
};

/* A guest with a peer. */
struct ike_pair {
	uint32_t peer_ip_be, guest;
	uint64_t spoke_ns; /* the guest sent last */
	uint32_t bucket_next;
	uint32_t peer;
	struct ike_links links[IKE_ORDERS];
	struct ike_links of_peer;
};

struct ike_peer {
	uint32_t ip_be, bucket_next;
	struct ike_list pairs; /* the one that spoke last last */
};

struct ike_guest {
	uint32_t ip_be, bucket_next;
	uint32_t cookies, pairs;
	struct ike_list entry[IKE_SOURCES], pair;
};

/* Entries of one kind: those above `fresh` were never used, `free` begins a list of those that are not used now. */
struct ike_stock {
	uint32_t fresh, free;
};

struct ike {
	struct hash_key key;
	struct ike_stock entries, pairs, peers, guests;
	struct ike_list all_entries[IKE_SOURCES], all_pairs;
	uint32_t entry_bucket[IKE_COOKIE_BUCKETS], pair_bucket[IKE_PAIR_BUCKETS];
	uint32_t peer_bucket[IKE_PEER_BUCKETS], guest_bucket[IKE_GUEST_BUCKETS];
	struct ike_entry entry[IKE_COOKIES + 1];
	struct ike_pair pair[IKE_PEERS + 1];
	struct ike_peer peer[IKE_PEERS + 1];
	struct ike_guest guest[IKE_GUESTS + 1];
};

/* Memory must be zeroed; only used entries are ever touched. */
void ike_init(struct ike *k, const struct hash_key *key);

/*
 * The initiator's cookie of a message, its first 8 bytes as a number in network order; 0: this is none of IKE's (of version
 * 1 or 2, whose length is one that a datagram holds). Reads no more than IKE_HEADER_BYTES: `n` may be less than the message
 * has, so that the length it states is not compared with it. The non-ESP marker of RFC 3948 2.2, four zero bytes, stands
 * before messages on port 4500 only; here it would be read as the upper half of a cookie, which RFC 7296 allows, then a byte
 * of the responder's cookie as the version and the message ID as the length. What passes for that leads where its cookie,
 * which nobody has, would lead any other message.
 */
uint64_t ike_cookie(const uint8_t *bytes, size_t n);
/* A guest sends to this peer. A cookie by which another guest sent to it stays that one's: guests do not see each other's. */
void ike_sends(
	struct ike *k, uint32_t peer_ip_be, uint32_t guest_ip_be, uint64_t cookie, uint64_t now_ns);
/*
 * The guest that a message from this peer is for, 0: nobody. A cookie that is unknown (the peer made new keys, or begins)
 * is for the only guest that speaks with this peer, else for the one that spoke last, if nobody else did in the 2 s before;
 * it is known from then on, until the guest needs the place for one by which it sends itself, or another guest sends by it.
 */
uint32_t ike_receives(struct ike *k, uint32_t peer_ip_be, uint64_t cookie, uint64_t now_ns);
/* The guest has no session with this peer any more: what is known of the two is forgotten. */
void ike_forget(struct ike *k, uint32_t peer_ip_be, uint32_t guest_ip_be);

#endif
