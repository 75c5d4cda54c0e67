/*
 * Every flow's calls (RFC 3261 12 to 14): what was asked and waits for its answer, who took part, and which pinholes serve them. A call is
 * known by its flow, its Call-ID, who began it, and by the tag of who began it; so nobody who knows a Call-ID alone reaches it. One table for
 * all flows of a process, bounded, without allocation. Pure.
 */
#ifndef NATLOCK_ALG_SIP_CALLS_H
#define NATLOCK_ALG_SIP_CALLS_H

#include "alg.h"
#include "hash.h"
#include "text.h"

enum {
	SIP_FLOWS = 1024, /* alg_flow.id is less */
	/* of calls, and of openings, a guest may have as many as it leaves free for others */
	SIP_CALLS = 8192,
	SIP_OPENINGS = 16384,
	SIP_CALL_OPENINGS = 16, /* each at most one act an answer */
	SIP_CALL_FORKS = 4,
	SIP_CALL_REQUESTS = 6,
	SIP_OFFERED = 8, /* media of one description: SDP_MEDIA */
	SIP_NO_FORK = 0xff,
	/* A call that was silent for so long may be forgotten even if it has pinholes, which then live as long as they are used. Longer than
	 * any timer by which a dialog is refreshed: Session-Expires 1800 s (RFC 4028 4), registrations and subscriptions 3600 s. */
	SIP_SILENT_MS = 3900 * 1000,
};
_Static_assert(SIP_CALL_OPENINGS <= (int)ALG_ACTS, "all can be closed at once");

enum sip_method {
	SIP_METHOD_NONE,
	SIP_METHOD_OTHER,
	SIP_METHOD_INVITE,
	SIP_METHOD_ACK,
	SIP_METHOD_BYE,
	SIP_METHOD_PRACK,
	SIP_METHOD_UPDATE,
	SIP_METHOD_INFO,
	SIP_METHOD_REGISTER,
	SIP_METHOD_SUBSCRIBE,
	SIP_METHOD_PUBLISH,
};

/* A wish that was granted, or is being asked for. The call's places for them are bits of its masks. */
struct sip_opening {
	uint32_t token,
		peer_ip_be; /* peer: for whom it is armed; 0 in an armed one: who speaks first */
	uint32_t outside_ip_be;
	uint16_t call, chain;
	uint16_t guest_port, outside_port; /* outside: 0 until it is granted */
	uint8_t kind, pairs;		   /* as in alg_wish */
	uint8_t media;			   /* bits of its m= lines, as in sip_demand */
	bool rtcp, armed;
};

/* One who answered: an early dialog, or with `confirmed` (2xx) a dialog. Tag 0: none. */
struct sip_fork {
	uint32_t tag;
	uint16_t active; /* openings of the last description that was agreed on */
	bool confirmed;
	bool moved; /* by UPDATE or PRACK: what the INVITE's responses say of media is old */
};

/* The last request of its kind. It holds its openings until it is `done`. */
struct sip_request {
	uint64_t branch;
	uint32_t cseq;
	uint8_t method; /* enum sip_method; SIP_METHOD_NONE: unused */
	uint8_t from;	/* enum alg_direction */
	uint8_t fork;	/* in whose dialog; SIP_NO_FORK: it begins one */
	uint8_t offerer; /* whose offer the addresses below are, if it came in a response; SIP_NO_FORK: there is none */
	bool offer; /* it came with a description, or what its responses offered has its answer */
	bool own;   /* of the far end, or of a guest that names itself in it (sip_names_own) */
	bool done;
	uint16_t openings; /* that the guest named in this exchange */
	uint32_t offered_ip_be
		[SIP_OFFERED]; /* from where the far end's media come, by m= line; 0: not said */
};

struct sip_call {
	uint64_t key, seen_ms;
	uint64_t answered_ms; /* when the first one took it; 0: nobody did */
	struct sip_link {
		uint16_t before, after;
	} link[2]; /* in the lists of all calls, and of its flow's */
	uint16_t chain, flow;
	uint8_t caller; /* enum alg_direction */
	uint8_t turn;	/* of a side's requests that are no INVITE: which is replaced next */
	bool busy;	/* has openings */
	uint16_t opening[SIP_CALL_OPENINGS]; /* 0: none */
	struct sip_fork fork[SIP_CALL_FORKS];
	struct sip_request request
		[SIP_CALL_REQUESTS]; /* INVITEs by enum alg_direction, then others of the guest, then of the far end */
};

struct sip_calls {
	struct hash_key key;
	uint32_t calls, openings; /* in use */
	uint16_t free_call, fresh_call, free_opening, fresh_opening, free_guest, fresh_guest;
	struct sip_list {
		uint16_t oldest, newest;
	} list[2]; /* of calls without openings, and with */
	uint16_t call_bucket[SIP_CALLS], token_bucket[SIP_OPENINGS], guest_bucket[SIP_FLOWS];
	struct sip_flow {
		struct sip_list list[2];
		uint32_t token; /* the last one */
		uint16_t calls, guest;
	} flow[SIP_FLOWS];
	struct sip_guest {
		uint32_t ip_be;
		uint16_t calls, openings, chain;
	} guest[SIP_FLOWS + 1];
	struct sip_call call[SIP_CALLS + 1];
	struct sip_opening opening[SIP_OPENINGS + 1];
};

/* Whatever *t was, it is empty then; pages of it that are not needed stay untouched. */
void sip_calls_init(struct sip_calls *t, const struct hash_key *key);

/* Whether it has an INVITE that did not fail; else it is a dialog that began unseen, or no call at all. */
static inline bool sip_calls_is_invited(const struct sip_call *c)
{
	return c->request[ALG_GUEST].method == SIP_METHOD_INVITE ||
	       c->request[ALG_OUTSIDE].method == SIP_METHOD_INVITE;
}

/* What stands for a tag, never 0; and for a branch. */
uint32_t sip_calls_tag(const struct sip_calls *t, struct text tag);
uint64_t sip_calls_branch(const struct sip_calls *t, struct text branch);

/* The call that `caller` began under this tag (empty: without one), NULL if there is none. It is the flow's newest then. */
struct sip_call *sip_calls_find(struct sip_calls *t, const struct alg_flow *f,
	enum alg_direction caller, struct text call_id, struct text tag);
/*
 * The same, or a new one. Where there is no room the oldest one is forgotten that has no openings, or else is silent
 * (SIP_SILENT_MS): of this flow's, where its guest has had its share, otherwise of all. NULL: there is none such.
 */
struct sip_call *sip_calls_take(struct sip_calls *t, const struct alg_flow *f,
	enum alg_direction caller, struct text call_id, struct text tag);
/* Forgets it and its openings. */
void sip_calls_drop(struct sip_calls *t, struct sip_call *c);

/* A new opening of a call, with a token: its place, or -1 where call, guest or table have no room. */
int sip_calls_open(struct sip_calls *t, struct sip_call *c);
/* The opening in a place that is in use. */
struct sip_opening *sip_calls_opening(struct sip_calls *t, const struct sip_call *c, int place);
/* Forgets one, in all masks of its call. */
void sip_calls_close(struct sip_calls *t, struct sip_call *c, int place);
/* The call and place of this flow's token; NULL: it is no more. */
struct sip_call *sip_calls_of_token(
	struct sip_calls *t, const struct alg_flow *f, uint32_t token, int *place);

/* The flow is over: its calls are too. */
void sip_calls_end(struct sip_calls *t, const struct alg_flow *f);

#endif
