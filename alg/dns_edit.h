/*
 * Writing an answer's edits in the order of the message. Neighbours become one edit, so that a
 * message with many small changes needs few. Pure.
 */
#ifndef NATLOCK_ALG_DNS_EDIT_H
#define NATLOCK_ALG_DNS_EDIT_H

#include "alg.h"

struct dns_edit {
	struct alg_answer *answer;
	const uint8_t *p; /* the DNS message, which begins at `base` of what the parser was shown */
	size_t base;
	int growth; /* of all edits so far, bytes */
	bool full;  /* one did not fit: the answer must be given up */
};

/*
 * Replaces old_bytes at an offset, which is not before the end of the last edit, by at most
 * ALG_EDIT_BYTES new ones.
 */
void dns_edit_put(
	struct dns_edit *d, size_t at, size_t old_bytes, const uint8_t *text, size_t bytes);
/* Bytes at the very front of what the parser was shown, after everything else: as many new as old. */
void dns_edit_front(struct dns_edit *d, const uint8_t *text, size_t bytes);

#endif
