/* IPv4, ARP and ICMP rules: conformance I5..I12, I7a-f, I8, I9. */
#include <criterion/criterion.h>
#include <string.h>

#include "world.h"

static struct world *w;
static uint8_t frame[70000];

static void setup(void)
{
	w = world_new(NULL);
}

static void teardown(void)
{
	cr_assert_eq(w->error, 0);
	cr_assert(world_at_rest(w));
	world_free(w);
}

TestSuite(ip4, .init = setup, .fini = teardown);

static void give(uint32_t n)
{
	world_frame(w, frame, n, false);
	world_run(w);
}

static void udp(struct ip_spec ip)
{
	give(make_udp(frame, &ip, 1000, 2000, "data", 4));
}

static unsigned int through(void)
{
	return world_told_count(w, RING_NETSTACK_DGRAM_DATA);
}

static void header_checksum(void)
{
	uint16_t sum;
	frame[24] = frame[25] = 0;
	sum = sum16(frame + 14, (frame[14] & 15u) * 4, 0);
	frame[24] = (uint8_t)(sum >> 8);
	frame[25] = (uint8_t)sum;
}

Test(ip4, ttl_goes_down_by_one)
{
	udp((struct ip_spec){.ttl = 10});
	cr_assert_eq(world_told(w, RING_NETSTACK_DGRAM_DATA, 0)->remote.ttl, 9);
}

Test(ip4, malformed_headers_are_dropped)
{
	struct ip_spec ip = {0};
	uint32_t n = make_udp(frame, &ip, 1000, 2000, "data", 4);
	static const struct {
		uint8_t at, value;
	} bad[] = {{14, 0x65}, {14, 0x44}, {14, 0x4f}, {16, 0x10}, {17, 19}};
	for (unsigned int i = 0; i < 5; i++) {
		uint8_t old = frame[bad[i].at];
		frame[bad[i].at] = bad[i].value;
		header_checksum();
		give(n);
		frame[bad[i].at] = old;
	}
	header_checksum();
	frame[25] ^= 1;
	give(n);
	cr_assert_eq(w->drops.count[DROP_IP_HEADER], 6);
	for (uint32_t cut = 1; cut < n; cut++)
		give(cut);
	cr_assert_eq(through(), 0);
}

Test(ip4, ethernet_padding_is_cut_off)
{
	struct ip_spec ip = {0};
	uint32_t n = make_udp(frame, &ip, 1000, 2000, "data", 4);
	memset(frame + n, 0xee, 60 - n);
	give(60);
	cr_assert_eq(world_told(w, RING_NETSTACK_DGRAM_DATA, 0)->seg[0].len, 4);
}

Test(ip4, source_routes_and_broken_options_are_refused)
{
	static const uint8_t loose[8] = {131, 7, 4, 1, 2, 3, 4, 0},
			     strict[8] = {137, 7, 4, 1, 2, 3, 4, 0};
	static const uint8_t broken[4] = {7, 40, 0, 0}, zero[4] = {7, 0, 0, 0},
			     record[8] = {7, 7, 4, 0, 0, 0, 0, 0};
	udp((struct ip_spec){.options = loose, .options_len = 8});
	udp((struct ip_spec){.options = strict, .options_len = 8});
	udp((struct ip_spec){.options = broken, .options_len = 4});
	udp((struct ip_spec){.options = zero, .options_len = 4});
	cr_assert_eq(w->drops.count[DROP_IP_OPTIONS], 4);
	udp((struct ip_spec){.options = record, .options_len = 8});
	cr_assert_eq(through(), 1);
}

Test(ip4, sources_that_no_guest_has)
{
	static const uint32_t bad[] = {0x0a000001, 0x7f000001, 0xe0000001, GATEWAY, NET | 255, NET,
		0xffffffff, 0x08080808};
	for (unsigned int i = 0; i < 8; i++)
		udp((struct ip_spec){.src = bad[i]});
	cr_assert_eq(w->drops.count[DROP_IP_SOURCE], 8);
	cr_assert_eq(through(), 0);
	cr_assert_eq(w->frames_n, 0, "and no answer");
}

