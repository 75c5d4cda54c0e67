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
	IKE_COOKIES = 4096,
	IKE_COOKIES_PER_GUEST = 64, /* with all its peers; the one unheard longest gives way */
	IKE_PEERS = 1024,	    /* guests with a peer: the one unheard longest gives way */
};

struct ike;

size_t ike_bytes(void); /* that struct ike needs; zeroed by the caller */
void ike_init(struct ike *k, const struct hash_key *key);

/* The initiator's cookie of a message; 0: this is none of IKE's. Reads no more than IKE_HEADER_BYTES. */
uint64_t ike_cookie(const uint8_t *bytes, size_t n);
/* A guest sends to this peer. */
void ike_sends(struct ike *k, uint32_t peer_ip_be, uint32_t guest_ip_be, uint64_t cookie, uint64_t now_ns);
/*
 * The guest that a message from this peer is for, 0: nobody. A cookie that is unknown (the peer made new keys, or begins)
 * is for the only guest that speaks with this peer, else for the one that spoke last, if nobody else did in the 2 s before;
 * it is known from then on.
 */
uint32_t ike_receives(struct ike *k, uint32_t peer_ip_be, uint64_t cookie, uint64_t now_ns);
/* The guest has no session with this peer any more: what is known of the two is forgotten. */
void ike_forget(struct ike *k, uint32_t peer_ip_be, uint32_t guest_ip_be);

#endif
