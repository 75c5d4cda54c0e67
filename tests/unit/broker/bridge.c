/* The switch as a whole: delivery, learning, checks of frames, back-pressure, what netstack and
 * dhcpd send, and their lies. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "vnet.h"
#include "world.h"

enum { IP4 = 0x0800, ARP = 0x0806, IP6 = 0x86dd };

static uint8_t frame[66000];
static const struct wire_vnet partial = {.flags = 1, .csum_start = 34, .csum_offset = 16};
static const struct wire_vnet none;

/* A frame of 100 bytes from `from` to `to` arrives at a port. */
static void say(unsigned int slot, const uint8_t *to, const uint8_t *from, uint16_t type)
{
	world_frame(frame, 100, to, from, type);
	cr_assert(world_arrives(slot, slot < 2 ? &none : NULL, frame, 100));
}

/* The set of slots written to since the last call. */
static unsigned int heard(void)
{
	unsigned int set = 0;
	for (uint32_t i = 0; i < world.writes; i++)
		set |= 1u << world.write[i].slot;
	world.writes = 0;
	return set;
}

static bool netstack_hears(void)
{
	struct ring_desc d;
	int got = world_netstack_gets(&d);
	if (got == 1)
		cr_assert_eq(world_netstack_releases(&d), 0);
	return got == 1;
}

Test(bridge, floods_unknown_then_learns)
{
	world_open(true, 8);
	say(0, world_mac(2), world_mac(1), IP4);
	cr_assert_eq(heard(), 0xe, "unknown: all but the port it came from");
	cr_assert_not(netstack_hears());
	say(1, world_mac(1), world_mac(2), IP4);
	cr_assert_eq(heard(), 0x1);
	say(0, world_mac(2), world_mac(1), IP6);
	cr_assert_eq(heard(), 0x2, "other protocols are switched too");
	say(1, world_mac(2), world_mac(3), IP4);
	cr_assert_eq(heard(), 0, "never back out of its own port");
	cr_assert_eq(world_drops(DROP_NO_PORT), 1);
}

Test(bridge, gateway_and_broadcast_reach_netstack)
{
	world_open(true, 8);
	say(0, world_gateway, world_mac(1), IP4);
	cr_assert_eq(heard(), 0);
	cr_assert(netstack_hears());
	say(0, world_broadcast, world_mac(1), ARP);
	cr_assert_eq(heard(), 0xe);
	cr_assert(netstack_hears());
	say(0, world_broadcast, world_mac(1), IP6);
	cr_assert_eq(heard(), 0xe);
	cr_assert_not(netstack_hears());
	say(0, world_gateway, world_mac(1), IP6);
	cr_assert_not(netstack_hears());
	cr_assert_eq(world_drops(DROP_ETHERTYPE), 1);
}

Test(bridge, frame_descriptor_says_what_the_kernel_vouches_for)
{
	struct ring_desc d;
	struct wire_vnet v = partial;
	world_open(true, 8);
	world_frame(frame, 100, world_gateway, world_mac(1), IP4);
	world_arrives(0, &v, frame, 100);
	cr_assert_eq(world_netstack_gets(&d), 1);
	cr_assert_eq(d.op, RING_BROKER_FRAME);
	cr_assert_eq(d.flow, 100);
	cr_assert_eq(d.nseg, 1);
	cr_assert_eq(d.seg[0].len, 100);
	cr_assert_eq(d.rx.csum_ok, 1);
	cr_assert_eq(d.rx.gso_size, 0);
	cr_assert_eq(memcmp(arena_view_ptr(&world.view, d.seg[0].id, d.seg[0].off), frame, 100), 0);
	v.flags = WIRE_VNET_DATA_VALID;
	world_arrives(0, &v, frame, 100);
	world_netstack_gets(&d);
	cr_assert_eq(d.rx.csum_ok, 1);
	world_arrives(0, &none, frame, 100);
	world_netstack_gets(&d);
	cr_assert_eq(d.rx.csum_ok, 0);
	world_frame(frame, 100, world_gateway, world_mac(3), IP4);
	world_arrives(3, &v, frame, 100);
	world_netstack_gets(&d);
	cr_assert_eq(d.rx.csum_ok, 0, "a virtual machine vouches for nothing");
}

