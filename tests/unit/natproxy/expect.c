/* Doors as alg asks for them: who may come in, since when and how long, what is said of it. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan.h"
#include "doors.h"

Test(expect, strangers_are_filtered_before_and_after_the_flow_begins)
{
	struct rig *r = door_controlled((struct rig_options){.strict = true});
	const int stranger = door_far_end(9), peer = door_far_end(1);
	struct ring_desc d;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	door_throw_at(stranger, r->answer.outside_port, "no");
	cr_assert(rig_quiet(r, 20));
	cr_assert_eq(r->drops.count[DROP_FILTERED], 1);
	door_throw_at(stranger, r->answer.outside_port, "no");
	door_throw_at(peer, r->answer.outside_port, "yes");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d),
		"what waits before it is in nobody's way");
	door_guest_begins(r, DATA, RTP, d.pair.token);
	cr_assert(door_guest_hears(r, DATA, "yes"));
	door_throw_at(stranger, r->answer.outside_port, "no");
	cr_assert(rig_quiet(r, 20));
	cr_assert_eq(r->drops.count[DROP_FILTERED], 3);
	rig_free(r);
}

Test(expect, nobody_comes_in_by_a_latent_door_until_it_is_armed)
{
	struct rig *r = door_controlled((struct rig_options){.strict = true});
	const int peer = door_far_end(1);
	struct ring_desc d;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, true));
	const uint32_t outside = r->answer.outside_port;
	cr_assert(rig_has_line(r, "not armed yet"));
	door_throw_at(peer, outside, "early");
	cr_assert(rig_quiet(r, 20));
	cr_assert_eq(r->drops.count[DROP_FILTERED], 1);
	r->skew_ns += 50 * 1000000000ULL;
	rig_turn(r);
	door_arm(r, 1);
	r->skew_ns += 50 * 1000000000ULL;
	rig_turn(r);
	cr_assert_eq(r->np->pinholes.live, 1, "its time began anew");
	door_arm(r, 1);
	r->skew_ns += 11 * 1000000000ULL;
	rig_turn(r);
	cr_assert_eq(r->np->pinholes.live, 0, "and only once");
	cr_assert_eq(r->gone_expired, 1);
	cr_assert(door_wish(r, 2, NL__PINHOLE_KIND__UDP_ONE, RTP, true));
	door_arm(r, 2);
	door_throw_at(peer, outside, "in time");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	rig_free(r);
}

Test(expect, a_latent_listener_resets_its_own_peer)
{
	struct rig *r = door_controlled((struct rig_options){0});
	door_alg = ALGS_FTP;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__TCP_LISTEN, 51210, true));
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)r->answer.outside_port)};
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	char byte;
	cr_assert_eq(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	cr_assert(rig_quiet(r, 20));
	cr_assert_eq(read(fd, &byte, 1), -1);
	cr_assert_eq(errno, ECONNRESET);
	cr_assert_eq(r->np->pinholes.live, 1);
	rig_free(r);
}

/* A server inside that is published by another device. Binding to one that is not there fails. */
Test(expect, a_door_is_at_the_device_of_its_control_connection_or_nowhere)
{
	struct rig *r = door_controlled((struct rig_options){0});
	door_device = "nl-none0";
	door_alg = ALGS_FTP;
	cr_assert(!door_wish(r, 1, NL__PINHOLE_KIND__TCP_LISTEN, 51210, false));
	door_device = "lo";
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__TCP_LISTEN, 51210, false));
	door_alg = ALGS_RTSP;
	cr_assert(door_wish(r, 2, NL__PINHOLE_KIND__UDP_ONE, RTP, false), "any device hears");
	snprintf(r->np->outlet.device, sizeof(r->np->outlet.device), "lo");
	cr_assert(door_wish(r, 3, NL__PINHOLE_KIND__UDP_ONE, RTP + 2, false));
	door_device = "nl-none0";
	cr_assert(!door_wish(r, 4, NL__PINHOLE_KIND__UDP_ONE, RTP + 4, false));
	cr_assert_eq(r->np->pinholes.live, 3);
	rig_free(r);
}

