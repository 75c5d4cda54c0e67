/* Links in peace: order, publication, classes, wrap-around, releases. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "pair.h"

static struct pair *pair;
static struct link *stack, *proxy; /* netstack's end, natproxy's end */

static void setup(void)
{
	pair = pair_new(ACTOR_NETSTACK, ACTOR_NATPROXY);
	stack = &pair->end[0];
	proxy = &pair->end[1];
}

static void teardown(void)
{
	pair_free(pair);
}

TestSuite(ring, .init = setup, .fini = teardown);

static void send_credit(uint64_t arg)
{
	struct ring_desc d = pair_credit(arg);

	cr_assert_eq(link_send(stack, LINK_DATA, &d, NULL), 0);
}

Test(ring, nothing_is_visible_before_flush)
{
	struct ring_desc d;

	send_credit(1);
	cr_assert_eq(link_recv(proxy, &d, NULL), 0);
	cr_assert_not(link_pending(proxy));
	link_flush(stack);
	cr_assert(link_pending(proxy));
	cr_assert_eq(link_recv(proxy, &d, NULL), 1);
	cr_assert_eq(d.arg, 1);
	cr_assert_eq(link_recv(proxy, &d, NULL), 0);
}

Test(ring, order_holds_over_many_laps_and_the_wrap_of_the_index)
{
	struct ring_desc d;
	uint64_t sent = 0, seen = 0;

	pair_start_at(pair, UINT32_MAX - 3 * RING_SLOTS);
	while (seen < 8 * RING_SLOTS) {
		for (int i = 0; i < 1000; i++)
			send_credit(sent++);
		link_flush(stack);
		while (link_recv(proxy, &d, NULL) == 1)
			cr_assert_eq(d.arg, seen++);
		link_flush(proxy);
	}
	cr_assert_eq(sent, seen);
	cr_assert_eq(link_error(proxy, NULL), 0);
	cr_assert_eq(proxy->received, seen);
	cr_assert_eq(stack->sent, sent);
}

Test(ring, data_leaves_the_reserved_slots_to_control)
{
	struct ring_desc d = pair_credit(0);

	for (int i = 0; i < RING_SLOTS - RING_RESERVED; i++)
		send_credit(0);
	cr_assert_eq(link_send(stack, LINK_DATA, &d, NULL), -EAGAIN);
	cr_assert_eq(link_room(stack, LINK_DATA), 0);
	cr_assert_eq(link_room(stack, LINK_CONTROL), RING_RESERVED);
	for (int i = 0; i < RING_RESERVED; i++)
		cr_assert_eq(link_send(stack, LINK_CONTROL, &d, NULL), 0);
	cr_assert_eq(link_send(stack, LINK_CONTROL, &d, NULL), -EAGAIN);
	cr_assert_eq(stack->full, 2);
}

Test(ring, room_comes_back_when_the_peer_published_its_tail)
{
	struct ring_desc d = pair_credit(0);

	while (link_send(stack, LINK_CONTROL, &d, NULL) == 0)
		continue;
	link_flush(stack);
	cr_assert_eq(link_recv(proxy, &d, NULL), 1);
	cr_assert_eq(link_send(stack, LINK_CONTROL, &d, NULL), -EAGAIN, "tail not yet published");
	link_flush(proxy);
	d = pair_credit(0);
	cr_assert_eq(link_send(stack, LINK_CONTROL, &d, NULL), 0);
}

Test(ring, a_peeked_slot_stays_until_it_is_consumed)
{
	struct ring_desc d;
	uint32_t after;

	send_credit(5);
	after = link_sent_index(stack);
	link_flush(stack);
	cr_assert_eq(link_peek(proxy, &d, NULL), 1);
	cr_assert_eq(link_peek(proxy, &d, NULL), 1, "peeking twice gives the same");
	cr_assert_eq(d.arg, 5);
	link_flush(proxy);
	cr_assert_not(link_peer_consumed(stack, after));
	link_consumed(proxy);
	link_flush(proxy);
	cr_assert(link_peer_consumed(stack, after));
	cr_assert_eq(link_peek(proxy, &d, NULL), 0);
}

Test(ring, the_header_slot_travels_with_its_descriptor)
{
	struct pair *q = pair_new(ACTOR_NETSTACK, ACTOR_BROKER);
	struct ring_desc d = {.op = RING_NETSTACK_SEND, .flow = RING_PORT_BY_MAC};
	struct ring_header h, got;

	for (int i = 0; i < 3; i++) {
		memset(&h, 'a' + i, sizeof(h));
		d.hlen = (uint16_t)(sizeof(h.frame) - (size_t)i);
		cr_assert_eq(link_send(&q->end[0], LINK_DATA, &d, &h), 0);
	}
	link_flush(&q->end[0]);
	for (int i = 0; i < 3; i++) {
		memset(&h, 'a' + i, sizeof(h));
		cr_assert_eq(link_recv(&q->end[1], &d, &got), 1);
		cr_assert_eq(d.hlen, sizeof(h.frame) - (size_t)i);
		cr_assert_arr_eq(&got, &h, sizeof(h));
	}
	pair_free(q);
}

