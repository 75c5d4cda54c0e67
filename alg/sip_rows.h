/* What of SIP's calls the operator is shown. Pure. */
#ifndef NATLOCK_ALG_SIP_ROWS_H
#define NATLOCK_ALG_SIP_ROWS_H

#include "call_row.h"
#include "sip_calls.h"

/* The next call behind *cursor (0: the first), which is moved on; false: there is none. What is no call (a registration, a
 * subscription, a question) is passed over. Any cursor. */
bool sip_calls_next(const struct sip_calls *t, uint32_t *cursor, struct call_row *row);

#endif
