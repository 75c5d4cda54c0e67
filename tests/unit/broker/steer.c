/* Where frames go: every row of steer.c's table, hostile sources, and DHCP requests cut or bent
 * everywhere. */
#include <criterion/criterion.h>
#include <string.h>

#include "steer.h"
#include "wire/wire.h"

static const uint8_t gateway_mac[6] = {0x00, 0xac, 1, 2, 3, 4};
static const uint8_t guest[6] = {0x02, 0, 0, 0, 0, 1};
static const uint8_t station[6] = {0x02, 0, 0, 0, 0, 2};
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t multicast[6] = {0x01, 0x00, 0x5e, 0, 0, 0xfb};

static struct steer_gateway gateway(bool dhcp)
{
	struct steer_gateway g = {.dhcp = dhcp};
	memcpy(g.mac, gateway_mac, 6);
	memcpy(&g.ip_be, (uint8_t[]){192, 168, 30, 1}, 4);
	return g;
}

static struct steer steer_of(const uint8_t *to, const uint8_t *from, uint16_t type, bool dhcp)
{
	uint8_t frame[60] = {0};
	struct steer_gateway g = gateway(dhcp);
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
	frame[14] = 0x45;
	return steer_frame(&g, frame, sizeof frame);
}

/* A DHCP request to `to` and an IP address ending in `last`; 300 bytes. */
static void request(uint8_t *frame, const uint8_t *to, uint8_t last)
{
	memset(frame, 0, 300);
	memcpy(frame, to, 6);
	memcpy(frame + 6, guest, 6);
	memcpy(frame + 12, (uint8_t[]){8, 0, 0x45, 0, 1, 30, 0, 0, 0, 0, 64, 17}, 12);
	memcpy(frame + 30, (uint8_t[]){192, 168, 30, last}, 4);
	memcpy(frame + 34, (uint8_t[]){0, 68, 0, 67}, 4);
}

Test(steer, rows_of_the_table)
{
	static const uint16_t types[] = {0x0800, 0x0806, 0x86dd, 0x8100, 0x0001};
	static const uint8_t inside[] = {STEER_NETSTACK, STEER_NETSTACK, 0, 0, 0};
	static const uint8_t all[] = {STEER_NETSTACK | STEER_FLOOD, STEER_NETSTACK | STEER_FLOOD,
		STEER_FLOOD, STEER_FLOOD, STEER_FLOOD};
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(steer_of(gateway_mac, guest, types[i], true).to, inside[i], "%d", i);
		cr_assert_eq(steer_of(broadcast, guest, types[i], true).to, all[i], "%d", i);
		cr_assert_eq(steer_of(multicast, guest, types[i], true).to, STEER_FLOOD, "%d", i);
		cr_assert_eq(steer_of(station, guest, types[i], true).to, STEER_STATION, "%d", i);
	}
	cr_assert_eq(steer_of(gateway_mac, guest, 0x86dd, true).why, DROP_ETHERTYPE);
}

Test(steer, sources_that_cannot_be)
{
	static const uint8_t zero[6];
	const uint8_t *sources[] = {gateway_mac, zero, broadcast, multicast};
	const uint8_t *destinations[] = {gateway_mac, broadcast, multicast, station};
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4; j++) {
			struct steer s = steer_of(destinations[j], sources[i], 0x0800, true);
			cr_assert_eq(s.to, 0);
			cr_assert_eq(s.why, DROP_MAC_SPOOF);
		}
}

Test(steer, reserved_groups_stay_on_their_link)
{
	uint8_t to[6] = {0x01, 0x80, 0xc2, 0, 0, 0};
	for (int i = 0; i < 256; i++) {
		struct steer s;
		to[5] = (uint8_t)i;
		s = steer_of(to, guest, 0x88cc, true);
		cr_assert_eq(s.to, i < 16 ? 0 : STEER_FLOOD);
		cr_assert(i >= 16 || s.why == DROP_LINK_LOCAL);
	}
}

