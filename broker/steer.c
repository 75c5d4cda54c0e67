/*
 * Theory of operation
 *
 *     destination             IPv4 or ARP                     anything else
 *     gateway's MAC           netstack (DHCP: dhcpd)          drop
 *     broadcast               netstack and other ports        other ports
 *                             (DHCP: dhcpd alone)
 *     other group             other ports                     other ports
 *     01:80:c2:00:00:0x       drop: a bridge does not forward these (IEEE 802.1D 7.12.6)
 *     a station               its port                        its port
 *
 * An ARP that says it comes from the gateway's address goes to netstack alone, which defends the
 * address (RFC 5227): no other guest may believe it. Frames with a mere priority tag (802.1Q, VLAN
 * 0) are dropped, because stations read them as if untagged and none of the rules above would hold.
 *
 * With SecureNAT disabled (off) none of this holds: the gateway's addresses are nobody's, and DHCP is for a server among
 * the guests. For a moment after its MAC changed the gateway has two.
 *
 * DHCP requests are not flooded while our own server serves the hub: a guest that plays DHCP server
 * must not even hear them. A request that a guest routes to a far server (destination IP not the
 * gateway's) is ordinary traffic. For the same reason what a guest says as a server reaches no
 * other guest while ours serves: dhcpd alone hears it, and stops serving that port.
 *
 * Fixed offsets, one variable header length, no loops over guest data.
 */
#include "steer.h"

#include <string.h>

#include "wire/wire.h"

enum {
	STEER_DHCP_PORT = 67,
	STEER_CLIENT_PORT = 68,
	IP_FRAGMENT_MASK = 0x3fff,
	IP_HEADER_MIN = 20,
	IP_SOURCE = ETH_HEADER_BYTES + 12,
	ARP_SENDER_MAC = ETH_HEADER_BYTES + 8,
	ARP_SENDER = ETH_HEADER_BYTES + 14,
	ARP_BYTES = ETH_HEADER_BYTES + 28,
	TAG_CUSTOMER = 0x8100,
	TAG_SERVICE = 0x88a8,
	TAG_VLAN = 0x0fff
};

static const uint8_t steer_broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t steer_zero[6];
static const uint8_t steer_link_local[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};

static uint16_t steer_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/*
 * The UDP header of a whole IPv4 datagram (not a fragment) while our server serves; NULL if it is
 * none.
 */
static const uint8_t *steer_udp(const struct steer_gateway *g, const uint8_t *frame, size_t bytes)
{
	const uint8_t *ip = frame + ETH_HEADER_BYTES;
	size_t left = bytes - ETH_HEADER_BYTES;
	size_t header;
	if (g->off || !g->dhcp || left < IP_HEADER_MIN || ip[0] >> 4 != 4)
		return NULL;
	header = (size_t)(ip[0] & 15) * 4;
	if (header < IP_HEADER_MIN || left < header + 8 || ip[9] != IP_PROTO_UDP ||
		(steer_u16(ip + 6) & IP_FRAGMENT_MASK))
		return NULL;
	return ip + header;
}

/* A DHCP request that is meant for this link. */
static bool steer_is_request(const struct steer_gateway *g, const uint8_t *frame, size_t bytes)
{
	const uint8_t *udp = steer_udp(g, frame, bytes);
	if (!udp || steer_u16(udp + 2) != STEER_DHCP_PORT)
		return false;
	return steer_is_group(frame) || memcmp(frame + ETH_HEADER_BYTES + 16, &g->ip_be, 4) == 0;
}

/* What a DHCP server says to a client. */
static bool steer_is_reply(const struct steer_gateway *g, const uint8_t *frame, size_t bytes)
{
	const uint8_t *udp =
		steer_u16(frame + 12) == ETHERTYPE_IP4 ? steer_udp(g, frame, bytes) : NULL;
	return udp && steer_u16(udp) == STEER_DHCP_PORT && steer_u16(udp + 2) == STEER_CLIENT_PORT;
}

static bool steer_claims_gateway(const struct steer_gateway *g, const uint8_t *frame, size_t bytes)
{
	return steer_u16(frame + 12) == ETHERTYPE_ARP_ && bytes >= ARP_SENDER + 4 &&
	       !memcmp(frame + ARP_SENDER, &g->ip_be, 4);
}

