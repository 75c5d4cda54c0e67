/*
 * BER (X.690) as LDAP allows it (RFC 4511 5.1): definite lengths, tags of one octet. A walk goes
 * through one message from front to back, opens what it wants to look into, and may give an element
 * new contents; the lengths of all that encloses it follow by themselves. Pure.
 *
 * Errors stick: after one every call is idle, and ber_end says so.
 */
#ifndef NATLOCK_ALG_BER_H
#define NATLOCK_ALG_BER_H

#include "alg.h"

enum {
	BER_DEPTH = 24,	       /* of elements within elements that may be open */
	BER_LENGTH_OCTETS = 5, /* at most: lengths of 32 bits */
	BER_CONTENTS_MAX = ALG_EDIT_BYTES - BER_LENGTH_OCTETS, /* of ber_replace, bytes */

	BER_INTEGER = 0x02,
	BER_OCTET_STRING = 0x04,
	BER_ENUMERATED = 0x0a,
	BER_SEQUENCE = 0x30,
	BER_SET = 0x31,
};

/* An element of a message; places are offsets from the message's first byte. */
struct ber {
	uint8_t tag, length_octets;
	uint32_t length_at, at, bytes; /* at, bytes: of the contents */
};

struct ber_walk {
	const uint8_t *p;
	struct alg_answer *answer;
	bool failed; /* not BER, not what was asked for, or too deep */
	bool full;   /* more edits than an answer holds */
	unsigned int depth;
	struct {
		struct ber element;
		uint32_t next, end; /* what is not read yet */
		int64_t grown;	    /* bytes, by edits in it */
	} level[BER_DEPTH + 1];	    /* 0: the message itself, which is no element */
};

/* The size of the element that begins p[0..n), n > 0, with tag and length; 0: its length is not all
 * there yet; SIZE_MAX: not BER of the kind above. */
size_t ber_size(const uint8_t *p, size_t n);

/* p[0..n): one message, n < 2^31; edits go to *a, which holds none. */
void ber_begin(struct ber_walk *w, const uint8_t *p, size_t n, struct alg_answer *a);
/* Whether the innermost open element holds another one; false after an error. */
bool ber_more(const struct ber_walk *w);
/* The next element there, with its tag or whatever tag it has. After an error an empty one. */
struct ber ber_take(struct ber_walk *w, uint8_t tag);
struct ber ber_take_any(struct ber_walk *w);
/* Goes into the next element, or into the one that was taken last; and out of it, when all of it is
 * read. */
void ber_enter(struct ber_walk *w, uint8_t tag);
void ber_enter_taken(struct ber_walk *w, const struct ber *taken);
void ber_leave(struct ber_walk *w);
/* Passes over what the innermost open element still holds. */
void ber_skip(struct ber_walk *w);
/* The value of the next element, a number 0..2^31-1. */
uint32_t ber_number(struct ber_walk *w, uint8_t tag);
/* Gives the element that was taken last, a primitive one, n bytes of contents: at most
 * BER_CONTENTS_MAX. */
void ber_replace(struct ber_walk *w, const struct ber *taken, const void *contents, size_t n);
/*
 * Leaves what is open and finishes the edits. False: the message is not what the caller took it
 * for. Where it has more edits than fit, it has none.
 */
bool ber_end(struct ber_walk *w);

#endif