Test(steer, short_frames)
{
	uint8_t frame[300];
	struct steer_gateway g = gateway(true);
	request(frame, broadcast, 255);
	for (size_t n = 0; n < ETH_HEADER_BYTES; n++) {
		struct steer s = steer_frame(&g, frame, n);
		cr_assert_eq(s.to, 0);
		cr_assert_eq(s.why, DROP_FRAME_SHORT);
	}
}

Test(steer, whose_frame_it_is)
{
	static const struct {
		uint16_t type;
		size_t at;
	} cases[] = {{0x0800, 26}, {0x0806, 28}};
	uint8_t frame[60] = {0};
	uint32_t ip_be;
	memcpy(&ip_be, (uint8_t[]){192, 168, 30, 77}, 4);
	for (int i = 0; i < 2; i++) {
		memset(frame, 0, sizeof frame);
		frame[12] = (uint8_t)(cases[i].type >> 8);
		frame[13] = (uint8_t)cases[i].type;
		memcpy(frame + cases[i].at, &ip_be, 4);
		for (size_t n = 0; n <= sizeof frame; n++)
			cr_assert_eq(
				steer_guest(frame, n), n < cases[i].at + 4 ? 0 : ip_be, "%zu", n);
	}
	memset(frame, 0x11, sizeof frame);
	frame[12] = 0x86;
	frame[13] = 0xdd;
	cr_assert_eq(steer_guest(frame, sizeof frame), 0);
}

Test(steer, dhcp_requests_go_to_dhcpd_alone)
{
	uint8_t frame[300];
	struct steer_gateway g = gateway(true), off = gateway(false);
	request(frame, broadcast, 255);
	cr_assert_eq(steer_frame(&g, frame, 300).to, STEER_DHCPD);
	cr_assert_eq(steer_frame(&off, frame, 300).to, STEER_NETSTACK | STEER_FLOOD);
	request(frame, gateway_mac, 1);
	cr_assert_eq(steer_frame(&g, frame, 300).to, STEER_DHCPD, "a renewal");
	cr_assert_eq(steer_frame(&off, frame, 300).to, STEER_NETSTACK);
	request(frame, gateway_mac, 9);
	cr_assert_eq(
		steer_frame(&g, frame, 300).to, STEER_NETSTACK, "for a server beyond the gateway");
	request(frame, station, 1);
	cr_assert_eq(steer_frame(&g, frame, 300).to, STEER_STATION);
}

Test(steer, what_a_guest_says_as_a_dhcp_server_reaches_no_other)
{
	uint8_t frame[300];
	struct steer_gateway g = gateway(true), off = gateway(false);
	const uint8_t *to[] = {broadcast, gateway_mac, station, multicast};
	for (int i = 0; i < 4; i++) {
		request(frame, to[i], 77);
		memcpy(frame + 34, (uint8_t[]){0, 67, 0, 68}, 4);
		cr_assert_eq(steer_frame(&g, frame, 300).to, STEER_DHCPD, "%d", i);
		cr_assert_neq(steer_frame(&off, frame, 300).to, STEER_DHCPD, "%d", i);
		frame[12] = 0x86;
		cr_assert_neq(steer_frame(&g, frame, 300).to, STEER_DHCPD, "not IPv4 %d", i);
	}
	request(frame, station, 77);
	memcpy(frame + 34, (uint8_t[]){0, 66, 0, 68}, 4);
	cr_assert_eq(steer_frame(&g, frame, 300).to, STEER_STATION, "not from a server's port");
	memcpy(frame + 34, (uint8_t[]){0, 67, 0, 68}, 4);
	g.off = true;
	cr_assert_eq(steer_frame(&g, frame, 300).to, STEER_STATION, "a hub without gateway is a switch");
}

Test(steer, dhcp_needs_a_whole_header_at_every_length)
{
	uint8_t frame[300];
	struct steer_gateway g = gateway(true);
	request(frame, broadcast, 255);
	for (size_t n = ETH_HEADER_BYTES; n <= 300; n++) {
		uint8_t *exact = malloc(n);
		memcpy(exact, frame, n);
		cr_assert_eq(steer_frame(&g, exact, n).to,
			n < 42 ? STEER_NETSTACK | STEER_FLOOD : STEER_DHCPD);
		free(exact);
	}
}

