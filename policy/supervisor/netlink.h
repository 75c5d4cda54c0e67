/*
 * Set-up of interfaces by rtnetlink (libnl-route), in the network namespace of the calling process.
 * All return 0 or a negative libnl error (netlink_error). Syscalls: socket bind sendmsg recvmsg
 * getsockname setsockopt close
 */
#ifndef NATLOCK_SUPERVISOR_NETLINK_H
#define NATLOCK_SUPERVISOR_NETLINK_H

#include <stdint.h>

enum {
	NETLINK_QUEUE = 4096
}; /* frames that a TAP may hold: the sum of windows must not drop there */

struct netlink_interface {
	const char *name;
	const uint8_t *mac; /* six bytes; all zero: leave it */
	uint32_t mtu;
	uint32_t queue;
	uint32_t address_be; /* 0: none */
	uint8_t prefix;
	uint32_t gateway_be; /* default route; 0: none */
};

int netlink_loopback_up(void);
/* A veth pair: `here` in this namespace, up, without ARP and IPv6 of its own; `there` in namespace
 * net_ns. */
int netlink_make_veth(const char *here, const char *there, int net_ns, uint32_t mtu);
/* Moves an interface of this namespace into namespace net_ns, under the same name. */
int netlink_move(const char *name, int net_ns);
/* Sets an existing interface up as wanted. */
int netlink_configure(const struct netlink_interface *want);
/* Makes an interface a port of a bridge, without IPv6 of its own. */
int netlink_enslave(const char *name, const char *bridge);
/* Whether an interface is a bridge: 1, 0, or the error -NLE_OBJ_NOTFOUND and the like. */
int netlink_is_bridge(const char *name);
const char *netlink_error(int error);

#endif