Test(bridge, super_frame_goes_by_reference_in_two_buffers)
{
	struct ring_desc d;
	struct wire_vnet v = {
		.flags = 1, .gso_type = 1, .gso_size = 1448, .csum_start = 34, .csum_offset = 16};
	world_open(true, 8);
	world_frame(frame, 65000, world_gateway, world_mac(1), IP4);
	cr_assert(world_arrives(0, &v, frame, 65000));
	cr_assert_eq(world_netstack_gets(&d), 1);
	cr_assert_eq(d.nseg, 2);
	cr_assert_eq(d.rx.gso_size, 1448);
	cr_assert_eq(d.seg[0].len, 2048);
	cr_assert_eq(d.seg[1].len, 65000 - 2048);
	cr_assert_eq(
		memcmp(arena_view_ptr(&world.view, d.seg[0].id, d.seg[0].off), frame, 2048), 0);
	cr_assert_eq(
		memcmp(arena_view_ptr(&world.view, d.seg[1].id, d.seg[1].off), frame + 2048, 62952),
		0);
	cr_assert_eq(world_netstack_releases(&d), 0);
	cr_assert_eq(world_netstack_releases(&d), -EPROTO, "given back twice");
}

Test(bridge, a_small_frame_pins_no_large_buffer)
{
	struct ring_desc d;
	world_open(true, 8);
	for (uint32_t bytes = 60; bytes <= 1518; bytes += 27) {
		world_frame(frame, bytes, world_gateway, world_mac(1), IP4);
		world_arrives(0, &none, frame, bytes);
		cr_assert_eq(world_netstack_gets(&d), 1);
		cr_assert_eq(d.nseg, 1);
	}
	cr_assert_eq(world.bridge.port[0].lent[BUF_LARGE], 0);
}

Test(bridge, a_dropped_frame_costs_no_buffer)
{
	uint32_t before;
	world_open(true, 8);
	say(0, world_gateway, world_mac(1), IP6);
	before = world.arena.free_count[BUF_SMALL];
	for (int i = 0; i < 10000; i++)
		say(0, world_gateway, world_mac(1), IP6);
	cr_assert_eq(world.arena.free_count[BUF_SMALL], before);
}

Test(bridge, nobody_speaks_as_the_gateway_or_as_a_neighbour)
{
	world_open(true, 8);
	say(0, world_broadcast, world_gateway, ARP);
	say(0, world_broadcast, world_broadcast, ARP);
	cr_assert_eq(world_drops(DROP_MAC_SPOOF), 2);
	say(0, world_gateway, world_mac(1), IP4);
	cr_assert(netstack_hears());
	say(1, world_gateway, world_mac(1), IP4);
	cr_assert_eq(world_drops(DROP_MAC_SPOOF), 3, "lives on port 0");
	cr_assert_not(netstack_hears());
	cr_assert_eq(heard(), 0);
	say(1, world_mac(1), world_mac(2), IP4);
	cr_assert_eq(heard(), 0x1, "and still gets its frames there");
	cr_assert_eq(world.bridge.port[0].counts.dropped, 2);
	cr_assert_eq(world.bridge.port[1].counts.dropped, 1);
}

Test(bridge, mac_limit)
{
	world_open(true, 3);
	for (uint8_t n = 1; n <= 100; n++)
		say(0, world_gateway, world_mac(n), IP4);
	cr_assert_eq(world_drops(DROP_MAC_LIMIT), 97);
	say(1, world_gateway, world_mac(200), IP4);
	cr_assert_eq(world_drops(DROP_MAC_LIMIT), 97);
}

