/* Which UDP sessions are inspected, and what a new configuration means for them. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <unistd.h>

#include "datagrams.h"
#include "dns.h"

Test(inspect_dgram_sessions, alg_is_told_whose_session_it_is)
{
	struct scene s = datagram_fixing();
	datagram_says(&s, "hello", 5, 0);
	cr_assert_eq(s.r->inspected, 1);
	cr_assert_eq(s.r->inspect.flow, DATAGRAM_NUMBER);
	cr_assert_str_eq(s.r->inspect_alg, "tftp");
	cr_assert_not(s.r->inspect.stream);
	cr_assert_not(s.r->inspect.guest_serves);
	cr_assert_eq(s.r->inspect.guest_ip_be, rig_guest_ip());
	cr_assert_eq(s.r->inspect.guest_port, DATAGRAM_GUEST_PORT);
	cr_assert_eq(s.r->inspect.outside_ip_be, rig_loopback(), "asked of the kernel");
	cr_assert_eq(s.r->inspect.outside_port, DATAGRAM_GUEST_PORT);
	cr_assert_eq(s.r->inspect.peer_port, s.port);
	cr_assert_eq(s.r->np->inspects, 1);
	rig_free(s.r);
}

Test(inspect_dgram_sessions, other_ports_are_not_looked_at)
{
	struct scene s = datagram_fixing();
	uint16_t other;
	const int fd = rig_udp(&other);
	char text[16];
	s.port = other;
	close(s.fd);
	s.fd = fd;
	datagram_says(&s, "hello", 5, 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 5);
	cr_assert_eq(s.r->inspected, 0);
	cr_assert_eq(s.r->np->inspects, 0);
	rig_free(s.r);
}

Test(inspect_dgram_sessions, a_session_that_ends_is_told_and_leaves_nothing)
{
	struct scene s = datagram_fixing();
	datagram_says(&s, "one", 3, 0);
	rig_op(s.r, RING_NETSTACK_FLOW_FREE, DATAGRAM_FLOW);
	rig_turn(s.r);
	cr_assert_eq(s.r->ended, 1);
	cr_assert_eq(s.r->np->inspects, 0);
	cr_assert_eq(s.r->drops.count[DROP_ALG_ENDED], 1);
	rig_free(s.r);
}

Test(inspect_dgram_sessions, switching_the_alg_off_gives_its_sessions_up)
{
	struct scene s = datagram_fixing();
	struct datagram_alg on;
	const struct rig_options o = {.alg = datagram_alg(&on, s.port, NL__ALG_SWITCH__MODE__fix)};
	char text[16];
	datagram_says(&s, "one", 3, 0);
	rig_configure(s.r, &o);
	cr_assert_eq(s.r->np->inspects, 1, "nothing changed");
	on.tftp.has_enable = true;
	on.tftp.enable = false;
	rig_configure(s.r, &o);
	rig_turn(s.r);
	cr_assert_eq(s.r->np->inspects, 0);
	cr_assert_eq(s.r->ended, 1);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	rig_free(s.r);
}

/* Of an ALG that stays on: whether sessions that are there go on under inspection. */
static void changed(void (*change)(struct datagram_alg *on), bool go_on)
{
	struct scene s = datagram_fixing();
	struct datagram_alg on;
	const struct rig_options o = {.alg = datagram_alg(&on, s.port, NL__ALG_SWITCH__MODE__fix)};
	char text[16];
	datagram_says(&s, "one", 3, 0);
	on.tftp.has_strict = true;
	on.tftp.strict = true;
	rig_configure(s.r, &o);
	cr_assert_eq(s.r->np->inspects, 1);
	cr_assert(s.r->np->inspect->slot[INSPECTION_STREAMS].strict, "from now on");
	change(&on);
	rig_configure(s.r, &o);
	rig_turn(s.r);
	cr_assert_eq(s.r->np->inspects, go_on);
	cr_assert_eq(s.r->ended, !go_on);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), go_on ? -1 : 3);
	rig_free(s.r);
}

static void only_observe(struct datagram_alg *on)
{
	on->tftp.mode = NL__ALG_SWITCH__MODE__observe;
}

static void other_port(struct datagram_alg *on)
{
	on->port ^= 1;
}

