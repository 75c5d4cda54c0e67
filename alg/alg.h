/*
 * The contract between the shell and a protocol's parser: bytes in, an answer out.
 *
 * A parser is one file with one `const struct alg_protocol` (a row of table.c). It is pure: no
 * call, no clock, no memory but its state, which it gets zeroed, and the table of calls of its family. It sees whole messages only, from
 * the first byte of a stream on and in order (datagrams may have gone by unread before); it never sees a segment. It answers with a diff
 * (edits) and may ask for pinholes (wishes). natproxy checks both again and decides; a parser
 * cannot name an inside address, another host's port, or a port below 1024.
 *
 *   bytes ──▶ frame() how long is the first message? ──▶ message() answers:
 *
 *     ALG_PASS       it may go on, with edits or without
 *     ALG_WISH       hold it and ask natproxy for pinholes; then granted() answers ALG_PASS
 *     ALG_DONE       pass it and look no further
 *     ALG_VIOLATION  not this protocol: pass everything raw (or end it, where the operator is strict)
 *
 * Rules for authors:
 *  - A message that names no inside address goes on byte for byte (no edit). Keep what you do not
 * understand.
 *  - An address is the guest's only if it is literally flow->guest_ip_be. Other inside addresses are
 * known only where nat.static gives them an outside one (maps.h). Anything else: no wish, no edit.
 *  - One violation ends inspection of the whole flow for good. Never resynchronise: that is how
 * slipstreaming works.
 *  - A message is rewritten whole or not at all, and so are its wishes: all are granted or none.
 *  - A wish is `latent` wherever the far end has still to agree; it is armed by the message in which
 * it does. Nobody may come in before.
 *  - No edit may depend on how the stream was cut.
 */
#ifndef NATLOCK_ALG_ALG_H
#define NATLOCK_ALG_ALG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "algs.h"

enum {
	ALG_MESSAGE_MAX = 65536, /* the longest message that can be waited for, bytes */
	ALG_EDITS = 64,		 /* in one message */
	ALG_EDIT_BYTES = 64,	 /* new bytes of one edit */
	ALG_WISHES = 16,	 /* of one message */
	ALG_ACTS = 16,		 /* in one answer */
	ALG_STATE_BYTES = 1024,	 /* of a parser, a flow */
	ALG_PORT_MIN = 1024,	 /* lowest guest port that may be wished for, but by rcmd */
	ALG_PAIRS = 4,		 /* neighbours of one wish for pairs */
	ALG_WHY_BYTES = 64,	 /* of a reason or a note; what is more is not told */
};

enum alg_direction { ALG_GUEST, ALG_OUTSIDE }; /* who sent the bytes */

/*
 * What a wish is for. TCP_LISTEN: one connection of the peer to the guest's port. TCP_SERVICE: its connections to that port, one
 * after another, for as long as the wish lives (a registration). TCP_WATCH opens nothing: when the guest itself connects to
 * peer_ip_be:peer_port, that connection is looked at. UDP_ONE, UDP_PAIR: see struct alg_wish.
 */
enum alg_kind { ALG_TCP_LISTEN, ALG_UDP_ONE, ALG_UDP_PAIR, ALG_TCP_SERVICE, ALG_TCP_WATCH };

struct h323_calls;
struct maps;
struct sip_calls;

/* What a parser may know of its flow. Addresses in network byte order, ports in host order. */
struct alg_flow {
	/* outside: how the peer sees the guest; 0: not known (a UDP session that began without a route) */
	uint32_t guest_ip_be, outside_ip_be, peer_ip_be;
	uint16_t guest_port, outside_port, peer_port;
	bool stream;	   /* TCP; else a message is a datagram */
	bool guest_serves; /* the peer came to a port of the guest */
	uint8_t vrf;	   /* by which the flow leaves, as maps.h counts them */
	bool dns_v6;	   /* DNS: an IPv4 address in an IPv6 one is meant too */
	bool sip_multipart; /* SIP: descriptions in bodies of several parts are meant too */
	bool sip_latch;	   /* SIP: media may come from whoever speaks first */
	bool h323_forward; /* H.323: the guest may have its calls sent to another port of its own */
	uint32_t link;	   /* of a flow that a wish led to: what the wish said; else 0 */
	uint16_t id;	   /* of this flow among those that are there now; for tables of calls */
	uint64_t now_ms;   /* of a clock that only goes forward: when this message was read */
	const struct maps *maps;
	struct sip_calls *sip; /* every flow's calls (sip_calls.h) */
	struct h323_calls *h323; /* the same of H.323 (h323_calls.h) */
};

struct alg_edit {
	uint32_t at,
		old_bytes; /* relative to the message's first byte; ascending, not overlapping */
	uint32_t bytes;
	uint8_t text[ALG_EDIT_BYTES];
};

/*
 * "Let the peer reach this port of the guest." The guest is always the flow's own. ALG_UDP_PAIR: this
 * port, which is even, and the one behind it; with `pairs` the pairs behind that as well. A UDP port by
 * which the guest already talks keeps its outside port.
 */
