/* The outside ports of doors for datagrams: which, whose, and until when. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "doors.h"

Test(reserve, the_guest_speaks_first_from_the_outside_port_that_the_door_has)
{
	struct rig *r = door_controlled((struct rig_options){.strict = true});
	const int peer = door_far_end(1);
	struct sockaddr_in from;
	socklen_t n = sizeof(from);
	char text[8];
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	cr_assert_eq(r->answer.outside_ip_be, rig_loopback());
	const uint32_t outside = r->answer.outside_port;
	cr_assert_eq(outside, RTP, "the guest's own number where it is free");
	cr_assert_eq(r->np->sockets_open, 2);
	door_guest_begins(r, DATA, RTP, 0);
	door_guest_sends(r, DATA, door_port_of(peer));
	cr_assert_eq(recvfrom(peer, text, sizeof(text), 0, (struct sockaddr *)&from, &n), 3);
	cr_assert_eq(ntohs(from.sin_port), outside);
	cr_assert_eq(r->np->sockets_open, 2, "one mapping, not two");
	cr_assert_eq(r->np->reserves, 0);
	cr_assert_eq(r->gone_used, 1);
	const int other_port = door_far_end(1);
	door_throw_at(other_port, outside, "media");
	cr_assert(door_guest_hears(r, DATA, "media"), "from another port of the peer's");
	rig_free(r);
}

Test(reserve, the_peer_speaks_first_and_nothing_is_lost)
{
	struct rig *r = door_controlled((struct rig_options){.strict = true});
	const int peer = door_far_end(1);
	struct ring_desc d;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	door_throw_at(peer, r->answer.outside_port, "first");
	door_throw_at(peer, r->answer.outside_port, "second");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	cr_assert_eq(d.pair.guest_ip_be, rig_guest_ip());
	cr_assert_eq(d.pair.guest_port, RTP);
	cr_assert_eq(d.pair.remote_port, door_port_of(peer));
	cr_assert(rig_quiet(r, 10), "netstack is asked once");
	door_guest_begins(r, DATA, RTP, d.pair.token);
	cr_assert(door_guest_hears(r, DATA, "first"));
	cr_assert(door_guest_hears(r, DATA, "second"));
	cr_assert_eq(r->np->sockets_open, 2);
	cr_assert_eq(r->gone_used, 1);
	cr_assert(rig_has_line(r, "The ALG expectation 1 was used by 127.0.0.1:"));
	cr_assert_eq(r->np->pinholes.count[ALGS_RTSP].used, 1);
	rig_free(r);
}

Test(reserve, netstack_is_asked_again_when_no_flow_comes)
{
	struct rig *r = door_controlled((struct rig_options){0});
	const int peer = door_far_end(1);
	struct ring_desc d;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	door_throw_at(peer, r->answer.outside_port, "first");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	r->skew_ns += 4000000000ULL;
	cr_assert(rig_quiet(r, 10));
	r->skew_ns += 3000000000ULL;
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	rig_free(r);
}

Test(reserve, a_pair_is_two_neighbours_and_the_even_one_comes_first)
{
	struct rig *r = door_controlled((struct rig_options){.strict = true});
	const int peer = door_far_end(1);
	struct ring_desc d;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, false));
	cr_assert_eq(r->answer.outside_port, RTP);
	cr_assert_eq(r->np->sockets_open, 3);
	door_throw_at(peer, RTP + 1, "rtcp");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	cr_assert_eq(d.pair.guest_port, RTP + 1);
	door_guest_begins(r, DATA + 1, RTP + 1, d.pair.token);
	cr_assert(door_guest_hears(r, DATA + 1, "rtcp"));
	door_throw_at(peer, RTP, "rtp");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	cr_assert_eq(d.pair.guest_port, RTP);
	door_guest_begins(r, DATA, RTP, d.pair.token);
	cr_assert(door_guest_hears(r, DATA, "rtp"));
	cr_assert_eq(r->gone_used, 1, "one door");
	rig_free(r);
}

Test(reserve, a_pair_moves_when_either_number_is_taken_and_stays_a_pair)
{
	struct rig *r = door_controlled((struct rig_options){0});
	const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(RTP + 1)};
	const int taken = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(taken, (const struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, false));
	const uint16_t outside = (uint16_t)r->answer.outside_port;
	cr_assert_neq(outside, RTP);
	cr_assert_eq(outside & 1, 0);
	door_guest_begins(r, DATA, RTP, 0);
	door_guest_begins(r, DATA + 1, RTP + 1, 0);
	cr_assert_eq(door_flow_of(r, DATA)->outside.port, outside);
	cr_assert_eq(door_flow_of(r, DATA + 1)->outside.port, outside + 1);
	cr_assert_eq(r->np->sockets_open, 3, "what was bound in vain is closed");
	rig_free(r);
}

Test(reserve, a_port_by_which_the_guest_talks_keeps_its_mapping)
{
	struct rig *r = door_controlled((struct rig_options){.strict = true});
	const int peer = door_far_end(1), second = door_far_end(1);
	door_guest_begins(r, DATA, RTP, 0);
	door_guest_sends(r, DATA, door_port_of(peer));
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	cr_assert_eq(r->answer.outside_port, door_flow_of(r, DATA)->outside.port);
	cr_assert_eq(r->np->sockets_open, 2);
	cr_assert_eq(r->gone_used, 0);
	door_throw_at(second, r->answer.outside_port, "in");
	cr_assert(door_guest_hears(r, DATA, "in"));
	cr_assert_eq(r->gone_used, 1);
	door_close(r, 1);
	cr_assert_eq(r->np->sockets_open, 2, "the flow lives on");
	door_throw_at(second, RTP, "still");
	cr_assert(door_guest_hears(r, DATA, "still"), "and so does what came in");
	door_throw_at(door_far_end(1), RTP, "no");
	cr_assert(rig_quiet(r, 20), "but nobody new does");
	rig_free(r);
}

Test(reserve, half_of_a_pair_that_is_mapped_gets_its_neighbour_or_nothing)
{
	struct rig *r = door_controlled((struct rig_options){0});
	const int peer = door_far_end(1);
	door_guest_begins(r, DATA + 1, RTP + 1, 0);
	door_guest_sends(r, DATA + 1, door_port_of(peer));
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, false));
	cr_assert_eq(r->answer.outside_port + 1, door_flow_of(r, DATA + 1)->outside.port);
	cr_assert_eq(r->np->sockets_open, 3);
	const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(RTP + 101)};
	const int neighbour = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(neighbour, (const struct sockaddr *)&at, sizeof(at)), 0);
	door_guest_begins(r, DATA + 2, RTP + 100, 0);
	door_guest_sends(r, DATA + 2, door_port_of(peer));
	cr_assert_eq(door_flow_of(r, DATA + 2)->outside.port, RTP + 100);
	cr_assert_not(door_wish(r, 2, NL__PINHOLE_KIND__UDP_PAIR, RTP + 100, false));
	cr_assert(rig_has_line(r, "refused: no outside pair of ports to be had. Protocol rtsp, UDP "
				  "pair, TCP session 1"));
	cr_assert_eq(r->np->pinholes.count[ALGS_RTSP].refused, 1);
	close(neighbour);
	rig_free(r);
}

Test(reserve, two_doors_share_one_mapping_and_the_last_one_closes_it)
{
	struct rig *r = door_controlled((struct rig_options){0});
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, false));
	const uint32_t outside = r->answer.outside_port;
	cr_assert(door_wish(r, 2, NL__PINHOLE_KIND__UDP_ONE, RTP + 1, false));
	cr_assert_eq(r->answer.outside_port, outside + 1);
	cr_assert_eq(r->np->sockets_open, 3);
	door_close(r, 1);
	cr_assert_eq(r->np->sockets_open, 2);
	door_close(r, 2);
	cr_assert_eq(r->np->sockets_open, 1);
	cr_assert_eq(r->np->reserves, 0);
	cr_assert_not(portpick_is_ours(&r->np->ports, NAT_UDP, (uint16_t)outside));
	rig_free(r);
}

Test(reserve, a_flow_that_ends_leaves_its_port_to_a_door_that_waits)
{
	struct rig *r = door_controlled((struct rig_options){0});
	const int peer = door_far_end(1);
	struct ring_desc d;
	door_guest_begins(r, DATA, RTP, 0);
	door_guest_sends(r, DATA, door_port_of(door_far_end(1)));
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, true));
	r->np->flow[flow_index(DATA)].lost = 7; /* the kernel counts on */
	rig_op(r, RING_NETSTACK_FLOW_FREE, DATA);
	rig_turn(r);
	cr_assert_eq(r->np->reserves, 1);
	door_arm(r, 1);
	door_throw_at(peer, r->answer.outside_port, "in");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	door_guest_begins(r, DATA + 1, RTP, d.pair.token);
	cr_assert_eq(r->np->flow[flow_index(DATA + 1)].lost, 7);
	cr_assert(door_guest_hears(r, DATA + 1, "in"));
	rig_op(r, RING_NETSTACK_FLOW_FREE, DATA + 1);
	rig_turn(r);
	cr_assert_eq(r->np->pinholes.live, 0, "used, and its flow is over");
	cr_assert_eq(r->gone, 2);
	cr_assert_eq(r->np->sockets_open, 1);
	rig_free(r);
}

