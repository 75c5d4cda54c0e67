/* ESP as a datagram flow: guest, peer and SPI make one; the packet stays what it is. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "world.h"

enum { ESP = 50, ICMP = 1, SPI = 0xc0ffee01, HEADER = 8 };

static struct world *w;
static uint8_t frame[70000], packet[65515];

static void no_nat(struct stack_config *c)
{
	c->nat_enable = false;
}

static void begin(void (*adjust)(struct stack_config *c))
{
	w = world_new(adjust);
	stack_uplink(w->stack, (struct stack_uplink){.up = true, .echo = true, .esp = true});
	for (uint32_t i = 0; i < sizeof(packet); i++)
		packet[i] = (uint8_t)(i * 13 + (i >> 8));
}

static void setup(void)
{
	begin(NULL);
}

static void teardown(void)
{
	cr_assert_eq(w->error, 0);
	cr_assert(world_at_rest(w));
	world_free(w);
}

TestSuite(esp, .init = setup, .fini = teardown);

static void put_spi(uint32_t spi)
{
	const uint32_t be = htobe32(spi);
	memcpy(packet, &be, sizeof(be));
}

static void send_to(uint32_t dst, uint32_t spi, uint32_t n)
{
	struct ip_spec ip = {.dst = dst, .protocol = ESP};
	put_spi(spi);
	world_frame(w, frame, make_ip(frame, &ip, packet, n), false);
	world_run(w);
}

static uint32_t open_flow(void)
{
	const unsigned int n = world_told_count(w, RING_NETSTACK_DGRAM_OPEN);
	send_to(OUTSIDE, SPI, 100);
	return world_told(w, RING_NETSTACK_DGRAM_OPEN, n)->flow;
}

static bool answer(uint32_t flow, uint32_t spi, uint32_t n, uint8_t ttl)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_DATA,
		.flow = flow,
		.remote = {.ip_be = htobe32(OUTSIDE), .ttl = ttl}};
	put_spi(spi);
	cr_assert(world_payload(w, &d, packet, n));
	world_run(w);
	return w->error == 0;
}

Test(esp, each_peer_and_spi_is_a_flow_of_its_own)
{
	const struct ring_desc *d;
	send_to(OUTSIDE, SPI, 100);
	send_to(OUTSIDE, SPI, 60);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 1);
	d = world_told(w, RING_NETSTACK_DGRAM_OPEN, 0);
	cr_expect_eq(d->pair.kind, DGRAM_ESP);
	cr_expect_eq(d->pair.guest_ip_be, htobe32(GUEST));
	cr_expect_eq(d->pair.remote_ip_be, htobe32(OUTSIDE));
	cr_expect_eq(d->pair.guest_port, SPI >> 16);
	cr_expect_eq(d->pair.remote_port, SPI & 0xffff);
	cr_expect_eq(d->pair.token, 0);
	send_to(OUTSIDE, SPI + 1, 60);
	send_to(OUTSIDE, SPI + 0x10000, 60);
	send_to(OUTSIDE + 1, SPI, 60);
	cr_expect_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 4);
	d = world_told(w, RING_NETSTACK_DGRAM_DATA, 1);
	cr_expect_eq(d->remote.ip_be, htobe32(OUTSIDE));
	cr_expect_eq(d->remote.port, 0);
	cr_expect_eq(d->remote.ttl, 63);
	cr_expect_eq(d->seg[0].len, 60, "the whole packet, its header too");
}

Test(esp, every_size_reaches_the_guest_as_it_was)
{
	static const uint32_t size[] = {HEADER, 9, 100, 1480, 1481, 3000, 60000};
	static uint8_t whole[70000];
	const uint32_t flow = open_flow();
	for (unsigned int i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		uint32_t total = 0;
		world_clear(w);
		answer(flow, SPI + i, size[i], 40);
		for (unsigned int k = 0; k < world_count(w, ESP); k++) {
			const struct seen *s = world_seen(w, ESP, k);
			memcpy(whole + (s->frag & 0x1fff) * 8, s->l4, s->l4_len);
			total += s->l4_len;
			cr_expect_eq(s->ttl, 39);
			cr_expect_eq(s->src, OUTSIDE);
		}
		cr_assert_eq(total, size[i]);
		cr_expect_eq(memcmp(whole, packet, total), 0);
		cr_expect_eq(world_count(w, ESP) > 1, size[i] > 1480);
	}
}

Test(esp, what_has_no_spi_is_dropped)
{
	send_to(OUTSIDE, 0, 100);
	send_to(OUTSIDE, SPI, 7);
	cr_expect_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 0);
	cr_expect_eq(w->drops.count[DROP_ESP_BAD], 2);
	cr_expect_eq(world_count(w, ICMP), 0);
}

/* RFC 1122 3.2.2.1 */
Test(esp, the_gateway_has_none_itself)
{
	send_to(GATEWAY, SPI, 100);
	cr_assert_eq(world_count(w, ICMP), 1);
	cr_expect_eq(world_seen(w, ICMP, 0)->l4[1], 2, "protocol unreachable");
}

