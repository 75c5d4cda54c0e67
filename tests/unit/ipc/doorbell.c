/* When the bell rings and when it need not: sleep epochs, lazy messages, room, and the three stalls
 * of the prototype. */
#include <criterion/criterion.h>
#include <errno.h>

#include "pair.h"

static struct pair *pair;
static struct link *stack, *proxy;
enum { STACK, PROXY };

static void setup(void)
{
	pair = pair_new(ACTOR_NETSTACK, ACTOR_NATPROXY);
	stack = &pair->end[STACK];
	proxy = &pair->end[PROXY];
}

static void teardown(void)
{
	pair_free(pair);
}

TestSuite(doorbell, .init = setup, .fini = teardown);

static void send(uint64_t arg)
{
	struct ring_desc d = pair_credit(arg);

	cr_assert_eq(link_send(stack, LINK_DATA, &d, NULL), 0);
}

static void send_lazy(uint64_t arg)
{
	struct ring_desc d = pair_credit(arg);

	cr_assert_eq(link_send_lazy(stack, LINK_DATA, &d), 0);
}

static uint64_t last_received(void)
{
	struct ring_desc d;
	uint64_t last = 0;

	while (link_recv(proxy, &d, NULL) == 1)
		last = d.arg;
	return last;
}

Test(doorbell, an_awake_peer_is_not_rung)
{
	send(1);
	link_flush(stack);
	cr_assert_eq(pair_bells(pair, PROXY), 0);
	cr_assert(link_announced(stack, link_sent_index(stack)), "it will look before it sleeps");
	cr_assert_not(pair_sleep(pair, PROXY), "it looks before it sleeps");
}

Test(doorbell, a_sleeper_is_rung_once_an_epoch)
{
	cr_assert(pair_sleep(pair, PROXY));
	for (int i = 0; i < 5; i++) {
		send(1);
		link_flush(stack);
	}
	cr_assert_eq(pair_bells(pair, PROXY), 1);
	pair_wake(pair, PROXY);
	cr_assert_eq(last_received(), 1);
	cr_assert(pair_sleep(pair, PROXY));
	send(2);
	link_flush(stack);
	cr_assert_eq(pair_bells(pair, PROXY), 1, "a new epoch, a new bell");
}

Test(doorbell, an_empty_flush_costs_nothing)
{
	cr_assert(pair_sleep(pair, PROXY));
	link_flush(stack);
	cr_assert_eq(pair_bells(pair, PROXY), 0);
	cr_assert_eq(stack->rings, 0);
}

Test(doorbell, lazy_messages_leave_the_sleeper_alone_and_are_remembered)
{
	cr_assert(pair_sleep(pair, PROXY));
	send_lazy(1);
	link_flush(stack);
	cr_assert_eq(pair_bells(pair, PROXY), 0);
	cr_assert(link_has_lazy(stack));
	cr_assert_not(link_announced(stack, link_sent_index(stack)));
	link_ring(stack);
	cr_assert_eq(pair_bells(pair, PROXY), 1);
	cr_assert_not(link_has_lazy(stack));
	link_ring(stack);
	cr_assert_eq(pair_bells(pair, PROXY), 0, "nothing is left to ring for");
}

Test(doorbell, an_urgent_message_takes_the_lazy_ones_along)
{
	cr_assert(pair_sleep(pair, PROXY));
	send_lazy(1);
	link_flush(stack);
	send(2);
	link_flush(stack);
	cr_assert_eq(pair_bells(pair, PROXY), 1);
	cr_assert_not(link_has_lazy(stack));
}

Test(doorbell, going_to_sleep_while_a_message_comes)
{
	send(1);
	cr_assert(pair_sleep(pair, PROXY), "it is not published yet");
	link_flush(stack);
	cr_assert_eq(pair_bells(pair, PROXY), 1);
}

Test(doorbell, two_links_sleep_together_or_not_at_all)
{
	struct pair *other = pair_new(ACTOR_BROKER, ACTOR_NETSTACK);
	struct link *links[2] = {stack, &other->end[1]};
	struct ring_desc d = {.op = RING_BROKER_FRAME};

	cr_assert(link_sleep(links, 2));
	link_wake(links, 2);
	cr_assert_eq(link_send(&other->end[0], LINK_DATA, &d, NULL), 0);
	link_flush(&other->end[0]);
	cr_assert_not(link_sleep(links, 2));
	cr_assert_eq(atomic_load(&pair->region[STACK]->sleep_epoch) & 1, 0);
	cr_assert_eq(atomic_load(&other->region[1]->sleep_epoch) & 1, 0);
	pair_free(other);
}

/*
 * Stall a: the sender left the peer asleep because the peer surely had credit, judged by what had
 * been published. The peer had never been told. link_announced is what to judge by.
 */
