/* What the operator sees of sessions and ports. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <sys/socket.h>

#include "rig.h"

enum { FLOW = 0x40001 };

Test(rows, outside_addresses_of_tcp_and_udp_are_known)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	struct natproxy_row_space space;
	Nl__NatRow row;
	uint16_t port, udp;
	const int listener = rig_listener(&port);
	struct ring_desc d;
	rig_udp(&udp);
	rig_open(r, FLOW, RIG_GUEST_PORT, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	accept(listener, NULL, NULL);
	d = (struct ring_desc){.op = RING_NETSTACK_DGRAM_OPEN, .flow = FLOW + 1};
	d.pair = (struct ring_pair){
		.guest_ip_be = rig_guest_ip(), .guest_port = 45123, .kind = DGRAM_UDP};
	rig_send(r, &d);
	d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW + 1, 0, "xyz", 3);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = udp, .ttl = 63};
	rig_send(r, &d);
	rig_turn(r);
	const uint32_t sockets = r->np->sockets_open;
	uint64_t cursor = natproxy_nat_row(r->np, 0, &row, &space);
	cr_assert_eq(row.outside->ip_be, rig_loopback());
	cr_assert_eq(row.outside->port, RIG_GUEST_PORT);
	cr_assert_str_eq(row.state, "RUNNING");
	cr_assert_str_eq(row.process, "natproxy");
	cursor = natproxy_nat_row(r->np, cursor, &row, &space);
	cr_assert_str_eq(row.proto, "udp");
	cr_assert_eq(row.outside->ip_be, rig_loopback(), "asked of the kernel");
	cr_assert_eq(row.outside->port, 45123);
	cr_assert_eq(row.tx_bytes, 3);
	cr_assert_eq(natproxy_nat_row(r->np, cursor, &row, &space), 0);
	cr_assert_eq(r->np->sockets_open, sockets);
	rig_free(r);
}

Test(rows, a_question_to_the_gateway_has_no_outside)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	struct natproxy_row_space space;
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = FLOW};
	Nl__NatRow row;
	d.pair = (struct ring_pair){
		.guest_ip_be = rig_guest_ip(), .guest_port = 45123, .kind = DGRAM_UDP};
	rig_send(r, &d);
	d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW, 0, "not a question", 14);
	d.remote = (struct ring_remote){.ip_be = inet_addr("192.168.30.1"), .port = 53, .ttl = 63};
	rig_send(r, &d);
	rig_turn(r);
	cr_assert_neq(natproxy_nat_row(r->np, 0, &row, &space), 0);
	cr_assert_null(row.outside);
	rig_free(r);
}

Test(rows, ports_and_addresses_with_their_states)
{
	Nl__Nat nat = NL__NAT__INIT;
	Nl__Static s = NL__STATIC__INIT, *statics[] = {&s};
	Nl__Ip4 inside = NL__IP4__INIT, outside = NL__IP4__INIT;
	uint32_t ports[] = {8022};
	struct natproxy_row_space space;
	Nl__ForwardRow row;
	uint64_t cursor = 0;
	inside.be = rig_guest_ip();
	outside.be = inet_addr("127.0.0.5");
	s.inside = &inside;
	s.outside = &outside;
	s.n_ports = 1;
	s.ports = ports;
	nat.n_static_ = 1;
	nat.static_ = statics;
	struct rig *r = rig_new(&(struct rig_options){.nat = &nat});
	static const char *const proto[] = {"tcp", "udp", "all"}, *const state[] = {"listening",
									  "listening",
									  "waiting for address"};
	for (int i = 0; i < 3; i++) {
		cursor = natproxy_forward_row(r->np, cursor, &row, &space);
		cr_assert_neq(cursor, 0);
		cr_assert_str_eq(row.kind, "static");
		cr_assert_str_eq(row.proto, proto[i]);
		cr_assert_str_eq(row.state, state[i]);
		cr_assert_eq(row.listen->ip_be, outside.be);
		cr_assert_eq(row.to->ip_be, inside.be);
		cr_assert_eq(row.sessions, 0);
	}
	cr_assert_eq(natproxy_forward_row(r->np, cursor, &row, &space), 0);
	rig_free(r);
}
