/* What a flow sends in one turn: datagrams collected and handed to the kernel in few calls. */
#ifndef NATLOCK_NATPROXY_BURST_H
#define NATLOCK_NATPROXY_BURST_H

#include "natproxy.h"

/*
 * Adds what a DGRAM_DATA describes to the burst, towards ip_be and the descriptor's port. Takes its
 * buffers.
 */
void burst_add(struct natproxy *np, struct flow *f, const struct ring_desc *d, uint32_t ip_be);
/* Sends one datagram of the caller's bytes at once, behind what waits of this flow. */
void burst_send(struct natproxy *np, struct flow *f, struct sock_datagram *d);
/* Sends what waits. */
void burst_flush(struct natproxy *np);
/* The flow ends: its part leaves first. */
void burst_stop(struct natproxy *np, struct flow *f);

#endif
