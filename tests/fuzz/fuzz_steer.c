/* Any bytes as a frame: what is read stays inside it, and a verdict keeps its promises. */
#include <stdlib.h>
#include <string.h>

#include "steer.h"
#include "vnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct steer_gateway g = {.mac = {0, 0xac, 1, 2, 3, 4}, .ip_be = 0x011ea8c0};
	struct wire_vnet v = {0};
	struct steer s;
	struct steer_claim claim;
	if (bytes < 1 + WIRE_VNET_BYTES)
		return 0;
	g.dhcp = data[0] & 1;
	g.off = data[0] & 2;
	g.former_mac[1] = data[0] & 4 ? 0xab : 0;
	memcpy(&v, data + 1, WIRE_VNET_BYTES);
	data += 1 + WIRE_VNET_BYTES;
	bytes -= 1 + WIRE_VNET_BYTES;
	if (vnet_ok(&v, (uint32_t)bytes) && (v.flags & WIRE_VNET_NEEDS_CSUM))
		require((size_t)v.csum_start + v.csum_offset + 2 <= bytes);
	(void)steer_guest(data, bytes);
	s = steer_frame(&g, data, bytes);
	require(s.why < DROP_COUNT);
	if (bytes < ETH_HEADER_BYTES || steer_is_group(data + 6) || steer_is_gateway(&g, data + 6))
		require(s.to == 0);
	if (g.off)
		require(!(s.to & (STEER_NETSTACK | STEER_DHCPD)));
	if (steer_claims(data, bytes, &claim))
		require(claim.ip_be && claim.mac >= data && claim.mac + 6 <= data + bytes);
	if (s.to & STEER_DHCPD)
		require(g.dhcp && s.to == STEER_DHCPD && bytes >= 42);
	if (s.to & STEER_STATION)
		require(s.to == STEER_STATION && !steer_is_group(data));
	return 0;
}