static void off_for_all_of_a_list(struct datagram_alg *on)
{
	static Nl__AlgList list = NL__ALG_LIST__INIT, *lists[] = {&list};
	list.has_mode = true;
	list.mode = NL__ALG_SWITCH__MODE__off;
	on->tftp.n_lists = 1;
	on->tftp.lists = lists;
}

static void observe_all_but_a_list(struct datagram_alg *on)
{
	off_for_all_of_a_list(on);
	on->tftp.lists[0]->mode = NL__ALG_SWITCH__MODE__fix;
	only_observe(on);
}

Test(inspect_dgram_sessions, only_to_observe_holds_for_sessions_that_are_there)
{
	changed(only_observe, false);
}

Test(inspect_dgram_sessions, other_ports_do_not)
{
	changed(other_port, true);
}

Test(inspect_dgram_sessions, and_lists_do_not)
{
	changed(off_for_all_of_a_list, true);
	changed(observe_all_but_a_list, true);
}

/* The guest's session number i from a port of its own, judged at once: its reference. */
static uint32_t open_judged(struct scene *s, uint32_t i)
{
	datagram_endpoint(s->r, DATAGRAM_FLOW + 1 + i, (uint16_t)(20000 + i));
	s->r->seen_bytes[0] = 0;
	datagram_says_as(s, DATAGRAM_FLOW + 1 + i, "x", 1);
	Nl__Verdict m = NL__VERDICT__INIT;
	m.flow = s->r->inspect.flow;
	m.until = 1;
	cr_assert_eq(natproxy_on_verdict(s->r->np, &m, NULL), 0);
	return s->r->np->nat.fresh;
}

Test(inspect_dgram_sessions, whoever_opens_many_leaves_room_for_others)
{
	struct scene s = datagram_fixing();
	enum { MANY = 800, SHARE = 384 };
	for (uint32_t i = 0; i < MANY; i++)
		open_judged(&s, i);
	cr_assert_eq(s.r->np->inspects, SHARE);
	cr_assert_eq(s.r->inspected, MANY, "the oldest give way");
	cr_assert_eq(s.r->ended, MANY - SHARE);
	rig_free(s.r);
}

Test(inspect_dgram_sessions, who_is_held_gives_way_when_all_are)
{
	struct scene s = datagram_fixing();
	enum { HELD = 10, MANY = 800, SHARE = 384 };
	struct nat *nat = &s.r->np->nat;
	uint32_t held[HELD];
	for (uint32_t i = 0; i < MANY; i++) {
		const uint32_t ref = open_judged(&s, i);
		if (i >= HELD)
			continue;
		held[i] = ref;
		nat_hold(nat, ref, UINT64_MAX);
	}
	cr_assert_eq(s.r->np->inspects, SHARE);
	for (uint32_t i = 0; i < HELD; i++)
		cr_assert(nat->session[held[i]].inspect, "%u", i);
	for (uint32_t ref = 1; ref <= nat->fresh; ref++)
		nat_hold(nat, ref, UINT64_MAX);
	open_judged(&s, MANY);
	cr_assert_not(nat->session[held[0]].inspect, "the oldest of all");
	cr_assert(nat->session[held[1]].inspect);
	rig_free(s.r);
}

Test(inspect_dgram_sessions, strangers_whom_an_open_filter_lets_in_are_not_looked_at)
{
	struct datagram_alg on;
	struct scene s;
	struct ring_desc d;
	char text[4096];
	s.fd = rig_udp(&s.port);
	s.r = rig_new(&(struct rig_options){.independent = true,
		.alg = datagram_alg(&on, DATAGRAM_GUEST_PORT, NL__ALG_SWITCH__MODE__fix)});
	datagram_endpoint(s.r, DATAGRAM_FLOW, DATAGRAM_GUEST_PORT);
	datagram_says(&s, "x", 1, 0);
	close(s.fd);
	s.fd = rig_udp(&s.port);
	datagram_answers(&s, "stranger", 8);
	cr_assert_eq(datagram_to_guest(&s, &d, text), 8);
	cr_assert_eq(s.r->np->nat.live, 2);
	cr_assert_eq(s.r->inspected, 0);
	rig_free(s.r);
}

