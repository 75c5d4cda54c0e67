/*
 * Orders of an operator to workers (OrderRequest): sessions to end, leases to release. Each worker that holds such
 * things is told, or the one that was named; the counts of their answers are added up.
 */
#ifndef NATLOCK_SUPERVISOR_ORDER_H
#define NATLOCK_SUPERVISOR_ORDER_H

#include "operator.h"

enum { ORDER_SESSIONS = 4096 }; /* ids in one order */

/* What a worker did, asked for or not. */
void order_on_answer(struct operator* op, const struct worker *from, const Nl__ActorAnswer *answer);
/* The worker will not answer any more. */
void order_worker_gone(struct operator* op, const struct worker *w);
/* Which actors can do this: a set of 1 << enum actor_id, 0 for an order that means nothing. Pure. */
unsigned int order_doers(const Nl__Order *order);

#endif
