/* The envelope of H.225's call signalling: Q.931's messages (ITU-T Q.931 4, H.225.0 7). Pure. */
#ifndef NATLOCK_ALG_Q931_H
#define NATLOCK_ALG_Q931_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum q931_type {
	Q931_ALERTING = 0x01,
	Q931_CALL_PROCEEDING = 0x02,
	Q931_PROGRESS = 0x03,
	Q931_SETUP = 0x05,
	Q931_CONNECT = 0x07,
	Q931_RELEASE_COMPLETE = 0x5a,
	Q931_FACILITY = 0x62,
};

struct q931 {
	uint16_t reference;  /* 15 bits; 0: the global one, or of a call that has just that */
	bool answers;	     /* the flag: from the side that did not choose the reference */
	uint8_t type;	     /* enum q931_type, or another */
	const uint8_t *user; /* what its user-user element holds; NULL: there is none */
	size_t user_bytes;
};

/* Reads p[0..n), all of it; false: it is no such message. */
bool q931_read(const uint8_t *p, size_t n, struct q931 *m);

#endif