Test(bridge, malformed_frames)
{
	struct wire_vnet v = partial;
	world_open(true, 8);
	world_frame(frame, 2000, world_gateway, world_mac(1), IP4);
	for (uint32_t n = 0; n < 14; n++)
		world_arrives(0, &none, frame, n);
	cr_assert_eq(world_drops(DROP_FRAME_SHORT), 14);
	world_arrives(0, &v, frame, 51);
	v.flags = 4;
	world_arrives(0, &v, frame, 100);
	v = (struct wire_vnet){.gso_type = 3, .gso_size = 1000};
	world_arrives(0, &v, frame, 100);
	v = (struct wire_vnet){.gso_type = VNET_GSO_TCP6, .gso_size = 1000};
	world_arrives(0, &v, frame, 2000);
	cr_assert_eq(world_drops(DROP_VNET_BAD), 4);
	world_arrives(0, &none, frame, 1519);
	world_arrives(3, NULL, frame, 2000);
	cr_assert_eq(world_drops(DROP_FRAME_LONG), 2);
	cr_assert_eq(world_all_drops(), 20);
	cr_assert_not(netstack_hears());
}

Test(bridge, dhcp_requests_are_copied_to_dhcpd)
{
	static const uint8_t ip[] = {0x45, 0, 1, 30, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255,
		255, 255, 0, 68, 0, 67};
	world_open(true, 8);
	world_frame(frame, 1514, world_broadcast, world_mac(1), IP4);
	memcpy(frame + 14, ip, sizeof ip);
	world_arrives(0, &partial, frame, 1514);
	cr_assert_eq(world.dhcp_heard, 1);
	cr_assert_eq(world.dhcp_bytes, 1514);
	cr_assert_eq(world.dhcp_port, 100);
	cr_assert(world.dhcp_csum_ok);
	cr_assert_eq(memcmp(world.dhcp_frame, frame, 1514), 0);
	cr_assert_eq(heard(), 0, "no guest hears it");
	cr_assert_not(netstack_hears());
	world_arrives(0, &none, frame, 1515);
	cr_assert_eq(world_drops(DROP_FRAME_LONG), 1);
	world.dhcp_answer = -EAGAIN;
	world_arrives(0, &none, frame, 300);
	cr_assert_eq(world_drops(DROP_RING_FULL), 1);
}

Test(bridge, one_hoarder_does_not_starve_the_others)
{
	struct ring_desc d;
	uint32_t n = 0;
	world_open(true, 8);
	world_frame(frame, 100, world_gateway, world_mac(1), IP4);
	while (world_arrives(0, &none, frame, 100)) {
		cr_assert_eq(world_netstack_gets(&d), 1);
		n++;
	}
	cr_assert_geq(n, ARENA_SMALL_COUNT * 3 / 4 - 2);
	cr_assert_leq(n, ARENA_SMALL_COUNT * 3 / 4 + 2);
	world_frame(frame, 100, world_gateway, world_mac(2), IP4);
	cr_assert(world_arrives(1, &none, frame, 100));
	cr_assert_eq(world_all_drops(), 0, "what is not taken stays in the kernel's queue");
	cr_assert_eq(world_netstack_releases(&d), 0);
	world_frame(frame, 100, world_gateway, world_mac(1), IP4);
	cr_assert_not(world_arrives(0, &none, frame, 100) && world_arrives(0, &none, frame, 100));
}

Test(bridge, hoarded_large_buffers_neither)
{
	struct ring_desc d;
	uint32_t n = 0;
	struct wire_vnet v = {
		.flags = 1, .gso_type = 1, .gso_size = 1448, .csum_start = 34, .csum_offset = 16};
	world_open(true, 8);
	world_frame(frame, 60000, world_gateway, world_mac(1), IP4);
	while (world_arrives(0, &v, frame, 60000)) {
		cr_assert_eq(world_netstack_gets(&d), 1);
		n++;
	}
	cr_assert_geq(n, ARENA_LARGE_COUNT * 3 / 4 - 2);
	cr_assert(world_arrives(1, &none, frame, 0));
	bridge_detach(&world.bridge, 0);
	bridge_attach(&world.bridge, 0, 500, true, false, 1500);
	cr_assert_eq(world_netstack_releases(&d), 0,
		"buffers of a port that is gone come back all the same");
	cr_assert_eq(world.bridge.port[0].lent[BUF_LARGE], 0);
}