Test(ip4, destinations_that_must_not_leave)
{
	static const uint32_t bad[] = {0x00000001, 0x7f000001, 0xe0000001, 0xefffffff, 0xf0000001,
		0xffffffff, NET | 255, NET | 77};
	for (unsigned int i = 0; i < 8; i++)
		udp((struct ip_spec){.dst = bad[i]});
	cr_assert_eq(w->drops.count[DROP_IP_DESTINATION], 8);
	cr_assert_eq(w->frames_n, 0);
}

Test(ip4, land)
{
	udp((struct ip_spec){.src = GATEWAY, .dst = GATEWAY});
	udp((struct ip_spec){.src = GUEST, .dst = GUEST});
	cr_assert_eq(through() + w->frames_n, 0);
}

Test(ip4, time_exceeded_for_all_protocols)
{
	struct ip_spec ip = {.ttl = 1};
	struct tcp_spec t = {.src = GUEST, .dst = OUTSIDE, .sport = 1, .dport = 2, .flags = F_SYN};
	udp(ip);
	give(make_echo(frame, &ip, 5, 6, "ping", 4));
	make_tcp(frame, &t);
	frame[22] = 1;
	header_checksum();
	give(54);
	cr_assert_eq(world_count(w, 1), 3);
	for (unsigned int i = 0; i < 3; i++) {
		const struct seen *s = world_seen(w, 1, i);
		cr_assert_eq(s->l4[0], 11);
		cr_assert_eq(s->l4[1], 0);
		cr_assert_eq(s->src, GATEWAY);
		cr_assert_eq(s->dst, GUEST);
		cr_assert_eq(s->l4[8], 0x45, "quotes the packet");
	}
}

Test(ip4, unknown_protocol_is_unreachable_and_rate_limited)
{
	struct ip_spec ip = {.protocol = 132};
	for (unsigned int i = 0; i < 500; i++)
		give(make_ip(frame, &ip, "12345678", 8));
	cr_assert_eq(world_seen(w, 1, 0)->l4[1], 2);
	cr_assert_leq(world_count(w, 1), 60);
	world_clear(w);
	world_advance(w, SECOND);
	give(make_ip(frame, &ip, "12345678", 8));
	cr_assert_eq(world_count(w, 1), 1, "and again after a while");
}

Test(ip4, no_error_about_an_error_or_a_fragment)
{
	static uint8_t error[36] = {3, 3};
	struct ip_spec ip = {.protocol = 1, .ttl = 1};
	uint16_t sum = sum16(error, 36, 0);
	error[2] = (uint8_t)(sum >> 8);
	error[3] = (uint8_t)sum;
	give(make_ip(frame, &ip, error, 36));
	ip = (struct ip_spec){.protocol = 132, .ttl = 1, .frag = 5};
	give(make_ip(frame, &ip, "12345678", 8));
	ip = (struct ip_spec){.protocol = 132};
	make_ip(frame, &ip, "12345678", 8);
	memset(frame, 0xff, 6);
	give(42);
	cr_assert_eq(world_count(w, 1), 0);
}

Test(ip4, gateway_ports_unreachable_but_dns)
{
	struct ip_spec ip = {.dst = GATEWAY};
	udp(ip);
	cr_assert_eq(world_seen(w, 1, 0)->l4[0], 3);
	cr_assert_eq(world_seen(w, 1, 0)->l4[1], 3);
	give(make_udp(frame, &ip, 1000, 53, "query", 5));
	cr_assert_eq(through(), 1);
	cr_assert_eq(be32toh(world_told(w, RING_NETSTACK_DGRAM_DATA, 0)->remote.ip_be), GATEWAY);
	cr_assert_eq(world_told(w, RING_NETSTACK_DGRAM_DATA, 0)->remote.port, 53);
}

Test(ip4, no_uplink_is_said)
{
	struct conn c;
	stack_uplink(w->stack, (struct stack_uplink){.up = false, .echo = true});
	udp((struct ip_spec){0});
	cr_assert_eq(world_seen(w, 1, 0)->l4[1], 0);
	conn_init(&c, w, 40000, 80);
	conn_syn(&c, OPT_ALL);
	cr_assert_eq(world_count(w, 1), 2);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_OPEN), 0);
}

