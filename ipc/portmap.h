/*
 * Which UDP ports of the host are mappings of this hub, where several natproxies serve it: each shows its own, a bit
 * a port, to the others. A datagram from one guest to another's mapping may go (hairpinning, RFC 4787 REQ-9), to
 * any other port of the host it may not.
 *
 * One writer a region. A natproxy that lies lets others' guests send where it could send itself. Pure.
 */
#ifndef NATLOCK_IPC_PORTMAP_H
#define NATLOCK_IPC_PORTMAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "topology.h"

struct portmap_region {
	_Atomic uint32_t word[65536 / 32];
};

struct portmap {
	struct portmap_region *mine; /* NULL: there is nobody to show anything to */
	const struct portmap_region *theirs[SHARD_MAX - 1];
	unsigned int others;
};

/* From now on this port is a mapping of ours, or none. */
void portmap_set(const struct portmap *p, uint16_t port, bool mapped);
/* Whether another natproxy says that it is a mapping of its. */
bool portmap_has(const struct portmap *p, uint16_t port);

#endif
