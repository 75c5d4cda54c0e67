/* What of a call the operator is shown. Pure. */
#ifndef NATLOCK_ALG_SIP_ROWS_H
#define NATLOCK_ALG_SIP_ROWS_H

#include "sip_calls.h"

enum { SIP_ROW_MEDIA = 160 };

struct sip_call_row {
	uint32_t id;   /* its place in the table; another call's when it is over */
	uint16_t flow; /* alg_flow.id */
	const char *
		state; /* "ringing": nobody took it yet, "answered", "no media": no port of the guest is kept for it, or none any more */
	uint64_t answered_ms, seen_ms; /* when: of alg_flow.now_ms; answered_ms 0: nobody did */
	/* its openings: "4000>30000 open, 4002-4005>30002-30005 latent"; guest's and outside ports. More than fits ends with "..." */
	char media[SIP_ROW_MEDIA];
};

/* The next call behind *cursor (0: the first), which is moved on; false: there is none. What is no call (a registration, a
 * subscription, a question) is passed over. Any cursor. */
bool sip_calls_next(const struct sip_calls *t, uint32_t *cursor, struct sip_call_row *row);

#endif