static const struct seen *arp(uint16_t op, const uint8_t *mac, uint32_t sender, uint32_t target)
{
	world_clear(w);
	give(make_arp(frame, op, mac, sender, target));
	return w->frames_n ? &w->frame[0] : NULL;
}

Test(ip4, arp_answers_for_the_gateway_only)
{
	const struct seen *s = arp(1, GUEST_MAC, GUEST, GATEWAY);
	cr_assert_not_null(s);
	cr_assert_arr_eq(s->bytes, GUEST_MAC, 6);
	cr_assert_eq(s->bytes[21], 2);
	cr_assert_arr_eq(s->bytes + 22, GATEWAY_MAC, 6);
	cr_assert_null(arp(1, GUEST_MAC, GUEST, NET | 77));
	cr_assert_null(arp(1, GUEST_MAC, GUEST, GUEST));
}

Test(ip4, arp_probe_for_our_address_is_answered_for_others_not)
{
	cr_assert_not_null(arp(1, GUEST_MAC, 0, GATEWAY));
	cr_assert_null(arp(1, GUEST_MAC, 0, NET | 50));
}

Test(ip4, arp_claim_of_our_address_is_defended_once)
{
	const struct seen *s = arp(1, GUEST_MAC, GATEWAY, GATEWAY);
	cr_assert_not_null(s);
	cr_assert_arr_eq(s->bytes, "\xff\xff\xff\xff\xff\xff", 6);
	for (unsigned int i = 0; i < 10; i++)
		cr_assert_null(arp(2, GUEST_MAC, GATEWAY, GUEST));
	world_advance(w, 11 * SECOND);
	cr_assert_not_null(arp(2, GUEST_MAC, GATEWAY, GUEST));
}

Test(ip4, arp_from_elsewhere_or_malformed)
{
	struct stack_counts counts;
	arp(1, GUEST_MAC, 0x0a000001, GATEWAY);
	arp(1, GUEST_MAC, NET | 255, GATEWAY);
	make_arp(frame, 1, GUEST_MAC, GUEST, GATEWAY);
	frame[22 + 5] ^= 1; /* sender is not the frame's source */
	give(42);
	for (uint32_t cut = 1; cut < 42; cut++) {
		make_arp(frame, 1, GUEST_MAC, GUEST, GATEWAY);
		give(cut);
	}
	for (unsigned int at = 14; at < 22; at++) {
		make_arp(frame, 1, GUEST_MAC, GUEST, GATEWAY);
		frame[at] ^= 0x10;
		give(42);
	}
	stack_counts(w->stack, &counts);
	cr_assert_eq(counts.guests, 0);
	cr_assert_eq(w->frames_n, 0);
}

Test(ip4, an_address_is_not_taken_from_who_answers)
{
	static const uint8_t thief[6] = {2, 0, 0, 0, 0, 0x66};
	arp(1, GUEST_MAC, GUEST, GATEWAY);
	world_advance(w, 60 * SECOND);
	world_clear(w);
	give(make_arp(frame, 2, thief, GUEST, GATEWAY));
	cr_assert_eq(w->frames_n, 1, "the old station is asked");
	cr_assert_arr_eq(w->frame[0].bytes, GUEST_MAC, 6);
	world_advance(w, 10 * MS);
	give(make_arp(frame, 2, GUEST_MAC, GUEST, GATEWAY)); /* and answers */
	world_advance(w, SECOND);
	give(make_arp(frame, 2, thief, GUEST, GATEWAY));
	udp((struct ip_spec){0});
	cr_assert_eq(through(), 1, "the guest goes on");
	cr_assert_eq(w->drops.count[DROP_ARP_SPOOF], 2);
}

Test(ip4, an_address_whose_station_is_silent_moves)
{
	static const uint8_t heir[6] = {2, 0, 0, 0, 0, 0x77};
	arp(1, GUEST_MAC, GUEST, GATEWAY);
	world_advance(w, SECOND);
	arp(1, heir, GUEST, GATEWAY);
	world_advance(w, SECOND);
	world_clear(w);
	give(make_arp(frame, 1, heir, GUEST, GATEWAY));
	udp((struct ip_spec){0});
	cr_assert_eq(through(), 0, "the old one is the stranger now");
}

