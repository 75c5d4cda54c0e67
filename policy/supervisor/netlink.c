/* Theory of operation: see netlink.h. One short-lived socket a call; libnl's objects are freed on
 * every way out. */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/route.h>
#include <string.h>

#include "netlink.h"

const char *netlink_error(int error)
{
	return nl_geterror(error);
}

static struct nl_sock *open_socket(void)
{
	struct nl_sock *sk = nl_socket_alloc();

	if (sk && nl_connect(sk, NETLINK_ROUTE) < 0) {
		nl_socket_free(sk);
		sk = NULL;
	}
	return sk;
}

/* Applies what `change` has set to the interface of that name. */
static int change_link(struct nl_sock *sk, const char *name, struct rtnl_link *change)
{
	struct rtnl_link *present = NULL;
	int error = rtnl_link_get_kernel(sk, 0, name, &present);

	if (error == 0)
		error = rtnl_link_change(sk, present, change, 0);
	if (present)
		rtnl_link_put(present);
	return error;
}

int netlink_loopback_up(void)
{
	struct nl_sock *sk = open_socket();
	struct rtnl_link *change = rtnl_link_alloc();
	int error = -NLE_NOMEM;

	if (sk && change) {
		rtnl_link_set_flags(change, IFF_UP);
		error = change_link(sk, "lo", change);
	}
	if (change)
		rtnl_link_put(change);
	nl_socket_free(sk);
	return error;
}

/* A kernel without IPv6 refuses the attribute: then there is nothing to silence. */
static void silence_ipv6(struct nl_sock *sk, const char *name)
{
	struct rtnl_link *change = rtnl_link_alloc();
	int none = rtnl_link_inet6_str2addrgenmode("none");

	if (change && none >= 0 && rtnl_link_inet6_set_addr_gen_mode(change, (uint8_t)none) == 0)
		change_link(sk, name, change);
	if (change)
		rtnl_link_put(change);
}

static int add_pair(
	struct nl_sock *sk, const char *here, const char *there, int net_ns, uint32_t mtu)
{
	struct rtnl_link *link = rtnl_link_veth_alloc();
	struct rtnl_link *peer = link ? rtnl_link_veth_get_peer(link) : NULL;
	int error = -NLE_NOMEM;

	if (peer) {
		rtnl_link_set_name(link, here);
		rtnl_link_set_mtu(link, mtu);
		rtnl_link_set_name(peer, there);
		rtnl_link_set_mtu(peer, mtu);
		rtnl_link_set_ns_fd(peer, net_ns);
		error = rtnl_link_add(sk, link, NLM_F_CREATE | NLM_F_EXCL);
		rtnl_link_put(peer);
	}
	if (link)
		rtnl_link_put(link);
	return error;
}

int netlink_make_veth(const char *here, const char *there, int net_ns, uint32_t mtu)
{
	struct nl_sock *sk = open_socket();
	struct rtnl_link *change = rtnl_link_alloc();
	int error = -NLE_NOMEM;

	if (sk && change) {
		error = add_pair(sk, here, there, net_ns, mtu);
		silence_ipv6(sk, here);
		rtnl_link_set_flags(change, IFF_UP | IFF_NOARP);
		if (error == 0)
			error = change_link(sk, here, change);
	}
	if (change)
		rtnl_link_put(change);
	nl_socket_free(sk);
	return error;
}

int netlink_move(const char *name, int net_ns)
{
	struct nl_sock *sk = open_socket();
	struct rtnl_link *change = rtnl_link_alloc();
	int error = -NLE_NOMEM;

	if (sk && change) {
		rtnl_link_set_ns_fd(change, net_ns);
		error = change_link(sk, name, change);
	}
	if (change)
		rtnl_link_put(change);
	nl_socket_free(sk);
	return error;
}

