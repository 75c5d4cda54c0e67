/*
 * Where a frame goes, by its first bytes: the broker's whole knowledge of protocols. It reads
 * Ethernet, and of IPv4 only what tells DHCP (RFC 2131 4.1: UDP ports 67 and 68) from
 * everything else. Pure.
 */
#ifndef NATLOCK_BROKER_STEER_H
#define NATLOCK_BROKER_STEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drop.h"

/* What a switch is to do with a frame; a set. None of them: drop it, for the reason in `why`. */
enum steer_to {
	STEER_NETSTACK = 1, /* the gateway's own station */
	STEER_DHCPD = 2,
	STEER_STATION = 4, /* the port behind which the destination lives; all others while that is
			      unknown */
	STEER_FLOOD = 8,   /* every other port */
};

struct steer {
	uint8_t to;    /* set of enum steer_to */
	enum drop why; /* why it is dropped, or would be if no port takes it */
};

struct steer_gateway {
	uint8_t mac[6];
	uint8_t former_mac
		[6]; /* what it was before a change: frames to it still are for the gateway; zero = none */
	uint32_t ip_be;
	bool off; /* SecureNAT is disabled: nobody has these addresses, frames pass between ports only */
	bool dhcp; /* dhcpd answers on this hub: requests go to it alone, not to other ports */
};

/* Frame: `bytes` contiguous bytes, at least its headers; any content. Source addresses are checked
 * here (MAC_SPOOF). */
struct steer steer_frame(const struct steer_gateway *g, const uint8_t *frame, size_t bytes);

/*
 * The guest that a frame is from, by which its shard is chosen: an IPv4 packet's source, an ARP packet's sender
 * address; 0 when there is none (IPv6, a truncated header, ARP before an address). As steer_frame otherwise.
 */
uint32_t steer_guest(const uint8_t *frame, size_t bytes);

/* What an ARP packet over Ethernet and IPv4 says of its sender (RFC 826). */
struct steer_claim {
	const uint8_t *mac; /* inside the frame */
	uint32_t ip_be;
};
/* False when the frame is no such packet or its sender has no address yet (RFC 5227 probe). */
bool steer_claims(const uint8_t *frame, size_t bytes, struct steer_claim *claim);
/* One of the gateway's MACs, even while it is switched off. */
bool steer_owns(const struct steer_gateway *g, const uint8_t mac[6]);
/* Whether a frame to or from this address is the gateway's. */
bool steer_is_gateway(const struct steer_gateway *g, const uint8_t mac[6]);

/* First octet's low bit: a group address (broadcast or multicast). */
static inline bool steer_is_group(const uint8_t mac[6])
{
	return mac[0] & 1;
}

#endif