Test(bridge, ring_full_is_back_pressure)
{
	uint32_t n = 0;
	world_open(true, 8);
	for (unsigned int slot = 0; n < 10 * RING_SLOTS; slot = (slot + 1) % 2, n++) {
		world_frame(frame, 60, world_gateway, world_mac((uint8_t)(slot + 1)), IP4);
		if (!world_arrives(slot, &none, frame, 60))
			break;
	}
	cr_assert_leq(n, RING_SLOTS - RING_RESERVED);
	cr_assert_eq(world_all_drops(), 0);
	world_broker_takes();
	while (netstack_hears())
		;
	cr_assert(world_arrives(0, &none, frame, 60));
}

/* A SEND of netstack: header in the slot, 1,000 bytes of payload in natproxy's arena. */
static void answer(struct ring_desc *d, struct ring_header *h, const uint8_t *to, uint32_t port)
{
	uint32_t id = buf_id(ARENA_NATPROXY, 5);
	*d = (struct ring_desc){.op = RING_NETSTACK_SEND, .nseg = 1, .hlen = 54, .flow = port};
	*h = (struct ring_header){0};
	world_frame(h->frame, 54, to, world_gateway, IP4);
	d->seg[0] = (struct ring_seg){buf_offset(5) + 10, 1000, id};
	for (int i = 0; i < 1000; i++)
		world.natproxy_arena.base[buf_offset(5) + 10 + i] = (uint8_t)(i * 13);
}

Test(bridge, send_by_mac_by_number_and_to_all)
{
	struct ring_desc d;
	struct ring_header h;
	world_open(true, 8);
	say(1, world_gateway, world_mac(2), IP4);
	answer(&d, &h, world_mac(2), RING_PORT_BY_MAC);
	cr_assert_eq(world_netstack_sends(&d, &h), 0);
	cr_assert_eq(world.writes, 1);
	cr_assert_eq(world.write[0].slot, 1);
	cr_assert_eq(world.write[0].bytes, 10 + 54 + 1000);
	cr_assert_eq(memcmp(world.write[0].data + 10, h.frame, 54), 0);
	cr_assert_eq(memcmp(world.write[0].data + 64,
			     world.natproxy_arena.base + buf_offset(5) + 10, 1000),
		0);
	heard();
	answer(&d, &h, world_mac(9), RING_PORT_BY_MAC);
	cr_assert_eq(world_netstack_sends(&d, &h), 0);
	cr_assert_eq(heard(), 0xf, "unknown: flooded");
	answer(&d, &h, world_broadcast, RING_PORT_BY_MAC);
	cr_assert_eq(world_netstack_sends(&d, &h), 0);
	cr_assert_eq(heard(), 0xf);
	answer(&d, &h, world_broadcast, 103);
	cr_assert_eq(world_netstack_sends(&d, &h), 0);
	cr_assert_eq(heard(), 0x8);
	answer(&d, &h, world_mac(2), 999);
	cr_assert_eq(world_netstack_sends(&d, &h), 0, "a port that is gone is no lie");
	cr_assert_eq(heard(), 0);
	cr_assert_eq(world_drops(DROP_NO_PORT), 1);
}

/* What a netstack that was taken over may try; each in a fresh world, each must end the edge and
 * write nothing. */
static void lie(const char *what, const struct ring_desc *d, const struct ring_header *h)
{
	cr_assert_eq(world_netstack_sends(d, h), -EPROTO, "%s", what);
	cr_assert_eq(world.writes, 0, "%s", what);
}

