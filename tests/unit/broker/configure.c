/* The hub's configuration changes under the switch: the gateway moves, goes away and comes back, DHCP and the guard of ARP. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "world.h"

enum { IP4 = 0x0800, ARP = 0x0806, LIMIT = 8 };

static const uint8_t new_mac[6] = {0x00, 0xac, 9, 9, 9, 9};
static uint8_t frame[2000];
static struct bridge_change change;

static void setup(void)
{
	world_open(true, LIMIT);
	world.now_ns = 1000 * UINT64_C(1000000000);
	change = (struct bridge_change){
		.gateway = world.bridge.config.gateway, .macs_per_port = LIMIT};
}

TestSuite(configure, .init = setup);

static void configure(void)
{
	bridge_configure(&world.bridge, &change, world.now_ns);
}

static unsigned int heard(void)
{
	unsigned int set = 0;
	for (uint32_t i = 0; i < world.writes; i++)
		set |= 1u << world.write[i].slot;
	world.writes = 0;
	return set;
}

static void say(unsigned int slot, const uint8_t *to, uint8_t from, uint16_t type)
{
	static const struct wire_vnet none;
	world_frame(frame, 100, to, world_mac(from), type);
	cr_assert(world_arrives(slot, slot < 2 ? &none : NULL, frame, 100));
}

static bool netstack_hears(void)
{
	struct ring_desc d;
	int got = world_netstack_gets(&d);
	if (got == 1)
		cr_assert_eq(world_netstack_releases(&d), 0);
	return got == 1;
}

/* netstack speaks to all under a MAC. */
static int speak(const uint8_t *mac)
{
	struct ring_desc d = {.op = RING_NETSTACK_SEND, .hlen = 60, .flow = RING_PORT_BY_MAC};
	struct ring_header h = {0};
	memcpy(h.frame, world_broadcast, 6);
	memcpy(h.frame + 6, mac, 6);
	return world_netstack_sends(&d, &h);
}

static void say_arp(unsigned int slot, uint8_t from, const uint8_t *claimed_mac, uint8_t host)
{
	static const struct wire_vnet none;
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 2};
	world_frame(frame, 60, world_broadcast, world_mac(from), ARP);
	memcpy(frame + 14, head, sizeof head);
	memcpy(frame + 22, claimed_mac, 6);
	memcpy(frame + 28, (uint8_t[]){192, 168, 30, host}, 4);
	cr_assert(world_arrives(slot, slot < 2 ? &none : NULL, frame, 60));
}

Test(configure, after_a_new_mac_both_are_the_gateways_for_a_minute)
{
	memcpy(change.gateway.mac, new_mac, 6);
	configure();
	say(0, world_gateway, 1, IP4);
	cr_assert(netstack_hears());
	say(0, new_mac, 1, IP4);
	cr_assert(netstack_hears());
	world_frame(frame, 100, world_broadcast, world_gateway, IP4);
	world_arrives(1, NULL, frame, 100);
	world_frame(frame, 100, world_broadcast, new_mac, IP4);
	world_arrives(1, NULL, frame, 100);
	cr_assert_eq(world_drops(DROP_MAC_SPOOF), 2, "and nobody else's");
	cr_assert_eq(speak(world_gateway), 0);
	cr_assert_eq(heard(), 0xf);
	cr_assert_eq(speak(new_mac), 0);
	cr_assert_eq(heard(), 0xf);
	world.now_ns += BRIDGE_FORMER_NS;
	bridge_sweep(&world.bridge, world.now_ns);
	say(0, world_gateway, 1, IP4);
	cr_assert(netstack_hears());
	world.now_ns += 1;
	bridge_sweep(&world.bridge, world.now_ns);
	say(0, world_gateway, 1, IP4);
	cr_assert_not(netstack_hears());
	cr_assert_eq(heard(), 0xe, "any station may have it now");
	cr_assert_eq(speak(world_gateway), -EPROTO);
}

Test(configure, a_mac_that_the_gateway_never_had_is_a_lie)
{
	cr_assert_eq(speak(new_mac), -EPROTO);
}

