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
#include "expect.h"

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

/* Who agrees may connect before alg has read that he does. */
Test(expect, who_knocks_at_a_latent_listener_waits_until_it_is_armed)
{
	struct rig *r = door_controlled((struct rig_options){0});
	door_alg = ALGS_FTP;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__TCP_LISTEN, 51210, true));
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)r->answer.outside_port)};
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct ring_desc d;
	char byte;
	cr_assert_eq(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	cr_assert(rig_quiet(r, 20));
	cr_assert_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	cr_assert_eq(errno, EAGAIN);
	cr_assert_eq(r->np->pinholes.live, 1);
	door_arm(r, 1);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_INCOMING, &d));
	cr_assert_eq(r->np->pinholes.live, 0);
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
	cr_assert_str_eq(row.alg, algs_name((enum algs_id)r->np->pinholes.entry[1].alg));
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
	uint16_t port;
	close(rig_udp(&port));
	struct rig *r = door_controlled((struct rig_options){
		.publish = rig_publish(NL__PUBLISH__PROTO__udp, port, RTP + 1)});
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

static uint32_t loopback(uint8_t last)
{
	return htonl((INADDR_LOOPBACK & 0xffffff00) + last);
}

/* SIP's: the guest is seen as 127.0.0.2 outside, so that a far end there can be one that a message named. */
static struct rig *call_controlled(struct rig_options o)
{
	door_alg = ALGS_SIP;
	door_outside_be = loopback(2);
	return door_controlled(o);
}

Test(expect, media_come_from_who_was_named_and_from_nobody_else)
{
	struct rig *r = call_controlled((struct rig_options){.strict = true});
	const int named = door_far_end(2), peer = door_far_end(1);
	struct ring_desc d;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, true));
	const uint32_t outside = r->answer.outside_port;
	door_throw_at(named, outside, "early");
	cr_assert(rig_quiet(r, 10), "it is latent");
	door_arm_for(r, 1, loopback(2));
	cr_assert(rig_has_line(r, "was armed: the far end agreed. Peer 127.0.0.2"));
	door_throw_at(peer, outside, "signalling's own");
	cr_assert(rig_quiet(r, 10));
	door_throw_at(named, outside, "media");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	door_guest_begins(r, DATA, RTP, d.pair.token);
	cr_assert(door_guest_hears(r, DATA, "media"));
	cr_assert_eq(r->gone_used, 1);
	expect_row(r, "udp-pair", "used", false);
	rig_free(r);
}

Test(expect, a_peer_that_no_far_end_may_name_is_refused_and_told)
{
	struct rig *r = call_controlled((struct rig_options){0});
	static const char *const peers[] = {"0.0.0.0", "224.0.1.1", "255.255.255.255", "240.0.0.1",
		"127.0.0.3", "169.254.169.254", "0.1.2.3", "192.168.30.1", "192.168.30.77",
		"192.168.30.255", "10.9.9.9"};
	r->np->access.own_ip_be[0] = inet_addr("10.9.9.9");
	r->np->access.own_count = 1;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, true));
	for (uint32_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		cr_assert_not(door_wish_for(r, 2, 45000, 0, inet_addr(peers[i])), "%s", peers[i]);
		door_arm_for(r, 1, inet_addr(peers[i]));
		expect_row(r, "udp-pair", "latent", true);
		cr_assert_eq(r->drops.count[DROP_PINHOLE_REFUSED], 2 * (i + 1));
	}
	cr_assert(rig_has_line(r, "nobody in particular is named, and alg.sip_latch is false"));
	cr_assert(rig_has_line(r, "peer is no host outside that a guest may talk to"));
	cr_assert(rig_has_line(r, "A change of the ALG expectation 1 was refused: "));
	cr_assert_eq(r->np->pinholes.count[ALGS_SIP].refused,
		2 * sizeof(peers) / sizeof(peers[0]));
	cr_assert(door_wish_for(r, 3, 45000, 0, inet_addr("198.51.100.77")));
	door_arm_for(r, 1, inet_addr("198.51.100.77"));
	expect_row(r, "udp-pair", "waiting", true);
	door_alg = ALGS_RTSP;
	r->np->refusals_until_ns = 0; /* this line is wanted too */
	cr_assert_not(door_wish_for(r, 4, 46000, 0, inet_addr("198.51.100.77")));
	cr_assert(rig_has_line(r, "peer is not the control connection's peer"));
	rig_free(r);
}

Test(expect, who_asks_too_fast_is_told_the_bound_and_what_helps)
{
	struct rig *r = call_controlled((struct rig_options){.strict = true});
	const uint32_t rate = pinhole_share(PINHOLE_CALLS)->rate;
	uint32_t n = 0;
	char unsaid[64];
	for (; r->np->refusals_unsaid < 9; n++)
		door_wish(r, n + 1, NL__PINHOLE_KIND__UDP_PAIR, 20000 + 2 * n, true);
	cr_assert_geq(n, rate + 9);
	cr_assert_geq(r->np->pinholes.count[ALGS_SIP].granted, rate);
	cr_assert(rig_has_line(r, "refused: this guest asks too fast. Protocol sip, UDP pair"));
	cr_assert(rig_has_line(r,
		". It may ask 500 times a second: let it begin fewer at a time, or from several "
		"addresses."));
	snprintf(unsaid, sizeof(unsaid), "SecureNAT: %llu more were refused before that.",
		(unsigned long long)r->np->refusals_unsaid);
	r->np->refusals_until_ns = 0; /* the next line is wanted too */
	cr_assert_not(door_wish(r, n + 1, NL__PINHOLE_KIND__UDP_PAIR, 11, true));
	cr_assert(rig_has_line(r, unsaid));
	rig_free(r);
}

