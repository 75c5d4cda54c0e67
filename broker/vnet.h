/* The virtio-net header in front of a frame (virtio 1.2, 5.1.6): what the broker believes of it.
 * Pure. */
#ifndef NATLOCK_BROKER_VNET_H
#define NATLOCK_BROKER_VNET_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

enum {
	VNET_GSO_NONE = 0,
	VNET_GSO_TCP4 = WIRE_GSO_TCP4,
	VNET_GSO_TCP6 = 4,
	VNET_GSO_UDP = WIRE_GSO_UDP, /* UDP_L4: datagrams of gso_size bytes, IPv4 or IPv6 */
	VNET_GSO_ECN = 0x80,
};

/* The kind of super-frame without the ECN mark: VNET_GSO_*. */
static inline uint8_t vnet_gso(const struct wire_vnet *v)
{
	return v->gso_type & (uint8_t)~VNET_GSO_ECN;
}
/* Whether the frame cannot go as it is to a port without virtio-net header. */
static inline bool vnet_unfinished(const struct wire_vnet *v)
{
	return v->gso_type != VNET_GSO_NONE || (v->flags & WIRE_VNET_NEEDS_CSUM) != 0;
}

/*
 * Whether the header is in range for a frame of `bytes` bytes: known flags, a kind of super-frame
 * that we know, a segment size when there is one, checksum field and header length inside the
 * frame; of datagrams also that it is their checksum. Any input.
 */
bool vnet_ok(const struct wire_vnet *v, uint32_t bytes);

#endif
