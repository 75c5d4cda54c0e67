/*
 * Who has which address: the pool, reservations, expiry, quarantine. Pure.
 *
 * A client is known by its client identifier, or by its MAC if it sends none (RFC 2131 4.2, RFC
 * 4361). One client has at most one address. Addresses named _be are in network byte order.
 *
 * Anybody on the wire can say another's client identifier, but not its MAC, or only behind its own
 * port (engine.c). So as long as a lease is offered or bound, the same id from another MAC is
 * another client: it gets an address of its own and can neither have, renew, release nor decline
 * that lease. Only when it is over does the id bring the address back whatever the MAC, as RFC
 * 4361 wants for a machine with a new interface.
 *
 * Which addresses may be given can change at any time (lease_plan). A lease that is no longer to
 * be given stays with its holder until it runs out, but is not extended; then its slot is free for
 * another address.
 */
#ifndef NATLOCK_DHCPD_LEASE_H
#define NATLOCK_DHCPD_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drop.h"
#include "expiry.h"
#include "hash.h"

enum {
	LEASE_MAX = 65536, /* addresses in a pool, reservations included */
	LEASE_RESERVATIONS = 256,
	LEASE_NAME_BYTES = 64, /* of a reservation, with the terminator */
	LEASE_PORTS = 64,      /* ports whose leases are counted; as a lease's port: of none */
	LEASE_PER_MAC = 16,    /* addresses that one station may hold under several client ids */
	LEASE_CLIENT_BYTES = 255,
	LEASE_HOST_BYTES = 63,
	LEASE_NONE = 0, /* no index: slot 0 is never used, so that zeroed memory is an empty pool */
};

#define LEASE_OFFER_NS	     (30 * 1000000000ull)  /* an offer is kept for its client */
#define LEASE_OFFER_GRACE_NS (3 * 1000000000ull)   /* and is not taken away earlier than this */
#define LEASE_QUARANTINE_NS  (600 * 1000000000ull) /* a declined address is given to nobody */

/*
 * FREE      nobody's; no client. May be offered.
 * OFFERED   kept for its client until the offer runs out; then EXPIRED if the client had it
 * before, else FREE.
 * BOUND     leased. Renewed, released, declined or expired.
 * RELEASED  its client gave it back: it gets it again if it asks first, but anyone may be offered
 * it.
 * EXPIRED   like RELEASED, but the last count/32 of them are kept for the clients that had them.
 * DECLINED  a client saw somebody else use it: nobody's until the quarantine is over, then FREE.
 * UNUSED    a slot whose address is given no more; it has neither address nor client.
 */
enum lease_state {
	LEASE_FREE,
	LEASE_OFFERED,
	LEASE_BOUND,
	LEASE_RELEASED,
	LEASE_EXPIRED,
	LEASE_DECLINED,
	LEASE_UNUSED,
	LEASE_STATES
};

struct lease_time {
	uint64_t now_ns;  /* monotonic, for timers */
	uint64_t wall_ms; /* for people and for the journal */
};

struct lease_client {
	uint8_t mac[6];
	const uint8_t *id; /* client identifier; id_bytes 0 = known by its MAC */
	size_t id_bytes;   /* at most LEASE_CLIENT_BYTES */
	const uint8_t *host;
	size_t host_bytes; /* what is over LEASE_HOST_BYTES is cut off */
	uint32_t port;	   /* where it is heard; LEASE_PORTS or more is not counted */
};

struct lease {
	uint32_t ip_be;
	enum lease_state state;
	uint32_t entry; /* number in the log; 0 = never bound */
	uint8_t mac[6], reserved_mac[6];
	bool in_range, reserved; /* neither: to be given no more */
	bool busy;		 /* a commit is under way: owned by engine.c */
	uint8_t port;		 /* where its client was heard last; LEASE_PORTS: not counted */
	uint8_t id_bytes, host_bytes;
	uint8_t id[LEASE_CLIENT_BYTES];
	uint8_t host[LEASE_HOST_BYTES];
	const char *name;  /* of a reservation, or NULL */
	uint64_t since_ns; /* when it came into this state */
	uint64_t expires_ns, created_ms, expires_ms;
	uint32_t prev, next;					     /* in the list of its state */
	uint32_t next_client, next_mac, next_address, next_reserved; /* in hash chains */
};

struct lease_list {
	uint32_t first, last, count; /* oldest first */
};

/* An address kept for a station. */
struct lease_reservation {
	uint32_t ip_be;
	uint8_t mac[6];
	char name[LEASE_NAME_BYTES]; /* "" = none */
};

/*
 * Which addresses may be given: from..to (host order) without the subnet's own two and the
 * server's; the reservations.
 */
struct lease_plan {
	uint32_t from, to;
	uint32_t netmask, server;
	const struct lease_reservation *reservation;
	uint32_t reservations; /* at most LEASE_RESERVATIONS */
};

