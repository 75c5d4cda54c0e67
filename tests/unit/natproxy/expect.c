/* Doors with their sockets: the test is alg, netstack and the internet. Which ALG a flow belongs to is said here. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan.h"
#include "inspect.h"
#include "rig.h"

enum { CONTROL = 0x30007, DATA = 0x40008, RTP = 41000 };

static enum algs_id alg_is = ALGS_RTSP;
static bool only_observes;

bool __real_inspect_find(struct natproxy *np, uint32_t number, struct inspect_subject *out);
bool __wrap_inspect_find(struct natproxy *np, uint32_t number, struct inspect_subject *out);
bool __wrap_inspect_find(struct natproxy *np, uint32_t number, struct inspect_subject *out)
{
	const bool found = __real_inspect_find(np, number, out);
	out->alg = alg_is;
	out->observe = only_observes;
	return found;
}

/* What alg owes after an answer is not asked for here. */
void __wrap_inspect_answered(struct natproxy *np, uint32_t n);
void __wrap_inspect_answered(struct natproxy *np, uint32_t n)
{
}

static uint32_t number; /* by which alg knows the control flow */

static int note_number(void *context, const Nl__FlowInspect *m)
{
	number = m->flow;
	return 0;
}

/* A control connection, inspected. */
static struct rig *controlled(struct rig_options o)
{
	uint16_t port;
	struct ring_desc d;
	const int listener = rig_listener(&port);
	o.ftp_port = port;
	struct rig *r = rig_new(&o);
	r->np->shell.flow_inspect = note_number;
	rig_open(r, CONTROL, 40000, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	cr_assert_geq(accept(listener, NULL, NULL), 0);
	close(listener);
	cr_assert(number);
	return r;
}

static bool wish(struct rig *r, uint32_t token, Nl__PinholeKind kind, uint32_t port, bool latent)
{
	Nl__PinholeOpen m = NL__PINHOLE_OPEN__INIT;
	const uint32_t answers = r->answers;
	m.flow = number;
	m.token = token;
	m.kind = kind;
	m.guest_port = port;
	m.has_latent = m.latent = latent;
	cr_assert_eq(natproxy_on_pinhole_open(r->np, &m, NULL), 0);
	cr_assert_eq(r->answers, answers + 1);
	return r->answer.granted;
}

static void close_door(struct rig *r, uint32_t token)
{
	Nl__PinholeClose m = NL__PINHOLE_CLOSE__INIT;
	m.flow = number;
	m.token = token;
	cr_assert_eq(natproxy_on_pinhole_close(r->np, &m, NULL), 0);
}

static void arm(struct rig *r, uint32_t token)
{
	Nl__PinholeArm m = NL__PINHOLE_ARM__INIT;
	m.flow = number;
	m.token = token;
	cr_assert_eq(natproxy_on_pinhole_arm(r->np, &m, NULL), 0);
}

/* A far end's socket at 127.0.0.`last`: 1 is the control connection's peer. */
static int far_end(uint8_t last)
{
	const struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl((INADDR_LOOPBACK & 0xffffff00) + last)};
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t n = sizeof(at);
	getsockname(fd, (struct sockaddr *)&at, &n);
	return ntohs(at.sin_port);
}

static void throw_at(int fd, uint32_t port, const char *text)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)port)};
	cr_assert_eq(sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&to, sizeof(to)),
		(ssize_t)strlen(text));
}

static void guest_begins(struct rig *r, uint32_t flow, uint16_t port, uint32_t token)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = flow};
	d.pair = (struct ring_pair){.guest_ip_be = rig_guest_ip(),
		.guest_port = port,
		.kind = DGRAM_UDP,
		.token = token};
	rig_send(r, &d);
	rig_turn(r);
}

static void guest_sends(struct rig *r, uint32_t flow, uint16_t port)
{
	struct ring_desc d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, flow, 0, "out", 3);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = port, .ttl = 63};
	rig_send(r, &d);
	rig_turn(r);
}

static bool guest_hears(struct rig *r, uint32_t flow, const char *text)
{
	struct ring_desc d;
	if (!rig_await(r, RING_NATPROXY_DGRAM_DATA, &d))
		return false;
	const bool same = d.flow == flow && d.seg[0].len == strlen(text) &&
			  memcmp(rig_bytes(r, &d, 0), text, strlen(text)) == 0;
	rig_give_back(r, &d);
	return same;
}

static struct flow *flow_of(struct rig *r, uint32_t id)
{
	return &r->np->flow[flow_index(id)];
}