#define LIE(CHANGE)                                                                                \
	world_open(true, 8);                                                                       \
	answer(&d, &h, world_broadcast, RING_PORT_BY_MAC);                                         \
	CHANGE;                                                                                    \
	lie(#CHANGE, &d, &h)

Test(bridge, hostile_descriptors)
{
	struct ring_desc d;
	struct ring_header h;
	struct wire_vnet v;
#define LIE_VNET(...)                                                                              \
	v = (struct wire_vnet){__VA_ARGS__};                                                       \
	LIE(memcpy(h.vnet, &v, 10))
	LIE(h.frame[6] ^= 2);
	LIE(memcpy(h.frame + 6, world_mac(1), 6));
	LIE(d.hlen = 13);
	LIE(d.hlen = 117);
	LIE(d.hlen = 0xffff);
	LIE(d.nseg = 5);
	LIE(d.nseg = 255);
	LIE(d.op = RING_OP_COUNT);
	LIE(d.op = RING_BROKER_FRAME);
	LIE(d.seg[0].len = 1 << 20);
	LIE(d.seg[0].len = 0xffffffff);
	LIE(d.seg[0].off = buf_offset(6));
	LIE(d.seg[0].off = buf_offset(5) - 1);
	LIE(d.seg[0].id = buf_id(ARENA_BROKER, 5));
	LIE(d.seg[0].id = buf_id(ARENA_NATPROXY, ARENA_MAX_IDS));
	LIE(d.seg[0].id = 0);
	LIE(d.seg[0].id = 0xffffffff);
	LIE_VNET(.flags = 8);
	LIE_VNET(.gso_type = 2);
	LIE_VNET(.gso_type = 3, .gso_size = 100);
	LIE_VNET(.gso_type = 1);
	LIE_VNET(.flags = 1, .csum_start = 0, .csum_offset = 16);
	LIE_VNET(.flags = 1, .csum_start = 1050, .csum_offset = 3);
	LIE_VNET(.flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff);
	LIE_VNET(.hdr_len = 1055);
}

Test(bridge, hostile_lengths_in_sum)
{
	struct ring_desc d;
	struct ring_header h;
	world_open(true, 8);
	answer(&d, &h, world_broadcast, RING_PORT_BY_MAC);
	d.nseg = 2;
	for (int i = 0; i < 2; i++)
		d.seg[i] = (struct ring_seg){buf_offset(ARENA_SMALL_COUNT + 1), 65536,
			buf_id(ARENA_NATPROXY, ARENA_SMALL_COUNT + 1)};
	lie("two large buffers in one frame", &d, &h);
}

Test(bridge, hostile_releases)
{
	struct ring_desc frame_of_port, d = {.op = RING_NETSTACK_RELEASE_FRAME, .nseg = 1};
	static const uint32_t ids[] = {
		0, 0xffffffff, 0x10000000, 0x10ffffff, 0x20000001, 0x10000005};
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		world_open(true, 8);
		say(0, world_gateway, world_mac(1), IP4);
		world_netstack_gets(&frame_of_port);
		d.ids[0] = ids[i];
		cr_assert_eq(world_netstack_sends(&d, NULL), -EPROTO, "%#x", ids[i]);
	}
	world_open(true, 8);
	d.nseg = 13;
	cr_assert_eq(world_netstack_sends(&d, NULL), -EPROTO);
	world_open(true, 8);
	say(0, world_gateway, world_mac(1), IP6);
	d.nseg = 1;
	d.ids[0] = world.bridge.offer[BUF_SMALL];
	cr_assert_eq(world_netstack_sends(&d, NULL), -EPROTO, "taken, but never lent");
}