Test(ip4, echo_to_the_gateway)
{
	static uint8_t data[60000];
	static const uint32_t size[] = {0, 1, 56, 74, 75, 1472, 1473, 8000, 60000};
	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i ^ i >> 8);
	for (unsigned int i = 0; i < 6; i++) {
		struct ip_spec ip = {.dst = GATEWAY};
		const struct seen *s;
		world_clear(w);
		give(make_echo(frame, &ip, 0x1234, (uint16_t)i, data, size[i]));
		s = world_seen(w, 1, 0);
		cr_assert_not_null(s, "%u bytes", size[i]);
		cr_assert_eq(s->l4[0], 0);
		cr_assert_eq(s->l4_len, 8 + size[i]);
		cr_assert_eq(memcmp(s->l4 + 8, data, size[i]), 0);
	}
	for (unsigned int i = 6; i < 9; i++) {
		static uint8_t whole[70000];
		struct ip_spec ip = {.dst = GATEWAY};
		uint32_t total = 0;
		world_clear(w);
		give(make_echo(frame, &ip, 0x1234, (uint16_t)i, data, size[i]));
		for (unsigned int k = 0; k < world_count(w, 1); k++) {
			const struct seen *s = world_seen(w, 1, k);
			memcpy(whole + (s->frag & 0x1fff) * 8, s->l4, s->l4_len);
			total += s->l4_len;
			cr_assert_eq(s->ip_id, world_seen(w, 1, 0)->ip_id);
		}
		cr_assert_eq(total, 8 + size[i]);
		cr_assert_eq(sum16(whole, total, 0), 0);
		cr_assert_eq(memcmp(whole + 8, data, size[i]), 0);
	}
}

Test(ip4, bad_icmp_checksum_is_not_answered)
{
	struct ip_spec ip = {.dst = GATEWAY};
	uint32_t n = make_echo(frame, &ip, 1, 1, "ping", 4);
	frame[n - 1] ^= 1;
	give(n);
	world_frame(w, frame, n, true);
	world_run(w);
	cr_assert_eq(w->frames_n, 0);
	cr_assert_eq(w->drops.count[DROP_ICMP_BAD], 2);
}

static void dummy(struct stack_config *c)
{
	c->icmp_dummy = true;
}

Test(ip4, echo_to_the_outside_is_a_flow_or_a_dummy)
{
	struct ip_spec ip = {0};
	give(make_echo(frame, &ip, 77, 3, "ping", 4));
	cr_assert_eq(world_told(w, RING_NETSTACK_DGRAM_OPEN, 0)->pair.kind, DGRAM_ECHO);
	cr_assert_eq(world_told(w, RING_NETSTACK_DGRAM_OPEN, 0)->pair.guest_port, 77);
	cr_assert_eq(world_told(w, RING_NETSTACK_DGRAM_DATA, 0)->remote.port, 3);
	world_free(w);
	w = world_new(dummy);
	give(make_echo(frame, &ip, 77, 3, "ping", 4));
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 0);
	cr_assert_eq(world_seen(w, 1, 0)->src, OUTSIDE);
}

Test(ip4, echo_without_permission_is_silent)
{
	struct ip_spec ip = {0};
	stack_uplink(w->stack, (struct stack_uplink){.up = true, .echo = false});
	give(make_echo(frame, &ip, 77, 3, "ping", 4));
	cr_assert_eq(w->frames_n, 0);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 0);
}

Test(ip4, not_for_us_and_groups)
{
	struct ip_spec ip = {0};
	uint32_t n = make_udp(frame, &ip, 1, 2, "x", 1);
	frame[5] ^= 1;
	give(n);
	frame[5] ^= 1;
	frame[6] |= 1;
	give(n);
	cr_assert_eq(through(), 0);
	cr_assert_eq(w->drops.count[DROP_MAC_SPOOF], 1);
}
