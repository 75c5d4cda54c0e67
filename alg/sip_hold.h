/* How long a registrar or notifier will come back to the guest (RFC 3261 10.3, RFC 6665 4.2, RFC 3903 6). Pure. */
#ifndef NATLOCK_ALG_SIP_HOLD_H
#define NATLOCK_ALG_SIP_HOLD_H

#include "alg.h"
#include "sip_message.h"

enum { SIP_HOLD_SECONDS_MAX = 86400 };

/*
 * What a 2xx grants, in seconds, at most SIP_HOLD_SECONDS_MAX: the longest expires= of a Contact that is the guest's
 * (sip_names_is_guest), else Expires. 0: nothing.
 */
uint32_t sip_hold_seconds(const struct alg_flow *f, const struct sip_message *m);

#endif
