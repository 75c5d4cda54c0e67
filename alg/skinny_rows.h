/* What of SCCP's calls the operator is shown. Pure. */
#ifndef NATLOCK_ALG_SKINNY_ROWS_H
#define NATLOCK_ALG_SKINNY_ROWS_H

#include "call_row.h"
#include "skinny_calls.h"

/* The next call of a flow behind *cursor (0: the first), which is moved on; false: there is none. A call is a conference; `id` is its place in
 * the flow. Any cursor. */
bool skinny_calls_next(const struct skinny *s, uint32_t *cursor, struct call_row *row);

#endif