static bool steer_is_priority_tagged(const uint8_t *frame, size_t bytes)
{
	uint16_t type = steer_u16(frame + 12);
	return (type == TAG_CUSTOMER || type == TAG_SERVICE) &&
	       (bytes < ETH_HEADER_BYTES + 2 || !(steer_u16(frame + 14) & TAG_VLAN));
}

bool steer_owns(const struct steer_gateway *g, const uint8_t mac[6])
{
	return !memcmp(mac, g->mac, 6) ||
	       (memcmp(g->former_mac, steer_zero, 6) && !memcmp(mac, g->former_mac, 6));
}

bool steer_is_gateway(const struct steer_gateway *g, const uint8_t mac[6])
{
	return !g->off && steer_owns(g, mac);
}

static struct steer steer_drop(enum drop why)
{
	return (struct steer){0, why};
}

/* A frame that is for the gateway, alone (also = 0) or among others. */
static struct steer steer_inside(
	const struct steer_gateway *g, const uint8_t *frame, size_t bytes, uint8_t also)
{
	switch (steer_u16(frame + 12)) {
	case ETHERTYPE_IP4:
		if (steer_is_request(g, frame, bytes))
			return (struct steer){STEER_DHCPD, DROP_DHCP_BAD};
		return (struct steer){STEER_NETSTACK | also, DROP_NO_PORT};
	case ETHERTYPE_ARP_: return (struct steer){STEER_NETSTACK | also, DROP_NO_PORT};
	default: return (struct steer){also, DROP_ETHERTYPE};
	}
}

struct steer steer_frame(const struct steer_gateway *g, const uint8_t *frame, size_t bytes)
{
	const uint8_t *destination = frame, *source = frame + 6;
	if (bytes < ETH_HEADER_BYTES)
		return steer_drop(DROP_FRAME_SHORT);
	if (steer_is_group(source) || !memcmp(source, steer_zero, 6) || steer_is_gateway(g, source))
		return steer_drop(DROP_MAC_SPOOF);
	if (steer_is_priority_tagged(frame, bytes))
		return steer_drop(DROP_ETHERTYPE);
	if (!g->off && steer_claims_gateway(g, frame, bytes))
		return (struct steer){STEER_NETSTACK, DROP_ARP_SPOOF};
	if (steer_is_reply(g, frame, bytes))
		return (struct steer){STEER_DHCPD, DROP_DHCP_BAD};
	if (steer_is_gateway(g, destination))
		return steer_inside(g, frame, bytes, 0);
	if (!g->off && !memcmp(destination, steer_broadcast, 6))
		return steer_inside(g, frame, bytes, STEER_FLOOD);
	if (!memcmp(destination, steer_link_local, 5) && destination[5] < 16)
		return steer_drop(DROP_LINK_LOCAL);
	return (struct steer){
		steer_is_group(destination) ? STEER_FLOOD : STEER_STATION, DROP_NO_PORT};
}

bool steer_claims(const uint8_t *frame, size_t bytes, struct steer_claim *claim)
{
	static const uint8_t ethernet_ip4[] = {0, 1, 8, 0, 6, 4};
	if (bytes < ARP_BYTES || steer_u16(frame + 12) != ETHERTYPE_ARP_ ||
		memcmp(frame + ETH_HEADER_BYTES, ethernet_ip4, sizeof ethernet_ip4))
		return false;
	claim->mac = frame + ARP_SENDER_MAC;
	memcpy(&claim->ip_be, frame + ARP_SENDER, sizeof claim->ip_be);
	return claim->ip_be != 0;
}

uint32_t steer_guest(const uint8_t *frame, size_t bytes)
{
	uint32_t ip_be;
	size_t at;
	if (bytes < ETH_HEADER_BYTES)
		return 0;
	switch (steer_u16(frame + 12)) {
	case ETHERTYPE_IP4: at = IP_SOURCE; break;
	case ETHERTYPE_ARP_: at = ARP_SENDER; break;
	default: return 0;
	}
	if (bytes < at + sizeof ip_be)
		return 0;
	memcpy(&ip_be, frame + at, sizeof ip_be);
	return ip_be;
}
