/*
 * What the host's own network is like: its addresses (which guests may not reach by default), its
 * routes (which a hub's subnet must not shadow), and whether going out would come back in (the loop
 * of seed 3.7.4).
 */
#ifndef NATLOCK_SUPERVISOR_HOSTNET_H
#define NATLOCK_SUPERVISOR_HOSTNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nl_sock;

enum { HOSTNET_OWN = 1024, HOSTNET_ROUTES = 256, HOSTNET_DEVICE = 16 };

struct hostnet_subnet {
	uint32_t ip_be;
	uint8_t prefix;
};

struct hostnet_route {
	struct hostnet_subnet to; /* prefix 0: default */
	uint32_t gateway_be;	  /* 0: directly connected */
	char device[HOSTNET_DEVICE];
	uint32_t metric; /* of routes to the same place the lowest counts */
	int device_index; /* a device that was made anew has another: sockets bound to the old are stranded */
};

struct hostnet {
	struct nl_sock *events;			/* changes of addresses and routes */
	struct hostnet_subnet own[HOSTNET_OWN]; /* 127.0.0.0/8 and each own address as /32 */
	size_t own_count;
	bool partial; /* there are more own addresses than fit, or they could not be read */
	struct hostnet_route route[HOSTNET_ROUTES];
	size_t route_count;
};

/* Listens for changes; a descriptor to watch, or negative. Syscalls: socket bind setsockopt
 * getsockname */
int hostnet_open(struct hostnet *h);
/* Reads events away, then you call hostnet_read when it is quiet. Syscalls: recvmsg */
void hostnet_heard(struct hostnet *h);
/* Asks the kernel anew; what does not fit the bounds is left out (own addresses: `partial`). true: something differs from
 * before. Syscalls: socket bind sendmsg recvmsg close ioctl */
bool hostnet_read(struct hostnet *h);
void hostnet_close(struct hostnet *h);

/* Whether this hub's gateway is also the host's default gateway, for all of the world or one half of it (0.0.0.0/1 and
 * 128.0.0.0/1, as VPN clients set it); says so in why. Pure. */
bool hostnet_loops(const struct hostnet *h, uint32_t hub_ip_be, char *why, size_t cap);
/* The first route that overlaps subnet ip/prefix and is not the default; NULL: none. Pure. */
const struct hostnet_route *hostnet_overlap(
	const struct hostnet *h, uint32_t ip_be, uint8_t prefix);
/* A /24 gateway address that nothing overlaps: 192.168.130.1, ...; 0 when all are taken. Pure. */
uint32_t hostnet_free_gateway(const struct hostnet *h);

#endif
