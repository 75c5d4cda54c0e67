/* UDP and echo: one socket for a guest's endpoint, whoever it talks to. */
#ifndef NATLOCK_NATPROXY_DGRAM_H
#define NATLOCK_NATPROXY_DGRAM_H

#include "natproxy.h"

/* Payload that a DGRAM_DATA carries: the sum of its segments. */
uint32_t dgram_bytes(const struct ring_desc *d);
/*
 * Passes on what the socket's error queue holds, in bounded portions: how many there were. *mtu is
 * set when one is this computer's own: what the path takes (with -EMSGSIZE of a send).
 */
int dgram_errors(struct natproxy *np, struct flow *f, uint16_t *mtu);
/*
 * The kernel did not take this message for the reason `error`: counted, and said to the guest where
 * it is more than a lack of room. `mtu` goes with -EMSGSIZE, 0 where it is not known.
 */
void dgram_refused(struct natproxy *np, struct flow *f, const struct sock_datagram *d, int error,
	uint16_t mtu);
/* Session `ref` of a datagram flow was idle for too long; the last one takes the flow with it. */
void dgram_expired(struct natproxy *np, struct flow *f, uint32_t ref);

#endif
