/*
 * Expectations: doors that an ALG may ask for. alg can only ask; whatever it says, this file holds
 * the rules: the inside address is the control flow's guest (the message has no field for it), the
 * inside port is unprivileged and not a well-known service, the peer is the control flow's peer,
 * few per flow, guest and hub, a rate, a short life, one connection. Pure.
 */
#ifndef NATLOCK_NATPROXY_PINHOLE_H
#define NATLOCK_NATPROXY_PINHOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "hash.h"
#include "sock.h"

enum {
	PINHOLE_HUB_MAX = 8192,
	PINHOLE_GUEST_MAX = 512,
	PINHOLE_FTP_MAX = 1, /* pending, a control flow */
	PINHOLE_RATE = 50,   /* a second and guest, also the burst */
	PINHOLE_GUESTS = 1024,
	PINHOLE_GUEST_BUCKETS = 1024,
	PINHOLE_FLOW_BUCKETS = 1024,
	PINHOLE_LIFE_MS = 60000,
	PINHOLE_LIFE_DEFAULT_MS = 30000,
	PINHOLE_NONE = 0, /* references are 1..PINHOLE_HUB_MAX */
};

enum pinhole_refusal {
	PINHOLE_GRANTED,
	PINHOLE_BAD_KIND,
	PINHOLE_BAD_PORT,
	PINHOLE_BAD_PEER,
	PINHOLE_FLOW_QUOTA,
	PINHOLE_GUEST_QUOTA,
	PINHOLE_HUB_QUOTA,
	PINHOLE_TOO_FAST,
	PINHOLE_TOKEN_USED,
	PINHOLE_NO_SOCKET,
	PINHOLE_NO_FLOW,
};

struct pinhole_request {
	uint32_t flow, token; /* flow: the control flow's id */
	bool listen;	      /* a TCP listener, the only kind that FTP may ask for */
	uint32_t guest_ip_be;
	uint32_t guest_port; /* as asked: any value */
	uint32_t peer_ip_be; /* as asked; 0 = the control flow's peer */
	uint32_t control_peer_ip_be;
	uint32_t life_ms; /* as asked */
	bool latent;	  /* nobody may come in yet */
};

struct pinhole {
	uint32_t flow, token, number; /* number: for the operator, from 1 */
	struct sock_address guest, outside;
	uint32_t peer_ip_be;
	int fd; /* the listener */
	bool latent, used;
	uint64_t expires_ns;
	uint32_t guest_ref, parent; /* parent: session number of the control flow */
	uint32_t flow_next, free_next;
};

struct pinhole_guest {
	uint32_t ip_be, open, next;
	uint32_t tokens;
	uint64_t refilled_ns;
};

struct pinholes {
	struct hash_key key;
	uint32_t live, fresh, free, last_number, guest_fresh;
	uint64_t granted, refused, expired, soonest_ns;
	uint32_t flow_bucket[PINHOLE_FLOW_BUCKETS];
	uint32_t guest_bucket[PINHOLE_GUEST_BUCKETS];
	struct pinhole_guest guest[PINHOLE_GUESTS + 1];
	struct pinhole entry[PINHOLE_HUB_MAX + 1];
};

/* Memory must be zeroed. */
void pinhole_init(struct pinholes *p, const struct hash_key *key);

/*
 * Applies every rule. Granted: *out names a new entry with fd -1, whose outside end the caller
 * fills in, or which it closes when no socket is to be had.
 */
enum pinhole_refusal pinhole_open(
	struct pinholes *p, const struct pinhole_request *r, uint64_t now_ns, uint32_t *out);
void pinhole_close(struct pinholes *p, uint32_t ref);
/* From now on the peer may come in. */
void pinhole_arm(struct pinholes *p, uint32_t ref);
/* Whether a connection from this peer may come in; true at most once for each entry. */
bool pinhole_admit(struct pinholes *p, uint32_t ref, uint32_t peer_ip_be);

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