Test(expect, the_guest_speaks_first_from_the_outside_port_that_the_door_has)
{
	struct rig *r = controlled((struct rig_options){.strict = true});
	const int peer = far_end(1);
	struct sockaddr_in from;
	socklen_t n = sizeof(from);
	char text[8];
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	cr_assert_eq(r->answer.outside_ip_be, rig_loopback());
	const uint32_t outside = r->answer.outside_port;
	cr_assert_eq(outside, RTP, "the guest's own number where it is free");
	cr_assert_eq(r->np->sockets_open, 2);
	guest_begins(r, DATA, RTP, 0);
	guest_sends(r, DATA, port_of(peer));
	cr_assert_eq(recvfrom(peer, text, sizeof(text), 0, (struct sockaddr *)&from, &n), 3);
	cr_assert_eq(ntohs(from.sin_port), outside);
	cr_assert_eq(r->np->sockets_open, 2, "one mapping, not two");
	cr_assert_eq(r->np->reserves, 0);
	cr_assert_eq(r->gone_used, 1);
	const int other_port = far_end(1);
	throw_at(other_port, outside, "media");
	cr_assert(guest_hears(r, DATA, "media"), "from another port of the peer's");
	rig_free(r);
}

Test(expect, the_peer_speaks_first_and_nothing_is_lost)
{
	struct rig *r = controlled((struct rig_options){.strict = true});
	const int peer = far_end(1);
	struct ring_desc d;
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	throw_at(peer, r->answer.outside_port, "first");
	throw_at(peer, r->answer.outside_port, "second");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	cr_assert_eq(d.pair.guest_ip_be, rig_guest_ip());
	cr_assert_eq(d.pair.guest_port, RTP);
	cr_assert_eq(d.pair.remote_port, port_of(peer));
	cr_assert(rig_quiet(r, 10), "netstack is asked once");
	guest_begins(r, DATA, RTP, d.pair.token);
	cr_assert(guest_hears(r, DATA, "first"));
	cr_assert(guest_hears(r, DATA, "second"));
	cr_assert_eq(r->np->sockets_open, 2);
	cr_assert_eq(r->gone_used, 1);
	cr_assert(rig_has_line(r, "The ALG expectation 1 was used by 127.0.0.1:"));
	cr_assert_eq(r->np->pinholes.count[ALGS_RTSP].used, 1);
	rig_free(r);
}

Test(expect, strangers_are_filtered_before_and_after_the_flow_begins)
{
	struct rig *r = controlled((struct rig_options){.strict = true});
	const int stranger = far_end(9), peer = far_end(1);
	struct ring_desc d;
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	throw_at(stranger, r->answer.outside_port, "no");
	cr_assert(rig_quiet(r, 20));
	cr_assert_eq(r->drops.count[DROP_FILTERED], 1);
	throw_at(stranger, r->answer.outside_port, "no");
	throw_at(peer, r->answer.outside_port, "yes");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d),
		"what waits before it is in nobody's way");
	guest_begins(r, DATA, RTP, d.pair.token);
	cr_assert(guest_hears(r, DATA, "yes"));
	throw_at(stranger, r->answer.outside_port, "no");
	cr_assert(rig_quiet(r, 20));
	cr_assert_eq(r->drops.count[DROP_FILTERED], 3);
	rig_free(r);
}

Test(expect, netstack_is_asked_again_when_no_flow_comes)
{
	struct rig *r = controlled((struct rig_options){0});
	const int peer = far_end(1);
	struct ring_desc d;
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	throw_at(peer, r->answer.outside_port, "first");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	r->skew_ns += 4000000000ULL;
	cr_assert(rig_quiet(r, 10));
	r->skew_ns += 3000000000ULL;
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	rig_free(r);
}

Test(expect, nobody_comes_in_by_a_latent_door_until_it_is_armed)
{
	struct rig *r = controlled((struct rig_options){.strict = true});
	const int peer = far_end(1);
	struct ring_desc d;
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, true));
	const uint32_t outside = r->answer.outside_port;
	cr_assert(rig_has_line(r, "not armed yet"));
	throw_at(peer, outside, "early");
	cr_assert(rig_quiet(r, 20));
	cr_assert_eq(r->drops.count[DROP_FILTERED], 1);
	r->skew_ns += 50 * 1000000000ULL;
	rig_turn(r);
	arm(r, 1);
	r->skew_ns += 50 * 1000000000ULL;
	rig_turn(r);
	cr_assert_eq(r->np->pinholes.live, 1, "its time began anew");
	arm(r, 1);
	r->skew_ns += 11 * 1000000000ULL;
	rig_turn(r);
	cr_assert_eq(r->np->pinholes.live, 0, "and only once");
	cr_assert_eq(r->gone_expired, 1);
	cr_assert(wish(r, 2, NL__PINHOLE_KIND__UDP_ONE, RTP, true));
	arm(r, 2);
	throw_at(peer, outside, "in time");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	rig_free(r);
}