Test(bridge, payload_is_not_given_up_before_it_was_written)
{
	struct ring_desc d, got;
	struct ring_header h, gh;
	world_open(true, 8);
	answer(&d, &h, world_broadcast, 103);
	cr_assert_eq(link_send(&world.netstack_end, LINK_DATA, &d, &h), 0);
	link_flush(&world.netstack_end);
	cr_assert_eq(link_peek(&world.broker_end, &got, &gh), 1);
	link_flush(&world.broker_end);
	cr_assert_not(
		link_peer_consumed(&world.netstack_end, link_sent_index(&world.netstack_end)));
	world.answer[3] = -EAGAIN;
	cr_assert_eq(bridge_send(&world.bridge, 0, &got, &gh, 1), 0);
	link_consumed(&world.broker_end);
	link_flush(&world.broker_end);
	cr_assert(link_peer_consumed(&world.netstack_end, link_sent_index(&world.netstack_end)));
	memset(world.natproxy_arena.base + buf_offset(5), 0xee, 2048);
	world.answer[3] = 0;
	bridge_flush(&world.bridge, 3);
	cr_assert_eq(world.writes, 1);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(
			world.write[0].data[54 + i], (uint8_t)(i * 13), "queued frames are copies");
}

Test(bridge, a_blocked_port_does_not_block_the_others)
{
	struct ring_desc d;
	struct ring_header h;
	world_open(true, 8);
	world.answer[1] = -EAGAIN;
	for (int i = 0; i < 1000; i++) {
		answer(&d, &h, world_broadcast, RING_PORT_BY_MAC);
		cr_assert_eq(world_netstack_sends(&d, &h), 0);
	}
	cr_assert_eq(world.bridge.blocked, 2);
	cr_assert_eq(world.writes, 3000);
	cr_assert_eq(world.bridge.port[1].counts.dropped, world_drops(DROP_PORT_BLOCKED));
	cr_assert_eq(world.bridge.port[1].counts.dropped, 1000 - PENDING_BYTES / (4 + 10 + 1054));
	world.answer[1] = 0;
	for (int i = 0; i < 20; i++)
		bridge_flush(&world.bridge, 1);
	cr_assert_eq(world.bridge.blocked, 0);
	cr_assert_eq(world.writes, 3000 + PENDING_BYTES / (4 + 10 + 1054));
}

Test(bridge, a_broken_port_is_reported_and_the_rest_goes_on)
{
	world_open(true, 8);
	world.answer[2] = -EPIPE;
	say(0, world_broadcast, world_mac(1), ARP);
	cr_assert_eq(heard(), 0xa);
	cr_assert_eq(world.bridge.broken, 4);
	say(0, world_broadcast, world_mac(1), ARP);
	cr_assert_eq(heard(), 0xa);
	bridge_detach(&world.bridge, 2);
	cr_assert_eq(world.bridge.broken, 0);
	cr_assert_eq(bridge_slot(&world.bridge, 102), -1);
	cr_assert_eq(bridge_slot(&world.bridge, 103), 3);
}

Test(bridge, partial_checksums_between_guests)
{
	world_open(true, 8);
	say(1, world_gateway, world_mac(2), IP4);
	say(3, world_gateway, world_mac(4), IP4);
	world_frame(frame, 100, world_mac(2), world_mac(1), IP4);
	world_arrives(0, &partial, frame, 100);
	cr_assert_eq(world.write[0].bytes, 110);
	cr_assert_eq(
		memcmp(world.write[0].data, &partial, 10), 0, "passed on to a port with header");
	world_frame(frame, 100, world_mac(4), world_mac(1), IP4);
	world_arrives(0, &partial, frame, 100);
	cr_assert_eq(world.write[1].bytes, 100);
	cr_assert_neq(
		memcmp(world.write[1].data + 50, frame + 50, 2), 0, "completed for a port without");
	cr_assert_eq(memcmp(world.write[1].data, frame, 50), 0);
}

