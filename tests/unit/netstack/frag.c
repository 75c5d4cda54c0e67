/* Reassembly: conformance U13, I10a-g. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "frag.h"
#include "world.h"

static struct world *w;
static uint8_t whole[70000], piece[70000], payload[65508];

static void setup(void)
{
	w = world_new(NULL);
	for (uint32_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 31 + (i >> 7));
}

static void teardown(void)
{
	cr_assert_eq(w->error, 0);
	world_sleep(w, 31 * SECOND);
	cr_assert(world_at_rest(w));
	world_free(w);
}

TestSuite(frag, .init = setup, .fini = teardown);

/* Sends bytes [at, at + n) of the datagram in `whole` as a fragment. */
static void fragment(uint16_t id, uint32_t total, uint32_t at, uint32_t n, uint32_t src)
{
	struct ip_spec ip = {.src = src,
		.protocol = 17,
		.id = id,
		.frag = (uint16_t)(at / 8 | (at + n < total ? 0x2000 : 0))};
	cr_assert(world_frame(w, piece, make_ip(piece, &ip, whole + 34 + at, n), false));
	world_run(w);
}

static uint32_t datagram(uint32_t bytes, uint32_t src)
{
	struct ip_spec ip = {.src = src};
	return make_udp(whole, &ip, 1000, 2000, payload, bytes) - 34;
}

static void arrived(unsigned int nth, uint32_t bytes)
{
	const struct ring_desc *d = world_told(w, RING_NETSTACK_DGRAM_DATA, nth);
	uint32_t at = 0;
	cr_assert_not_null(d);
	for (unsigned int i = 0; i < d->nseg; i++) {
		cr_assert_eq(
			memcmp(payload + at, arena_view_ptr(&w->view, d->seg[i].id, d->seg[i].off),
				d->seg[i].len),
			0);
		at += d->seg[i].len;
	}
	cr_assert_eq(at, bytes);
}

Test(frag, in_order_reversed_and_tiny)
{
	uint32_t n = datagram(4000, GUEST);
	for (uint32_t at = 0; at < n; at += 1480)
		fragment(1, n, at, n - at < 1480 ? n - at : 1480, GUEST);
	arrived(0, 4000);
	for (uint32_t at = n / 8 * 8;; at -= 8) {
		if (n - at > 0)
			fragment(2, n, at, n - at < 8 ? n - at : 8, GUEST);
		if (at == 0)
			break;
	}
	arrived(1, 4000);
}

Test(frag, shuffled_and_duplicated)
{
	uint32_t n = datagram(9000, GUEST), order[64], count = 0;
	for (uint32_t at = 0; at < n; at += 256) {
		order[count++] = at;
	}
	srand(7);
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t k = (uint32_t)rand() % (i + 1), t = order[i];
		order[i] = order[k];
		order[k] = t;
	}
	for (uint32_t i = 0; i < count; i++)
		for (int twice = 0; twice < (i + 1 < count ? 2 : 1); twice++)
			fragment(3, n, order[i], n - order[i] < 256 ? n - order[i] : 256, GUEST);
	arrived(0, 9000);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 1);
}

Test(frag, largest_datagram)
{
	uint32_t n = datagram(65507, GUEST);
	for (uint32_t at = 0; at < n; at += 1480)
		fragment(4, n, at, n - at < 1480 ? n - at : 1480, GUEST);
	arrived(0, 65507);
}

Test(frag, overlap_drops_the_datagram)
{
	uint32_t n = datagram(4000, GUEST);
	fragment(5, n, 0, 1480, GUEST);
	fragment(5, n, 2960, n - 2960, GUEST);
	memset(whole + 34 + 1400, 0xee, 400);
	fragment(5, n, 1400, 1560, GUEST);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 0);
	cr_assert_eq(w->drops.count[DROP_FRAGMENT_BAD], 1);
}