Test(reserve, a_flow_that_comes_too_late_for_its_door_is_ended)
{
	struct rig *r = door_controlled((struct rig_options){0});
	const int peer = door_far_end(1);
	struct ring_desc d;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	door_throw_at(peer, r->answer.outside_port, "in");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	door_close(r, 1);
	door_guest_begins(r, DATA, RTP, d.pair.token);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
	cr_assert_eq(d.flow, DATA);
	cr_assert_eq(r->np->sockets_open, 1);
	rig_free(r);
}

Test(reserve, a_flow_that_waits_in_vain_ends_with_its_door)
{
	struct rig *r = door_controlled((struct rig_options){0});
	struct ring_desc d;
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	door_guest_begins(r, DATA, RTP, 99);
	cr_assert(rig_quiet(r, 5));
	door_close(r, 1);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
	rig_op(r, RING_NETSTACK_FLOW_FREE, DATA);
	rig_turn(r);
	cr_assert_eq(r->np->sockets_open, 1);
	rig_free(r);
}

Test(reserve, doors_leave_three_quarters_of_the_descriptors_to_others)
{
	struct rig *r = door_controlled((struct rig_options){.sockets_max = 80});
	uint32_t doors = 0;
	while (doors < 16 &&
		door_wish(r, doors + 1, NL__PINHOLE_KIND__UDP_ONE, RTP + 2 * doors, true))
		doors++;
	cr_assert_eq(doors, 16);
	cr_assert_eq(r->np->reserves, 16);
	for (uint32_t i = 1; i <= 16; i++) {
		door_arm(r, i);
		door_close(r, i);
	}
	for (doors = 0;
		door_wish(r, 100 + doors, NL__PINHOLE_KIND__UDP_PAIR, RTP + 2 * doors, false);)
		doors++;
	cr_assert_eq(doors, 10);
	cr_assert_eq(r->np->reserves, 20, "of 80");
	cr_assert(rig_has_line(r, "refused: no outside pair of ports to be had"));
	cr_assert_not(door_wish(r, 200, NL__PINHOLE_KIND__UDP_ONE, RTP + 200, false));
	door_guest_begins(r, DATA, 30000, 0);
	door_guest_sends(r, DATA, door_port_of(door_far_end(1)));
	cr_assert_geq(door_flow_of(r, DATA)->fd, 0);
	rig_free(r);
}

