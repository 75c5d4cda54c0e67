/*
 * The session table: who talks to whom, since when, how much; limits per guest and idle timeouts.
 * Pure.
 *
 * A TCP connection is one session. A guest's UDP endpoint is one flow with a session per far
 * endpoint, so that the table, the log and filtering (RFC 4787 section 5) know each of them.
 * Sessions are numbered from 1 for the operator (seed 3.7.8) and named by a table reference inside
 * the process.
 */
#ifndef NATLOCK_NATPROXY_NAT_H
#define NATLOCK_NATPROXY_NAT_H

#include <stdbool.h>
#include <stdint.h>

#include "hash.h"
#include "sock.h"

enum nat_protocol { NAT_TCP, NAT_UDP, NAT_ICMP, NAT_ESP, NAT_PROTOCOLS };

/*
 * CONNECTING  the far end has not answered yet; counts against syn_sent
 * RUNNING     bytes may flow both ways
 * CLOSING     one direction has ended
 */
enum nat_state { NAT_FREE, NAT_CONNECTING, NAT_RUNNING, NAT_CLOSING };

enum {
	NAT_SESSIONS = 65536,
	NAT_GUESTS = 4096,
	NAT_BUCKETS = 65536,
	NAT_GUEST_BUCKETS = 4096,
	NAT_NONE = 0, /* no session; references are 1..NAT_SESSIONS */
	NAT_PEER_COUNTS = 65536,
};

/*
 * What a guest begins and what others begin with it (`incoming`: by way of a published port, or let in by an open filter)
 * are limited apart, so that strangers never use up what a guest needs for itself.
 */
struct nat_limits {
	uint32_t sessions[NAT_PROTOCOLS]; /* per guest, begun by it */
	uint32_t connecting;		  /* per guest */
	uint64_t idle_ns[NAT_PROTOCOLS];
};

struct nat_session {
	uint32_t number; /* what the operator sees; from 1, wraps */
	uint8_t state, protocol;
	uint8_t alg;	  /* enum algs_id + 1 of the one that inspects it; 0 none */
	uint16_t inspect; /* of a UDP session under inspection: its slot + 1; else 0 */
	bool keeps_port;  /* UDP that leaves by the shared port 500 (ike_port.h) */
	bool barred;	  /* alg gave it up for what it says: it is not inspected again */
	bool incoming;	  /* its far end began */
	uint16_t rule;	  /* of the published port that let it in: its place + 1; else 0 */
	uint32_t flow;	  /* id, ring.h */
	struct sock_address guest, remote, outside;
	uint32_t real_ip_be; /* of a far end that the guest may only answer, as it is on this
				computer or shown as the gateway: its own address; else 0 */
	uint64_t created_wall_ms, used_ns;
	uint64_t
		aged_ns; /* since when it is idle, as the time-out counts: its last use, or the last look at one that is held */
	uint64_t held_ns; /* it does not end by being idle before that (hold.c); 0: never said */
	uint64_t to_guest_bytes, from_guest_bytes;
	uint32_t guest_ref;
	/* references, NAT_NONE ends a list */
	uint32_t exact_next, exact_prev;       /* same (flow, remote) bucket */
	uint32_t address_next, address_prev;   /* same (flow, remote address) bucket */
	uint32_t idle_next, idle_prev;	       /* by last use, oldest first */
	uint32_t sibling_next, sibling_prev;   /* sessions of one flow */
	uint32_t incoming_next, incoming_prev; /* of one guest, by last use, oldest first */
};

struct nat_list {
	uint32_t first, last;
};

struct nat_guest {
	uint32_t ip_be;
	uint32_t sessions[NAT_PROTOCOLS];  /* that it began */
	uint32_t incomings[NAT_PROTOCOLS]; /* that their far ends began */
	uint32_t connecting;
	struct nat_list incoming; /* of UDP */
	uint32_t next;
};