static int set_link(struct nl_sock *sk, const struct netlink_interface *want)
{
	static const uint8_t none[6];
	struct rtnl_link *change = rtnl_link_alloc();
	struct nl_addr *mac = NULL;
	int error = -NLE_NOMEM;

	if (!change)
		return error;
	rtnl_link_set_mtu(change, want->mtu);
	rtnl_link_set_txqlen(change, want->queue);
	rtnl_link_set_flags(change, IFF_UP);
	if (memcmp(want->mac, none, sizeof(none)) != 0) {
		mac = nl_addr_build(AF_LLC, want->mac, sizeof(none));
		if (mac)
			rtnl_link_set_addr(change, mac);
	}
	error = change_link(sk, want->name, change);
	if (mac)
		nl_addr_put(mac);
	rtnl_link_put(change);
	return error;
}

static int add_address(struct nl_sock *sk, const struct netlink_interface *want)
{
	struct rtnl_addr *address = rtnl_addr_alloc();
	struct nl_addr *local = nl_addr_build(AF_INET, &want->address_be, sizeof(want->address_be));
	uint32_t all =
		want->address_be | htonl(want->prefix >= 32 ? 0 : UINT32_MAX >> want->prefix);
	struct nl_addr *broadcast = nl_addr_build(AF_INET, &all, sizeof(all));
	int error = -NLE_NOMEM;

	if (address && local && broadcast) {
		rtnl_addr_set_ifindex(address, (int)if_nametoindex(want->name));
		nl_addr_set_prefixlen(local, want->prefix);
		rtnl_addr_set_local(address, local);
		rtnl_addr_set_broadcast(address, broadcast);
		error = rtnl_addr_add(sk, address, NLM_F_REPLACE);
	}
	nl_addr_put(broadcast);
	nl_addr_put(local);
	rtnl_addr_put(address);
	return error;
}

static int add_default_route(struct nl_sock *sk, const struct netlink_interface *want)
{
	struct rtnl_route *route = rtnl_route_alloc();
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	struct nl_addr *gateway =
		nl_addr_build(AF_INET, &want->gateway_be, sizeof(want->gateway_be));
	struct nl_addr *everywhere = NULL;
	int error = nl_addr_parse("default", AF_INET, &everywhere);

	if (error == 0 && route && hop && gateway) {
		rtnl_route_set_family(route, AF_INET);
		rtnl_route_set_dst(route, everywhere);
		rtnl_route_nh_set_ifindex(hop, (int)if_nametoindex(want->name));
		rtnl_route_nh_set_gateway(hop, gateway);
		rtnl_route_add_nexthop(route, hop); /* owns hop */
		hop = NULL;
		error = rtnl_route_add(sk, route, NLM_F_REPLACE);
	}
	if (hop)
		rtnl_route_nh_free(hop);
	nl_addr_put(everywhere);
	nl_addr_put(gateway);
	rtnl_route_put(route);
	return error;
}

int netlink_configure(const struct netlink_interface *want)
{
	struct nl_sock *sk = open_socket();
	int error = sk ? set_link(sk, want) : -NLE_NOMEM;

	if (error == 0 && want->address_be)
		error = add_address(sk, want);
	if (error == 0 && want->gateway_be)
		error = add_default_route(sk, want);
	nl_socket_free(sk);
	return error;
}

int netlink_enslave(const char *name, const char *bridge)
{
	struct nl_sock *sk = open_socket();
	struct rtnl_link *change = rtnl_link_alloc();
	int error = -NLE_NOMEM;

	if (sk && change) {
		silence_ipv6(sk, name);
		rtnl_link_set_master(change, (int)if_nametoindex(bridge));
		error = change_link(sk, name, change);
	}
	if (change)
		rtnl_link_put(change);
	nl_socket_free(sk);
	return error;
}

int netlink_is_bridge(const char *name)
{
	struct nl_sock *sk = open_socket();
	struct rtnl_link *present = NULL;
	int error = sk ? rtnl_link_get_kernel(sk, 0, name, &present) : -NLE_NOMEM;

	if (error == 0) {
		const char *type = rtnl_link_get_type(present);

		error = type != NULL && strcmp(type, "bridge") == 0;
	}
	if (present)
		rtnl_link_put(present);
	nl_socket_free(sk);
	return error;
}
