/*
 * Theory of operation. Events only say that something changed; what it is now is always read whole,
 * because events may be lost. Two snapshots are compared as bytes, so both are built in the
 * kernel's order from zeroed memory. Own addresses that are not known could be reached by guests,
 * so it is said when the list is not whole.
 */
#include <arpa/inet.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>
#include <stdio.h>
#include <string.h>

#include "hostnet.h"

enum { LOOPBACK_PREFIX = 8, FIRST_FREE = 130, LAST_FREE = 250 };

static uint32_t mask_be(uint8_t prefix)
{
	return htonl(prefix == 0 ? 0 : UINT32_MAX << (32 - prefix));
}

/* What the event says does not matter: everything is read anew. */
static int on_event(struct nl_msg *m, void *arg)
{
	return NL_OK;
}

int hostnet_open(struct hostnet *h)
{
	memset(h, 0, sizeof(*h));
	h->events = nl_socket_alloc();
	if (!h->events)
		return -1;
	nl_socket_disable_seq_check(h->events);
	nl_socket_modify_cb(h->events, NL_CB_VALID, NL_CB_CUSTOM, on_event, NULL);
	if (nl_connect(h->events, NETLINK_ROUTE) < 0 || nl_socket_set_nonblocking(h->events) < 0 ||
		nl_socket_add_memberships(
			h->events, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_LINK, 0) < 0)
		return -1;
	return nl_socket_get_fd(h->events);
}

void hostnet_heard(struct hostnet *h)
{
	while (nl_recvmsgs_default(h->events) == 0)
		;
}

static uint32_t ip_of(const struct nl_addr *a)
{
	uint32_t ip = 0;

	if (a && nl_addr_get_family(a) == AF_INET && nl_addr_get_len(a) == sizeof(ip))
		memcpy(&ip, nl_addr_get_binary_addr(a), sizeof(ip));
	return ip;
}

/* Where take_route puts what it finds. */
struct route_reading {
	struct hostnet *h;
	struct nl_cache *links; /* names of devices */
};

static void take_address(struct nl_object *object, void *arg)
{
	const struct rtnl_addr *address = (const struct rtnl_addr *)object;
	struct hostnet *h = arg;
	uint32_t ip = ip_of(rtnl_addr_get_local((struct rtnl_addr *)(uintptr_t)address));

	if (!ip || (ip & mask_be(LOOPBACK_PREFIX)) == h->own[0].ip_be)
		return;
	if (h->own_count == HOSTNET_OWN)
		h->partial = true;
	else
		h->own[h->own_count++] = (struct hostnet_subnet){ip, 32};
}

static void take_route(struct nl_object *object, void *arg)
{
	struct rtnl_route *route = (struct rtnl_route *)object;
	struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, 0);
	const struct nl_addr *to = rtnl_route_get_dst(route);
	const struct route_reading *reading = arg;
	struct hostnet *h = reading->h;
	struct hostnet_route *r = &h->route[h->route_count];

	if (h->route_count == HOSTNET_ROUTES || rtnl_route_get_family(route) != AF_INET ||
		rtnl_route_get_table(route) != RT_TABLE_MAIN || !hop)
		return;
	r->to = (struct hostnet_subnet){ip_of(to), to ? (uint8_t)nl_addr_get_prefixlen(to) : 0};
	r->gateway_be = ip_of(rtnl_route_nh_get_gateway(hop));
	r->metric = rtnl_route_get_priority(route);
	if (!rtnl_link_i2name(
		    reading->links, rtnl_route_nh_get_ifindex(hop), r->device, sizeof(r->device)))
		return;
	r->device_index = rtnl_route_nh_get_ifindex(hop);
	h->route_count++;
}

static void read_routes(struct hostnet *h, struct nl_sock *sk)
{
	struct route_reading reading = {.h = h};
	struct nl_cache *routes;

	if (rtnl_link_alloc_cache(sk, AF_UNSPEC, &reading.links) < 0)
		return;
	if (rtnl_route_alloc_cache(sk, AF_INET, 0, &routes) == 0) {
		nl_cache_foreach(routes, take_route, &reading);
		nl_cache_free(routes);
	}
	nl_cache_free(reading.links);
}

static void read_kernel(struct hostnet *h)
{
	struct nl_sock *sk = nl_socket_alloc();
	struct nl_cache *addresses;

	h->own[0] = (struct hostnet_subnet){htonl(INADDR_LOOPBACK & 0xff000000), LOOPBACK_PREFIX};
	h->own_count = 1;
	h->partial = true;
	if (sk && nl_connect(sk, NETLINK_ROUTE) == 0) {
		if (rtnl_addr_alloc_cache(sk, &addresses) == 0) {
			h->partial = false;
			nl_cache_foreach(addresses, take_address, h);
			nl_cache_free(addresses);
		}
		read_routes(h, sk);
	}
	nl_socket_free(sk);
}

bool hostnet_read(struct hostnet *h)
{
	static struct hostnet now;
	bool same;

	memset(&now, 0, sizeof(now));
	now.events = h->events;
	read_kernel(&now);
	same = memcmp(h, &now, sizeof(now)) == 0;
	memcpy(h, &now, sizeof(now));
	return !same;
}

void hostnet_close(struct hostnet *h)
{
	nl_socket_free(h->events);
	h->events = NULL;
}

/* Whether the kernel uses it: no other route to the same place has a lower metric. */
static bool counts(const struct hostnet *h, const struct hostnet_route *r)
{
	size_t i;

	for (i = 0; i < h->route_count; i++)
		if (h->route[i].to.ip_be == r->to.ip_be &&
			h->route[i].to.prefix == r->to.prefix && h->route[i].metric < r->metric)
			return false;
	return true;
}

bool hostnet_loops(const struct hostnet *h, uint32_t hub_ip_be, char *why, size_t cap)
{
	char ip[INET_ADDRSTRLEN];
	size_t i;

	for (i = 0; i < h->route_count; i++) {
		if (h->route[i].to.prefix > 1 || h->route[i].gateway_be != hub_ip_be ||
			!counts(h, &h->route[i]))
			continue;
		snprintf(why, cap,
			"loop: this hub's gateway %s is also this host's default gateway (seed "
			"3.7.4). Refusing sessions.",
			inet_ntop(AF_INET, &hub_ip_be, ip, sizeof(ip)));
		return true;
	}
	return false;
}

const struct hostnet_route *hostnet_overlap(const struct hostnet *h, uint32_t ip_be, uint8_t prefix)
{
	size_t i;

	for (i = 0; i < h->route_count; i++) {
		const struct hostnet_subnet *to = &h->route[i].to;
		uint32_t mask = mask_be(to->prefix < prefix ? to->prefix : prefix);

		if (to->prefix != 0 && ((to->ip_be ^ ip_be) & mask) == 0)
			return &h->route[i];
	}
	return NULL;
}

uint32_t hostnet_free_gateway(const struct hostnet *h)
{
	uint32_t third;

	for (third = FIRST_FREE; third <= LAST_FREE; third++) {
		uint32_t gateway = htonl(0xc0a80001 | third << 8);

		if (!hostnet_overlap(h, gateway, 24))
			return gateway;
	}
	return 0;
}
