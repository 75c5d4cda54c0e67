/* Tables that are full: flows, TIME-WAIT, stations. What is there goes on, the oldest idle entry makes room. */
#include <criterion/criterion.h>
#include <string.h>

#include "state.h"
#include "world.h"

static struct world *w;
static uint8_t frame[2000];

static void no_limits(struct stack_config *c)
{
	c->tcp_per_guest = c->udp_per_guest = c->echo_per_guest = 0;
	c->mask_be = htobe32(0xffff0000);
}

static void setup(void)
{
	w = world_new(no_limits);
}

static void teardown(void)
{
	cr_assert_eq(w->error, 0);
	world_free(w);
}

TestSuite(flow, .init = setup, .fini = teardown, .timeout = 60);

static void say_from(uint32_t src, uint16_t sport)
{
	struct ip_spec ip = {.src = src, .dst = OUTSIDE};
	world_frame(w, frame, make_udp(frame, &ip, sport, 2000, "x", 1), false);
	world_run(w);
	if (w->told_n > WORLD_TOLD / 2)
		world_clear(w);
}

/* One endpoint a flow, of as many stations as it takes. */
static void fill(uint32_t flows)
{
	for (uint32_t i = 0; i < flows; i++)
		say_from(GUEST + i / 60000, (uint16_t)(1024 + i % 60000));
	world_clear(w);
}

static void close_by_far_end(struct conn *c)
{
	conn_far(c, RING_NATPROXY_TCP_FIN, 0);
	c->ack++;
	conn_send(c, F_FIN | F_ACK, NULL, 0);
	world_clear(w);
}

Test(flow, a_full_table_refuses_the_next_and_keeps_the_rest)
{
	struct conn c;
	struct ring_desc closed = {.op = RING_NATPROXY_DGRAM_CLOSED};
	conn_init(&c, w, 50000, 80);
	conn_open(&c, OPT_ALL);
	fill(STACK_FLOWS_MAX - 2);
	say_from(GUEST, 1);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 1, "the last one fits");
	closed.flow = world_told(w, RING_NETSTACK_DGRAM_OPEN, 0)->flow;
	cr_assert_eq(w->stack->flows.used, STACK_FLOWS_MAX);
	world_clear(w);
	say_from(GUEST, 2);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 0);
	cr_assert_eq(w->drops.count[DROP_FLOW_TABLE], 1);
	conn_send(&c, F_ACK | F_PSH, "still here", 10);
	cr_assert_eq(w->upload_n, 10);
	world_tell(w, &closed);
	world_run(w);
	world_clear(w);
	say_from(GUEST, 2);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 1, "room again");
}

Test(flow, connections_that_are_over_make_room_in_a_full_table)
{
	struct conn c;
	conn_init(&c, w, 50000, 80);
	conn_open(&c, OPT_ALL);
	close_by_far_end(&c);
	fill(STACK_FLOWS_MAX - 1);
	cr_assert_eq(w->stack->flows.time_wait.count, 1);
	cr_assert_eq(w->stack->flows.used, STACK_FLOWS_MAX);
	say_from(GUEST, 2);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 1);
	cr_assert_eq(w->stack->flows.time_wait.count, 0);
	cr_assert_eq(w->drops.count[DROP_FLOW_TABLE], 0);
}

Test(flow, time_wait_is_bounded_and_the_oldest_goes_first)
{
	struct conn c, oldest = {0}, newest = {0};
	for (uint32_t i = 0; i < TIME_WAIT_MAX + 10; i++) {
		conn_init(&c, w, (uint16_t)(2000 + i), 80);
		conn_open(&c, OPT_ALL);
		close_by_far_end(&c);
		cr_assert_leq(w->stack->flows.time_wait.count, TIME_WAIT_MAX);
		oldest = i ? oldest : c;
		newest = c;
	}
	cr_assert_eq(w->stack->flows.time_wait.count, TIME_WAIT_MAX);
	cr_assert_eq(w->stack->flows.used, TIME_WAIT_MAX);
	conn_send_at(&newest, newest.seq - 1, newest.ack, F_FIN | F_ACK, NULL, 0);
	cr_assert_eq(world_seen(w, 6, 0)->flags & F_RST, 0);
	cr_assert_eq(world_seen(w, 6, 0)->ack, newest.seq, "the newest still answers");
	world_clear(w);
	conn_send_at(&oldest, oldest.seq - 1, oldest.ack, F_FIN | F_ACK, NULL, 0);
	cr_assert_eq(world_seen(w, 6, 0)->flags & F_RST, F_RST, "the oldest is forgotten");
	world_sleep(w, 61 * SECOND);
	cr_assert_eq(w->stack->flows.used, 0);
	cr_assert(world_at_rest(w));
}

static void arp_from(uint32_t ip)
{
	world_frame(w, frame, make_arp(frame, 1, GUEST_MAC, ip, GATEWAY), false);
	world_run(w);
	world_advance(w, MS);
	world_clear(w);
}

Test(flow, stations_are_recycled_but_not_those_with_flows)
{
	uint32_t first = NET + 256;
	say_from(GUEST, 1024);
	arp_from(first);
	for (uint32_t i = 1; i < 3 * GUEST_MAX; i++)
		arp_from(first + i);
	cr_assert_eq(w->stack->guests.used, GUEST_MAX);
	cr_assert_not_null(guest_find(w->stack, htobe32(GUEST)), "it has a flow");
	cr_assert_null(guest_find(w->stack, htobe32(first)), "long silent");
	cr_assert_not_null(guest_find(w->stack, htobe32(first + 3 * GUEST_MAX - 1)));
}

Test(flow, a_station_table_full_of_flows_serves_those_it_has)
{
	for (uint32_t i = 0; i < GUEST_MAX; i++)
		say_from(NET + 256 + i, 1024);
	world_clear(w);
	say_from(NET + 256 + GUEST_MAX, 1024);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 0, "no entry for one more");
	say_from(NET + 256, 1025);
	cr_assert_eq(world_told_count(w, RING_NETSTACK_DGRAM_OPEN), 1);
}