Test(expect, a_used_door_has_no_clock_but_ends_with_its_control_flow)
{
	struct rig *r =
		door_controlled((struct rig_options){.strict = true, .udp_timeout_ms = 3600000});
	const int peer = door_far_end(1);
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	cr_assert(door_wish(r, 2, NL__PINHOLE_KIND__UDP_ONE, RTP + 2, false));
	door_guest_begins(r, DATA, RTP, 0);
	door_guest_sends(r, DATA, door_port_of(peer));
	r->skew_ns += 61 * 1000000000ULL;
	rig_turn(r);
	cr_assert_eq(r->np->pinholes.live, 1);
	cr_assert_eq(r->gone_expired, 1);
	cr_assert_eq(r->gone_token, 2);
	cr_assert_eq(r->np->pinholes.count[ALGS_RTSP].expired, 1);
	cr_assert(rig_has_line(r, "The ALG expectation 2 was deleted: expired unused."));
	door_throw_at(door_far_end(1), RTP, "in");
	cr_assert(door_guest_hears(r, DATA, "in"));
	const uint32_t gone = r->gone;
	rig_op(r, RING_NETSTACK_TCP_RESET, CONTROL);
	rig_turn(r);
	cr_assert_eq(r->np->pinholes.live, 0);
	cr_assert_eq(r->gone, gone, "alg hears of its flow's end only");
	cr_assert_eq(door_flow_of(r, DATA)->state, FLOW_RUNNING);
	door_throw_at(door_far_end(1), RTP, "no");
	cr_assert(rig_quiet(r, 20));
	rig_free(r);
}

Test(expect, nothing_stays_open_when_alg_is_gone_or_gives_up)
{
	struct rig *r = door_controlled((struct rig_options){0});
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, false));
	cr_assert(door_wish(r, 2, NL__PINHOLE_KIND__UDP_ONE, RTP + 2, true));
	cr_assert_eq(r->np->sockets_open, 4);
	natproxy_alg_lost(r->np);
	cr_assert_eq(r->np->pinholes.live, 0);
	cr_assert_eq(r->np->reserves, 0);
	cr_assert_eq(r->np->sockets_open, 1);
	cr_assert_eq(r->gone, 0);
	rig_free(r);
}

static void expect_row(struct rig *r, const char *kind, const char *state, bool expires)
{
	Nl__ExpectationRow row;
	struct natproxy_row_space space;
	cr_assert(natproxy_expectation_row(r->np, 0, &row, &space));
	cr_assert_str_eq(row.alg, "rtsp");
	cr_assert_str_eq(row.kind, kind);
	cr_assert_str_eq(row.state, state);
	cr_assert_eq(row.has_expires_in_ms, expires);
	cr_assert_eq(row.parent, 1);
}

Test(expect, the_operator_sees_what_became_of_a_door)
{
	struct rig *r = door_controlled((struct rig_options){0});
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, true));
	expect_row(r, "udp-pair", "latent", true);
	door_arm(r, 1);
	expect_row(r, "udp-pair", "waiting", true);
	cr_assert(rig_has_line(
		r, "The ALG expectation 1 was armed: the far end agreed. Peer 127.0.0.1, expiration 60 seconds"));
	door_guest_begins(r, DATA, RTP, 0);
	door_guest_sends(r, DATA, door_port_of(door_far_end(1)));
	expect_row(r, "udp-pair", "used", false);
	rig_free(r);
}

Test(expect, tftp_gets_the_port_it_asked_from_and_no_other)
{
	struct rig *r = door_controlled((struct rig_options){0});
	door_alg = ALGS_TFTP;
	cr_assert_not(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, 40001, false));
	cr_assert(rig_has_line(
		r, "refused: inside port is not the flow's own. Protocol tftp, UDP port"));
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, 40000, false));
	cr_assert_not(door_wish(r, 2, NL__PINHOLE_KIND__UDP_ONE, 40000, false));
	rig_free(r);
}

