/*
 * H.245's part in a call (ITU-T H.245, H.323 8): logical channels and the ports of the guest that serve them, wherever their messages
 * come: by a connection of their own, tunnelled in call signalling, or as what fastStart offers. Pure.
 */
#ifndef NATLOCK_ALG_H245_H
#define NATLOCK_ALG_H245_H

#include "h323_talk.h"

/* What the messages of marks first..end need, and do to their call. */
void h245_messages(struct h323_talk *t, unsigned int first, unsigned int end);
/* The same of a proposal of fastStart: an offer of the caller's, or an answer to one. */
void h245_fast_start(struct h323_talk *t, unsigned int first, unsigned int end, bool offer);
/* What was offered and not taken up to now is not taken any more. */
void h245_end_offers(struct h323_call *c);
/* The address in this mark; false: it is none of H.245's. */
bool h245_edit(struct h323_talk *t, const struct h323_mark *m);

#endif