struct lease_pool {
	struct lease *lease; /* [1..top] were in use, [0] never */
	uint32_t top, size;  /* size: room */
	uint32_t count;	     /* addresses: top without the UNUSED */
	uint32_t per_port;   /* live leases that a port may have; 0 = any number */
	uint32_t held[LEASE_PORTS];
	char name[LEASE_RESERVATIONS][LEASE_NAME_BYTES];
	uint32_t mask, *by_client, *by_mac, *by_address, *by_reserved;
	struct lease_list list[LEASE_STATES];
	struct expiry expiry;
	struct hash_key key;
	uint32_t entries; /* the last number given out */
	struct lease
		moved; /* a copy of the lease in force that its client lost by an offer of another address;
			       ip_be 0: none. The caller clears it. */
};

/* Memory for a pool of `size` addresses, 16-byte aligned. */
size_t lease_bytes(uint32_t size);
/*
 * An empty pool. size is 1..LEASE_MAX; memory (lease_bytes(size)) is zeroed and stays the
 * caller's. Of a large one only what is used is ever touched.
 */
void lease_init(struct lease_pool *p, void *memory, uint32_t size, const struct hash_key *key);
/*
 * The addresses that may be given from now on. Those of live leases that the plan does not have
 * stay until they end; addresses that find no room because of them are left out. 0, -EEXIST when
 * two reservations share an address or a station, -ENOSPC when reservations found no room: all
 * others are then as planned.
 */
int lease_plan(struct lease_pool *p, const struct lease_plan *plan, struct lease_time t);

/* The address that this client has, else had last (under its own MAC first); NULL. */
struct lease *lease_of_client(const struct lease_pool *p, const struct lease_client *c);
struct lease *lease_of_address(const struct lease_pool *p, uint32_t ip_be);
uint32_t lease_index(const struct lease_pool *p, const struct lease *l);

/*
 * What to offer this client (RFC 2131 4.3.1): its reservation, its present or last address, wish_be
 * (0 = none) if it is to be had, the address longest free, an offer nobody took up, an address
 * longest expired. NULL with the reason: DROP_DHCP_POOL exhausted, DROP_DHCP_QUOTA the station
 * holds LEASE_PER_MAC already, or its port per_port.
 */
struct lease *lease_offer(struct lease_pool *p, const struct lease_client *c, uint32_t wish_be,
	struct lease_time t, enum drop *why);
/* Whether this client may have that very address: NULL if not, else the lease, at least OFFERED. */
struct lease *lease_claim(
	struct lease_pool *p, const struct lease_client *c, uint32_t ip_be, struct lease_time t);

/* Why lease_claim refuses an address to this client: for people, without names of others. */
const char *lease_refusal(const struct lease_pool *p, const struct lease_client *c, uint32_t ip_be);

/* Notes the client's host name. */
void lease_set_host(struct lease *l, const struct lease_client *c);
/* Binds or extends; the client's MAC and host name are taken over. A new binding gets a number. */
void lease_bind(struct lease_pool *p, struct lease *l, const struct lease_client *c,
	uint64_t lease_ms, struct lease_time t);
/* Undoes a lease_bind that could not be stored: back to `state` until expires_ns (wall clock
 * expires_ms). */
void lease_unbind(struct lease_pool *p, struct lease *l, enum lease_state state,
	uint64_t expires_ns, uint64_t expires_ms, struct lease_time t);
void lease_release(struct lease_pool *p, struct lease *l, struct lease_time t);
/* At most a quarter of the pool is in quarantine: the oldest comes back early. */
void lease_decline(struct lease_pool *p, struct lease *l, struct lease_time t);
/* Takes an offer back before its time. */
void lease_withdraw(struct lease_pool *p, struct lease *l, struct lease_time t);

/* Handles one timer that is due. False when none is; *ended becomes a copy of a lease that has just
 * expired, else its ip_be is 0. */
bool lease_expire(struct lease_pool *p, struct lease_time t, struct lease *ended);
/* Time of the next timer, UINT64_MAX for none. */
uint64_t lease_next(const struct lease_pool *p);

/*
 * Takes over what was stored by an earlier life; nothing of it is trusted. state is BOUND, RELEASED
 * or DECLINED; times are wall clock. longest_ms bounds the remaining time (the clock may have
 * jumped). Of several of one client the latest entry counts, in whatever order they come. -EINVAL if any value is impossible, -ENOENT if the address is not (or no longer) this
 * client's to have.
 */
int lease_restore(struct lease_pool *p, const struct lease_client *c, uint32_t ip_be,
	enum lease_state state, uint32_t entry, uint64_t created_ms, uint64_t expires_ms,
	uint64_t longest_ms, struct lease_time t);

/*
 * A lease in force: of an address, or with ip_be 0 the next one of a station; NULL when there is
 * none. mac NULL: whoever has it.
 */
struct lease *lease_held(const struct lease_pool *p, const uint8_t *mac, uint32_t ip_be);

/* Addresses that nobody else can have now: BOUND, OFFERED and DECLINED. */
uint32_t lease_taken(const struct lease_pool *p);

#endif