Test(expect, who_speaks_first_is_let_in_where_the_operator_wants_it)
{
	struct rig *r = call_controlled((struct rig_options){.strict = true});
	const int first = door_far_end(9), second = door_far_end(8);
	struct ring_desc d;
	r->np->config.sip_latch = true;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, true));
	const uint32_t outside = r->answer.outside_port;
	door_throw_at(second, outside, "early");
	cr_assert(rig_quiet(r, 10), "it is latent");
	door_arm_for(r, 1, 0);
	cr_assert(rig_has_line(r, "Peer whoever speaks first"));
	door_guest_begins(r, DATA, RTP, 0);
	door_guest_sends(r, DATA, 9);
	cr_assert_eq(r->gone_used, 0, "the guest's own word binds nobody");
	door_throw_at(first, outside, "media");
	cr_assert(door_guest_hears(r, DATA, "media"));
	cr_assert_eq(r->gone_used, 1);
	door_arm_for(r, 1, 0);
	door_throw_at(second, outside, "late");
	cr_assert_not(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
	rig_free(r);
}

Test(expect, a_latch_that_nobody_used_closes_when_the_operator_changes_his_mind)
{
	struct rig *r = call_controlled((struct rig_options){0});
	r->np->config.sip_latch = true;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, true));
	door_arm_for(r, 1, 0);
	expect_configure(r->np);
	cr_assert_eq(r->np->pinholes.live, 1);
	r->np->config.sip_latch = false;
	expect_configure(r->np);
	cr_assert_eq(r->np->pinholes.live, 0);
	cr_assert_eq(r->np->reserves, 0);
	rig_free(r);
}

Test(expect, a_guest_that_talks_to_its_peer_already_has_used_the_door)
{
	struct rig *r = call_controlled((struct rig_options){.strict = true});
	const int peer = door_far_end(1);
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, true));
	door_guest_begins(r, DATA, RTP, 0);
	door_guest_sends(r, DATA, door_port_of(peer));
	cr_assert_eq(r->gone_used, 0);
	door_arm_for(r, 1, loopback(1));
	cr_assert_eq(r->gone_used, 1);
	expect_row(r, "udp-pair", "used", false);
	rig_free(r);
}

Test(expect, what_rings_is_kept_and_what_nobody_asked_for_is_ignored)
{
	struct rig *r = call_controlled((struct rig_options){0});
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, true));
	r->skew_ns += 200ULL * 1000000000;
	rig_turn(r);
	door_keep(r, 1);
	door_keep(r, 2);
	door_arm_for(r, 3, loopback(1));
	r->skew_ns += 200ULL * 1000000000;
	rig_turn(r);
	expect_timeout(r->np);
	cr_assert_eq(r->np->pinholes.live, 1);
	cr_assert_eq(r->drops.count[DROP_PINHOLE_REFUSED], 0);
	door_alg = ALGS_RTSP;
	rig_free(r);
}

Test(expect, the_session_of_a_registration_outlives_its_time_out)
{
	struct rig *r = call_controlled((struct rig_options){0});
	const struct nat_session *s = &r->np->nat.session[1];
	door_hold(r, 3600 * 1000);
	cr_assert_eq(s->held_ns, r->np->now_ns + 3600ULL * 1000000000);
	cr_assert(rig_has_line(r, "session 1 is held open. Protocol sip, guest "));
	door_hold(r, UINT32_MAX);
	cr_assert_eq(s->held_ns, r->np->now_ns + 7200ULL * 1000000000, "2 hours and no more");
	r->skew_ns += 7100ULL * 1000000000;
	rig_turn(r);
	natproxy_timeout(r->np);
	cr_assert_eq(r->np->nat.live, 1);
	r->skew_ns += 60000ULL * 1000000000;
	rig_turn(r);
	natproxy_timeout(r->np);
	cr_assert_eq(r->np->nat.live, 0);
	rig_free(r);
}

Test(expect, no_other_algs_session_is_held)
{
	struct rig *r = door_controlled((struct rig_options){0});
	door_hold(r, 3600 * 1000);
	cr_assert_eq(r->np->nat.session[1].held_ns, 0);
	cr_assert(rig_has_line(r, "is not held open: this protocol's sessions are not held"));
	cr_assert_eq(r->drops.count[DROP_PINHOLE_REFUSED], 1);
	door_alg = ALGS_SIP;
	door_observes = true;
	door_hold(r, 3600 * 1000);
	cr_assert_eq(r->np->nat.session[1].held_ns, 0, "who only observes holds nothing");
	rig_free(r);
}
