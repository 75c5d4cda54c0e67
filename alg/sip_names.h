/*
 * The guest's address in the header lines of SIP, both ways: where it goes out the outside one takes its place, and
 * what comes back as the outside one means the guest again, in the words that the guest used. Pure.
 */
#ifndef NATLOCK_ALG_SIP_NAMES_H
#define NATLOCK_ALG_SIP_NAMES_H

#include "alg.h"
#include "sip_message.h"
#include "splice.h"

/* How the guest names itself in a flow, as far as it was rewritten. Zeroed at the beginning. */
struct sip_names {
	struct {
		bool inside;   /* it says its inside address there, so that is what it is to hear */
		uint16_t port; /* 0: none */
	} via, contact, other; /* Via; Contact and URIs of requests and routes; everything else */
};

/* Adds the edits of a message's start line and header lines. */
void sip_names_edit(struct splice *e, struct sip_names *names, const struct alg_flow *f,
	enum alg_direction from, const struct sip_message *m);
/* Whether the guest stands in the topmost Via and as the host of a Contact by its own address, inside or outside: without both of
 * them nothing is opened for a request of its own. */
bool sip_names_own(const struct alg_flow *f, const struct sip_message *m);

#endif