Test(reserve, pairs_are_one_row_outside_and_what_is_mapped_gives_the_places)
{
	door_alg = ALGS_SIP;
	struct rig *r = door_controlled((struct rig_options){.strict = true});
	cr_assert(door_wish_for(r, 1, RTP - 1, 4, rig_loopback()) == false, "an odd one begins no pair");
	cr_assert(door_wish_for(r, 1, RTP, 4, rig_loopback()));
	cr_assert_eq(r->answer.outside_port, RTP);
	cr_assert_eq(r->np->reserves, 8);
	door_close(r, 1);
	cr_assert_eq(r->np->reserves, 0);
	const int taken = door_far_end(1);
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(RTP + 5)};
	const int other = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(other, (const struct sockaddr *)&any, sizeof(any)), 0);
	cr_assert(door_wish_for(r, 2, RTP, 4, rig_loopback()));
	cr_assert_neq(r->answer.outside_port, RTP, "the sixth is somebody else's");
	cr_assert_eq(r->answer.outside_port & 1, 0);
	cr_assert_eq(r->np->reserves, 8);
	const uint32_t first = r->answer.outside_port;
	cr_assert(door_wish_for(r, 3, RTP + 2, 2, rig_loopback()));
	cr_assert_eq(r->answer.outside_port, first + 2, "those that are there keep their ports");
	cr_assert(door_wish_for(r, 4, RTP + 6, 2, rig_loopback()));
	cr_assert_eq(r->answer.outside_port, first + 6);
	cr_assert_eq(r->np->reserves, 10);
	close(taken);
	close(other);
	rig_free(r);
}

Test(reserve, a_row_that_cannot_be_whole_leaves_nothing)
{
	door_alg = ALGS_SIP;
	struct rig *r = door_controlled((struct rig_options){.strict = true});
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(RTP + 3)};
	const int other = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert(door_wish_for(r, 1, RTP, 1, rig_loopback()));
	cr_assert_eq(bind(other, (const struct sockaddr *)&any, sizeof(any)), 0);
	const uint32_t open = r->np->sockets_open;
	cr_assert_not(door_wish_for(r, 2, RTP, 2, rig_loopback()), "its place is taken");
	cr_assert(rig_has_line(r, "no outside pair of ports to be had"));
	cr_assert_eq(r->np->sockets_open, open);
	cr_assert_eq(r->np->reserves, 2);
	close(other);
	rig_free(r);
}

Test(reserve, two_that_are_no_neighbours_outside_are_no_pair)
{
	struct rig *r = door_controlled((struct rig_options){.strict = true});
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(RTP + 1)};
	const int other = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(other, (const struct sockaddr *)&any, sizeof(any)), 0);
	cr_assert(door_wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	cr_assert(door_wish(r, 2, NL__PINHOLE_KIND__UDP_ONE, RTP + 1, false));
	cr_assert_neq(r->answer.outside_port, RTP + 1);
	cr_assert_not(door_wish(r, 3, NL__PINHOLE_KIND__UDP_PAIR, RTP, false));
	cr_assert_eq(r->np->reserves, 2);
	close(other);
	rig_free(r);
}
