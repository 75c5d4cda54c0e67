/* UDP and echo: one socket for a guest's endpoint, whoever it talks to. */
#ifndef NATLOCK_NATPROXY_DGRAM_H
#define NATLOCK_NATPROXY_DGRAM_H

#include "natproxy.h"

/* Receives a batch for a datagram flow; true when more may be waiting. */
bool dgram_turn(struct natproxy *np, struct flow *f);
/* Sends what waits in the batch. */
void dgram_flush(struct natproxy *np);
/* The flow ends: its part of the batch leaves first. */
void dgram_stop(struct natproxy *np, struct flow *f);
/* Session `ref` of a datagram flow was idle for too long; the last one takes the flow with it. */
void dgram_expired(struct natproxy *np, struct flow *f, uint32_t ref);
/*
 * Hands netstack a datagram in own buffers (large 0: it fits the small one). Takes the buffers,
 * also when it fails: false = the ring is full.
 */
bool dgram_deliver(struct natproxy *np, struct flow *f, const struct ring_remote *from,
	uint32_t small, uint32_t large, uint32_t bytes);
/* Buffers for one received datagram: false when there are none. */
bool dgram_buffers(struct natproxy *np, struct datagram_slot *slot);

#endif
