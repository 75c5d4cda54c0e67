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
	ESP_TUNNELS = 4096, /* of the hub; references are 1..ESP_TUNNELS */
	ESP_PEERS = 1024,
	ESP_TUNNELS_PER_PEER = 256,
	ESP_GUESTS = ESP_TUNNELS + ESP_PEERS, /* each has a tunnel, or keys with a peer */
	/* peers without a tunnel that a guest exchanged keys with last; the oldest gives way */
	ESP_KEYS_PER_GUEST = 32,
	ESP_INBOUND =
		4, /* SPIs of the far end that lead to one tunnel; esp.c says which gives way */
	ESP_HEADER_BYTES = 8, /* SPI and sequence number (RFC 4303 2) */
	ESP_NONE = 0,
	ESP_OPENING_MS = 30000, /* how long a guest that opens a tunnel has its peer for itself */
	/* by how much the last exchange of keys must lead to say whose a new SPI is */
	ESP_LEAD_MS = 2000,
	ESP_TUNNEL_BUCKETS = 4096,
	ESP_INBOUND_BUCKETS = 8192,
	ESP_PEER_BUCKETS = 1024,
	ESP_GUEST_BUCKETS = 4096,
};

/* One way of a tunnel, as a gateway sees it. */
struct esp_way {
	uint32_t peer_ip_be;
	/* the guest's own outside address (nat.static); 0: the one that all share */
	uint32_t outside_ip_be;
};

struct esp_ask {
	struct esp_way way;
	uint32_t guest_ip_be;
	uint32_t spi;	/* the guest's, host order; 0: the far end spoke first */
	uint32_t flow;	/* natproxy's id of the flow, ring.h */
	bool symmetric; /* spi_match_list: the far end answers by the same number */
};

/* A tunnel: what is shown of it, then esp.c's own. */
struct esp_tunnel {
	struct esp_way way;
	uint32_t guest_ip_be, spi, flow;
	uint32_t inbound[ESP_INBOUND]; /* host order, 0: none; the one heard last first */
	/* it waits for its pair; 0, or a time that is over: it does not */
	uint64_t opening_until_ns;
	bool is_used;
	bool is_paired;		    /* it has, or had, an inbound SPI */
	uint8_t place[ESP_INBOUND]; /* of inbound[i] among this tunnel's struct esp_inbound */
	uint64_t opened_ns;
	/* references, ESP_NONE ends a list */
	uint32_t peer, guest;
	uint32_t key_next;	       /* same (way, guest, SPI) bucket */
	uint32_t peer_next, peer_prev; /* tunnels of one peer, the youngest first */
};

/* An SPI of the far end; each tunnel has ESP_INBOUND places for them. */
struct esp_inbound {
	uint32_t spi, next;
	uint64_t came_ns, heard_ns; /* first and last packet */
	bool is_loose;		    /* it came without an opener */
	bool is_settled; /* it came to an opener, or again ESP_LEAD_MS after it came first */
};

struct esp_list {
	uint32_t first, last;
};
struct esp_links {
	uint32_t next, prev;
};

/* A guest that exchanged keys with a peer. */
struct esp_exchange {
	uint32_t guest_ip_be; /* 0: none */
	uint64_t at_ns;
};

struct esp_peer {
	struct esp_way way;
	uint32_t tunnels, first;
	uint32_t payer;		     /* the guest that it is counted for, while it has tunnels */
	uint32_t opener_ip_be;	     /* the guest whose turn it is; 0: nobody's */
	uint64_t began_ns, until_ns; /* its term */
	uint32_t waiting_ip_be;	     /* the guest whose turn is next; 0: nobody's */
	uint64_t waits_until_ns;
	struct esp_exchange exchange[2]; /* the last, and the last of another guest than that */
	uint32_t bucket_next;
	/* while it has no tunnel: among all such peers, and those of exchange[0]'s guest */
	struct esp_links idle[2];
};

struct esp_guest {
	uint32_t ip_be;
	uint32_t tunnels, peers, idle_peers;
	uint64_t turn_ns;     /* when its last term began, with any peer; 0: it had none */
	struct esp_list idle; /* peers without tunnels, the one heard longest ago first */
	uint32_t bucket_next;
};

struct esp {
	struct hash_key key;
	uint32_t tunnels, fresh, free;	       /* fresh: references above it were never used */
	uint32_t peers, peer_fresh, peer_free; /* peers: that have tunnels */
	uint32_t guest_fresh, guest_free;
	struct esp_list idle;
	uint32_t tunnel_bucket[ESP_TUNNEL_BUCKETS], inbound_bucket[ESP_INBOUND_BUCKETS];
	uint32_t peer_bucket[ESP_PEER_BUCKETS], guest_bucket[ESP_GUEST_BUCKETS];
	struct esp_tunnel tunnel[ESP_TUNNELS + 1];
	struct esp_inbound inbound[ESP_TUNNELS * ESP_INBOUND + 1];
	struct esp_peer peer[ESP_PEERS + 1];
	struct esp_guest guest[ESP_GUESTS + 1];
};

/* Memory must be zeroed; only used entries are ever touched. */
void esp_init(struct esp *e, const struct hash_key *key);

/*
 * A guest sends by an SPI that has no tunnel, or (spi 0) a packet came for it by `inbound` and it has none. 0 with *ref
 * set. -ENOSPC: a guest has a quarter of the tunnels, of the peers or of this peer's tunnels that other guests do not
 * have (so that there is always a place for one more guest), or a table is full. -EEXIST: there is a tunnel of this guest
 * by this SPI, or `inbound` leads to one. -EINVAL: both are 0. Whether a packet may leave, esp_sends says.
 */
int esp_open(
	struct esp *e, const struct esp_ask *ask, uint32_t inbound, uint64_t now_ns, uint32_t *ref);
/*
 * Whether a packet of this tunnel may leave now. Not while another guest waits for this peer's answer to its own: those
 * that are turned away get their turn, and nobody gets it twice while somebody waits. O(1), but for the tunnels of the
 * peer when a term is over.
 */
bool esp_sends(struct esp *e, uint32_t ref, uint64_t now_ns);

/* What a packet that came leads to. */
struct esp_found {
	uint32_t ref; /* the tunnel; ESP_NONE: see guest_ip_be */
	/* a tunnel may begin to this guest by esp_open with spi 0; 0: nobody's, drop it */
	uint32_t guest_ip_be;
};
/*
 * only_guest_ip_be: who has way->outside_ip_be, 0: it is shared. An SPI for which its tunnel has no place (all that it has
 * were heard lately) leads there all the same, but is not known afterwards.
 */
struct esp_found esp_receives(struct esp *e, const struct esp_way *way, uint32_t spi,
	uint32_t only_guest_ip_be, uint64_t now_ns);

/* A guest and a peer exchanged keys (IKE), either way. */
void esp_keys(struct esp *e, const struct esp_way *way, uint32_t guest_ip_be, uint64_t now_ns);

void esp_close(struct esp *e, uint32_t ref);

/* The youngest tunnel of this way with this SPI of the guest's, or ESP_NONE: for errors, which quote it. */
uint32_t esp_sender(struct esp *e, const struct esp_way *way, uint32_t spi);
/* The tunnel, for rows; the next one after `ref` (ESP_NONE: the first) or ESP_NONE. */
const struct esp_tunnel *esp_at(const struct esp *e, uint32_t ref);
uint32_t esp_next(const struct esp *e, uint32_t ref);

#endif