Test(inspect_dgram_sessions, a_guest_that_serves_by_its_own_port)
{
	struct scene s = datagram_come_in(18069, 69, 69);
	struct ring_desc d;
	char text[4096] = "";
	cr_assert_eq(s.r->inspected, 1);
	cr_assert(s.r->inspect.guest_serves);
	cr_assert_eq(s.r->inspect.guest_port, 69);
	cr_assert_eq(s.r->inspect.outside_port, 18069);
	cr_assert_eq(s.r->inspect.peer_port, s.port);
	cr_assert_eq(s.r->seen_bytes[1], 5);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__OUTSIDE, 5, NULL, 0), 0);
	cr_assert_eq(datagram_to_guest(&s, &d, text), 5);
	rig_free(s.r);
}

Test(inspect_dgram_sessions, a_guest_that_serves_by_the_port_that_is_open_outside)
{
	struct scene s = datagram_come_in(18069, 7000, 18069);
	cr_assert_eq(s.r->inspected, 1);
	cr_assert(s.r->inspect.guest_serves);
	rig_free(s.r);
}

Test(inspect_dgram_sessions, a_guest_that_serves_something_else)
{
	struct scene s = datagram_come_in(18069, 7000, 69);
	struct ring_desc d;
	char text[4096];
	cr_assert_eq(datagram_to_guest(&s, &d, text), 5);
	cr_assert_eq(s.r->inspected, 0);
	rig_free(s.r);
}

static const uint8_t question[] = {
	0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 2, 'b', 'c', 0, 0, 1, 0, 1};

static void ask(struct rig *r)
{
	struct ring_desc d = rig_payload(
		r, RING_NETSTACK_DGRAM_DATA, DATAGRAM_FLOW, 0, question, sizeof(question));
	d.remote = (struct ring_remote){.ip_be = inet_addr("192.168.30.1"), .port = 53, .ttl = 63};
	rig_send(r, &d);
	rig_turn(r);
}

static struct rig *redirecting(bool with_static)
{
	static uint32_t port = 53;
	Nl__Alg alg = NL__ALG__INIT;
	Nl__AlgSwitch dns = NL__ALG_SWITCH__INIT;
	Nl__Nat nat = NL__NAT__INIT;
	Nl__Static one = NL__STATIC__INIT, *all[1] = {&one};
	Nl__Ip4 inside = NL__IP4__INIT, outside = NL__IP4__INIT;
	inside.be = inet_addr("192.168.30.99");
	outside.be = inet_addr("198.51.100.9");
	one.inside = &inside;
	one.outside = &outside;
	nat.n_static_ = with_static;
	nat.static_ = all;
	dns.n_ports = 1;
	dns.ports = &port;
	alg.dns = &dns;
	return rig_new(&(struct rig_options){.nat = &nat, .alg = &alg});
}

Test(inspect_dgram_sessions, redirected_questions_and_their_answers_are_shown)
{
	struct rig *r = redirecting(true);
	struct scene s = {.r = r, .number = DATAGRAM_NUMBER};
	struct ring_desc d;
	char text[4096];
	datagram_endpoint(r, DATAGRAM_FLOW, DATAGRAM_GUEST_PORT);
	ask(r);
	cr_assert_str_eq(r->inspect_alg, "dns");
	cr_assert_eq(r->inspect.outside_port, 0, "it has no outside");
	cr_assert_eq(r->seen_bytes[0], sizeof(question));
	cr_assert_eq(r->seen_bytes[1], 0, "nobody was asked yet");
	/* there is no resolver: the answer is natproxy's own */
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, sizeof(question), NULL, 0), 0);
	cr_assert_eq(r->seen_bytes[1], sizeof(question));
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__OUTSIDE, sizeof(question), NULL, 0), 0);
	cr_assert_eq(datagram_to_guest(&s, &d, text), sizeof(question));
	cr_assert_eq(text[3] & 15, 2, "SERVFAIL");
	cr_assert_eq(d.remote.ip_be, inet_addr("192.168.30.1"));
	cr_assert_eq(d.remote.port, 53);
	rig_free(r);
}

Test(inspect_dgram_sessions, dns_is_not_looked_at_where_no_address_is_mapped)
{
	struct rig *r = redirecting(false);
	datagram_endpoint(r, DATAGRAM_FLOW, DATAGRAM_GUEST_PORT);
	ask(r);
	cr_assert_eq(r->inspected, 0);
	rig_free(r);
}

/* ---- sessions that go on for days ---- */

