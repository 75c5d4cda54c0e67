/*
 * What a body holds (RFC 3261 7.4, RFC 2046 5.1, RFC 5621): descriptions and fragments, alone or as parts of multipart bodies.
 * Pure; everything points into the message.
 */
#ifndef NATLOCK_ALG_SIP_BODY_H
#define NATLOCK_ALG_SIP_BODY_H

#include "sip_message.h"
#include "splice.h"

enum {
	SIP_BODIES = 8,	     /* descriptions and fragments in one message */
	SIP_BODY_DEPTH = 4,  /* multiparts within each other */
	SIP_BODY_PARTS = 32, /* of all multiparts of a message */
};

struct sip_body {
	enum sip_body_kind { SIP_BODY_SDP, SIP_BODY_FRAGMENT } kind;
	struct text text;
};

/* A part with a Content-Length of its own, which no reader needs (RFC 2046), but which has to be right. */
struct sip_body_length {
	struct text digits, part; /* of the number; what it counts */
	uint32_t value;
};

struct sip_bodies {
	unsigned int count;
	struct sip_body body[SIP_BODIES]; /* in their order in the message */
	unsigned int length_count;
	struct sip_body_length length[SIP_BODY_PARTS]; /* inner ones first */
	const char *note;
};

/*
 * Finds them: how many (b->count). multipart: those in multipart/mixed, related, alternative and the like too, else such a body holds
 * nothing. b->note (a constant): why something was left alone that might have been meant: NULL where nothing was.
 *
 *   left alone with a note, then 0: what a digest with qop=auth-int covers (RFC 7616 3.4), Content-Encoding, a multipart body that
 *   cannot be read or holds more than SIP_BODIES or SIP_BODY_PARTS
 *   that part alone: S/MIME (application/pkcs7-mime, multipart/signed, multipart/encrypted; RFC 3261 23), Content-Encoding or
 *   Content-Transfer-Encoding of a part, multiparts deeper than SIP_BODY_DEPTH
 */
unsigned int sip_bodies_find(const struct sip_message *m, bool multipart, struct sip_bodies *b);

/*
 * After all other edits of the message's body: Content-Length of the parts that have one and of the message, by as much as the edits
 * within changed. Those that stay the same are not edited; a number that is wrong stays wrong by as much.
 */
void sip_body_lengths(struct splice *e, const struct sip_message *m, const struct sip_bodies *b);

#endif
