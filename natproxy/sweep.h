/* Ending many sessions for a reason that concerns more than one flow, in portions that leave the
 * turn short. */
#ifndef NATLOCK_NATPROXY_SWEEP_H
#define NATLOCK_NATPROXY_SWEEP_H

#include "natproxy.h"

enum sweep_reason {
	SWEEP_ORDERED = 1,  /* the operator wants them ended: all that there are */
	SWEEP_SWITCHED = 2, /* the NAT was switched off: all that there are */
	SWEEP_ADDRESS = 4,  /* those whose outside address is gone */
	SWEEP_DEVICE = 8,   /* those whose device is gone */
};

/* Begins; sessions that are opened later are not meant, unless their address or device is gone too. */
void sweep_begin(struct natproxy *np, enum sweep_reason why);
/* Looks at some; true when there are more. */
bool sweep_turn(struct natproxy *np);
/* Ends the sessions with these numbers now: how many there were. */
uint32_t sweep_numbers(struct natproxy *np, const uint32_t *number, size_t count);

#endif
