/*
 * Interfaces: how a guest's network namespace gets an eth0 whose far end is a descriptor.
 *
 *   TAP     [guest netns] eth0 ── /dev/net/tun opened in the backstage netns, or in the guest's
 *   veth    [guest netns] eth0 ═══ nl0 [backstage netns] ── AF_PACKET socket
 *
 * Frames carry virtio-net headers both ways. Backstage is a network namespace that only the
 * descriptor keeps alive: when its last copy is closed, all of this is gone; when the guest's
 * namespace ends, eth0 is. veth needs no tun device and no root.
 */
#ifndef NATLOCK_SUPERVISOR_PLUMB_H
#define NATLOCK_SUPERVISOR_PLUMB_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "port.h"
#include "trouble.h"

enum plumb_method { PLUMB_AUTO, PLUMB_TAP, PLUMB_VETH };

struct plumb_order {
	enum plumb_method method;
	int user_ns, net_ns;	  /* to be entered first; -1: stay */
	char interface[IFNAMSIZ]; /* the guest's end */
	uint8_t mac[6];		  /* its address; all zero: the kernel's choice */
	uint32_t mtu;
	bool tap_in_place; /* no backstage for a TAP: its descriptor keeps the guest's namespace alive.
			      For a guest that ends with natlock; saves moving the interface */
	const char *
		bridge; /* a bridge of the guest's namespace that the guest's end becomes a port of;
			       NULL: none */
	bool configure; /* address, default route, lo up; otherwise the interface is only set up */
	uint32_t address_be, gateway_be;
	uint8_t prefix;
};

/*
 * Does it in a child (which enters the namespaces and ends), so that the caller stays where it is.
 * *offer gets the descriptor, kind and vnet_hdr; why_not_tap (may be NULL) why AUTO took veth. 0,
 * or -1 with *t. Syscalls: socketpair clone wait4 recvmsg; in the child setns unshare openat ioctl
 * socket setsockopt bind, netlink
 */
int plumb(const struct plumb_order *order, struct port_offer *offer, char *why_not_tap, size_t cap,
	struct trouble *t);

/* Whether /dev/net/tun can be opened, and if not, why: "Permission denied (mode 0600, owner root)".
 */
bool plumb_tun_usable(char *why, size_t cap);
/* Opens an existing interface of this network namespace as a raw packet port, or makes or joins a
 * TAP of that name. */
int plumb_packet(const char *interface, struct port_offer *offer, struct trouble *t);
int plumb_tap(const char *interface, struct port_offer *offer, struct trouble *t);

#endif
