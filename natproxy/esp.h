/*
 * Which guest an ESP packet from outside is for (RFC 4303; Cisco's chapter: "Support for IPsec ESP Through NAT", "SPI
 * Matching"). The two directions of a tunnel have SPIs of their own, agreed on where a gateway cannot read, so the pairs
 * are inferred: what a peer says first by an SPI that nobody knows is for the guest that has just opened a tunnel to it.
 * Pure: the caller's clock, fixed memory, O(1) but for the tunnels of one peer, which are few.
 */
#ifndef NATLOCK_NATPROXY_ESP_H
#define NATLOCK_NATPROXY_ESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash.h"

enum {
	ESP_TUNNELS = 4096,	    /* of the hub; references are 1..ESP_TUNNELS */
	ESP_PEERS = 1024,
	ESP_TUNNELS_PER_PEER = 256,
	ESP_INBOUND = 4,	    /* SPIs of the far end that lead to one tunnel; the one unheard longest gives way */
	ESP_NONE = 0,
	ESP_OPENING_MS = 30000, /* how long a guest that opens a tunnel has its peer for itself */
	ESP_LEAD_MS = 2000,	/* by how much the last exchange of keys must lead to say whose a new SPI is */
};

/* One way of a tunnel, as a gateway sees it. */
struct esp_way {
	uint32_t peer_ip_be;
	uint32_t outside_ip_be; /* the guest's own outside address (nat.static); 0: the one that all share */
};

struct esp_ask {
	struct esp_way way;
	uint32_t guest_ip_be;
	uint32_t spi;	/* the guest's, host order; 0: the far end spoke first */
	uint32_t flow;	/* natproxy's id of the flow, ring.h */
	bool symmetric; /* spi_match_list: the far end answers by the same number */
};

/* A tunnel as it is shown. */
struct esp_tunnel {
	struct esp_way way;
	uint32_t guest_ip_be, spi, flow;
	uint32_t inbound[ESP_INBOUND]; /* host order, 0: none; the youngest first */
	uint64_t opening_until_ns;     /* it waits for its pair; 0: it does not */
	bool is_used;
};

struct esp;

/* Bytes that struct esp needs; zeroed by the caller. */
size_t esp_bytes(void);
void esp_init(struct esp *e, const struct hash_key *key);

/*
 * A guest sends by an SPI that has no tunnel, or (spi 0) a packet came for it by `inbound` and it has none. 0 with *ref
 * set; -ENOSPC when a table is full. Whether a packet may leave, esp_sends says.
 */
int esp_open(struct esp *e, const struct esp_ask *ask, uint32_t inbound, uint64_t now_ns, uint32_t *ref);
/*
 * Whether a packet of this tunnel may leave now. Not while another guest waits for this peer's answer to its own: those
 * that are turned away get their turn, and nobody gets it twice while somebody waits.
 */
bool esp_sends(struct esp *e, uint32_t ref, uint64_t now_ns);

/* What a packet that came leads to. */
struct esp_found {
	uint32_t ref;	      /* the tunnel; ESP_NONE: see guest_ip_be */
	uint32_t guest_ip_be; /* a tunnel may begin to this guest by esp_open with spi 0; 0: nobody's, drop it */
};
/* only_guest_ip_be: who has way->outside_ip_be, 0: it is shared. */
struct esp_found esp_receives(struct esp *e, const struct esp_way *way, uint32_t spi, uint32_t only_guest_ip_be, uint64_t now_ns);

/* A guest and a peer exchanged keys (IKE), either way. */
void esp_keys(struct esp *e, const struct esp_way *way, uint32_t guest_ip_be, uint64_t now_ns);

void esp_close(struct esp *e, uint32_t ref);

/* The tunnel, for rows; the next one after `ref` (ESP_NONE: the first) or ESP_NONE. */
const struct esp_tunnel *esp_at(const struct esp *e, uint32_t ref);
uint32_t esp_next(const struct esp *e, uint32_t ref);

#endif
