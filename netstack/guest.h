/*
 * The stations behind the hub: which MAC and port an address lives at, and what it holds here.
 *
 * A binding is learnt from ARP and IPv4 whose source lies in the subnet. A frame that contradicts a binding does not
 * change it: the old station is asked by unicast ARP, and only when it stays silent for GUEST_CONTEST_NS does
 * the newcomer take over (RFC 5227 in spirit: the one who is there keeps the address).
 */
#ifndef NATLOCK_NETSTACK_GUEST_H
#define NATLOCK_NETSTACK_GUEST_H

#include <stdbool.h>
#include <stdint.h>

struct stack;

enum {
	GUEST_MAX = 1024, /* the longest silent one without flows is forgotten first */
	GUEST_BUCKETS = 1024,
	GUEST_NONE = 0xffff,
	GUEST_ERRORS_BURST = 50, /* ICMP errors and other unasked answers at once, and then */
	GUEST_ERRORS_PER_S = 20,
	GUEST_PASSED_BURST = 500, /* errors of others that are passed on at once, and then */
	GUEST_PASSED_PER_S = 1000,
	GUEST_TOLD_BURST = 40, /* errors of its own that are passed on at once, and then */
	GUEST_TOLD_PER_S = 30,
};

/* A doubly linked list of flows by index + 1; 0 ends it. */
struct flow_list {
	uint32_t head, tail, count;
};

struct guest {
	uint32_t ip_be; /* 0: entry unused */
	uint8_t mac[6];
	bool known;	    /* mac is valid; else ARP has been sent for it */
	bool contested;	    /* the old station was asked whether it still is there */
	uint16_t hash_next; /* index + 1 */
	uint32_t port;
	uint64_t seen_ns;    /* last frame from the bound MAC */
	uint64_t contest_ns; /* when the question was asked */
	uint64_t asked_ns;   /* last ARP request for an unknown MAC */
	uint64_t tokens_ns;  /* rate limit: time at which the bucket was empty */
	uint64_t passed_ns;  /* the same for errors of others */
	uint64_t told_ns;    /* the same for errors of its own */
	struct flow_list half_open, flows;
	struct flow_list calls; /* from outside, half open: natproxy bounds them, and they cost the guest nothing */
	uint32_t tcp, udp, echo; /* sessions counted against the limits */
	uint32_t tcp_inward;	 /* those that others began */
	uint32_t time_wait;	 /* flows in TIME-WAIT that still name this entry */
	uint16_t fragments;	 /* unfinished datagrams */
};

struct guest_table {
	struct guest entry[GUEST_MAX];
	uint16_t bucket[GUEST_BUCKETS]; /* index + 1 */
	uint32_t used;			/* entries ever used */
	uint32_t sweep;			/* where the search for a victim goes on */
};

struct guest *guest_at(struct stack *s, uint16_t index);
uint16_t guest_index(const struct stack *s, const struct guest *g);
/* NULL when unknown. */
struct guest *guest_find(struct stack *s, uint32_t ip_be);
/* The entry of an address inside the subnet, made if need be; NULL when every entry holds flows. */
struct guest *guest_need(struct stack *s, uint32_t ip_be);
/* A frame said that ip lives at mac on port. Returns the entry, or NULL when that is not (yet) believed. */
struct guest *guest_learn(struct stack *s, uint32_t ip_be, const uint8_t mac[6], uint32_t port);
/* Takes one token for an unasked answer (ICMP error, challenge); false and counted when there is none. */
bool guest_may_answer(struct stack *s, struct guest *g);
/* The same for an ICMP error of somebody outside, which routers have limited already (RFC 1812 4.3.2.8). */
bool guest_may_hear(struct stack *s, struct guest *g);
/* The same for an ICMP error of the guest itself: natproxy lets out a hundred a second of all guests, and no guest may
 * take the others' share. */
bool guest_may_tell(struct stack *s, struct guest *g);
/* Nothing of it is held any more. */
bool guest_idle(const struct guest *g);

#endif
