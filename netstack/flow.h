/*
 * The table of flows: TCP connections by their four-tuple, datagram endpoints by the guest's end alone (RFC 4787
 * REQ-1), ESP by guest, peer and SPI. A flow's index and generation are the flow id that natproxy knows it by.
 *
 *   FREE ─open─▶ in use: hashed, on one list of its guest ─flow_end─▶ ENDED: nobody finds it, messages to natproxy
 *   may be owed ─sent─▶ FREE with the next generation
 */
#ifndef NATLOCK_NETSTACK_FLOW_H
#define NATLOCK_NETSTACK_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"
#include "stack.h"
#include "tcp.h"

enum flow_kind { FLOW_NONE, FLOW_TCP, FLOW_UDP, FLOW_ECHO, FLOW_ESP };

enum { FLOW_BUCKETS = 16384, TIME_WAIT_MAX = 4096 };

/* What a flow owes; it stays on the ready list until all is done. */
enum flow_debt {
	OWED_OUTPUT = 1 << 0, /* try to send segments to the guest */
	OWED_ACK = 1 << 1,    /* acknowledge even if no data goes out */
	OWED_UPLOAD = 1 << 2, /* TCP_DATA, TCP_FIN to natproxy */
	OWED_CREDIT = 1 << 3, /* TCP_CREDIT */
	OWED_RESET = 1 << 4,  /* TCP_RESET */
	OWED_FREE = 1 << 5,   /* FLOW_FREE */
	OWED_ACCEPT = 1 << 6, /* TCP_ACCEPTED */
	OWED_REJECT = 1 << 7, /* TCP_REJECTED */
};

struct flow_key {
	uint32_t guest_ip_be, remote_ip_be; /* remote 0 for UDP and echo */
	uint16_t guest_port, remote_port;   /* ESP: the two halves of the SPI */
	uint32_t kind;			    /* enum flow_kind */
};
_Static_assert(sizeof(struct flow_key) == 16, "hashed as bytes: no padding");

struct flow {
	struct flow_key key;
	uint32_t hash_next; /* index + 1 */
	uint32_t list_next, list_prev;
	uint32_t ready_next; /* index + 1 */
	uint16_t generation;
	uint16_t guest; /* index */
	uint8_t owed;	/* set of enum flow_debt */
	bool used, hashed, ready;
	bool told;	 /* natproxy knows the id */
	bool inward;	 /* TCP that somebody outside began */
	bool as_gateway; /* datagrams: a peer who is shown as the gateway spoke to the guest */
	uint8_t list;	 /* which list: enum flow_where */
	uint8_t failure; /* TCP_REJECTED: enum ring_failure */
	uint32_t token;
	uint32_t
		asked_ip_be; /* datagrams: the gateway's address that the guest put its last question to */
	struct tcp tcp;
};
enum flow_where { FLOW_NOWHERE, FLOW_HALF_OPEN, FLOW_OPEN, FLOW_TIME_WAIT };

struct flow_table {
	uint32_t bucket[FLOW_BUCKETS]; /* index + 1 */
	uint32_t free_head;	       /* index + 1, linked by hash_next */
	uint32_t touched;	       /* flows ever used: those beyond are untouched memory */
	uint32_t used;
	uint32_t ready_head, ready_tail;
	struct flow_list time_wait;
	struct flow flow[STACK_FLOWS_MAX];
};

static inline struct flow *flow_of_tcp(struct tcp *t)
{
	return (struct flow *)((char *)t - offsetof(struct flow, tcp));
}
uint32_t flow_id_of(const struct stack *s, const struct flow *f);
struct guest *flow_guest(struct stack *s, const struct flow *f);

struct flow *flow_find(struct stack *s, const struct flow_key *key);
/*
 * The flow that natproxy means. 0 with *f set, 0 with *f NULL when the message is late (old generation, ended),
 * -EPROTO when no such id can exist.
 */
int flow_of_id(struct stack *s, uint32_t id, struct flow **f);
/* A new flow of guest g, zeroed but for key and place; NULL (counted) when a limit or the table is full. */
struct flow *flow_open(struct stack *s, const struct flow_key *key, struct guest *g);
/* The same for a TCP connection that somebody outside began: a guest may have two and a half times as many of those, and they
 * count apart from its own. */
struct flow *flow_open_inward(struct stack *s, const struct flow_key *key, struct guest *g);
/* Moves the flow to another of the lists. */
void flow_move(struct stack *s, struct flow *f, enum flow_where where);
/* Nobody finds it from now on; freed at once if it owes nothing, else when that is done. Say what it owes first. */
void flow_end(struct stack *s, struct flow *f);
/* Adds to what the flow owes and puts it on the ready list. */
void flow_owe(struct stack *s, struct flow *f, unsigned int owed);
/* Next of the ready flows, taken off the list; NULL when none. */
struct flow *flow_next_ready(struct stack *s);
/* Ends the flow for natproxy: its id gets a new generation, late messages are ignored. */
void flow_forget_id(struct flow *f);
/* Frees an ended flow that owes nothing. */
void flow_settle(struct stack *s, struct flow *f);
/* The guest's MAC has just become known: flows that wait for it go on. */
void flow_guest_found(struct stack *s, struct guest *g);

#endif
