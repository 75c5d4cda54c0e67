/* Whose TCP connections are inspected, and how inspection ends: the test is alg. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "streams.h"

Test(inspect, a_lost_alg_lets_what_is_held_go_on_raw)
{
	struct scene s = stream_open((struct rig_options){0});
	char text[64] = "";
	struct ring_desc d;
	stream_says(&s, 0, STREAM_COMMAND);
	stream_wish(&s, STREAM_NUMBER, 1, STREAM_DATA_PORT, 0);
	cr_assert_eq(write(s.fd, "200 ok\r\n", 8), 8);
	cr_assert(rig_quiet(s.r, 10));
	s.r->alg_error = -EPIPE;
	natproxy_alg_lost(s.r->np);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_DATA, &d));
	cr_assert_eq(d.seg[0].len, 8);
	scene_arrived(&s, text, sizeof(text));
	cr_assert_str_eq(text, STREAM_COMMAND);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	cr_assert_eq(s.r->np->flow[flow_index(STREAM_FLOW)].inspect, 0,
		"by the ordinary path from here");
	stream_says(&s, strlen(STREAM_COMMAND), "NOOP\r\n");
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 6);
	cr_assert_eq(
		s.r->np->flow[flow_index(STREAM_FLOW)].upload_reported, strlen(STREAM_COMMAND) + 6);
	rig_free(s.r);
}

Test(inspect, give_up_is_the_same_for_one_flow)
{
	struct scene s = stream_open((struct rig_options){0});
	Nl__GiveUp m = NL__GIVE_UP__INIT;
	char text[64] = "";
	stream_says(&s, 0, STREAM_COMMAND);
	m.flow = STREAM_NUMBER;
	cr_assert_eq(natproxy_on_give_up(s.r->np, &m, NULL), 0);
	rig_turn(s.r);
	scene_arrived(&s, text, sizeof(text));
	cr_assert_str_eq(text, STREAM_COMMAND);
	cr_assert_eq(stream_wish(&s, STREAM_NUMBER, 1, STREAM_DATA_PORT, 0), 0);
	cr_assert_eq(s.r->answers, 0, "a flow given up asks for nothing");
	rig_free(s.r);
}

Test(inspect, observing_holds_nothing_and_opens_nothing)
{
	struct scene s = stream_open((struct rig_options){.observe = true});
	char text[64] = "";
	stream_says(&s, 0, STREAM_COMMAND);
	scene_arrived(&s, text, sizeof(text));
	cr_assert_str_eq(text, STREAM_COMMAND);
	cr_assert_eq(s.r->seen_bytes[0], strlen(STREAM_COMMAND));
	stream_wish(&s, STREAM_NUMBER, 1, STREAM_DATA_PORT, 0);
	cr_assert(s.r->answer.granted, "alg does not learn that it only looks on");
	cr_assert_eq(s.r->answer.outside_port, STREAM_DATA_PORT);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	cr_assert_eq(s.r->np->sockets_open, 1);
	rig_free(s.r);
}

Test(inspect, alg_is_told_whose_flow_it_is)
{
	struct scene s = stream_open((struct rig_options){0});
	cr_assert_eq(s.r->inspect.flow, STREAM_NUMBER);
	cr_assert_str_eq(s.r->inspect_alg, "ftp");
	cr_assert(s.r->inspect.stream);
	cr_assert_not(s.r->inspect.guest_serves);
	cr_assert_eq(s.r->inspect.service, 0);
	cr_assert_eq(s.r->inspect.guest_ip_be, rig_guest_ip());
	cr_assert_eq(s.r->inspect.guest_port, 40000);
	cr_assert_eq(s.r->inspect.outside_ip_be, rig_loopback());
	cr_assert_eq(s.r->inspect.peer_ip_be, rig_loopback());
	cr_assert_str_eq(s.r->inspect_vrf, "");
	rig_free(s.r);
}

Test(inspect, a_number_is_never_that_of_the_flow_before)
{
	struct scene s = stream_open((struct rig_options){0});
	rig_op(s.r, RING_NETSTACK_TCP_RESET, STREAM_FLOW);
	rig_turn(s.r);
	uint16_t port;
	const int listener = rig_listener(&port);
	struct ring_desc d;
	rig_configure(s.r, &(struct rig_options){.ftp_port = port});
	rig_open(s.r, STREAM_FLOW, 40000, port);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_OPENED, &d));
	cr_assert_eq(s.r->inspect.flow, 2 * STREAM_NUMBER, "the slot is the same");
	cr_assert_eq(stream_wish(&s, STREAM_NUMBER, 1, STREAM_DATA_PORT, 0), 0);
	cr_assert_eq(s.r->answers, 0);
	close(listener);
	rig_free(s.r);
}

Test(inspect, a_guest_that_serves_by_its_own_port)
{
	struct scene s = stream_come_in((struct rig_options){.ftp_port = 21}, 18021, 21);
	cr_assert_eq(s.r->inspected, 1);
	cr_assert(s.r->inspect.guest_serves);
	cr_assert_eq(s.r->inspect.guest_port, 21);
	cr_assert_eq(s.r->inspect.outside_port, 18021);
	cr_assert_eq(write(s.fd, "USER x\r\n", 8), 8);
	cr_assert(rig_quiet(s.r, 20), "held");
	cr_assert_eq(s.r->seen_bytes[1], 8);
	rig_free(s.r);
}

Test(inspect, a_guest_that_serves_by_the_port_that_is_open_outside)
{
	struct scene s = stream_come_in((struct rig_options){.ftp_port = 18021}, 18021, 9999);
	cr_assert_eq(s.r->inspected, 1);
	cr_assert(s.r->inspect.guest_serves);
	rig_free(s.r);
}

Test(inspect, a_guest_that_serves_something_else)
{
	struct scene s = stream_come_in((struct rig_options){.ftp_port = 21}, 18021, 80);
	cr_assert_eq(s.r->inspected, 0);
	rig_free(s.r);
}

Test(inspect, an_alg_that_observes_says_what_it_would_change)
{
	struct scene s = stream_open((struct rig_options){.observe = true});
	char text[64] = "";
	stream_says(&s, 0, STREAM_COMMAND);
	scene_arrived(&s, text, sizeof(text));
	cr_assert_eq(stream_edited(&s, strlen(STREAM_COMMAND), 5, 20, "127,0,0,1,200,10"), 0);
	cr_assert_lt(scene_arrived(&s, text, sizeof(text)), 0, "nothing more");
	cr_assert(rig_has_line(s.r,
		"SecureNAT: The ALG ftp would have changed the TCP session 1 at 1 places in what "
		"the guest sent: at 5: 20 bytes by 16."));
	cr_assert_eq(
		stream_edited(&s, strlen(STREAM_COMMAND), 5, 20, "x"), -EPROTO, "judged before");
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, strlen(STREAM_COMMAND) + 1, NULL, 0),
		-EPROTO);
	rig_free(s.r);
}

Test(inspect, no_more_is_said_of_it_than_a_log_can_take)
{
	struct scene s = stream_open((struct rig_options){.observe = true});
	uint32_t said = 0;
	for (uint64_t i = 0; i < 50; i++) {
		stream_says(&s, 2 * i, "x\n");
		cr_assert_eq(stream_edited(&s, 2 * i + 2, 2 * i, 1, "yy"), 0);
	}
	for (uint32_t i = 0; i < s.r->lines; i++)
		said += strstr(s.r->line[i], "would have changed") != NULL;
	cr_assert_eq(said, 20);
	rig_free(s.r);
}

static void not_ftp(struct scene *s, bool violation)
{
	Nl__GiveUp m = NL__GIVE_UP__INIT;
	stream_says(s, 0, "GET / HTTP/1.1\r\n");
	m.flow = STREAM_NUMBER;
	m.has_violation = true;
	m.violation = violation;
	cr_assert_eq(natproxy_on_give_up(s->r->np, &m, NULL), 0);
}

Test(inspect, what_a_strict_alg_does_not_understand_is_reset)
{
	struct scene s = stream_open((struct rig_options){.alg_strict = true});
	struct ring_desc d;
	char text[8];
	not_ftp(&s, true);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_RESET, &d));
	cr_assert_eq(read(s.fd, text, sizeof(text)), -1);
	cr_assert_eq(errno, ECONNRESET, "and no byte of it");
	cr_assert_eq(s.r->np->nat.live, 0);
	cr_assert_eq(s.r->np->inspects, 0);
	cr_assert_eq(s.r->drops.count[DROP_ALG_STRICT], 1);
	cr_assert(rig_has_line(s.r, "ended: not ftp, and alg.ftp.strict is true"));
	rig_free(s.r);
}

Test(inspect, what_a_strict_alg_is_done_with_goes_on)
{
	struct scene s = stream_open((struct rig_options){.alg_strict = true});
	char text[32];
	not_ftp(&s, false);
	rig_turn(s.r);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 16);
	rig_free(s.r);
}

Test(inspect, an_alg_that_observes_ends_nothing)
{
	struct scene s = stream_open((struct rig_options){.alg_strict = true, .observe = true});
	not_ftp(&s, true);
	rig_turn(s.r);
	cr_assert_eq(s.r->np->nat.live, 1);
	rig_free(s.r);
}

Test(inspect, switching_the_alg_off_gives_its_flows_up)
{
	struct scene s = stream_open((struct rig_options){0});
	char text[64] = "";
	stream_says(&s, 0, STREAM_COMMAND);
	stream_wish(&s, STREAM_NUMBER, 1, STREAM_DATA_PORT, 0);
	rig_configure(s.r, &(struct rig_options){0});
	rig_turn(s.r);
	scene_arrived(&s, text, sizeof(text));
	cr_assert_str_eq(text, STREAM_COMMAND);
	cr_assert_eq(s.r->np->pinholes.live, 0);
	cr_assert_eq(s.r->ended, 1);
	cr_assert_eq(s.r->np->inspects, 0);
	rig_free(s.r);
}

Test(inspect, the_rows_name_the_alg)
{
	struct scene s = stream_open((struct rig_options){0});
	struct natproxy_row_space space;
	Nl__NatRow row;
	cr_assert_neq(natproxy_nat_row(s.r->np, 0, &row, &space), 0);
	cr_assert_str_eq(row.alg, "ftp");
	natproxy_alg_lost(s.r->np);
	rig_turn(s.r);
	cr_assert_neq(natproxy_nat_row(s.r->np, 0, &row, &space), 0);
	cr_assert_null(row.alg);
	rig_free(s.r);
}
