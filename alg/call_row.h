/* What of a call the operator is shown, whatever the protocol. Pure. */
#ifndef NATLOCK_ALG_CALL_ROW_H
#define NATLOCK_ALG_CALL_ROW_H

#include "alg.h"

enum { CALL_ROW_MEDIA = 160 };

struct call_row {
	uint32_t id;   /* its place in its table; another call's when it is over */
	uint16_t flow; /* alg_flow.id */
	const char *
		state; /* "ringing": nobody took it yet, "answered", "no media": no port of the guest is kept for it, or none any more */
	uint64_t answered_ms, seen_ms; /* when: of alg_flow.now_ms; answered_ms 0: nobody did */
	/* its openings: "4000>30000 open, 4002-4005>30002-30005 latent"; guest's and outside ports. More than fits ends with "..." */
	char media[CALL_ROW_MEDIA];
};

struct call_row_opening {
	enum alg_kind kind; /* not ALG_TCP_WATCH, which has no port of the guest's */
	unsigned int pairs; /* of ALG_UDP_PAIR; 0 = 1 */
	uint16_t guest_port, outside_port;
	bool armed;
};

/* Adds an opening to the row's media. */
void call_row_add(struct call_row *row, const struct call_row_opening *o);

#endif