Test(expect, who_door_observes_is_answered_and_opens_nothing)
{
	struct rig *r = door_controlled((struct rig_options){0});
	door_observes = true;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, true));
	cr_assert_eq(r->answer.outside_ip_be, rig_loopback());
	cr_assert_eq(r->answer.outside_port, RTP);
	door_arm(r, 1);
	cr_assert_eq(r->np->pinholes.live, 0);
	cr_assert_eq(r->np->sockets_open, 1);
	cr_assert(rig_has_line(r,
		"An ALG expectation would have been created. Protocol rtsp, UDP pair, TCP session "
		"1, guest 192.168.30.10:41000, peer 127.0.0.1"));
	cr_assert_not(door_wish(r, 2, NL__PINHOLE_KIND__UDP_PAIR, 22, false), "the rules hold");
	rig_free(r);
}

Test(expect, a_port_that_is_open_to_the_outside_gets_no_door)
{
	static Nl__Publish p;
	static Nl__Endpoint at, to;
	uint16_t port;
	close(rig_udp(&port));
	nl__publish__init(&p);
	nl__endpoint__init(&at);
	nl__endpoint__init(&to);
	p.proto = NL__PUBLISH__PROTO__udp;
	p.listen = &at;
	p.to = &to;
	at.ip_be = rig_loopback();
	at.port = port;
	to.ip_be = rig_guest_ip();
	to.port = RTP + 1;
	struct rig *r = door_controlled((struct rig_options){.publish = &p});
	cr_assert_not(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP + 1, false));
	cr_assert_not(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, false));
	cr_assert(rig_has_line(
		r, "refused: inside port is open to the outside already. Protocol rtsp, UDP pair"));
	cr_assert(
		door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false), "its neighbour alone does");
	rig_free(r);
}

Test(expect, all_that_is_due_expires_and_leaves_nothing)
{
	struct rig *r = door_controlled((struct rig_options){0});
	for (uint32_t i = 0; i < 16; i++)
		cr_assert(door_wish(r, i + 1, NL__PINHOLE_KIND__UDP_ONE, RTP + 2 * i, false));
	r->skew_ns += 61 * 1000000000ULL;
	rig_turn(r);
	cr_assert_eq(r->np->pinholes.live, 0);
	cr_assert_eq(r->np->reserves, 0);
	cr_assert_eq(r->gone_expired, 16);
	cr_assert_eq(r->np->sockets_open, 1);
	rig_free(r);
}

/* As the supervisor gives it. */
static void give_reserved_port(struct rig *r, uint16_t port)
{
	const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	Nl__SocketGrant m = NL__SOCKET_GRANT__INIT;
	Nl__SocketName name = NL__SOCKET_NAME__INIT;
	struct chan_in in = {.fds = {socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)}, .nfds = 1};
	cr_assert_eq(bind(in.fds[0], (const struct sockaddr *)&at, sizeof(at)), 0);
	name.has_what = true;
	name.what = NL__SOCKET_NAME__WHAT__RESERVED;
	m.name = &name;
	cr_assert_eq(natproxy_on_socket_grant(r->np, &m, &in), 0);
}

Test(expect, rcmds_door_for_a_low_port_is_a_reserved_one)
{
	door_guest_port = 1023;
	struct rig *r = door_controlled((struct rig_options){0});
	door_alg = ALGS_RCMD;
	cr_assert_not(door_wish(r, 1, NL__PINHOLE_KIND__TCP_LISTEN, 1021, false));
	cr_expect(rig_has_line(r, "no outside port below 1024 to be had"));
	give_reserved_port(r, 1000);
	for (uint32_t token = 2; token < 4; token++) {
		cr_assert(door_wish(r, token, NL__PINHOLE_KIND__TCP_LISTEN, 1021, false));
		cr_assert_eq(r->answer.outside_port, 1000);
		cr_assert_not(door_wish(r, 9, NL__PINHOLE_KIND__TCP_LISTEN, 1022, false), "taken");
		door_close(r, token);
	}
	cr_assert_not(door_wish(r, 9, NL__PINHOLE_KIND__TCP_LISTEN, 511, false));
	rig_free(r);
}
