/* Tables for natlockctl: each slice of an actor is passed on unread before the next is asked for. */
#ifndef NATLOCK_SUPERVISOR_TABLE_H
#define NATLOCK_SUPERVISOR_TABLE_H

#include "operator.h"

/* The client has taken everything: the next slice, if a table is being streamed. */
void table_on(struct operator_peer *p);
/* A slice from a worker, asked for or not. */
void table_on_rows(struct operator* op, struct worker *from, const Nl__ActorRows *rows);
/* The worker will not answer any more. */
void table_worker_gone(struct operator* op, const struct worker *w);

#endif