/* The same port, of SIP instead. */
static struct rig_options telephone(struct datagram_alg *on, uint16_t port)
{
	datagram_alg(on, port, NL__ALG_SWITCH__MODE__fix);
	on->alg.sip = &on->tftp;
	on->alg.tftp = NULL;
	return (struct rig_options){.alg = &on->alg};
}

/* One that has said "one", which alg let pass. */
static struct scene telephone_begin(struct datagram_alg *on)
{
	struct scene s = {.number = DATAGRAM_NUMBER};
	char text[16];
	s.fd = rig_udp(&s.port);
	const struct rig_options o = telephone(on, s.port);
	s.r = rig_new(&o);
	datagram_endpoint(s.r, DATAGRAM_FLOW, DATAGRAM_GUEST_PORT);
	datagram_says(&s, "one", 3, 0);
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0), 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3);
	return s;
}

static void alg_comes_back(struct rig *r)
{
	Nl__EdgeRenewed m = NL__EDGE_RENEWED__INIT;
	m.generation = 2;
	cr_assert_eq(natproxy_on_edge_renewed(r->np, &m, NULL), 0);
}

/* alg is shown what is said next, from the beginning of a flow with a number of its own. */
static void expect_inspected_anew(struct scene *s)
{
	char text[16];
	cr_assert_eq(s->r->inspected, 2);
	cr_assert_eq(s->r->np->inspects, 1);
	cr_assert_str_eq(s->r->inspect_alg, "sip");
	cr_assert_neq(s->r->inspect.flow, s->number);
	cr_assert_eq(s->r->inspect.guest_port, DATAGRAM_GUEST_PORT);
	s->number = s->r->inspect.flow;
	s->r->seen_bytes[0] = 0;
	datagram_says(s, "three", 5, 0);
	cr_assert_eq(s->r->seen_bytes[0], 5);
	cr_assert_lt(scene_arrived(s, text, sizeof(text)), 0, "held");
	cr_assert_eq(scene_verdict(s, NL__DIRECTION__GUEST, 5, NULL, 0), 0);
	cr_assert_eq(scene_arrived(s, text, sizeof(text)), 5);
}

Test(inspect_dgram_sessions, a_telephone_is_inspected_again_when_alg_is_back)
{
	struct datagram_alg on;
	struct scene s = telephone_begin(&on);
	char text[16];
	natproxy_alg_lost(s.r->np);
	datagram_says(&s, "two", 3, 0);
	cr_assert_eq(scene_arrived(&s, text, sizeof(text)), 3, "nobody waits for who is away");
	alg_comes_back(s.r);
	expect_inspected_anew(&s);
	rig_free(s.r);
}

Test(inspect_dgram_sessions, a_telephone_is_inspected_when_its_alg_is_switched_on)
{
	struct datagram_alg on;
	struct scene s = telephone_begin(&on);
	const struct rig_options o = telephone(&on, s.port);
	on.tftp.has_enable = true;
	rig_configure(s.r, &o);
	cr_assert_eq(s.r->np->inspects, 0);
	on.tftp.enable = true;
	rig_configure(s.r, &o);
	expect_inspected_anew(&s);
	rig_configure(s.r, &o);
	cr_assert_eq(s.r->inspected, 2, "which it is already");
	rig_free(s.r);
}

Test(inspect_dgram_sessions, what_alg_gave_up_itself_stays_so)
{
	struct datagram_alg on;
	struct scene s = telephone_begin(&on);
	scene_give_up(&s, true);
	alg_comes_back(s.r);
	cr_assert_eq(s.r->inspected, 1);
	datagram_endpoint(s.r, DATAGRAM_FLOW + 1, DATAGRAM_GUEST_PORT + 1);
	s.r->seen_bytes[0] = 0;
	datagram_says_as(&s, DATAGRAM_FLOW + 1, "one", 3);
	cr_assert_eq(s.r->inspected, 2, "another one is not that one");
	rig_free(s.r);
}

Test(inspect_dgram_sessions, what_ends_soon_is_not_begun_with_again)
{
	struct scene s = datagram_fixing();
	datagram_says(&s, "one", 3, 0);
	alg_comes_back(s.r);
	cr_assert_eq(s.r->inspected, 1);
	cr_assert_eq(s.r->np->inspects, 0);
	rig_free(s.r);
}