Test(frag, same_place_other_bytes_drops_the_datagram)
{
	uint32_t n = datagram(3000, GUEST);
	fragment(6, n, 0, 1480, GUEST);
	whole[34 + 100] ^= 1;
	fragment(6, n, 0, 1480, GUEST);
	whole[34 + 100] ^= 1;
	fragment(6, n, 1480, n - 1480, GUEST);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_DATA), 0);
}

Test(frag, ping_of_death)
{
	struct ip_spec ip = {.protocol = 1, .id = 7, .frag = 0x1fff};
	world_frame(w, piece, make_ip(piece, &ip, payload, 1000), false);
	ip.frag = 0x1ffe;
	world_frame(w, piece, make_ip(piece, &ip, payload, 1480), false);
	world_run(w);
	cr_assert_eq(w->drops.count[DROP_FRAGMENT_BAD], 2);
}

Test(frag, ends_that_contradict)
{
	uint32_t n = datagram(3000, GUEST);
	fragment(8, n, 1480, n - 1480, GUEST);
	fragment(8, 4000, 3200, 800, GUEST); /* beyond the end */
	cr_assert_eq(w->drops.count[DROP_FRAGMENT_BAD], 1);
	fragment(9, 9999, 1600, 800, GUEST);
	fragment(9, 1200, 800, 400, GUEST); /* ends before what came */
	cr_assert_eq(w->drops.count[DROP_FRAGMENT_BAD], 2);
}

Test(frag, middle_fragment_of_odd_length)
{
	datagram(3000, GUEST);
	fragment(10, 3008, 0, 1001, GUEST);
	cr_assert_eq(w->drops.count[DROP_FRAGMENT_BAD], 1);
}

Test(frag, a_good_one_passes_after_6000_unfinished)
{
	uint32_t n = datagram(3000, GUEST);
	struct stack_counts counts;
	for (unsigned int i = 0; i < 6000; i++)
		fragment((uint16_t)(1000 + i), n, 0, 1480, GUEST);
	stack_counts(w->stack, &counts);
	cr_assert_leq(counts.fragments_waiting, FRAG_PER_GUEST);
	fragment(20, n, 0, 1480, GUEST);
	fragment(20, n, 1480, n - 1480, GUEST);
	arrived(0, 3000);
}

Test(frag, a_flood_of_one_leaves_the_other_alone)
{
	uint32_t other = NET | 20, n = datagram(3000, other);
	fragment(21, n, 0, 1480, other);
	for (unsigned int i = 0; i < 200; i++)
		fragment((uint16_t)(1000 + i), n, 0, 1480, GUEST);
	datagram(3000, other);
	fragment(21, n, 1480, n - 1480, other);
	arrived(0, 3000);
}

Test(frag, a_growing_one_outlives_a_flood_of_its_own_guest)
{
	uint32_t n = datagram(20000, GUEST), flood = 0;
	for (uint32_t at = 0; at < n; at += 1480) {
		fragment(24, n, at, n - at < 1480 ? n - at : 1480, GUEST);
		for (unsigned int i = 1; i < FRAG_PER_GUEST && at + 1480 < n; i++)
			fragment((uint16_t)(1000 + flood++), n, 0, 1480, GUEST);
	}
	arrived(0, 20000);
	cr_assert_gt(w->drops.count[DROP_FRAGMENT_BUDGET], 500);
}

Test(frag, many_addresses_of_one_port_have_one_ports_share)
{
	uint32_t n = datagram(9000, NET | 250), bytes = 0;
	struct stack_counts counts;
	w->port = 3;
	fragment(25, n, 0, 1480, NET | 250);
	w->port = WORLD_PORT;
	for (unsigned int i = 0; i < 3000; i++)
		fragment((uint16_t)i, n, 0, 1480, NET | (20 + i % 200));
	stack_counts(w->stack, &counts);
	cr_assert_eq(counts.fragments_waiting, FRAG_PER_PORT + 1);
	w->port = 3;
	datagram(9000, NET | 250);
	for (uint32_t at = 1480; at < n; at += bytes) {
		bytes = n - at < 1480 ? n - at : 1480;
		fragment(25, n, at, bytes, NET | 250);
	}
	arrived(0, 9000);
}