Test(bridge, datagram_super_frames_reach_netstack_whole)
{
	struct ring_desc d;
	struct wire_vnet v = {.flags = 1,
		.gso_type = VNET_GSO_UDP,
		.gso_size = 1400,
		.csum_start = 34,
		.csum_offset = 6};
	world_open(true, 8);
	world_frame(frame, 42 + 3000, world_gateway, world_mac(1), IP4);
	memcpy(frame + 14, (uint8_t[]){0x45, 0, 0, 0, 0, 9, 0, 0, 64, 17}, 10);
	cr_assert(world_arrives(0, &v, frame, 42 + 3000));
	cr_assert_eq(world_netstack_gets(&d), 1);
	cr_assert_eq(d.nseg, 2);
	cr_assert_eq(d.seg[0].len + d.seg[1].len, 42 + 3000);
	cr_assert_eq(d.rx.gso_size, 1400);
	cr_assert_eq(d.rx.csum_ok, 1);
	cr_assert_eq(world_netstack_releases(&d), 0);
	cr_assert_eq(world_netstack_gets(&d), 0);
	v.csum_offset = 16;
	cr_assert(world_arrives(0, &v, frame, 42 + 3000));
	cr_assert_eq(world_netstack_gets(&d), 0);
	cr_assert_eq(world_drops(DROP_VNET_BAD), 1);
}

Test(bridge, answers_of_dhcpd)
{
	world_open(true, 8);
	world_frame(frame, 1600, world_broadcast, world_gateway, IP4);
	cr_assert_eq(bridge_answer(&world.bridge, frame, 300, false, 101, world.now_ns), 0);
	cr_assert_eq(heard(), 0x2);
	cr_assert_eq(bridge_answer(&world.bridge, frame, 1514, true, 0, world.now_ns), 0);
	cr_assert_eq(heard(), 0xf);
	cr_assert_eq(bridge_answer(&world.bridge, frame, 300, false, 77, world.now_ns), 0, "port gone");
	cr_assert_eq(heard(), 0);
	cr_assert_eq(bridge_answer(&world.bridge, frame, 13, false, 101, world.now_ns), -EPROTO);
	cr_assert_eq(bridge_answer(&world.bridge, frame, 0, false, 101, world.now_ns), -EPROTO);
	cr_assert_eq(bridge_answer(&world.bridge, frame, 1515, false, 101, world.now_ns), -EPROTO);
	frame[6] ^= 2;
	cr_assert_eq(bridge_answer(&world.bridge, frame, 300, false, 101, world.now_ns), 0);
	cr_assert_eq(heard(), 0);
	cr_assert_eq(world_drops(DROP_MAC_SPOOF), 1);
}

Test(bridge, random_frames_of_every_kind_lose_no_buffer)
{
	uint32_t seed = 99;
	struct ring_desc d;
	world_open(true, 8);
	for (int i = 0; i < 10000; i++) {
		struct wire_vnet v;
		uint32_t bytes, slot;
		uint8_t *p = (uint8_t *)&v;
		for (size_t k = 0; k < sizeof v; k++) {
			seed = seed * 1664525 + 1013904223;
			p[k] = (uint8_t)(seed >> 24 & (seed >> 16 & 1 ? 255 : 1));
		}
		slot = seed >> 20 & 3;
		bytes = (seed >> 8) % (seed & 1024 ? 66000 : 1600);
		world_frame(frame, bytes < 14 ? 14 : bytes,
			seed & 64 ? world_gateway : world_broadcast, world_mac((uint8_t)(slot + 1)),
			seed & 32 ? IP4 : ARP);
		memcpy(frame + 14, (uint8_t[]){0x45, 0, 0, 0, 0, 9, 0, 0, 64, seed & 16 ? 17 : 6},
			10);
		bytes = bytes > FRAME_BYTES_MAX ? FRAME_BYTES_MAX : bytes;
		cr_assert(world_arrives(slot, slot < 2 ? &v : NULL, frame, bytes));
		while (world_netstack_gets(&d) == 1)
			cr_assert_eq(world_netstack_releases(&d), 0);
		world.writes = 0;
	}
	cr_assert_geq(world.arena.free_count[BUF_SMALL], ARENA_SMALL_COUNT - 1);
	cr_assert_geq(world.arena.free_count[BUF_LARGE], ARENA_LARGE_COUNT - 1);
	for (int slot = 0; slot < WORLD_PORTS; slot++)
		cr_assert_eq(world.bridge.port[slot].lent[0] + world.bridge.port[slot].lent[1], 0);
	cr_assert_gt(world_drops(DROP_VNET_BAD), 100);
}
