/* What a datagram flow's socket holds, on its way to the guest. */
#ifndef NATLOCK_NATPROXY_GATHER_H
#define NATLOCK_NATPROXY_GATHER_H

#include "natproxy.h"

/* Receives a batch for a datagram flow; true when more may be waiting. */
bool gather_turn(struct natproxy *np, struct flow *f);

/* Buffers for one received message: false when there are none. */
bool gather_buffers(struct natproxy *np, struct datagram_slot *slot);
/* What came by a raw socket for this flow: of a ping as a ping socket gives it, ICMP's header in slot->header; of ESP the
 * whole packet in the slot's buffers. */
void gather_raw(struct natproxy *np, struct flow *f, const struct sock_datagram *in,
	struct datagram_slot *slot);

/* Payload in own buffers on its way to netstack. */
struct gather_payload {
	uint32_t small,
		large;	/* buffers; large 0: all fits the small one, and the other way round */
	uint32_t bytes; /* the small one is filled first */
	uint16_t each;	/* of a run: bytes a datagram; 0: one datagram */
};
/* Hands netstack a payload. Takes the buffers, also when it fails: false = the ring is full. */
bool gather_deliver(struct natproxy *np, struct flow *f, const struct ring_remote *from,
	const struct gather_payload *p);
/* The same of one datagram of the caller's bytes; without buffers for it, it is dropped. */
void gather_bytes(struct natproxy *np, struct flow *f, const struct ring_remote *from,
	const uint8_t *bytes, uint32_t n);

#endif
