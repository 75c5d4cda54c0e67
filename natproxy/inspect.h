/*
 * TCP flows under inspection by alg: their bytes are copied out, held until alg's verdict, edited
 * if it says so. alg is hostile: a verdict outside what it was shown, or edits that edit.h refuses,
 * end the edge. alg may also be stuck: nothing waits for it longer than a second.
 */
#ifndef NATLOCK_NATPROXY_INSPECT_H
#define NATLOCK_NATPROXY_INSPECT_H

#include "natproxy.h"

/* Puts a flow that has just connected under inspection if the configuration says so and there is
 * room. */
void inspect_start(struct natproxy *np, struct flow *f);
/* The flow is over: tells alg, closes its doors, frees the slot. Nothing happens if it was not
 * inspected. */
void inspect_end(struct natproxy *np, struct flow *f);
/* The rest of this flow goes on raw as soon as what is held has left; its doors close. */
void inspect_give_up(struct natproxy *np, struct flow *f);
/* alg was answered a wish of this flow: it owes a verdict. */
void inspect_answered(struct natproxy *np, struct flow *f);
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
/* The flow of an id that alg may speak about, or NULL when it is over or no longer inspected. Any
 * input. */
struct flow *inspect_flow(struct natproxy *np, uint32_t id);

#endif
