/*
 * The guest's address in the header lines of SIP, both ways: where it goes out the outside one takes its place, and
 * what comes back as the outside one means the guest again, in the words that the guest used. Pure.
 */
#ifndef NATLOCK_ALG_SIP_NAMES_H
#define NATLOCK_ALG_SIP_NAMES_H

#include "alg.h"
#include "sip_address.h"
#include "sip_message.h"
#include "splice.h"

/* What the guest says of itself in one kind of line. */
struct sip_said {
	bool inside;   /* its inside address, so that is what it is to hear */
	bool maddr;    /* the same for maddr= */
	uint16_t port; /* beside it; 0: none */
};

/* How the guest names itself in a flow, as far as it was rewritten. Zeroed at the beginning. */
struct sip_names {
	struct sip_said via, contact;
	struct sip_said route; /* Route, Record-Route, Path, Service-Route */
	struct sip_said other; /* From or To, where it names the guest, and others of people */
	struct sip_said peer;  /* From or To, where it names the far end */
};

/*
 * Adds the edits of a message's start line and header lines. Those of a fragment (sip_read_fragment) too: e->message
 * is then the message that the fragment is in, and `names` the flow's, which a fragment changes nothing of. A message
 * that is looked at twice (before and behind a wish) gets the same edits twice. None where the outside address is not known, or is the
 * guest's own. Who drops the edits (splice_end) takes `names` back too.
 */
void sip_names_edit(struct splice *e, struct sip_names *names, const struct alg_flow *f,
	enum alg_direction from, const struct sip_message *m);
/* Whether the guest stands in the topmost Via, by its own address, inside or outside (which is known): that is where the answer goes. */
bool sip_names_own_via(const struct alg_flow *f, const struct sip_message *m);
/* The same, and as the host of a Contact: without both of them nothing is opened for a request that begins a dialog. */
bool sip_names_own(const struct alg_flow *f, const struct sip_message *m);
/* Whether this host, which sip_next_address took of a Contact in a message from outside, is the guest of this flow. */
bool sip_names_is_guest(const struct alg_flow *f, const struct sip_place *place);

#endif
