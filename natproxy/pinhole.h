/*
 * Expectations: doors that an ALG may ask for. alg can only ask; whatever it says, this file holds
 * the rules: the inside address is the control flow's guest (the message has no field for it), kind
 * and inside port are those of pinhole_rules.h, no open port of the guest's is among them, the peer
 * is the control flow's peer or, of media, a host outside that the far end named, few per flow,
 * inside port, guest and hub, a rate, a bounded life, one connection, or of a registration's port few at a time. Pure.
 */
#ifndef NATLOCK_NATPROXY_PINHOLE_H
#define NATLOCK_NATPROXY_PINHOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "hash.h"
#include "pinhole_rules.h"
#include "sock.h"

enum {
	PINHOLE_HUB_MAX = 8192, /* places: each of several pairs has one, and what is no pair */
	PINHOLE_SAME_MAX = 16, /* that lead to one port of a guest, or to its neighbour in a pair */
	PINHOLE_GUESTS = 1024, /* of each account */
	PINHOLE_GUEST_BUCKETS = 1024,
	PINHOLE_FLOW_BUCKETS = 1024,
	PINHOLE_TOKEN_BUCKETS = 8192,
	PINHOLE_PORT_BUCKETS = 4096,
	PINHOLE_WATCH_BUCKETS = 1024,
	PINHOLE_NONE = 0, /* references are 1..PINHOLE_HUB_MAX */
};

enum pinhole_refusal {
	PINHOLE_GRANTED,
	PINHOLE_BAD_KIND,
	PINHOLE_BAD_PORT,
	PINHOLE_ODD_PAIR,
	PINHOLE_NOT_OWN_PORT,
	PINHOLE_OPEN_PORT,
	PINHOLE_TOO_MANY_PAIRS,
	PINHOLE_BAD_PEER,
	PINHOLE_INSIDE_PEER,
	PINHOLE_NO_LATCH,
	PINHOLE_NO_FORWARD,
	PINHOLE_BAD_TOKEN,
	PINHOLE_FLOW_QUOTA,
	PINHOLE_PORT_QUOTA,
	PINHOLE_GUEST_QUOTA,
	PINHOLE_HUB_QUOTA,
	PINHOLE_TOO_FAST,
	PINHOLE_TOKEN_USED,
	PINHOLE_NO_SOCKET,
	PINHOLE_NO_LOW_SOCKET,
	PINHOLE_NO_PAIR,
	PINHOLE_NO_FLOW,
	PINHOLE_NOT_KEPT,
	PINHOLE_KEPT_ENOUGH,
	PINHOLE_NOT_INSPECTED,
};

/* Who is to come, as alg says it about an expectation that there is to be, or is. */
struct pinhole_peer {
	uint32_t control_ip_be; /* the control flow's, as the guest sees it */
	uint32_t control_real_ip_be; /* its own, where the guest sees the gateway's; else 0 */
	bool named;		/* `ip_be` was said; else it is the control flow's, or stays who it is */
	uint32_t ip_be;		/* 0, of media: whoever speaks first */
	bool outside;		/* it is a host outside with which a guest may begin */
	bool latch;		/* who speaks first may be let in (alg.sip_latch) */
};

struct pinhole_request {
	uint32_t flow, token; /* flow: alg's number for the control flow */
	enum algs_id alg;     /* as natproxy knows it, not as alg says */
	uint32_t kind;	      /* as asked: any value, and so on */
	uint32_t guest_ip_be;
	uint32_t guest_port;   /* as asked */
	uint16_t control_port; /* from which the guest speaks in the control flow */
	uint32_t pairs;	       /* as asked; 0: not */
	bool open; /* the guest has an open port (forward.h) there, or beside it for a pair */
	bool listed; /* whoever is to come gets in by that port already: what comes is to be inspected, no more */
	bool came; /* the control flow began outside */
	bool forward; /* PINHOLE_TCP_SERVICE may be had: the guest registers, or alg.h323_forward is on */
	uint32_t peer_port; /* as asked; only of PINHOLE_TCP_WATCH */
	bool inspect; /* as asked: the connection is read as this service, and alg is told this link */
	uint32_t service, link;
	struct pinhole_peer peer;
	uint32_t life_ms; /* as asked */
	bool latent;	  /* nobody may come in yet */
};

