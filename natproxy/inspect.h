/*
 * Flows under inspection by alg: what they carry is copied out, held until alg's verdict, edited if
 * it says so. alg is hostile: a verdict outside what it was shown, or edits that edit.h refuses,
 * end the edge. alg may also be stuck: nothing waits for it longer than a second.
 *
 * What is inspected is a TCP connection, or what one guest endpoint and one far endpoint say by UDP.
 * alg knows each by a number of ours.
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
	struct sock_address guest, peer;
	struct sock_address outside; /* how the peer sees the guest; address 0: unknown */
};

/* The subject of a number that alg may speak about; false: it is over, or no longer inspected. Any
 * input. */
bool inspect_find(struct natproxy *np, uint32_t number, struct inspect_subject *out);
/* alg was answered a wish of this number: it owes a verdict. */
void inspect_answered(struct natproxy *np, uint32_t number);

/* Puts a flow that has just connected under inspection if the configuration says so and there is
 * room. */
void inspect_start(struct natproxy *np, struct flow *f);
/* The flow is over: tells alg, closes its doors, frees the slot. Nothing happens if it was not
 * inspected. */
void inspect_end(struct natproxy *np, struct flow *f);
/* The rest of this flow goes on raw as soon as what is held has left; its doors close. */
void inspect_give_up(struct natproxy *np, struct flow *f);
/* Gives up flows for which alg has been silent too long, and reports an alg that stays so
 * (np->inspect_due_ns says when). */
void inspect_timeout(struct natproxy *np);
/* The two directions' work, instead of upload.c's and download.c's; true when more can be done at
 * once. */
bool inspect_upload(struct natproxy *np, struct flow *f);
bool inspect_download(struct natproxy *np, struct flow *f);
/* Stream offset up to which the guest's bytes are with the host kernel. */
uint64_t inspect_consumed(const struct natproxy *np, const struct flow *f);
/* Whether nothing of a direction is held any more. */
bool inspect_drained(const struct natproxy *np, const struct flow *f, Nl__Direction direction);

#endif
