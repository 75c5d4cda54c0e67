/* What an ICMP error quotes (RFC 5508 REQ-4): the guest's own packet while it is remembered. */
#include <criterion/criterion.h>
#include <string.h>

#include "quote.h"
#include "world.h"

static struct quote_table table;

static void note(uint32_t flow, uint16_t port, uint16_t ip_id, bool csum_ok)
{
	struct packet p = {.l4_at = 34,
		.bytes = 34 + 8 + 100,
		.head_bytes = 134,
		.ip_id = ip_id,
		.protocol = 17,
		.frag = 0x4000,
		.tos = 0x20,
		.csum_ok = csum_ok};
	const struct ring_remote to = {.ip_be = 7, .port = port};
	memcpy(p.head + 34, "\x03\xe8\x07\xd0\x00\x6c\xab\xcd", 8);
	quote_note(&table, flow, &p, &to);
}

Test(quote, remembers_the_last_of_each_destination)
{
	const struct ring_remote one = {.ip_be = 7, .port = 1}, two = {.ip_be = 7, .port = 2},
				 none = {.ip_be = 8, .port = 1};
	const struct quote *q;
	note(5, 1, 100, false);
	note(5, 2, 200, false);
	note(5, 1, 101, false);
	q = quote_find(&table, 5, &one);
	cr_assert_eq(q->ip_id, 101);
	cr_assert_eq(q->ip_bytes, 128);
	cr_assert_eq(q->ip_frag, 0x4000);
	cr_assert_eq(q->ip_tos, 0x20);
	cr_assert_arr_eq(q->inner, "\x03\xe8\x07\xd0\x00\x6c\xab\xcd", 8);
	cr_assert_eq(quote_find(&table, 5, &two)->ip_id, 200);
	cr_assert_null(quote_find(&table, 6, &one), "another flow's");
	cr_assert_null(quote_find(&table, 5, &none));
}

Test(quote, a_checksum_that_was_left_to_the_device_is_not_shown)
{
	const struct ring_remote one = {.ip_be = 7, .port = 1};
	note(5, 1, 100, true);
	cr_assert_arr_eq(quote_find(&table, 5, &one)->inner, "\x03\xe8\x07\xd0\x00\x6c\x00\x00", 8);
}

Test(quote, of_a_super_frame_each_datagram_is_shown)
{
	struct packet p = {.l4_at = 34,
		.bytes = 34 + 8 + 4000,
		.head_bytes = 134,
		.protocol = 17,
		.gso_bytes = 1000,
		.csum_ok = true};
	const struct ring_remote to = {.ip_be = 7, .port = 9};
	const struct quote *q;
	memcpy(p.head + 34, "\x03\xe8\x00\x09\x0f\xa8\xab\xcd", 8);
	quote_note(&table, 5, &p, &to);
	q = quote_find(&table, 5, &to);
	cr_assert_eq(q->ip_bytes, 20 + 8 + 1000);
	cr_assert_arr_eq(q->inner, "\x03\xe8\x00\x09\x03\xf0\x00\x00", 8);
}

Test(quote, thirty_probes_to_rising_ports_all_stay)
{
	for (uint16_t i = 0; i < 30; i++)
		note(5, (uint16_t)(33434 + i), i, false);
	for (uint16_t i = 0; i < 30; i++) {
		const struct ring_remote to = {.ip_be = 7, .port = (uint16_t)(33434 + i)};
		cr_assert_eq(quote_find(&table, 5, &to)->ip_id, i);
	}
}

static uint8_t frame[2000];

static const struct seen *error_of(struct world *w, const struct ring_desc *d)
{
	world_clear(w);
	world_tell(w, d);
	world_run(w);
	return world_seen(w, 1, 0);
}

/* U7: the whole way, for UDP and echo; a host's own error (offender 0) comes from the gateway. */
Test(quote, errors_quote_what_the_guest_sent)
{
	struct world *w = world_new(NULL);
	struct ip_spec ip = {.id = 0x1234, .tos = 0x28};
	struct ring_desc d = {.op = RING_NATPROXY_DGRAM_ERROR,
		.remote = {.ip_be = htobe32(OUTSIDE), .port = 2000},
		.pair = {.token = 3 << 8 | 3}};
	const struct seen *s;
	uint32_t n = make_udp(frame, &ip, 1000, 2000, "probe", 5);
	world_frame(w, frame, n, false);
	world_run(w);
	d.flow = world_told(w, RING_NETSTACK_DGRAM_OPEN, 0)->flow;
	s = error_of(w, &d);
	cr_assert_eq(s->src, GATEWAY);
	cr_assert_eq(sum16(s->l4 + 8, 20, 0), 0);
	cr_assert_arr_eq(s->l4 + 8, frame + 14, 6, "version to identification");
	cr_assert_arr_eq(s->l4 + 8 + 12, frame + 14 + 12, 16, "addresses, ports, length, checksum");
	world_clear(w);
	n = make_echo(frame, &ip, 77, 3, "probe", 5);
	world_frame(w, frame, n, false);
	world_run(w);
	d.flow = world_told(w, RING_NETSTACK_DGRAM_OPEN, 0)->flow;
	d.remote.port = 3;
	d.pair.remote_ip_be = htobe32(0x0a090807);
	s = error_of(w, &d);
	cr_assert_eq(s->src, 0x0a090807);
	cr_assert_arr_eq(s->l4 + 8 + 12, frame + 14 + 12, 16);
	world_free(w);
}

/* I6: traceroute -T. */
Test(quote, a_syn_that_died_on_its_way_is_told_by_the_router_that_said_so)
{
	struct world *w = world_new(NULL);
	struct conn c;
	const struct seen *s;
	const struct ring_desc *open;
	conn_init(&c, w, 40000, 80);
	w->open_at_once = false;
	conn_syn(&c, OPT_ALL);
	open = world_told(w, RING_NETSTACK_TCP_OPEN, 0);
	cr_assert_eq(open->pair.kind & 0xff, 63, "the TTL that is left");
	c.flow = open->flow;
	conn_far(&c, RING_NATPROXY_TCP_FAILED,
		(uint64_t)htobe32(0x0a090807) << 32 | 11 << 16 | RING_FAIL_ICMP);
	cr_assert_eq(world_count(w, 6), 0);
	s = world_seen(w, 1, 0);
	cr_assert_eq(s->src, 0x0a090807);
	cr_assert_eq(s->l4[0], 11);
	cr_assert_eq(s->l4[1], 0);
	cr_assert_eq(s->l4[8 + 20] << 8 | s->l4[8 + 21], 40000);
	cr_assert_eq(w->error, 0);
	world_free(w);
}