/* Several changes in a row: netstack may be a step behind, which is no lie, but not heard either. */
Test(configure, one_that_is_two_changes_behind_is_not_heard)
{
	memcpy(change.gateway.mac, new_mac, 6);
	configure();
	change.gateway.mac[5] = 1;
	configure();
	cr_assert_eq(speak(world_gateway), 0);
	cr_assert_eq(heard(), 0);
	cr_assert_eq(world_drops(DROP_MAC_SPOOF), 1);
	cr_assert_eq(speak(new_mac), 0);
	cr_assert_eq(heard(), 0xf);
}

Test(configure, without_a_gateway_the_hub_is_a_switch)
{
	static const uint8_t dhcp[] = {0x45, 0, 1, 30, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255,
		255, 255, 255, 0, 68, 0, 67};
	change.gateway.off = true;
	configure();
	say(0, world_gateway, 1, IP4);
	cr_assert_eq(heard(), 0xe, "nobody has this address");
	say_arp(0, 1, world_mac(1), 10);
	cr_assert_eq(heard(), 0xe);
	say_arp(0, 1, world_mac(1), 1);
	cr_assert_eq(heard(), 0xe, "a guest may be the gateway now");
	say(1, world_mac(1), 2, IP4);
	cr_assert_eq(heard(), 1);
	world_frame(frame, 300, world_broadcast, world_mac(1), IP4);
	memcpy(frame + 14, dhcp, sizeof dhcp);
	world_arrives(0, &(struct wire_vnet){0}, frame, 300);
	cr_assert_eq(heard(), 0xe, "and serve addresses");
	cr_assert_eq(world.dhcp_heard, 0);
	cr_assert_not(netstack_hears());
	cr_assert_eq(world_all_drops(), 0);
}

Test(configure, a_gateway_that_goes_may_take_its_leave_and_comes_back_with_new_counters)
{
	say(0, world_gateway, 1, IP4);
	cr_assert(netstack_hears());
	change.gateway.off = true;
	configure();
	cr_assert_eq(speak(world_gateway), 0);
	cr_assert_eq(heard(), 0xf);
	world.now_ns += BRIDGE_LEAVE_NS + 1;
	cr_assert_eq(speak(world_gateway), 0);
	cr_assert_eq(heard(), 0);
	cr_assert_eq(world_drops(DROP_DENIED), 1);
	world_frame(frame, 300, world_broadcast, world_gateway, IP4);
	cr_assert_eq(bridge_answer(&world.bridge, frame, 300, true, 0, world.now_ns), 0);
	cr_assert_eq(heard(), 0);
	change.gateway.off = false;
	configure();
	cr_assert_eq(world.bridge.gateway.tx_frames, 0);
	cr_assert_eq(world.bridge.gateway.dropped, 0);
	say(0, world_gateway, 1, IP4);
	cr_assert(netstack_hears());
	cr_assert_eq(speak(world_gateway), 0);
	cr_assert_eq(heard(), 0xf);
}

/* Off from the beginning, as a hub whose SecureNAT was not switched on yet. */
Test(configure, a_gateway_that_never_was_says_nothing)
{
	world.bridge.config.gateway.off = true;
	world.now_ns = 1;
	cr_assert_eq(speak(world_gateway), 0);
	cr_assert_eq(heard(), 0);
}

Test(configure, dhcp_goes_to_our_server_or_to_the_guests)
{
	static const uint8_t ip[] = {0x45, 0, 1, 30, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255,
		255, 255, 0, 68, 0, 67};
	for (int round = 0; round < 4; round++) {
		change.gateway.dhcp = round & 1;
		configure();
		world.dhcp_heard = 0;
		world_frame(frame, 300, world_broadcast, world_mac(1), IP4);
		memcpy(frame + 14, ip, sizeof ip);
		world_arrives(0, &(struct wire_vnet){0}, frame, 300);
		cr_assert_eq(world.dhcp_heard, round & 1);
		cr_assert_eq(heard(), round & 1 ? 0 : 0xe);
		cr_assert_eq(netstack_hears(), !(round & 1));
	}
}