Test(expect, a_latent_listener_resets_its_own_peer)
{
	struct rig *r = controlled((struct rig_options){0});
	alg_is = ALGS_FTP;
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__TCP_LISTEN, 51210, true));
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

Test(expect, a_pair_is_two_neighbours_and_the_even_one_comes_first)
{
	struct rig *r = controlled((struct rig_options){.strict = true});
	const int peer = far_end(1);
	struct ring_desc d;
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, false));
	cr_assert_eq(r->answer.outside_port, RTP);
	cr_assert_eq(r->np->sockets_open, 3);
	throw_at(peer, RTP + 1, "rtcp");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	cr_assert_eq(d.pair.guest_port, RTP + 1);
	guest_begins(r, DATA + 1, RTP + 1, d.pair.token);
	cr_assert(guest_hears(r, DATA + 1, "rtcp"));
	throw_at(peer, RTP, "rtp");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	cr_assert_eq(d.pair.guest_port, RTP);
	guest_begins(r, DATA, RTP, d.pair.token);
	cr_assert(guest_hears(r, DATA, "rtp"));
	cr_assert_eq(r->gone_used, 1, "one door");
	rig_free(r);
}

Test(expect, a_pair_moves_when_either_number_is_taken_and_stays_a_pair)
{
	struct rig *r = controlled((struct rig_options){0});
	const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(RTP + 1)};
	const int taken = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(taken, (const struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, false));
	const uint16_t outside = (uint16_t)r->answer.outside_port;
	cr_assert_neq(outside, RTP);
	cr_assert_eq(outside & 1, 0);
	guest_begins(r, DATA, RTP, 0);
	guest_begins(r, DATA + 1, RTP + 1, 0);
	cr_assert_eq(flow_of(r, DATA)->outside.port, outside);
	cr_assert_eq(flow_of(r, DATA + 1)->outside.port, outside + 1);
	cr_assert_eq(r->np->sockets_open, 3, "what was bound in vain is closed");
	rig_free(r);
}

Test(expect, a_port_by_which_the_guest_talks_keeps_its_mapping)
{
	struct rig *r = controlled((struct rig_options){.strict = true});
	const int peer = far_end(1), second = far_end(1);
	guest_begins(r, DATA, RTP, 0);
	guest_sends(r, DATA, port_of(peer));
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	cr_assert_eq(r->answer.outside_port, flow_of(r, DATA)->outside.port);
	cr_assert_eq(r->np->sockets_open, 2);
	cr_assert_eq(r->gone_used, 0);
	throw_at(second, r->answer.outside_port, "in");
	cr_assert(guest_hears(r, DATA, "in"));
	cr_assert_eq(r->gone_used, 1);
	close_door(r, 1);
	cr_assert_eq(r->np->sockets_open, 2, "the flow lives on");
	throw_at(second, RTP, "still");
	cr_assert(guest_hears(r, DATA, "still"), "and so does what came in");
	throw_at(far_end(1), RTP, "no");
	cr_assert(rig_quiet(r, 20), "but nobody new does");
	rig_free(r);
}

Test(expect, half_of_a_pair_that_is_mapped_gets_its_neighbour_or_nothing)
{
	struct rig *r = controlled((struct rig_options){0});
	const int peer = far_end(1);
	guest_begins(r, DATA + 1, RTP + 1, 0);
	guest_sends(r, DATA + 1, port_of(peer));
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, false));
	cr_assert_eq(r->answer.outside_port + 1, flow_of(r, DATA + 1)->outside.port);
	cr_assert_eq(r->np->sockets_open, 3);
	const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(RTP + 101)};
	cr_assert_eq(
		bind(socket(AF_INET, SOCK_DGRAM, 0), (const struct sockaddr *)&at, sizeof(at)), 0);
	guest_begins(r, DATA + 2, RTP + 100, 0);
	guest_sends(r, DATA + 2, port_of(peer));
	cr_assert_eq(flow_of(r, DATA + 2)->outside.port, RTP + 100);
	cr_assert_not(wish(r, 2, NL__PINHOLE_KIND__UDP_PAIR, RTP + 100, false));
	cr_assert(rig_has_line(r, "refused: no outside pair of ports to be had. Protocol rtsp, UDP "
				  "pair, TCP session 1"));
	cr_assert_eq(r->np->pinholes.count[ALGS_RTSP].refused, 1);
	rig_free(r);
}