struct nat {
	struct nat_limits limits;
	struct hash_key key;
	uint32_t last_number, live, fresh, free; /* fresh: references above it were never used */
	uint32_t guest_fresh, guest_free;
	uint32_t count[NAT_PROTOCOLS]; /* live, by protocol */
	uint32_t incoming_tcp;	       /* live, of all guests */
	struct nat_list idle[NAT_PROTOCOLS];
	uint32_t exact[NAT_BUCKETS], address[NAT_BUCKETS];
	uint32_t guest_bucket[NAT_GUEST_BUCKETS];
	struct nat_session session[NAT_SESSIONS + 1];
	struct nat_guest guest[NAT_GUESTS + 1];
	/* incoming TCP sessions of each (guest, peer): two counts under different hashes, the lesser is the better */
	uint16_t peer_count[2][NAT_PEER_COUNTS];
};

/* Memory must be zeroed; only used entries are ever touched. */
void nat_init(struct nat *n, const struct nat_limits *limits, const struct hash_key *key);

struct nat_request {
	enum nat_protocol protocol;
	bool connecting; /* TCP towards the outside: the far end has not answered */
	bool incoming;	 /* as in struct nat_session */
	uint16_t rule;
	uint32_t flow;
	struct sock_address guest, remote;
};
/*
 * Opens a session and links it into the flow's list `*siblings`. Returns 0 with *out set, -EDQUOT
 * when this guest is at a limit, -ENOSPC when the table is full.
 */
int nat_open(struct nat *n, const struct nat_request *r, uint64_t now_ns, uint64_t wall_ms,
	uint32_t *siblings, uint32_t *out);
void nat_close(struct nat *n, uint32_t ref, uint32_t *siblings);
/* The far end answered. */
void nat_connected(struct nat *n, uint32_t ref, const struct sock_address *outside);
/* It does not end by being idle before until_ns; an earlier time than it is held to changes nothing. */
void nat_hold(struct nat *n, uint32_t ref, uint64_t until_ns);
/* Traffic: the session is young again. */
void nat_touch(struct nat *n, uint32_t ref, uint64_t now_ns);

/*
 * After an incoming UDP session was opened: which one must give way to it, or NAT_NONE. A guest has at most half as many
 * as it may begin itself; the longest unused goes.
 */
uint32_t nat_gives_way(const struct nat *n, uint32_t ref);

/*
 * How many places a peer may have at a port that has `of_port` of them, when `left` of all are free. A port that is filled
 * ends up with four fifths of all, and a peer that fills it with half of what the port can still get: the first two
 * fifths of all, the next one half of that, and so on. So one more still gets in, there and by other ports.
 */
static inline uint32_t nat_share(uint32_t left, uint32_t of_port)
{
	return 4 * left > of_port ? (4 * left - of_port) / 5 : 0;
}

/*
 * Whether one more TCP connection from `peer` to this guest may come in by a published port that has `of_rule` of them.
 * A guest may have two and a half times as many as it may begin itself, so that one peer alone may have as many as that.
 */
bool nat_admits(const struct nat *n, uint32_t guest_ip_be, uint32_t peer_ip_be, uint32_t of_rule);

/* The session of this flow with this far endpoint, or NAT_NONE. */
uint32_t nat_find(const struct nat *n, uint32_t flow, const struct sock_address *remote);
/* A session of this flow with this far address, whatever the port, or NAT_NONE. */
uint32_t nat_find_address(const struct nat *n, uint32_t flow, uint32_t ip_be);
/* A session idle for longer than its protocol allows, never for less and at most a second more (one that was held: as much as its
 * protocol allows beyond that), or NAT_NONE; and when the next one may be (UINT64_MAX never). */
uint32_t nat_expired(struct nat *n, uint64_t now_ns);
uint64_t nat_deadline(const struct nat *n);

/* The first live session after `ref` (NAT_NONE: from the start), or NAT_NONE: for dumps. */
uint32_t nat_next(const struct nat *n, uint32_t ref);
static inline struct nat_session *nat_session(struct nat *n, uint32_t ref)
{
	return &n->session[ref];
}
/* How many a guest has, whoever began them. */
uint32_t nat_guest_sessions(const struct nat *n, uint32_t guest_ip_be);
const char *nat_protocol_name(enum nat_protocol p); /* "TCP" */
const char *nat_protocol_word(enum nat_protocol p); /* "tcp" */
const char *nat_state_name(enum nat_state s);	    /* "RUNNING" */

#endif