Test(configure, fewer_stations_a_port)
{
	for (uint8_t n = 1; n <= 5; n++)
		say(0, world_gateway, n, IP4);
	change.macs_per_port = 3;
	configure();
	say(0, world_gateway, 4, IP4);
	cr_assert_eq(world_drops(DROP_MAC_LIMIT), 0, "who is here stays");
	say(0, world_gateway, 6, IP4);
	cr_assert_eq(world_drops(DROP_MAC_LIMIT), 1);
	cr_assert_eq(world.bridge.crowded, 1);
	change.macs_per_port = LIMIT;
	configure();
	say(0, world_gateway, 6, IP4);
	cr_assert_eq(world_drops(DROP_MAC_LIMIT), 1);
	cr_assert_eq(world.bridge.crowded, 0);
}

Test(configure, a_larger_mtu_is_for_ports_that_are_there_too)
{
	static uint8_t longer[3000];
	struct wire_vnet none = {0};
	world_frame(longer, 2014, world_broadcast, world_mac(1), IP4);
	world_arrives(0, &none, longer, 2014);
	cr_assert_eq(world_drops(DROP_FRAME_LONG), 1);
	change.mtu = 2000;
	configure();
	world_arrives(0, &none, longer, 2014);
	cr_assert_eq(heard(), 0xe);
	change.mtu = 900;
	configure();
	world_arrives(0, &none, longer, 2014);
	cr_assert_eq(heard(), 0xe, "who has the larger one may use it");
	cr_assert_eq(world_drops(DROP_FRAME_LONG), 1);
}

Test(configure, arp_for_a_neighbours_address_reaches_nobody)
{
	say_arp(0, 1, world_mac(1), 10);
	cr_assert_eq(heard(), 0xe);
	cr_assert(netstack_hears());
	say_arp(1, 2, world_mac(2), 10);
	cr_assert_eq(heard(), 0);
	cr_assert_not(netstack_hears());
	cr_assert_eq(world_drops(DROP_ARP_SPOOF), 1);
	cr_assert_eq(world.bridge.port[1].counts.dropped, 1);
	say_arp(1, 2, world_mac(7), 10);
	cr_assert_eq(heard(), 0, "for somebody else neither");
	say_arp(1, 2, world_mac(2), 11);
	cr_assert_eq(heard(), 0xd);
	change.open_arp = true;
	configure();
	say_arp(1, 2, world_mac(2), 10);
	cr_assert_eq(heard(), 0xd);
}

Test(configure, a_port_that_goes_frees_its_addresses)
{
	uint8_t mac[6];
	uint32_t cursor = 0;
	say_arp(0, 1, world_mac(1), 10);
	heard();
	while (fdb_forget(&world.bridge.fdb, 0, &cursor, mac))
		;
	bridge_detach(&world.bridge, 0);
	say_arp(1, 2, world_mac(2), 10);
	cr_assert_eq(heard(), 0xc);
}

/* dhcpd's ACK, as codec.c writes it. */
static void acknowledge(uint8_t type, uint8_t host, const uint8_t *mac)
{
	memset(frame, 0, 342);
	memcpy(frame, mac, 6);
	memcpy(frame + 6, world_gateway, 6);
	memcpy(frame + 42 + 16, (uint8_t[]){192, 168, 30, host}, 4);
	memcpy(frame + 42 + 28, mac, 6);
	memcpy(frame + 42 + 236, (uint8_t[]){99, 130, 83, 99, 53, 1, type}, 7);
	cr_assert_eq(bridge_answer(&world.bridge, frame, 342, false, 100, world.now_ns), 0);
	heard();
}

Test(configure, a_lease_makes_an_address_ones_own)
{
	say(0, world_gateway, 1, IP4);
	say_arp(1, 2, world_mac(2), 10);
	heard();
	acknowledge(2, 10, world_mac(1));
	say_arp(1, 2, world_mac(2), 10);
	cr_assert_eq(heard(), 0xd, "an offer is no lease");
	acknowledge(5, 10, world_mac(1));
	say_arp(1, 2, world_mac(2), 10);
	cr_assert_eq(heard(), 0);
	cr_assert_eq(world_drops(DROP_ARP_SPOOF), 1);
	say_arp(0, 1, world_mac(1), 10);
	cr_assert_eq(heard(), 0xe);
}