Test(ring, releases_go_in_packs_of_twelve_and_lose_nothing)
{
	struct ring_desc d;
	bool seen[100] = {false};
	int packs = 0;

	for (uint32_t i = 0; i < 100; i++)
		link_release(stack, buf_id(ARENA_NATPROXY, i));
	link_flush(stack);
	while (link_recv(proxy, &d, NULL) == 1) {
		cr_assert_eq(d.op, RING_NETSTACK_RELEASE_READ);
		for (int i = 0; i < d.nseg; i++) {
			cr_assert_not(seen[buf_index(d.ids[i])]);
			seen[buf_index(d.ids[i])] = true;
		}
		packs++;
	}
	cr_assert_eq(packs, 9);
	for (int i = 0; i < 100; i++)
		cr_assert(seen[i]);
}

Test(ring, every_direction_has_the_arenas_and_the_release_of_the_design)
{
	cr_assert_eq(
		link_arenas(DATA_PATH_SHARED, ACTOR_BROKER, ACTOR_NETSTACK), 1 << ARENA_BROKER);
	cr_assert_eq(link_arenas(DATA_PATH_SHARED, ACTOR_NETSTACK, ACTOR_BROKER),
		1 << ARENA_NATPROXY | 1 << ARENA_NETSTACK);
	cr_assert_eq(link_arenas(DATA_PATH_SHARED, ACTOR_NETSTACK, ACTOR_NATPROXY),
		1 << ARENA_BROKER | 1 << ARENA_NETSTACK);
	cr_assert_eq(
		link_arenas(DATA_PATH_SHARED, ACTOR_NATPROXY, ACTOR_NETSTACK), 1 << ARENA_NATPROXY);
	cr_assert_eq(link_arenas(DATA_PATH_SHARED, ACTOR_NATPROXY, ACTOR_ALG), 0);
	cr_assert_eq(link_arenas_read(DATA_PATH_SHARED, ACTOR_BROKER),
		1 << ARENA_NATPROXY | 1 << ARENA_NETSTACK);
	cr_assert_eq(link_arenas_read(DATA_PATH_SHARED, ACTOR_NETSTACK),
		1 << ARENA_BROKER | 1 << ARENA_NATPROXY);
	cr_assert_eq(link_arenas_read(DATA_PATH_SHARED, ACTOR_NATPROXY),
		1 << ARENA_BROKER | 1 << ARENA_NETSTACK);
	cr_assert_eq(link_release_op(ACTOR_NETSTACK, ACTOR_BROKER), RING_NETSTACK_RELEASE_FRAME);
	cr_assert_eq(link_release_op(ACTOR_NETSTACK, ACTOR_NATPROXY), RING_NETSTACK_RELEASE_READ);
	cr_assert_eq(
		link_release_op(ACTOR_NATPROXY, ACTOR_NETSTACK), RING_NATPROXY_RELEASE_WRITTEN);
	cr_assert_eq(link_release_op(ACTOR_BROKER, ACTOR_NETSTACK), RING_OP_NONE);
}

Test(ring, strict_names_no_arena_of_a_process_two_hops_away)
{
	const enum data_path strict = DATA_PATH_STRICT;

	cr_assert_eq(link_arenas(strict, ACTOR_BROKER, ACTOR_NETSTACK), 1 << ARENA_BROKER);
	cr_assert_eq(link_arenas(strict, ACTOR_NATPROXY, ACTOR_NETSTACK), 1 << ARENA_NATPROXY);
	cr_assert_eq(link_arenas(strict, ACTOR_NETSTACK, ACTOR_BROKER), 1 << ARENA_NETSTACK);
	cr_assert_eq(link_arenas(strict, ACTOR_NETSTACK, ACTOR_NATPROXY), 1 << ARENA_NETSTACK);
	cr_assert_eq(link_arenas_read(strict, ACTOR_BROKER), 1 << ARENA_NETSTACK);
	cr_assert_eq(link_arenas_read(strict, ACTOR_NATPROXY), 1 << ARENA_NETSTACK);
	cr_assert_eq(
		link_arenas_read(strict, ACTOR_NETSTACK), 1 << ARENA_BROKER | 1 << ARENA_NATPROXY);
	cr_assert_eq(link_arenas_read(strict, ACTOR_DHCPD), 0);
	cr_assert_eq(link_arenas_read(strict, ACTOR_ALG), 0);
}

/* What netstack may say on a shared data path is a lie on a strict one: the reader has no such memory. */
Test(ring, strict_takes_no_segment_of_an_arena_that_is_not_mapped)
{
	static const enum arena_id far[2] = {ARENA_NATPROXY, ARENA_BROKER};
	static const uint8_t reader[2] = {ACTOR_BROKER, ACTOR_NATPROXY};
	static const uint8_t op[2] = {RING_NETSTACK_SEND, RING_NETSTACK_TCP_DATA};

	for (int path = DATA_PATH_SHARED; path <= DATA_PATH_STRICT; path++) {
		for (int i = 0; i < 2; i++) {
			struct pair *p = pair_new(ACTOR_NETSTACK, reader[i]);
			struct ring_header h = {0};
			struct ring_desc d = {
				.op = op[i], .nseg = 1, .hlen = op[i] == op[0] ? 14 : 0};

			p->end[1].arenas_in =
				link_arenas((enum data_path)path, ACTOR_NETSTACK, reader[i]);
			d.seg[0] = (struct ring_seg){0, 100, buf_id(far[i], 0)};
			cr_assert_eq(link_send(&p->end[0], LINK_DATA, &d, &h), 0);
			link_flush(&p->end[0]);
			cr_assert_eq(link_recv(&p->end[1], &d, &h),
				path == DATA_PATH_SHARED ? 1 : -EPROTO);
			pair_free(p);
		}
	}
}
