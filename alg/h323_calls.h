/*
 * Every flow's calls (H.225.0 7): who has spoken in them, which logical channels they have, and which pinholes serve them. A call is known
 * by the connection of its signalling, its call reference and who chose that. A registration is kept like one (ras.c). One table for all
 * flows of a process, bounded, without allocation. Pure.
 */
#ifndef NATLOCK_ALG_H323_CALLS_H
#define NATLOCK_ALG_H323_CALLS_H

#include "alg.h"
#include "hash.h"

enum {
	H323_FLOWS = 1024, /* alg_flow.id is less */
	/*
	 * A guest may have as many calls, and openings, as it leaves free for others; of those that began outside, and of their
	 * openings, as many as it leaves of three quarters of all. So who calls guests leaves room for what they begin.
	 */
	H323_CALLS = 2048,
	H323_COMING_CALLS = 1536,
	H323_FLOW_CALLS = 512,
	H323_OPENINGS = 8192,
	H323_COMING_OPENINGS = 6144,
	H323_CALL_OPENINGS = 16,  /* each at most one act an answer */
	H323_CHANNELS = 24,	  /* of a call, from both ends */
	H323_REFERENCES = 0x8000, /* of calls; those above are for what else has openings */
	H323_NO_FLOW = 0xffff,
};
_Static_assert(H323_CALL_OPENINGS <= (int)ALG_ACTS, "all can be closed at once");

/* A wish that was granted, or is being asked for. The call's places for them are bits of masks. */
struct h323_opening {
	uint32_t token, peer_ip_be; /* for whom it is armed; of TCP_WATCH: to whom it leads */
	uint32_t outside_ip_be;
	uint16_t call, flow;		   /* flow: which asked */
	uint16_t chain[3];		   /* by token, by the guest's port, by the outside one */
	uint16_t guest_port, outside_port; /* TCP_WATCH has none */
	uint16_t peer_port;		   /* TCP_WATCH only */
	uint8_t kind;			   /* enum alg_kind */
	uint8_t from;			   /* enum alg_direction: of the message that asks */
	bool pending;			   /* it is being asked for */
	bool armed;
	bool media; /* armed by whom sends to the guest, who counts more than whom it sends to */
	bool first_word; /* waits for no more than the answerer's first message */
	bool lasting;	 /* not closed with its call, which has only told of what is to come */
};

/* A logical channel, or, with `offer`, what fastStart offers of a session. */
struct h323_channel {
	bool used, offer;
	uint8_t by;	     /* enum alg_direction: who opened, or offered it */
	uint16_t number;     /* of the channel; of an offer its session */
	uint16_t openings;   /* of the guest, that serve it */
	uint32_t peer_ip_be; /* from where the far end says that it sends; 0: it did not say */
};

struct h323_call {
	uint32_t link; /* names it to its H.245 connection; 0: it is over */
	uint16_t chain, next, guest;
	uint16_t
		flow; /* of its signalling; H323_NO_FLOW: that is over, but its H.245 connection is not */
	uint16_t control; /* 1 + the flow of its H.245 connection; 0: none */
	uint16_t reference;
	uint8_t caller; /* enum alg_direction: who chose the reference */
	bool heard[2];	/* by enum alg_direction: has said something well-formed */
	bool known;	/* it has an identifier */
	uint8_t identifier[16];
	uint64_t seen_ms, answered_ms;	      /* answered: Connect; 0: not yet */
	uint16_t opening[H323_CALL_OPENINGS]; /* 0: none */
	uint16_t kept; /* openings that stay although no channel needs them */
	struct h323_channel channel[H323_CHANNELS];
};

struct h323_calls {
	struct hash_key key;
	uint32_t begun; /* calls so far */
	uint16_t free_call, fresh_call, free_opening, fresh_opening, free_guest, fresh_guest;
	uint16_t calls[2], openings[2]; /* by who began the call, enum alg_direction */
	uint16_t call_bucket[H323_CALLS], guest_bucket[H323_FLOWS];
	uint16_t bucket[3][H323_OPENINGS];
	struct h323_flow {
		uint16_t first, calls;
		uint32_t token; /* the last one */
	} flow[H323_FLOWS];
	struct h323_guest {
		uint32_t ip_be;
		uint16_t calls[2], openings[2], chain;
	} guest[H323_FLOWS + 1];
	struct h323_call call[H323_CALLS + 1];
	struct h323_opening opening[H323_OPENINGS + 1];
};

/* Whatever *t was, it is empty then; pages of it that are not needed stay untouched. */
void h323_calls_init(struct h323_calls *t, const struct hash_key *key);

/* The call with this reference that `caller` chose; NULL: there is none. */
struct h323_call *h323_calls_find(struct h323_calls *t, const struct alg_flow *f,
	enum alg_direction caller, uint16_t reference);
/* The same, or a new one; NULL: there is no room in table, flow or guest. */
struct h323_call *h323_calls_take(struct h323_calls *t, const struct alg_flow *f,
	enum alg_direction caller, uint16_t reference);
/* The call of this guest that the flow's link names; NULL: it names none, or one that is over. */
struct h323_call *h323_calls_linked(struct h323_calls *t, const struct alg_flow *f);
/* Forgets it and its openings. */
void h323_calls_drop(struct h323_calls *t, struct h323_call *c);

/* A new opening of a call, asked for by a message of this flow: its place, or -1 where call, guest or table have no room. The caller
 * fills in what it is for. */
int h323_calls_open(struct h323_calls *t, struct h323_call *c, const struct alg_flow *f,
	enum alg_direction from);
/* It has its outside port, and is found by both ports from now on. */
void h323_calls_granted(
	struct h323_calls *t, struct h323_opening *o, const struct alg_grant *grant);
/* The opening in this place; NULL: there is none. */
struct h323_opening *h323_calls_opening(struct h323_calls *t, const struct h323_call *c, int place);
/* Forgets it, in all masks of its call. */
void h323_calls_close(struct h323_calls *t, struct h323_call *c, int place);
/* The call and place of this flow's token; NULL: it is no more. */
struct h323_call *h323_calls_of_token(
	struct h323_calls *t, const struct alg_flow *f, uint32_t token, int *place);

/* An opening of the flow's guest that holds this port of the guest, or this one outside, over one of these transports (set of enum
 * algs_transport); NULL: none. */
const struct h323_opening *h323_calls_by_guest(
	struct h323_calls *t, const struct alg_flow *f, uint8_t transports, uint16_t guest_port);
const struct h323_opening *h323_calls_by_outside(struct h323_calls *t, const struct alg_flow *f,
	uint8_t transports, uint32_t outside_ip_be, uint16_t outside_port);
/* Whether the guest's port is one of its ports. */
bool h323_calls_holds(const struct h323_opening *o, uint8_t transports, uint16_t guest_port);

/* The flow is over: so are its openings, and its calls but those whose H.245 connection goes on. */
void h323_calls_end(struct h323_calls *t, const struct alg_flow *f);

#endif