Test(expect, two_doors_share_one_mapping_and_the_last_one_closes_it)
{
	struct rig *r = controlled((struct rig_options){0});
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, false));
	const uint32_t outside = r->answer.outside_port;
	cr_assert(wish(r, 2, NL__PINHOLE_KIND__UDP_ONE, RTP + 1, false));
	cr_assert_eq(r->answer.outside_port, outside + 1);
	cr_assert_eq(r->np->sockets_open, 3);
	close_door(r, 1);
	cr_assert_eq(r->np->sockets_open, 2);
	close_door(r, 2);
	cr_assert_eq(r->np->sockets_open, 1);
	cr_assert_eq(r->np->reserves, 0);
	cr_assert_not(portpick_is_ours(&r->np->ports, NAT_UDP, (uint16_t)outside));
	rig_free(r);
}

Test(expect, a_flow_that_ends_leaves_its_port_to_a_door_that_waits)
{
	struct rig *r = controlled((struct rig_options){0});
	const int peer = far_end(1);
	struct ring_desc d;
	guest_begins(r, DATA, RTP, 0);
	guest_sends(r, DATA, port_of(far_end(1)));
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, true));
	rig_op(r, RING_NETSTACK_FLOW_FREE, DATA);
	rig_turn(r);
	cr_assert_eq(r->np->reserves, 1);
	arm(r, 1);
	throw_at(peer, r->answer.outside_port, "in");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	guest_begins(r, DATA + 1, RTP, d.pair.token);
	cr_assert(guest_hears(r, DATA + 1, "in"));
	rig_op(r, RING_NETSTACK_FLOW_FREE, DATA + 1);
	rig_turn(r);
	cr_assert_eq(r->np->pinholes.live, 0, "used, and its flow is over");
	cr_assert_eq(r->gone, 2);
	cr_assert_eq(r->np->sockets_open, 1);
	rig_free(r);
}

Test(expect, a_used_door_has_no_clock_but_ends_with_its_control_flow)
{
	struct rig *r = controlled((struct rig_options){.strict = true, .udp_timeout_ms = 3600000});
	const int peer = far_end(1);
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	cr_assert(wish(r, 2, NL__PINHOLE_KIND__UDP_ONE, RTP + 2, false));
	guest_begins(r, DATA, RTP, 0);
	guest_sends(r, DATA, port_of(peer));
	r->skew_ns += 61 * 1000000000ULL;
	rig_turn(r);
	cr_assert_eq(r->np->pinholes.live, 1);
	cr_assert_eq(r->gone_expired, 1);
	cr_assert_eq(r->gone_token, 2);
	cr_assert_eq(r->np->pinholes.count[ALGS_RTSP].expired, 1);
	cr_assert(rig_has_line(r, "The ALG expectation 2 was deleted: expired unused."));
	throw_at(far_end(1), RTP, "in");
	cr_assert(guest_hears(r, DATA, "in"));
	const uint32_t gone = r->gone;
	rig_op(r, RING_NETSTACK_TCP_RESET, CONTROL);
	rig_turn(r);
	cr_assert_eq(r->np->pinholes.live, 0);
	cr_assert_eq(r->gone, gone, "alg hears of its flow's end only");
	cr_assert_eq(flow_of(r, DATA)->state, FLOW_RUNNING);
	throw_at(far_end(1), RTP, "no");
	cr_assert(rig_quiet(r, 20));
	rig_free(r);
}

Test(expect, a_flow_that_comes_too_late_for_its_door_is_ended)
{
	struct rig *r = controlled((struct rig_options){0});
	const int peer = far_end(1);
	struct ring_desc d;
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	throw_at(peer, r->answer.outside_port, "in");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	close_door(r, 1);
	guest_begins(r, DATA, RTP, d.pair.token);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
	cr_assert_eq(d.flow, DATA);
	cr_assert_eq(r->np->sockets_open, 1);
	rig_free(r);
}

Test(expect, a_flow_that_waits_in_vain_ends_with_its_door)
{
	struct rig *r = controlled((struct rig_options){0});
	struct ring_desc d;
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false));
	guest_begins(r, DATA, RTP, 99);
	cr_assert(rig_quiet(r, 5));
	close_door(r, 1);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
	rig_op(r, RING_NETSTACK_FLOW_FREE, DATA);
	rig_turn(r);
	cr_assert_eq(r->np->sockets_open, 1);
	rig_free(r);
}