Test(esp, where_it_cannot_be_had_it_is_unknown)
{
	stack_uplink(w->stack, (struct stack_uplink){.up = true, .echo = true});
	send_to(OUTSIDE, SPI, 100);
	cr_assert_eq(world_count(w, ICMP), 1);
	cr_expect_eq(world_seen(w, ICMP, 0)->l4[1], 2, "protocol unreachable");
	cr_expect_eq(w->drops.count[DROP_IP_PROTOCOL], 1);
	cr_expect_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 0);
}

Test(esp, without_nat_it_is_prohibited)
{
	world_free(w);
	begin(no_nat);
	send_to(OUTSIDE, SPI, 100);
	cr_assert_eq(world_count(w, ICMP), 1);
	cr_expect_eq(world_seen(w, ICMP, 0)->l4[1], 13);
}

Test(esp, an_error_quotes_protocol_and_spi)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_ERROR,
		.flow = open_flow(),
		.remote = {.ip_be = htobe32(OUTSIDE)},
		.pair = {.remote_ip_be = htobe32(OUTSIDE + 7), .token = 3 << 8 | 2}};
	const uint32_t be = htobe32(SPI);
	for (int known = 1; known >= 0; known--) {
		const struct seen *s;
		world_clear(w);
		world_tell(w, &d);
		world_run(w);
		cr_assert_eq(world_count(w, ICMP), 1);
		s = world_seen(w, ICMP, 0);
		cr_expect_eq(s->src, OUTSIDE + 7);
		cr_expect_eq(s->l4[8 + 9], ESP);
		cr_expect_eq(memcmp(s->l4 + 8 + 20, &be, sizeof(be)), 0);
		cr_expect_eq(memcmp(s->l4 + 8 + 24, packet + 4, 4) == 0, known,
			"the sequence number, while the packet is remembered");
		d.remote.port = 1; /* none was sent there */
		w->now += 1000000000;
	}
}

Test(esp, a_peer_may_speak_first)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_INCOMING,
		.pair = {.guest_ip_be = htobe32(GUEST),
			.remote_ip_be = htobe32(OUTSIDE),
			.token = 77,
			.kind = DGRAM_ESP}};
	const struct ring_desc *opened;
	open_flow();
	world_tell(w, &d);
	world_run(w);
	opened = world_told(w, RING_NETSTACK_DGRAM_OPEN, 1);
	cr_assert_not_null(opened);
	cr_expect_eq(opened->pair.token, 77);
	cr_expect_eq(opened->pair.kind, DGRAM_ESP);
	cr_expect_eq(opened->pair.remote_ip_be, htobe32(OUTSIDE));
	cr_expect_eq(opened->pair.guest_port, 0);
	cr_expect_eq(opened->pair.remote_port, 0);
	world_clear(w);
	answer(opened->flow, 5000, 100, 40);
	cr_expect_eq(world_count(w, ESP), 1);
	world_tell(w, &d);
	world_run(w);
	cr_expect_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 0, "it is there");
}

static void tell(struct ring_desc d)
{
	world_tell(w, &d);
	world_run(w);
}

static void expect_broken(const char *what)
{
	cr_expect_eq(w->error, -EPROTO, "%s", what);
	w->error = 0;
	world_free(w);
	begin(NULL);
}

Test(esp, what_natproxy_cannot_mean_is_a_breach)
{
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_DATA};
	const struct ring_pair first = {
		.guest_ip_be = htobe32(GUEST), .remote_ip_be = htobe32(OUTSIDE), .kind = DGRAM_ESP};
	struct ring_pair pair = first;

	answer(open_flow(), SPI, 7, 40);
	expect_broken("shorter than its header");
	d.flow = open_flow();
	d.hlen = 50;
	cr_assert(world_payload(w, &d, packet, 100));
	world_run(w);
	expect_broken("a run");
	pair.remote_port = 1;
	tell((struct ring_desc){.op = RING_NATPROXY_DGRAM_INCOMING, .pair = pair});
	expect_broken("begun with an SPI");
	pair = first;
	pair.remote_ip_be = 0;
	tell((struct ring_desc){.op = RING_NATPROXY_DGRAM_INCOMING, .pair = pair});
	expect_broken("of nobody");
}

/* It counts with UDP. */
static void few(struct stack_config *c)
{
	c->udp_per_guest = 3;
}

Test(esp, a_guest_has_no_more_than_its_share)
{
	world_free(w);
	begin(few);
	for (uint32_t i = 0; i < 5; i++)
		send_to(OUTSIDE, SPI + i, 100);
	cr_expect_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 3);
	cr_expect_eq(w->drops.count[DROP_FLOW_LIMIT], 2);
}
