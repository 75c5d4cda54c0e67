/* What of H.323's calls the operator is shown. Pure. */
#ifndef NATLOCK_ALG_H323_ROWS_H
#define NATLOCK_ALG_H323_ROWS_H

#include "call_row.h"
#include "h323_calls.h"

/* The next call behind *cursor (0: the first), which is moved on; false: there is none. A registration is no call. Any cursor. */
bool h323_calls_next(const struct h323_calls *t, uint32_t *cursor, struct call_row *row);

#endif
