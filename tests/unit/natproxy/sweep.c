/* Sessions ended by order, by the NAT's switch, or because their address is gone. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "sweep.h"

enum { FLOWS = 20, FIRST = 0x40001, UDP_FLOW = 0x40101 };

/* Connections to a listener: their far ends. */
static void connect_flows(struct rig *r, int listener, uint16_t port, int far[FLOWS])
{
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct ring_desc d;
		rig_open(r, FIRST + i, (uint16_t)(RIG_GUEST_PORT + i), port);
		cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
		far[i] = accept(listener, NULL, NULL);
	}
}

static void open_udp(struct rig *r, uint16_t port)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = UDP_FLOW};
	d.pair = (struct ring_pair){
		.guest_ip_be = rig_guest_ip(), .guest_port = 45123, .kind = DGRAM_UDP};
	rig_send(r, &d);
	d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, UDP_FLOW, 0, "x", 1);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = port, .ttl = 63};
	rig_send(r, &d);
	rig_turn(r);
}

static uint32_t end(struct rig *r, bool all, uint32_t *ids, size_t count)
{
	Nl__SessionsEnd m = NL__SESSIONS_END__INIT;
	Nl__Order order = NL__ORDER__INIT;
	m.has_all = m.all = all;
	m.id = ids;
	m.n_id = count;
	order.what_case = NL__ORDER__WHAT_SESSIONS_END;
	order.sessions_end = &m;
	return natproxy_order(r->np, &order);
}

static bool was_reset(int fd)
{
	char byte;
	return read(fd, &byte, 1) < 0 && errno == ECONNRESET;
}

Test(sweep, all_sessions_end_and_both_sides_hear_of_it)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	uint16_t port, udp;
	const int listener = rig_listener(&port);
	int far[FLOWS];
	struct ring_desc d;
	rig_udp(&udp);
	connect_flows(r, listener, port, far);
	open_udp(r, udp);
	cr_assert_eq(end(r, true, NULL, 0), FLOWS + 1);
	for (uint32_t i = 0; i < FLOWS; i++) {
		cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
		cr_assert(was_reset(far[i]), "far end %u", i);
	}
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
	cr_assert_eq(r->np->nat.live, 0);
	cr_assert_eq(r->np->sockets_open, 0);
	cr_assert(rig_has_line(r, "ended: ended by the operator"));
	rig_free(r);
}

Test(sweep, only_those_with_these_numbers)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	uint16_t port;
	const int listener = rig_listener(&port);
	int far[FLOWS];
	uint32_t ids[] = {3, 5, 3 + 65536, 999};
	struct ring_desc d;
	connect_flows(r, listener, port, far);
	cr_assert_eq(end(r, false, ids, 4), 2);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
	cr_assert_eq(d.flow, FIRST + 2U);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
	cr_assert_eq(d.flow, FIRST + 4U);
	cr_assert_eq(r->np->nat.live, FLOWS - 2);
	rig_free(r);
}

Test(sweep, what_begins_after_the_order_is_not_meant)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	uint16_t port, udp;
	const int listener = rig_listener(&port);
	int far[FLOWS];
	rig_udp(&udp);
	connect_flows(r, listener, port, far);
	cr_assert_eq(end(r, true, NULL, 0), FLOWS);
	open_udp(r, udp); /* the same turn, before the walk */
	cr_assert_eq(r->np->nat.live, 1);
	cr_assert_eq(r->np->nat.count[NAT_UDP], 1);
	rig_free(r);
}

Test(sweep, a_walk_goes_on_over_turns)
{
	struct rig *r = rig_new(&(struct rig_options){.udp_limit = 5000});
	uint16_t udp;
	rig_udp(&udp);
	open_udp(r, udp);
	for (uint32_t i = 0; i < 2000; i++) {
		struct ring_desc d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, UDP_FLOW, 0, "x", 1);
		d.remote = (struct ring_remote){
			.ip_be = rig_loopback(), .port = (uint16_t)(2000 + i), .ttl = 63};
		rig_send(r, &d);
		if (i % 64 == 0)
			rig_turn(r);
	}
	rig_turn(r);
	const uint32_t live = r->np->nat.live;
	cr_assert_gt(live, 1500);
	cr_assert_eq(end(r, true, NULL, 0), live);
	rig_turn(r);
	cr_assert_gt(r->np->nat.live, 0, "not all in one turn");
	for (int i = 0; i < 10; i++)
		rig_turn(r);
	cr_assert_eq(r->np->nat.live, 0);
	rig_free(r);
}

Test(sweep, an_address_that_stays_away_ends_its_sessions_only)
{
	static const char *const both[] = {"127.0.0.0", "10.200.0.1"}, *const one[] = {"127.0.0.0"};
	struct rig *r = rig_new(&(struct rig_options){0});
	uint16_t port;
	const int listener = rig_listener(&port);
	int far[FLOWS];
	struct ring_desc d;
	rig_host(r, both, 2);
	connect_flows(r, listener, port, far);
	r->np->flow[flow_index(FIRST)].outside.ip_be = inet_addr("10.200.0.1");
	rig_host(r, one, 1);
	rig_turn(r);
	cr_assert_eq(r->np->nat.live, FLOWS, "it may come back");
	rig_host(r, both, 2);
	r->skew_ns += 600000000;
	rig_turn(r);
	cr_assert_eq(r->np->nat.live, FLOWS, "it did");
	rig_host(r, one, 1);
	r->skew_ns += 600000000;
	cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
	cr_assert_eq(d.flow, FIRST);
	cr_assert_eq(r->np->nat.live, FLOWS - 1, "those on loopback stay");
	cr_assert(rig_has_line(r, "ended: its outside address is gone"));
	rig_free(r);
}

Test(sweep, an_event_does_not_make_an_order_mean_younger_sessions)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	uint16_t port;
	const int listener = rig_listener(&port);
	int far[FLOWS];
	connect_flows(r, listener, port, far);
	cr_assert_eq(end(r, true, NULL, 0), FLOWS);
	struct ring_desc d = {.op = RING_NETSTACK_TCP_OPEN, .flow = FIRST + FLOWS};
	d.pair = (struct ring_pair){.guest_ip_be = rig_guest_ip(),
		.guest_port = RIG_GUEST_PORT + FLOWS,
		.remote_ip_be = rig_loopback(),
		.remote_port = port};
	cr_assert_eq(natproxy_op_tcp_open(r->np, &d), 0);
	sweep_begin(r->np, SWEEP_DEVICE);
	natproxy_flush(r->np);
	cr_assert_eq(r->np->nat.live, 1, "%u", r->np->nat.live);
	rig_free(r);
}