Test(doorbell, stall_a_credit_is_judged_by_what_was_announced)
{
	uint32_t index;

	cr_assert(pair_sleep(pair, PROXY));
	send_lazy(1000);
	index = link_sent_index(stack);
	link_flush(stack);
	cr_assert_not(link_announced(stack, index), "published, but the peer may not know");
	/* The peer uses up what it knew of; the next credit must not be lazy again. */
	send(2000);
	link_flush(stack);
	cr_assert_eq(pair_bells(pair, PROXY), 1);
	cr_assert(link_announced(stack, index));
	pair_wake(pair, PROXY);
	cr_assert_eq(last_received(), 2000);
}

/* Stall b: releases behind unrung heads starve the owner of the buffers. Their number, not that of
 * the messages, is bounded. */
Test(doorbell, stall_b_unrung_releases_are_bounded_by_buffers)
{
	uint32_t given = 0;

	cr_assert(pair_sleep(pair, PROXY));
	while (pair_bells(pair, PROXY) == 0) {
		cr_assert_leq(given, LINK_LAZY_MAX + RING_IDS, "the owner starves");
		for (int i = 0; i < 5; i++)
			link_release(stack, buf_id(ARENA_NATPROXY, given++));
		link_flush(stack);
	}
	cr_assert_gt(given, LINK_LAZY_MAX / 2, "lazy means lazy");
	cr_assert_leq(
		2 * (LINK_LAZY_MAX + RING_IDS), ARENA_LARGE_COUNT / 2, "summed over two hops");
}

Test(doorbell, stall_b_any_lazy_message_counts)
{
	int sent = 0;

	cr_assert(pair_sleep(pair, PROXY));
	while (pair_bells(pair, PROXY) == 0) {
		cr_assert_leq(sent, LINK_LAZY_MAX);
		send_lazy((uint64_t)sent++);
		link_flush(stack);
	}
	cr_assert_eq(sent, LINK_LAZY_MAX + 1);
}

/* Stall c: a last lazy message, then silence. link_has_lazy keeps the sender's timer armed until
 * link_ring. */
Test(doorbell, stall_c_the_last_lazy_message_has_a_timer)
{
	cr_assert(pair_sleep(pair, PROXY));
	send_lazy(77);
	link_flush(stack);
	for (int quiet_turn = 0; quiet_turn < 10; quiet_turn++) {
		link_flush(stack);
		cr_assert(link_has_lazy(stack), "a quiet turn must not forget it");
	}
	link_ring(stack);
	cr_assert_eq(pair_bells(pair, PROXY), 1);
	pair_wake(pair, PROXY);
	cr_assert_eq(last_received(), 77);
}

Test(doorbell, lazy_and_already_rung_needs_no_timer)
{
	cr_assert(pair_sleep(pair, PROXY));
	send(1);
	link_flush(stack);
	send_lazy(2);
	link_flush(stack);
	cr_assert_not(link_has_lazy(stack), "the bell of this epoch is on its way");
	cr_assert_eq(pair_bells(pair, PROXY), 1);
}

static void fill(void)
{
	struct ring_desc d = pair_credit(0);

	while (link_send(stack, LINK_DATA, &d, NULL) == 0)
		continue;
	link_flush(stack);
}

Test(doorbell, a_sender_without_room_is_rung_when_room_comes)
{
	struct ring_desc d;

	fill();
	cr_assert(pair_sleep(pair, STACK));
	cr_assert_eq(link_recv(proxy, &d, NULL), 1);
	link_flush(proxy);
	cr_assert_eq(pair_bells(pair, STACK), 1);
}

Test(doorbell, room_that_came_before_sleeping_is_seen)
{
	struct ring_desc d;

	fill();
	cr_assert_eq(link_recv(proxy, &d, NULL), 1);
	link_flush(proxy);
	cr_assert_eq(pair_bells(pair, STACK), 0, "the sender was awake");
	cr_assert_not(pair_sleep(pair, STACK), "the tail moved");
	cr_assert(pair_sleep(pair, STACK), "reported once: who still wants room asks again");
}

Test(doorbell, a_sender_with_room_is_not_rung_for_a_moved_tail)
{
	struct ring_desc d;

	send(1);
	link_flush(stack);
	cr_assert(pair_sleep(pair, STACK));
	cr_assert_eq(link_recv(proxy, &d, NULL), 1);
	link_flush(proxy);
	cr_assert_eq(pair_bells(pair, STACK), 0);
}

Test(doorbell, a_hostile_epoch_costs_one_bell_a_flush)
{
	for (uint32_t i = 0; i < 100; i++) {
		atomic_store(&pair->region[PROXY]->sleep_epoch, i * 7919 | 1);
		send(i);
		link_flush(stack);
	}
	cr_assert_leq(pair_bells(pair, PROXY), 100);
	cr_assert_eq(link_error(stack, NULL), 0);
}

Test(doorbell, a_bell_that_a_neighbour_filled_does_not_block)
{
	uint64_t full = UINT64_MAX - 1;

	cr_assert(pair_sleep(pair, PROXY));
	cr_assert_eq(write(pair->bell[PROXY], &full, sizeof(full)), sizeof(full));
	send(1);
	link_flush(stack);
	cr_assert_gt(pair_bells(pair, PROXY), 0, "still readable: the sleeper wakes");
}