Test(expect, tftp_gets_the_port_it_asked_from_and_no_other)
{
	struct rig *r = controlled((struct rig_options){0});
	alg_is = ALGS_TFTP;
	cr_assert_not(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, 40001, false));
	cr_assert(rig_has_line(
		r, "refused: inside port is not the flow's own. Protocol tftp, UDP port"));
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, 40000, false));
	cr_assert_not(wish(r, 2, NL__PINHOLE_KIND__UDP_ONE, 40000, false));
	rig_free(r);
}

Test(expect, who_only_observes_is_answered_and_opens_nothing)
{
	struct rig *r = controlled((struct rig_options){0});
	only_observes = true;
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, true));
	cr_assert_eq(r->answer.outside_ip_be, rig_loopback());
	cr_assert_eq(r->answer.outside_port, RTP);
	arm(r, 1);
	cr_assert_eq(r->np->pinholes.live, 0);
	cr_assert_eq(r->np->sockets_open, 1);
	cr_assert(rig_has_line(r,
		"An ALG expectation would have been created. Protocol rtsp, UDP pair, TCP session "
		"1, guest 192.168.30.10:41000, peer 127.0.0.1"));
	cr_assert_not(wish(r, 2, NL__PINHOLE_KIND__UDP_PAIR, 22, false), "the rules hold");
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
	struct rig *r = controlled((struct rig_options){.publish = &p});
	cr_assert_not(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP + 1, false));
	cr_assert_not(wish(r, 1, NL__PINHOLE_KIND__UDP_PAIR, RTP, false));
	cr_assert(rig_has_line(
		r, "refused: inside port is open to the outside already. Protocol rtsp, UDP pair"));
	cr_assert(wish(r, 1, NL__PINHOLE_KIND__UDP_ONE, RTP, false), "its neighbour alone does");
	rig_free(r);
}

Test(expect, doors_leave_three_quarters_of_the_descriptors_to_others)
{
	struct rig *r = controlled((struct rig_options){.sockets_max = 80});
	uint32_t doors = 0;
	while (doors < 16 && wish(r, doors + 1, NL__PINHOLE_KIND__UDP_ONE, RTP + 2 * doors, true))
		doors++;
	cr_assert_eq(doors, 16);
	cr_assert_eq(r->np->reserves, 16);
	for (uint32_t i = 1; i <= 16; i++) {
		arm(r, i);
		close_door(r, i);
	}
	for (doors = 0; wish(r, 100 + doors, NL__PINHOLE_KIND__UDP_PAIR, RTP + 2 * doors, false);)
		doors++;
	cr_assert_eq(doors, 10);
	cr_assert_eq(r->np->reserves, 20, "of 80");
	cr_assert(rig_has_line(r, "refused: no outside pair of ports to be had"));
	cr_assert_not(wish(r, 200, NL__PINHOLE_KIND__UDP_ONE, RTP + 200, false));
	guest_begins(r, DATA, 30000, 0);
	guest_sends(r, DATA, port_of(far_end(1)));
	cr_assert_geq(flow_of(r, DATA)->fd, 0);
	rig_free(r);
}

Test(expect, all_that_is_due_expires_and_leaves_nothing)
{
	struct rig *r = controlled((struct rig_options){0});
	for (uint32_t i = 0; i < 16; i++)
		cr_assert(wish(r, i + 1, NL__PINHOLE_KIND__UDP_ONE, RTP + 2 * i, false));
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
	struct rig *r = controlled((struct rig_options){0});
	alg_is = ALGS_RCMD;
	cr_assert_not(wish(r, 1, NL__PINHOLE_KIND__TCP_LISTEN, 1021, false));
	cr_expect(rig_has_line(r, "no outside port below 1024 to be had"));
	give_reserved_port(r, 1000);
	for (uint32_t token = 2; token < 4; token++) {
		cr_assert(wish(r, token, NL__PINHOLE_KIND__TCP_LISTEN, 1021, false));
		cr_assert_eq(r->answer.outside_port, 1000);
		cr_assert_not(wish(r, 9, NL__PINHOLE_KIND__TCP_LISTEN, 1022, false), "taken");
		close_door(r, token);
	}
	cr_assert_not(wish(r, 9, NL__PINHOLE_KIND__TCP_LISTEN, 511, false));
	rig_free(r);
}
