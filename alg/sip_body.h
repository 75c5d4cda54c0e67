/*
 * What a body holds (RFC 3261 7.4, RFC 2046 5.1, RFC 5621): descriptions and fragments, alone or as parts of multipart bodies.
 * Pure; everything points into the message.
 */
#ifndef NATLOCK_ALG_SIP_BODY_H
#define NATLOCK_ALG_SIP_BODY_H

#include "sip_message.h"

enum { SIP_BODIES = 8, SIP_BODY_DEPTH = 4, SIP_BODY_PARTS = 32 };

struct sip_body {
	enum sip_body_kind { SIP_BODY_SDP, SIP_BODY_FRAGMENT } kind;
	struct text text;
};

/*
 * Finds them, in their order: how many. multipart: those in multipart/mixed, related and alternative too. *note (a constant): why
 * something was left alone that might have been meant: encrypted or signed (S/MIME, RFC 3261 23), covered by a digest with qop=auth-int
 * (RFC 7616 3.4), compressed (Content-Encoding), nested too deep; NULL: nothing was. What is left alone is left whole: then 0.
 */
unsigned int sip_bodies(const struct sip_message *m, bool multipart,
	struct sip_body bodies[SIP_BODIES], const char **note);

#endif