struct alg_wish {
	enum alg_kind kind;
	uint8_t pairs;	     /* ALG_UDP_PAIR: neighbours, up to ALG_PAIRS; 0 = 1 */
	uint16_t guest_port;
	bool latent;	     /* nobody may come in until it is armed */
	uint32_t token;	     /* the parser's name for it: not 0, and not in use in this flow */
	uint32_t peer_ip_be; /* who may come: the flow's peer; for media another that it has named, or 0: who speaks first (sip_latch) */
	uint32_t lifetime_ms;
	/* Of TCP: the connection is inspected too, by the row of the same ALG with this service (algs.def) and with this link. */
	bool inspect;
	uint8_t service;
	uint32_t link;
	uint16_t peer_port; /* ALG_TCP_WATCH: to which the guest will connect; guest_port is 0 then */
};

struct alg_grant {
	uint32_t outside_ip_be;
	uint16_t outside_port; /* of a pair the first, which is even */
};

/*
 * Something that is to become of a pinhole that was granted; one that is gone is ignored. ALG_ARM: from
 * now on, and for its lifetime, the peer may come in. ALG_KEEP: its lifetime begins again, armed or not.
 */
struct alg_act {
	enum alg_act_kind { ALG_ARM, ALG_KEEP, ALG_CLOSE } what;
	bool media;	     /* ALG_ARM: peer_ip_be takes the place of the wish's */
	uint32_t token, peer_ip_be;
	bool elsewhere;	     /* ALG_CLOSE: the pinhole is of the flow whose id is `flow`, which need not be there any more */
	uint16_t flow;
};

enum alg_result { ALG_PASS, ALG_WISH, ALG_DONE, ALG_VIOLATION };

/* Its counts are zeroed before each call: ALG_PASS without edits. What lies beyond a count is anything. */
struct alg_answer {
	enum alg_result result;
	const char *why; /* a constant; for ALG_DONE and ALG_VIOLATION */
	const char *note; /* a constant or NULL: what was left alone, and the operator should know of */
	uint32_t hold_ms; /* so long the far end may be silent and still find the guest; 0: nothing new */
	unsigned int edit_count, wish_count, act_count;
	struct alg_wish wish[ALG_WISHES];
	struct alg_act act[ALG_ACTS];
	struct alg_edit edit[ALG_EDITS];
};

struct alg_protocol {
	const char *name;	/* in lines for people: "netbios-ns" */
	enum algs_id alg;	/* whose section of the configuration switches it */
	uint8_t service;	/* of that ALG: the place of its port, where that has a meaning (algs.def) */
	uint8_t transports;	/* bit set of enum algs_transport */
	uint32_t message_max;	/* of a stream: longer ones are a violation; at most ALG_MESSAGE_MAX */
	/*
	 * Length of the first message in p[0..n), n > 0; 0 if more bytes are needed; more than
	 * message_max: it is not one, or longer than allowed. The first `seen` bytes were looked at by
	 * an earlier call that returned 0. Not called for datagrams, nor again before a length that
	 * was more than n is there.
	 */
	size_t (*frame)(const void *state, const struct alg_flow *flow, enum alg_direction from,
		const uint8_t *p, size_t n, size_t seen);
	void (*message)(void *state, const struct alg_flow *flow, enum alg_direction from,
		const uint8_t *p, size_t n, struct alg_answer *answer);
	/*
	 * What became of the wishes of this very message: as many grants, in their order, or NULL if
	 * one was refused (then none is open). Answers as message(), but without ALG_WISH. NULL if the
	 * protocol makes no wishes.
	 */
	void (*granted)(void *state, const struct alg_flow *flow, enum alg_direction from,
		const uint8_t *p, size_t n, const struct alg_grant *grants,
		struct alg_answer *answer);
	/* A pinhole that was granted, and that the parser did not close, is no more. NULL: it does not care. */
	void (*gone)(void *state, const struct alg_flow *flow, uint32_t token);
	/* The flow is over, or not inspected any more: what is kept of it outside `state` is given back. NULL: nothing is. */
	void (*end)(void *state, const struct alg_flow *flow);
};

/* Adds an edit to an answer, NULL where it is full: then the whole answer must be given up. */
static inline struct alg_edit *alg_edit_add(struct alg_answer *a, size_t at, size_t old_bytes)
{
	if (a->edit_count == ALG_EDITS)
		return NULL;
	struct alg_edit *e = &a->edit[a->edit_count++];
	e->at = (uint32_t)at;
	e->old_bytes = (uint32_t)old_bytes;
	e->bytes = 0;
	return e;
}

/* Adds an act; a parser that has more than ALG_ACTS to do at once is wrong. */
static inline void alg_act_add(struct alg_answer *a, enum alg_act_kind what, uint32_t token)
{
	if (a->act_count < ALG_ACTS)
		a->act[a->act_count++] = (struct alg_act){.what = what, .token = token};
}

static inline void alg_violation(struct alg_answer *a, const char *why)
{
	a->result = ALG_VIOLATION;
	a->why = why;
}

#endif
