/*
 * Which outside port a guest endpoint gets. Pure.
 *
 * RFC 4787 REQ-1 and RFC 5382 REQ-1: one guest endpoint keeps one outside port, whoever it talks
 * to, as long as anything uses it. REQ-3: the guest's own number where it is free, not privileged
 * and not one at which hosts serve (below), and never one port for two endpoints; REQ-4: else a number of the same parity.
 * Whether the kernel agrees is found out by binding: the caller asks for candidates until one
 * binds.
 */
#ifndef NATLOCK_NATPROXY_PORTPICK_H
#define NATLOCK_NATPROXY_PORTPICK_H

#include <stdbool.h>
#include <stdint.h>

#include "hash.h"
#include "nat.h"
#include "portmap.h"
#include "sock.h"

enum {
	PORTPICK_MAPPINGS = 65536,
	PORTPICK_BUCKETS = 65536,
	PORTPICK_FIRST = 1024,		  /* below it a port needs privilege */
	PORTPICK_PROTOCOLS = NAT_UDP + 1, /* those that have ports */
	PORTPICK_TRIES = 12,		  /* candidates before the kernel chooses */
};

struct portpick_mapping {
	struct sock_address guest;
	uint16_t outside;
	uint8_t protocol;
	uint32_t users;
	uint32_t next;
};

struct portpick {
	struct hash_key key;
	struct portmap shown; /* UDP mappings, ours and those of other natproxies of the hub */
	uint64_t draws;
	uint32_t fresh, free;
	uint32_t bucket[PORTPICK_BUCKETS];
	uint32_t owner[PORTPICK_PROTOCOLS][65536]; /* outside port -> mapping; 0 none */
	struct portpick_mapping mapping[PORTPICK_MAPPINGS + 1];
};

/* Memory must be zeroed. */
void portpick_init(struct portpick *p, const struct hash_key *key, const struct portmap *shown);

/*
 * The n-th port to try for this guest endpoint (n from 0). 0 means: let the kernel choose. An
 * endpoint that is mapped already gets its mapping first.
 */
uint16_t portpick_candidate(struct portpick *p, enum nat_protocol protocol,
	const struct sock_address *guest, unsigned int n);

/* The endpoint uses this outside port now; each hold needs one release. 0, or -ENOSPC (the port
 * works unmapped). */
int portpick_hold(struct portpick *p, enum nat_protocol protocol, const struct sock_address *guest,
	uint16_t outside);
void portpick_release(struct portpick *p, enum nat_protocol protocol,
	const struct sock_address *guest, uint16_t outside);

/*
 * Whether a host commonly serves at this unprivileged port. A guest that could have it would keep the host's own
 * service from starting, or answer in its place; so neither a guest's own number nor chance gives it one. Names that
 * NAT traversal needs (IKE 4500, SIP 5060, H.323 1720) are not among them.
 */
bool portpick_is_service(uint16_t port);

/* Whether an outside port is a guest's, as far as this natproxy knows. */
bool portpick_is_ours(const struct portpick *p, enum nat_protocol protocol, uint16_t outside);
/* Whether a UDP port is a mapping of any guest of the hub (RFC 4787 REQ-9, hairpinning). */
bool portpick_is_hubs(const struct portpick *p, uint16_t outside);

#endif