Test(frag, a_full_table_costs_the_port_that_holds_most)
{
	uint32_t n = datagram(3000, GUEST);
	struct stack_counts counts;
	for (uint32_t port = 0; port < 8; port++) {
		w->port = port;
		for (unsigned int i = 0; i < (port ? 40 : 90); i++)
			fragment((uint16_t)(port * 200 + i), n, 0, 1480,
				NET | (20 + port * 3 + i / 40));
	}
	stack_counts(w->stack, &counts);
	cr_assert_eq(counts.fragments_waiting, FRAG_MAX);
	w->port = 9;
	datagram(3000, NET | 99);
	fragment(7777, n, 0, 1480, NET | 99);
	fragment(7777, n, 1480, n - 1480, NET | 99);
	arrived(0, 3000);
}

Test(frag, timeout_is_reported_when_the_first_came)
{
	uint32_t n = datagram(3000, GUEST);
	fragment(22, n, 0, 1480, GUEST);
	fragment(23, n, 1480, n - 1480, GUEST);
	world_sleep(w, 31 * SECOND);
	cr_assert_eq(w->drops.count[DROP_FRAGMENT_TIMEOUT], 2);
	cr_assert_eq(world_count(w, 1), 1);
	cr_assert_eq(world_seen(w, 1, 0)->l4[0], 11);
	cr_assert_eq(world_seen(w, 1, 0)->l4[1], 1);
}

/* The datagram goes to a closed port of the gateway, with an option in its first fragment. */
Test(frag, an_error_quotes_the_whole_datagrams_header)
{
	static const uint8_t nop[] = {1, 1, 1, 0};
	struct ip_spec ip = {.dst = GATEWAY}, first = {.dst = GATEWAY, .protocol = 17, .id = 40};
	const struct seen *s;
	uint32_t n = make_udp(whole, &ip, 1000, 9, payload, 3000) - 34;
	first.options = nop;
	first.options_len = sizeof(nop);
	first.frag = 0x2000;
	world_frame(w, piece, make_ip(piece, &first, whole + 34, 1400), false);
	first.options_len = 0;
	first.frag = 1400 / 8;
	world_frame(w, piece, make_ip(piece, &first, whole + 34 + 1400, n - 1400), false);
	world_run(w);
	s = world_seen(w, 1, 0);
	cr_assert_eq(s->l4[0], 3);
	cr_assert_eq(sum16(s->l4 + 8, 20, 0), 0);
	cr_assert_eq(s->l4[8 + 2] << 8 | s->l4[8 + 3], 20 + n);
	cr_assert_eq(s->l4[8 + 6] << 8 | s->l4[8 + 7], 0);
	cr_assert_arr_eq(s->l4 + 8 + 20, whole + 34, 8);
}

Test(frag, tcp_in_fragments)
{
	struct conn c;
	struct tcp_spec t = {.src = GUEST,
		.dst = OUTSIDE,
		.sport = 40000,
		.dport = 80,
		.window = 1000,
		.flags = F_ACK,
		.data = payload,
		.len = 2000};
	struct ip_spec ip = {.protocol = 6, .id = 30, .frag = 0x2000};
	uint32_t n;
	conn_init(&c, w, 40000, 80);
	conn_open(&c, 0);
	t.seq = c.seq;
	t.ack = c.ack;
	n = make_tcp(whole, &t);
	world_frame(w, piece, make_ip(piece, &ip, whole + 34, 1000), false);
	ip.frag = 125;
	world_frame(w, piece, make_ip(piece, &ip, whole + 34 + 1000, n - 1034), false);
	world_run(w);
	cr_assert_eq(w->upload_n, 2000);
	cr_assert_eq(memcmp(w->upload, payload, 2000), 0);
}
