/*
 * Expectations: doors that an ALG may ask for. alg can only ask; whatever it says, this file holds
 * the rules: the inside address is the control flow's guest (the message has no field for it), kind
 * and inside port are those of pinhole_rules.h, no open port of the guest's is among them, the peer
 * is the control flow's peer, few per flow, inside port, guest and hub, a rate, a short life, one
 * connection. Pure.
 */
#ifndef NATLOCK_NATPROXY_PINHOLE_H
#define NATLOCK_NATPROXY_PINHOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "hash.h"
#include "pinhole_rules.h"
#include "sock.h"

enum {
	PINHOLE_HUB_MAX = 8192,
	PINHOLE_GUEST_MAX = 512,
	PINHOLE_SAME_MAX = 16, /* that lead to one port of a guest, or to its neighbour in a pair */
	PINHOLE_RATE = 50,     /* a second and guest, also the burst */
	PINHOLE_GUESTS = 1024,
	PINHOLE_GUEST_BUCKETS = 1024,
	PINHOLE_FLOW_BUCKETS = 1024,
	PINHOLE_PORT_BUCKETS = 4096,
	PINHOLE_NONE = 0, /* references are 1..PINHOLE_HUB_MAX */
};

enum pinhole_refusal {
	PINHOLE_GRANTED,
	PINHOLE_BAD_KIND,
	PINHOLE_BAD_PORT,
	PINHOLE_ODD_PAIR,
	PINHOLE_NOT_OWN_PORT,
	PINHOLE_OPEN_PORT,
	PINHOLE_BAD_PEER,
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
};

struct pinhole_request {
	uint32_t flow, token; /* flow: alg's number for the control flow */
	enum algs_id alg;     /* as natproxy knows it, not as alg says */
	uint32_t kind;	      /* as asked: any value, and so on */
	uint32_t guest_ip_be;
	uint32_t guest_port;   /* as asked */
	uint16_t control_port; /* from which the guest speaks in the control flow */
	bool open; /* the guest has an open port (forward.h) there, or beside it for a pair */
	uint32_t peer_ip_be; /* as asked; 0 = the control flow's peer */
	uint32_t control_peer_ip_be;
	uint32_t life_ms; /* as asked */
	bool latent;	  /* nobody may come in yet */
};

struct pinhole {
	uint32_t flow, token, number; /* number: for the operator, from 1 */
	uint8_t alg, kind;	      /* enum algs_id, enum pinhole_kind */
	bool latent, used;
	struct sock_address guest, outside; /* of a pair the even ports */
	uint32_t peer_ip_be;
	int fd;			      /* the listener; -1 of other kinds */
	uint64_t expires_ns, life_ns; /* UINT64_MAX: not by time */
	uint32_t guest_ref, parent;   /* parent: session number of the control flow */
	uint32_t flow_next, port_next, free_next;
};

/* Of one ALG, since the process began. */
struct pinhole_count {
	uint64_t granted, refused, used, expired;
};

struct pinhole_guest {
	uint32_t ip_be, open, next;
	uint32_t tokens;
	uint64_t refilled_ns;
};

struct pinholes {
	struct hash_key key;
	uint32_t live, fresh, free, last_number, guest_fresh;
	uint32_t datagram; /* live ones for datagrams */
	uint64_t soonest_ns;
	struct pinhole_count count[ALGS_COUNT];
	uint32_t flow_bucket[PINHOLE_FLOW_BUCKETS];
	uint32_t
		port_bucket[PINHOLE_PORT_BUCKETS]; /* those for datagrams, by guest and even port */
	uint32_t guest_bucket[PINHOLE_GUEST_BUCKETS];
	struct pinhole_guest guest[PINHOLE_GUESTS + 1];
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
/* From now on, and for its lifetime, the peer may come in. Once for an entry; false: it was armed already. */
bool pinhole_arm(struct pinholes *p, uint32_t ref, uint64_t now_ns);
/* Its lifetime begins again, unless somebody used it: then it has no end. */
void pinhole_keep(struct pinholes *p, uint32_t ref, uint64_t now_ns);
/* Whether a connection from this peer may come in; true at most once for each entry. */
bool pinhole_admit(struct pinholes *p, uint32_t ref, uint32_t peer_ip_be);

/* How many ports an entry leads to, and the i-th of them (0: the even one of a pair). */
static inline unsigned int pinhole_ports(const struct pinhole *e)
{
	return e->kind == PINHOLE_UDP_PAIR ? 2 : 1;
}
static inline struct sock_address pinhole_inside(const struct pinhole *e, unsigned int i)
{
	return (struct sock_address){e->guest.ip_be, (uint16_t)(e->guest.port + i)};
}
/* The next entry for datagrams after `ref` (PINHOLE_NONE: the first) that leads to this endpoint. */
uint32_t pinhole_at(const struct pinholes *p, const struct sock_address *guest, uint32_t ref);
/* An entry that lets datagrams from this peer in to this endpoint, one that is unused if possible; or
 * PINHOLE_NONE. */
uint32_t pinhole_admits(
	const struct pinholes *p, const struct sock_address *guest, uint32_t peer_ip_be);
/* Datagrams go through it: true the first time. It lives until it is closed from now on. */
bool pinhole_use(struct pinholes *p, uint32_t ref);

/* The entry of this flow and token, or any of this flow; PINHOLE_NONE if there is none. */
uint32_t pinhole_find(const struct pinholes *p, uint32_t flow, uint32_t token);
uint32_t pinhole_of_flow(const struct pinholes *p, uint32_t flow);
/* An entry whose time is over, or PINHOLE_NONE; and when the next one's will be. */
uint32_t pinhole_expired(struct pinholes *p, uint64_t now_ns);
uint64_t pinhole_deadline(const struct pinholes *p);
/* The first live entry after ref, for dumps. */
uint32_t pinhole_next(const struct pinholes *p, uint32_t ref);
const char *pinhole_refusal_text(enum pinhole_refusal why);

#endif