Test(steer, bent_requests_are_not_dhcp)
{
	static const struct {
		int at;
		uint8_t value;
	} bends[] = {{14, 0x65}, {14, 0x44}, {14, 0x40}, {23, 6}, {20, 0x20}, {20, 0x1f}, {21, 1},
		{37, 68}, {36, 1}};
	struct steer_gateway g = gateway(true);
	for (size_t i = 0; i < sizeof bends / sizeof bends[0]; i++) {
		uint8_t frame[300];
		request(frame, broadcast, 255);
		frame[bends[i].at] = bends[i].value;
		cr_assert_eq(
			steer_frame(&g, frame, 300).to, STEER_NETSTACK | STEER_FLOOD, "%zu", i);
	}
}

Test(steer, dhcp_behind_ip_options)
{
	uint8_t frame[300];
	struct steer_gateway g = gateway(true);
	request(frame, broadcast, 255);
	frame[14] = 0x4f;
	cr_assert_eq(
		steer_frame(&g, frame, 300).to, STEER_NETSTACK | STEER_FLOOD, "port is elsewhere");
	memcpy(frame + 14 + 60, (uint8_t[]){0, 68, 0, 67}, 4);
	cr_assert_eq(steer_frame(&g, frame, 300).to, STEER_DHCPD);
	frame[20] = 0x40;
	cr_assert_eq(steer_frame(&g, frame, 300).to, STEER_DHCPD, "don't-fragment is no fragment");
}

/* An ARP reply of `guest` for 192.168.30.`last`, `bytes` of it. */
static struct steer arp_from(const uint8_t *to, uint8_t last, size_t bytes)
{
	uint8_t frame[42] = {0};
	struct steer_gateway g = gateway(true);
	memcpy(frame, to, 6);
	memcpy(frame + 6, guest, 6);
	memcpy(frame + 12, (uint8_t[]){8, 6, 0, 1, 8, 0, 6, 4, 0, 2}, 10);
	memcpy(frame + 22, guest, 6);
	memcpy(frame + 28, (uint8_t[]){192, 168, 30, last}, 4);
	return steer_frame(&g, frame, bytes);
}

Test(steer, no_guest_hears_another_claim_the_gateways_address)
{
	cr_assert_eq(arp_from(broadcast, 1, 42).to, STEER_NETSTACK);
	cr_assert_eq(arp_from(station, 1, 42).to, STEER_NETSTACK);
	cr_assert_eq(arp_from(multicast, 1, 42).to, STEER_NETSTACK);
	cr_assert_eq(arp_from(gateway_mac, 1, 42).to, STEER_NETSTACK);
	cr_assert_eq(arp_from(broadcast, 2, 42).to, STEER_NETSTACK | STEER_FLOOD);
	cr_assert_eq(arp_from(station, 2, 42).to, STEER_STATION);
	cr_assert_eq(arp_from(station, 1, 32).to, STEER_NETSTACK);
	cr_assert_eq(arp_from(station, 1, 31).to, STEER_STATION); /* too short to claim anything */
}

Test(steer, priority_tags_hide_nothing)
{
	static const uint8_t tags[][4] = {
		{0x81, 0, 0xe0, 0}, {0x81, 0, 0, 0}, {0x88, 0xa8, 0x10, 0}};
	uint8_t frame[46] = {0};
	struct steer_gateway g = gateway(true);
	memcpy(frame + 6, guest, 6);
	for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
		memcpy(frame, station, 6);
		memcpy(frame + 12, tags[i], 4);
		cr_assert_eq(steer_frame(&g, frame, sizeof frame).to, 0);
		cr_assert_eq(steer_frame(&g, frame, sizeof frame).why, DROP_ETHERTYPE);
		cr_assert_eq(steer_frame(&g, frame, 14).to, 0);
		frame[15] = 7; /* a VLAN of the guests' own is theirs */
		cr_assert_eq(steer_frame(&g, frame, sizeof frame).to, STEER_STATION);
	}
}
