/*
 * Theory of operation
 *
 * The kernel puts this header in front of a frame to say what it left undone: a checksum to be
 * completed from csum_start on, or a cut into segments of gso_size bytes. A guest with the right to
 * open packet sockets chooses the header's contents, and so does a netstack that was taken over;
 * both are held to the same few ranges. The legacy UDP fragmentation type (3) is refused: no kernel
 * makes it any more.
 */
#include "vnet.h"

/* The kernel refuses to cut datagrams whose checksum it is not asked to complete. */
static bool vnet_gso_udp_ok(const struct wire_vnet *v)
{
	return vnet_gso(v) == VNET_GSO_UDP && (v->flags & WIRE_VNET_NEEDS_CSUM) &&
	       v->csum_offset == WIRE_UDP_CSUM_OFFSET;
}

static bool vnet_gso_ok(const struct wire_vnet *v)
{
	bool tcp = vnet_gso(v) == VNET_GSO_TCP4 || vnet_gso(v) == VNET_GSO_TCP6;
	if (v->gso_type == VNET_GSO_NONE)
		return true;
	if ((v->gso_type & VNET_GSO_ECN) && !tcp)
		return false;
	return (tcp || vnet_gso_udp_ok(v)) && v->gso_size > 0;
}

static bool vnet_checksum_ok(const struct wire_vnet *v, uint32_t bytes)
{
	if (!(v->flags & WIRE_VNET_NEEDS_CSUM))
		return true;
	return v->csum_start >= ETH_HEADER_BYTES &&
	       (uint32_t)v->csum_start + v->csum_offset + 2 <= bytes;
}

bool vnet_ok(const struct wire_vnet *v, uint32_t bytes)
{
	if (v->flags & ~(WIRE_VNET_NEEDS_CSUM | WIRE_VNET_DATA_VALID))
		return false;
	return v->hdr_len <= bytes && vnet_gso_ok(v) && vnet_checksum_ok(v, bytes);
}