struct pinhole {
	uint32_t flow, token, number; /* number: for the operator, from 1 */
	uint8_t alg, kind;	      /* enum algs_id, enum pinhole_kind */
	uint8_t pairs;		      /* of a UDP_PAIR */
	bool latent, used, met; /* met: it was used, if by another peer */
	bool latch;		/* the peer is who speaks first; 0: nobody has */
	bool watched; /* pinhole_watched finds it: no connection goes through it, it only says how one is to be read */
	bool came; /* as the control flow did, which began outside */
	bool stands; /* connections are met one after another: it ends by time, not with the first */
	bool inspect; /* as asked, and checked: a service that this ALG has by TCP */
	uint8_t service;
	uint16_t connections; /* of a TCP_SERVICE that there are now */
	uint32_t link;
	struct sock_address guest, outside; /* of a pair the even ports */
	uint32_t peer_ip_be;
	struct sock_address
		seen; /* of one that is watched: of TCP_WATCH to where the guest will connect, as it sees it; else port 0 */
	int fd;			      /* the listener; -1 of other kinds */
	uint64_t expires_ns, life_ns; /* UINT64_MAX: not by time */
	uint64_t keep_ns;	      /* while it is latent, it ends then at the latest */
	uint32_t guest_ref, parent;   /* parent: session number of the control flow */
	uint32_t free_next;
	/* pinhole_index.c's */
	uint32_t flow_ref, flow_next, flow_prev, token_next, heap_at;
	uint32_t port_next[PINHOLE_PAIRS], watch_next;
};

/* A control flow that has some. */
struct pinhole_flow {
	uint32_t flow, first, next;
	uint32_t total, pending; /* pending: that nobody uses */
	uint32_t watches;	 /* of TCP_WATCH */
};

/* Of one ALG, since the process began. */
struct pinhole_count {
	uint64_t granted, refused, used, expired;
};

struct pinhole_guest {
	uint32_t ip_be, places, next;
	uint32_t tokens;
	uint64_t refilled_ns;
};

/* What guests have and ask for, in one account. */
struct pinhole_guests {
	uint32_t fresh;
	uint32_t bucket[PINHOLE_GUEST_BUCKETS];
	struct pinhole_guest guest[PINHOLE_GUESTS + 1];
};

struct pinholes {
	struct hash_key key;
	uint32_t live, places, fresh, free, last_number;
	uint32_t datagram; /* live ones for datagrams */
	uint32_t watched;  /* and those that pinhole_watched finds */
	struct pinhole_count count[ALGS_COUNT];
	struct pinhole_guests guests[PINHOLE_ACCOUNTS];
	uint32_t flow_fresh, flow_free, ending; /* ending: those that end by time */
	uint32_t flow_bucket[PINHOLE_FLOW_BUCKETS], token_bucket[PINHOLE_TOKEN_BUCKETS];
	uint32_t port_bucket[PINHOLE_PORT_BUCKETS]; /* those for datagrams, by guest and even port */
	uint32_t watch_bucket
		[PINHOLE_WATCH_BUCKETS]; /* those that are watched, by guest, peer and port */
	uint32_t heap[PINHOLE_HUB_MAX + 1];	    /* from 1: references of those that end, soonest first */
	struct pinhole_flow flow[PINHOLE_HUB_MAX + 1];
	struct pinhole entry[PINHOLE_HUB_MAX + 1];
};

/* Memory must be zeroed. */
void pinhole_init(struct pinholes *p, const struct hash_key *key);

/*
 * Applies every rule. Granted: *out names a new entry with fd -1, whose outside end the caller
 * fills in, or which it takes back when no socket is to be had.
 */
enum pinhole_refusal pinhole_open(
	struct pinholes *p, const struct pinhole_request *r, uint64_t now_ns, uint32_t *out);
/* The same answer, but nothing is opened: what would have been, where an ALG only observes. */
enum pinhole_refusal pinhole_pretend(
	struct pinholes *p, const struct pinhole_request *r, uint64_t now_ns);
