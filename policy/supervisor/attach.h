/*
 * TARGET words: how guests come to a hub. The one who attaches opens the target with his own
 * privileges; the supervisor only ever gets a descriptor.
 */
#ifndef NATLOCK_SUPERVISOR_ATTACH_H
#define NATLOCK_SUPERVISOR_ATTACH_H

#include "options.h"
#include "port.h"
#include "trouble.h"

/*
 * Opens a target:
 *   auto            a TAP nl-HUB here where that is allowed, else ATTACH_NOTHING
 *   pid:N           eth0 in the network namespace of a process (TAP, else veth)
 *   netns:NAME|PATH the same, /run/netns/NAME
 *   tap:NAME        a TAP here, made or joined
 *   veth:NAME       an interface here, as a raw packet port
 *   bridge:NAME     a new port of a Linux bridge here (TAP nlbN, else veth), gone with natlock
 *   qemu:PATH       a unix stream socket that QEMU connects to (-netdev stream); absolute
 *   qemu-dgram:PATH a unix datagram socket that QEMU sends to (-netdev dgram)
 *   fd:N            an open descriptor
 * 0 with *offer, ATTACH_NOTHING, or -1 with *t.
 */
enum { ATTACH_NOTHING = 1 };
int attach_open(const char *target, const char *hub, uint32_t mtu, struct port_offer *offer,
	struct trouble *t);

/* The command `natlock attach`: opens, connects to the running natlock, hands over. Exit code. */
int attach_command(const struct options *o);

#endif
