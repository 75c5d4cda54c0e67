/* The edits of one message of text, made in any order: each replaces a span of it. Pure. */
#ifndef NATLOCK_ALG_SPLICE_H
#define NATLOCK_ALG_SPLICE_H

#include "alg.h"
#include "text.h"

struct splice {
	struct alg_answer *answer;
	const uint8_t *message;
	int32_t growth; /* bytes by which the message is longer so far */
	bool full;	/* there were more than ALG_EDITS */
};

static inline struct splice splice_of(struct alg_answer *answer, const uint8_t *message)
{
	return (struct splice){.answer = answer, .message = message};
}

/* Spans do not overlap. */
void splice_number(struct splice *s, struct text span, uint32_t value);
/* port 0: the address alone. */
void splice_address(struct splice *s, struct text span, uint32_t ip_be, uint16_t port);

/* A message is rewritten whole or not at all; false: not at all. */
bool splice_end(struct splice *s);

#endif
