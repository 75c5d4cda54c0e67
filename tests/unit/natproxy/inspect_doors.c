/* What alg wishes about a TCP connection under inspection: the test is alg, honest and hostile. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <unistd.h>
#include <string.h>

#include "streams.h"

Test(inspect_doors, a_granted_door_lets_the_peer_in_once)
{
	struct scene s = stream_open((struct rig_options){0});
	struct ring_desc d;
	stream_says(&s, 0, STREAM_COMMAND);
	cr_assert_eq(stream_wish(&s, STREAM_NUMBER, 1, STREAM_DATA_PORT, 0), 0);
	cr_assert(s.r->answer.granted);
	cr_assert_eq(s.r->answer.outside_ip_be, rig_loopback());
	cr_assert(rig_has_line(s.r,
		"SecureNAT: The ALG expectation 1 was created. Protocol ftp, TCP session 1, guest "
		"192.168.30.10:51210, outside 127.0.0.1:51210, peer 127.0.0.1, expiration 30 "
		"seconds"));
	const int data = stream_knock((uint16_t)s.r->answer.outside_port);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_INCOMING, &d));
	cr_assert_eq(d.pair.guest_ip_be, rig_guest_ip());
	cr_assert_eq(d.pair.guest_port, STREAM_DATA_PORT);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	stream_accept(&s, STREAM_FLOW + 1, d.pair.token);
	rig_credit(s.r, STREAM_FLOW + 1, 1000);
	cr_assert_eq(write(data, "listing", 7), 7);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_DATA, &d));
	cr_assert_eq(d.flow, STREAM_FLOW + 1);
	cr_assert_eq(d.seg[0].len, 7);
	const int second = stream_knock((uint16_t)s.r->answer.outside_port);
	cr_assert(rig_quiet(s.r, 20));
	close(second);
	rig_free(s.r);
}

Test(inspect_doors, a_door_is_not_put_where_the_host_serves)
{
	struct scene s = stream_open((struct rig_options){0});
	stream_says(&s, 0, STREAM_COMMAND);
	stream_wish(&s, STREAM_NUMBER, 1, 9200, 0);
	cr_assert(s.r->answer.granted);
	cr_assert_neq(s.r->answer.outside_port, 9200);
	cr_assert_geq(s.r->answer.outside_port, 1024);
	rig_free(s.r);
}

Test(inspect_doors, others_are_turned_away_and_the_door_waits_for_its_peer)
{
	struct scene s = stream_open((struct rig_options){0});
	stream_says(&s, 0, STREAM_COMMAND);
	stream_wish(&s, STREAM_NUMBER, 1, STREAM_DATA_PORT, 0);
	s.r->np->pinholes.entry[1].peer_ip_be = inet_addr("203.0.113.1");
	const int stranger = stream_knock((uint16_t)s.r->answer.outside_port);
	cr_assert(rig_quiet(s.r, 30));
	cr_assert_eq(s.r->drops.count[DROP_FILTERED], 1);
	cr_assert_eq(s.r->np->pinholes.live, 1);
	close(stranger);
	rig_free(s.r);
}

Test(inspect_doors, doors_expire_and_close_with_their_control_connection)
{
	struct scene s = stream_open((struct rig_options){0});
	stream_says(&s, 0, STREAM_COMMAND);
	stream_wish(&s, STREAM_NUMBER, 1, STREAM_DATA_PORT, 0);
	scene_verdict(&s, NL__DIRECTION__GUEST, strlen(STREAM_COMMAND), NULL, 0);
	s.r->skew_ns = 31ULL * 1000000000;
	rig_turn(s.r);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	cr_assert(
		rig_has_line(s.r, "SecureNAT: The ALG expectation 1 was deleted: expired unused."));
	stream_wish(&s, STREAM_NUMBER, 2, STREAM_DATA_PORT, 0);
	cr_assert_eq(s.r->np->pinholes.live, 1);
	rig_op(s.r, RING_NETSTACK_TCP_RESET, STREAM_FLOW);
	rig_turn(s.r);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	cr_assert_eq(s.r->np->sockets_open, 0);
	cr_assert(rig_has_line(
		s.r, "SecureNAT: The ALG expectation 2 was deleted: control connection ended."));
	rig_free(s.r);
}

Test(inspect_doors, what_comes_by_a_door_is_not_looked_at)
{
	struct scene s = stream_open((struct rig_options){0});
	struct ring_desc d;
	Nl__Alg alg = NL__ALG__INIT;
	Nl__AlgSwitch ftp = NL__ALG_SWITCH__INIT;
	uint32_t ports[] = {s.r->inspect.peer_port, STREAM_DATA_PORT};
	alg.ftp = &ftp;
	ftp.n_ports = 2;
	ftp.ports = ports;
	rig_configure(s.r, &(struct rig_options){.alg = &alg});
	stream_says(&s, 0, STREAM_COMMAND);
	stream_wish(&s, STREAM_NUMBER, 1, STREAM_DATA_PORT, 0);
	cr_assert(s.r->answer.granted);
	stream_knock((uint16_t)s.r->answer.outside_port);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_INCOMING, &d));
	stream_accept(&s, STREAM_FLOW + 1, d.pair.token);
	rig_turn(s.r);
	cr_assert_eq(s.r->np->nat.live, 2);
	cr_assert_eq(s.r->inspected, 1);
	rig_free(s.r);
}

Test(inspect_doors_hostile, other_flows_cannot_be_spoken_for)
{
	struct scene s = stream_open((struct rig_options){0});
	cr_assert_eq(stream_wish(&s, STREAM_NUMBER + 1, 1, STREAM_DATA_PORT, 0), 0);
	cr_assert_eq(stream_wish(&s, STREAM_NUMBER << 1, 1, STREAM_DATA_PORT, 0), 0);
	cr_assert_eq(s.r->answers, 0);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	Nl__Verdict m = NL__VERDICT__INIT;
	m.flow = STREAM_NUMBER + 1;
	m.until = 99;
	cr_assert_eq(
		natproxy_on_verdict(s.r->np, &m, NULL), 0, "late words about a flow that is over");
	rig_free(s.r);
}

Test(inspect_doors_hostile, bad_wishes_are_refused_logged_and_counted)
{
	struct scene s = stream_open((struct rig_options){0});
	stream_wish(&s, STREAM_NUMBER, 1, 22, 0);
	cr_assert_not(s.r->answer.granted);
	stream_wish(&s, STREAM_NUMBER, 1, 70000, 0);
	stream_wish(&s, STREAM_NUMBER, 1, STREAM_DATA_PORT, inet_addr("203.0.113.1"));
	cr_assert_not(s.r->answer.granted);
	cr_assert_eq(s.r->drops.count[DROP_PINHOLE_REFUSED], 3);
	cr_assert(
		rig_has_line(s.r, "SecureNAT: The ALG expectation was refused: inside port is "
				  "privileged or a protected "
				  "service. Protocol ftp, TCP session 1, guest 192.168.30.10:22"));
	cr_assert(rig_has_line(s.r, "refused: peer is not the control connection's peer."));
	stream_wish(&s, STREAM_NUMBER + 1, 1, STREAM_DATA_PORT, 0);
	cr_assert_eq(s.r->drops.count[DROP_PINHOLE_REFUSED], 4);
	cr_assert(rig_has_line(s.r, "refused: its session is not under inspection. Inside port "));
	rig_free(s.r);
}

Test(inspect_doors_hostile, a_storm_of_wishes_opens_one_door)
{
	struct scene s = stream_open((struct rig_options){0});
	for (uint32_t i = 0; i < 2000; i++)
		stream_wish(&s, STREAM_NUMBER, i, STREAM_DATA_PORT + i % 1000, 0);
	cr_assert_eq(s.r->np->pinholes.live, 1);
	cr_assert_leq(s.r->np->sockets_open, 2);
	rig_free(s.r);
}
