/*
 * Flows under inspection by alg: what they carry is copied out, held until alg's verdict, edited if
 * it says so. alg is hostile: a verdict outside what it was shown, or edits that edit.h refuses,
 * end the edge. alg may also be stuck: nothing waits for it longer than a second.
 *
 * What is inspected is a TCP connection (inspect_stream.h), or what one guest endpoint and one far
 * endpoint say by UDP (inspect_dgram.h). alg knows each by a number of ours.
 */
#ifndef NATLOCK_NATPROXY_INSPECT_H
#define NATLOCK_NATPROXY_INSPECT_H

#include "algs.h"
#include "natproxy.h"

/* What alg speaks about when it names a number. */
struct inspect_subject {
	struct flow *flow;
	uint32_t session; /* reference, nat.h */
	enum algs_id alg;
	bool stream;
	bool observe; /* nothing is changed and nothing opened: wishes get pretended grants */
	bool strict;
	struct sock_address guest, peer; /* the latter as the guest sees it */
	uint32_t real_ip_be;		 /* the peer's own, where that is the gateway's */
	struct sock_address outside;	 /* how the peer sees the guest; address 0: unknown */
	const char *device; /* by which they speak, NULL: any; for use within the call */
};

/* The subject of a number that alg may speak about; false: it is over, or no longer inspected. Any
 * input. */
bool inspect_find(struct natproxy *np, uint32_t number, struct inspect_subject *out);
/* alg was answered a wish of this number: it owes a verdict. */
void inspect_answered(struct natproxy *np, uint32_t number);

/* Whether a connection of this peer, of this ALG, to the guest as its server is under inspection. */
bool inspect_serves(const struct natproxy *np, enum algs_id alg, uint32_t guest_ip_be,
	uint32_t peer_ip_be);

/* The configuration changed: what belongs to an ALG that is off now, or only observes, goes on
 * raw. */
void inspect_configure(struct natproxy *np);
/* Gives up flows for which alg has been silent too long, and reports an alg that stays so
 * (np->inspect_due_ns says when). */
void inspect_timeout(struct natproxy *np);

#endif