/* What was granted cannot be had: forgotten, and counted as refused. */
void pinhole_take_back(struct pinholes *p, uint32_t ref);
void pinhole_close(struct pinholes *p, uint32_t ref);
/*
 * From now on, and for its lifetime, the peer may come in. Media: and again, with another peer in the place of the one that there
 * was, or with the same; then its life begins anew, and *news says whether the peer did. Of others once.
 */
enum pinhole_refusal pinhole_arm(struct pinholes *p, uint32_t ref, const struct pinhole_peer *peer,
	uint64_t now_ns, bool *news);
/* Its lifetime begins again, unless it is used: then it has no end. */
enum pinhole_refusal pinhole_keep(struct pinholes *p, uint32_t ref, uint64_t now_ns);
/* Whether a connection from this peer may come in; true at most once for each entry, but of one that stands
 * PINHOLE_CONNECTIONS at a time, each until pinhole_left. *first: nobody has come before. */
bool pinhole_admit(struct pinholes *p, uint32_t ref, uint32_t peer_ip_be, bool *first);
/* One of its connections is over; one that is gone, or has another number by now, is ignored. */
void pinhole_left(struct pinholes *p, uint32_t ref, uint32_t number);
/*
 * The entry that says how a TCP connection between these endpoints is to be read: `came`: the far end began, and is said as it is;
 * else as the guest sees it. PINHOLE_NONE: there is none. O(1), and next to nothing where nothing is watched.
 */
uint32_t pinhole_watched(const struct pinholes *p, const struct sock_address *guest,
	const struct sock_address *remote, bool came);
/* Such a connection is there: whether it is the first. */
bool pinhole_meet(struct pinholes *p, uint32_t ref);

/* How many ports an entry leads to, and the i-th of them (0: the even one of a pair). */
static inline unsigned int pinhole_ports(const struct pinhole *e)
{
	return e->kind == PINHOLE_UDP_PAIR ? 2U * e->pairs : 1;
}
static inline struct sock_address pinhole_inside(const struct pinhole *e, unsigned int i)
{
	return (struct sock_address){e->guest.ip_be, (uint16_t)(e->guest.port + i)};
}
/* The next entry for datagrams after `ref` (PINHOLE_NONE: the first) that leads to this endpoint. */
uint32_t pinhole_at(const struct pinholes *p, const struct sock_address *guest, uint32_t ref);
/* An entry that lets datagrams from this peer in to this endpoint, one that is unused if possible; or
 * PINHOLE_NONE. `came`: it is the peer that speaks, so that one that is open to whoever does lets it in too. */
uint32_t pinhole_admits(const struct pinholes *p, const struct sock_address *guest,
	uint32_t peer_ip_be, bool came);
/* This peer's datagrams go through it, so it lives until it is closed, or armed for another: true the first time. `came`: the peer
 * spoke, so that one that was open to whoever speaks first is its from now on. */
bool pinhole_use(struct pinholes *p, uint32_t ref, uint32_t peer_ip_be, bool came);

/* The entry of this flow and token, or any of this flow; PINHOLE_NONE if there is none. */
uint32_t pinhole_find(const struct pinholes *p, uint32_t flow, uint32_t token);
uint32_t pinhole_of_flow(const struct pinholes *p, uint32_t flow);
/* An entry whose time is over, or PINHOLE_NONE; and when the next one's will be. */
uint32_t pinhole_expired(const struct pinholes *p, uint64_t now_ns);
uint64_t pinhole_deadline(const struct pinholes *p);
/* The first live entry after ref, for dumps. */
uint32_t pinhole_next(const struct pinholes *p, uint32_t ref);
const char *pinhole_refusal_text(enum pinhole_refusal why);
enum { PINHOLE_ADVICE_BYTES = 128 };
/* What the bound is and what helps, as a sentence behind a space; "" where it was no bound. */
void pinhole_refusal_advice(
	char out[PINHOLE_ADVICE_BYTES], enum algs_id alg, enum pinhole_refusal why);

#endif
