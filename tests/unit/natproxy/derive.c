/* Connections that expectations are about, H.323's: read as what alg said, and only those. The test is alg, honest and hostile. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "streams.h"

enum {
	SIGNALLING = 0,
	RAS = 1,
	CONTROL = 3, /* H.245 */
	LINK = 7700,
};

static Nl__AlgSwitch h323;
static Nl__Alg alg;
static uint32_t ports[3];
static int listener; /* of the far end of the guest's calls */

static struct rig_options options(uint16_t signalling)
{
	h323 = (Nl__AlgSwitch)NL__ALG_SWITCH__INIT;
	alg = (Nl__Alg)NL__ALG__INIT;
	ports[0] = signalling;
	ports[1] = 1719;
	ports[2] = 1718;
	h323.ports = ports;
	h323.n_ports = 3;
	alg.h323 = &h323;
	alg.has_h323_forward = alg.h323_forward = true;
	return (struct rig_options){.alg = &alg};
}

/* A guest's call: its connection for call signalling is inspected. */
static struct scene call_with(const Nl__Publish *publish)
{
	struct ring_desc d;
	uint16_t port;
	listener = rig_listener(&port);
	struct rig_options o = options(port);
	o.publish = publish;
	struct scene s = {.r = rig_new(&o), .port = port, .number = STREAM_NUMBER};
	rig_open(s.r, STREAM_FLOW, 40000, port);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_OPENED, &d));
	s.fd = accept(listener, NULL, NULL);
	rig_credit(s.r, STREAM_FLOW, 1000000);
	cr_assert_eq(s.r->inspected, 1);
	cr_assert_not(s.r->inspect.has_link);
	return s;
}

static struct scene call_up(void)
{
	return call_with(NULL);
}

static Nl__PinholeOpen wish_for(Nl__PinholeKind kind, uint32_t token, uint32_t service)
{
	Nl__PinholeOpen m = NL__PINHOLE_OPEN__INIT;
	m.flow = STREAM_NUMBER;
	m.token = token;
	m.kind = kind;
	m.has_inspect = m.has_link = true;
	m.inspect = service;
	m.link = LINK + token;
	if (kind != NL__PINHOLE_KIND__TCP_WATCH)
		m.guest_port = STREAM_DATA_PORT;
	return m;
}

static bool ask(struct scene *s, const Nl__PinholeOpen *m)
{
	const uint32_t answers = s->r->answers;
	cr_assert_eq(natproxy_on_pinhole_open(s->r->np, m, NULL), 0);
	cr_assert_eq(s->r->answers, answers + 1);
	return s->r->answer.granted;
}

static bool watch(
	struct scene *s, uint32_t token, uint32_t service, uint32_t peer_be, uint32_t port)
{
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_WATCH, token, service);
	m.has_peer_ip_be = true;
	m.peer_ip_be = peer_be;
	m.peer_port = port;
	return ask(s, &m);
}

/* The guest takes the connection that was announced: flow `i` of its own. */
static uint32_t take(struct scene *s, uint32_t i)
{
	struct ring_desc d;
	const uint32_t flow = STREAM_FLOW + 0x10001 * i;
	cr_assert(rig_await(s->r, RING_NATPROXY_TCP_INCOMING, &d));
	stream_accept(s, flow, d.pair.token);
	rig_credit(s->r, flow, 1000000);
	rig_turn(s->r);
	return flow;
}

/* alg was shown a connection of this kind last, as its `inspected`th. */
static void expect_shown(const struct scene *s, uint32_t inspected, uint32_t service, uint32_t link)
{
	cr_expect_eq(s->r->inspected, inspected);
	cr_expect_str_eq(s->r->inspect_alg, "h323");
	cr_expect_eq(s->r->inspect.service, service);
	cr_expect(s->r->inspect.has_link && s->r->inspect.link == link);
}

Test(derive, what_comes_by_a_listener_is_read_as_what_alg_said)
{
	struct scene s = call_up();
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_LISTEN, 1, CONTROL);
	cr_assert(ask(&s, &m));
	const uint16_t outside = (uint16_t)s.r->answer.outside_port;
	const int far = stream_knock(outside);
	take(&s, 1);
	expect_shown(&s, 2, CONTROL, LINK + 1);
	cr_expect(s.r->inspect.guest_serves && s.r->inspect.stream);
	cr_expect_eq(s.r->inspect.guest_port, STREAM_DATA_PORT);
	cr_expect_eq(s.r->inspect.outside_port, outside);
	cr_expect_eq(s.r->np->pinholes.live, 0);
	cr_expect(s.r->gone == 2 && s.r->gone_used == 1);
	cr_assert_eq(write(far, "terminalCapabilitySet", 21), 21);
	for (int i = 0; i < 100 && !s.r->seen_bytes[NL__DIRECTION__OUTSIDE]; i++)
		rig_quiet(s.r, 1);
	cr_expect_eq(s.r->seen_bytes[NL__DIRECTION__OUTSIDE], 21, "and waits for its verdict");
	close(far);
	rig_free(s.r);
}

Test(derive, without_a_word_of_alg_it_is_not_looked_at)
{
	struct scene s = call_up();
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_LISTEN, 1, CONTROL);
	m.has_inspect = m.has_link = false;
	cr_assert(ask(&s, &m));
	close(stream_knock((uint16_t)s.r->answer.outside_port));
	take(&s, 1);
	cr_expect_eq(s.r->inspected, 1);
	rig_free(s.r);
}

Test(derive, a_registered_port_is_reached_again_and_again_for_as_long_as_it_is_kept)
{
	struct scene s = call_up();
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_SERVICE, 1, SIGNALLING);
	m.guest_port = 1720; /* which no other kind may have */
	m.lifetime_ms = 1000000;
	stream_says(&s, 0, "RRQ");
	cr_assert(ask(&s, &m));
	cr_assert_eq(scene_verdict(&s, NL__DIRECTION__GUEST, 3, NULL, 0), 0);
	cr_expect(rig_has_line(s.r,
		"The ALG expectation 1 was created. Protocol h323, TCP service, TCP session 1, "
		"guest 192.168.30.10:1720, outside 127.0.0.1:"));
	const uint16_t outside = (uint16_t)s.r->answer.outside_port;
	Nl__PinholeKeep keep = NL__PINHOLE_KEEP__INIT;
	keep.flow = STREAM_NUMBER;
	keep.token = 1;
	for (uint32_t i = 1; i <= 3; i++) {
		const int far = stream_knock(outside);
		take(&s, i);
		expect_shown(&s, 1 + i, SIGNALLING, LINK + 1);
		cr_expect_eq(s.r->np->pinholes.entry[1].connections, i);
		s.r->skew_ns += 900 * 1000000000ULL;
		rig_turn(s.r);
		cr_assert_eq(natproxy_on_pinhole_keep(s.r->np, &keep, NULL), 0);
		cr_assert_eq(s.r->np->pinholes.live, 1, "after %u", i);
		close(far);
	}
	cr_expect_eq(s.r->np->pinholes.count[ALGS_H323].used, 1);
	s.r->skew_ns += 1001 * 1000000000ULL;
	rig_turn(s.r);
	cr_expect_eq(s.r->np->pinholes.live, 0);
	cr_expect(rig_has_line(s.r, "The ALG expectation 1 was deleted: its time is over."));
	cr_expect_eq(s.r->np->pinholes.count[ALGS_H323].expired, 0);
	rig_free(s.r);
}

Test(derive, so_many_at_a_time_and_no_more)
{
	struct scene s = call_up();
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_SERVICE, 1, SIGNALLING);
	struct ring_desc d;
	cr_assert(ask(&s, &m));
	const uint16_t outside = (uint16_t)s.r->answer.outside_port;
	uint32_t last = 0;
	for (uint32_t i = 1; i <= PINHOLE_CONNECTIONS; i++) {
		stream_knock(outside);
		last = take(&s, i);
	}
	stream_knock(outside);
	cr_expect(rig_quiet(s.r, 20));
	cr_expect_eq(s.r->drops.count[DROP_FILTERED], 1);
	rig_op(s.r, RING_NETSTACK_TCP_RESET, last);
	rig_turn(s.r);
	stream_knock(outside);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_INCOMING, &d));
	cr_expect_eq(s.r->np->pinholes.entry[1].connections, PINHOLE_CONNECTIONS);
	const struct ring_desc no = {
		.op = RING_NETSTACK_TCP_REJECTED, .pair = {.token = d.pair.token}};
	rig_send(s.r, &no);
	rig_turn(s.r);
	cr_expect_eq(s.r->np->pinholes.entry[1].connections, PINHOLE_CONNECTIONS - 1);
	rig_free(s.r);
}

Test(derive, a_latent_service_lets_nobody_in_and_a_closed_one_leaves_its_connections)
{
	struct scene s = call_up();
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_SERVICE, 1, SIGNALLING);
	Nl__PinholeArm arm = NL__PINHOLE_ARM__INIT;
	arm.flow = STREAM_NUMBER;
	arm.token = 1;
	m.has_latent = m.latent = true;
	cr_assert(ask(&s, &m));
	const uint16_t outside = (uint16_t)s.r->answer.outside_port;
	stream_knock(outside);
	cr_expect(rig_quiet(s.r, 20));
	cr_assert_eq(natproxy_on_pinhole_arm(s.r->np, &arm, NULL), 0);
	const uint32_t flow = take(&s, 1);
	rig_op(s.r, RING_NETSTACK_TCP_RESET, STREAM_FLOW);
	rig_turn(s.r);
	cr_expect_eq(s.r->np->pinholes.live, 0);
	cr_expect_eq(s.r->np->sockets_open, 1);
	cr_expect_eq(s.r->np->inspects, 1, "and go on being read");
	stream_knock(outside);
	cr_expect(rig_quiet(s.r, 20), "nobody else gets in");
	Nl__PinholeOpen other = wish_for(NL__PINHOLE_KIND__TCP_LISTEN, 1, CONTROL);
	other.flow = s.r->inspect.flow;
	cr_assert(ask(&s, &other), "its door's entry is another one's now");
	rig_op(s.r, RING_NETSTACK_TCP_RESET, flow);
	rig_turn(s.r);
	cr_expect(s.r->np->pinholes.live == 0 && s.r->np->sockets_open == 0);
	rig_free(s.r);
}

/* alg says of what it was shown last that it is not the protocol. */
static void violate(struct scene *s)
{
	struct scene last = *s;
	last.number = s->r->inspect.flow;
	scene_give_up(&last, true);
	rig_turn(s->r);
}

/* The guest connects to a port of 127.0.0.1. */
static void go(struct scene *s, uint32_t i, uint16_t port)
{
	struct ring_desc d;
	rig_open(s->r, STREAM_FLOW + 0x10001 * i, (uint16_t)(41000 + i), port);
	cr_assert(rig_await(s->r, RING_NATPROXY_TCP_OPENED, &d));
}

Test(derive, a_connection_that_is_watched_for_is_read_once)
{
	struct scene s = call_up();
	uint16_t port, other;
	rig_listener(&port);
	rig_listener(&other);
	go(&s, 1, port);
	cr_expect_eq(s.r->inspected, 1, "not one that was there before");
	cr_assert(watch(&s, 1, CONTROL, rig_loopback(), port));
	cr_expect(s.r->answer.outside_ip_be == rig_loopback() && s.r->answer.outside_port == port,
		"what is watched for");
	char line[128];
	snprintf(line, sizeof(line),
		"Protocol h323, TCP watch, TCP session 1, guest 192.168.30.10, peer 127.0.0.1:%u,",
		port);
	cr_expect(rig_has_line(s.r, line));
	go(&s, 2, other);
	cr_expect_eq(s.r->inspected, 1);
	go(&s, 3, port);
	expect_shown(&s, 2, CONTROL, LINK + 1);
	cr_expect_not(s.r->inspect.guest_serves);
	cr_expect(s.r->np->pinholes.live == 0 && s.r->np->pinholes.watched == 0);
	cr_expect(s.r->gone == 2 && s.r->gone_used == 1);
	go(&s, 4, port);
	cr_expect_eq(s.r->inspected, 2);
	rig_free(s.r);
}

Test(derive, a_latent_watch_meets_nothing_until_it_is_armed)
{
	struct scene s = call_up();
	uint16_t port;
	rig_listener(&port);
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_WATCH, 1, CONTROL);
	Nl__PinholeArm arm = NL__PINHOLE_ARM__INIT;
	arm.flow = STREAM_NUMBER;
	arm.token = 1;
	m.peer_port = port;
	m.has_latent = m.latent = true;
	cr_assert(ask(&s, &m));
	go(&s, 1, port);
	cr_expect_eq(s.r->inspected, 1);
	arm.has_peer_ip_be = true;
	arm.peer_ip_be = inet_addr("198.51.100.9");
	cr_assert_eq(natproxy_on_pinhole_arm(s.r->np, &arm, NULL), 0);
	go(&s, 2, port);
	expect_shown(&s, 2, CONTROL, LINK + 1);
	rig_free(s.r);
}

Test(derive, a_port_for_signalling_that_was_named_is_read_every_time)
{
	struct scene s = call_up();
	uint16_t port;
	rig_listener(&port);
	cr_assert(watch(&s, 1, SIGNALLING, rig_loopback(), port));
	for (uint32_t i = 1; i <= 3; i++) {
		go(&s, i, port);
		expect_shown(&s, 1 + i, SIGNALLING, LINK + 1);
	}
	cr_expect_eq(s.r->gone, 1);
	s.r->skew_ns += 301 * 1000000000ULL;
	rig_turn(s.r);
	go(&s, 4, port);
	cr_expect_eq(s.r->inspected, 4, "until its time is over");
	rig_free(s.r);
}

/* A far end names what it likes: it must not end what the guest has with others. */
Test(derive, strict_ends_what_came_in_and_nothing_that_the_guest_began)
{
	struct scene s = call_up();
	uint16_t port;
	rig_listener(&port);
	struct rig_options o = options(s.port);
	h323.has_strict = h323.strict = true;
	rig_configure(s.r, &o);
	cr_assert(watch(&s, 1, CONTROL, rig_loopback(), port));
	go(&s, 1, port);
	expect_shown(&s, 2, CONTROL, LINK + 1);
	violate(&s);
	cr_expect_eq(s.r->np->nat.live, 2);
	cr_expect_eq(s.r->np->inspects, 1, "it goes on unread");
	cr_assert(watch(&s, 3, CONTROL, rig_loopback(), port));
	go(&s, 3, port);
	rig_configure(s.r, &o);
	violate(&s);
	cr_expect_eq(s.r->np->nat.live, 3);
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_LISTEN, 2, CONTROL);
	cr_assert(ask(&s, &m));
	stream_knock((uint16_t)s.r->answer.outside_port);
	take(&s, 2);
	expect_shown(&s, 4, CONTROL, LINK + 2);
	cr_expect_eq(s.r->np->nat.live, 4);
	violate(&s);
	cr_expect_eq(s.r->np->nat.live, 3);
	rig_free(s.r);
}

Test(derive, what_the_operator_says_today_holds)
{
	struct scene s = call_up();
	uint16_t port;
	rig_listener(&port);
	struct rig_options o = options(s.port);
	cr_assert(watch(&s, 1, SIGNALLING, rig_loopback(), port));
	Nl__AlgList list = NL__ALG_LIST__INIT, *lists[] = {&list};
	list.has_mode = true;
	list.mode = NL__ALG_SWITCH__MODE__observe;
	h323.n_lists = 1;
	h323.lists = lists;
	rig_configure(s.r, &o);
	go(&s, 1, port);
	expect_shown(&s, 2, SIGNALLING, LINK + 1);
	cr_expect(s.r->np->inspect && s.r->np->pinholes.live == 1);
	list.mode = NL__ALG_SWITCH__MODE__off;
	rig_configure(s.r, &o);
	go(&s, 2, port);
	cr_expect_eq(s.r->inspected, 2);
	h323.has_enable = true;
	rig_configure(s.r, &o);
	cr_expect_eq(s.r->np->pinholes.live, 0);
	go(&s, 3, port);
	cr_expect_eq(s.r->inspected, 2);
	rig_free(s.r);
}

Test(derive, a_port_that_is_open_already_gets_no_door_but_is_read)
{
	struct scene s = call_with(rig_publish(NL__PUBLISH__PROTO__tcp, 23450, STREAM_DATA_PORT));
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_LISTEN, 1, CONTROL);
	const uint32_t sockets = s.r->np->sockets_open;
	close(stream_knock(23450));
	take(&s, 1);
	cr_expect_eq(s.r->inspected, 1);
	cr_assert(ask(&s, &m));
	cr_expect_eq(s.r->answer.outside_port, 23450);
	cr_expect_eq(s.r->np->sockets_open, sockets + 1, "of the connection");
	stream_knock(23450);
	take(&s, 2);
	expect_shown(&s, 2, CONTROL, LINK + 1);
	cr_expect(s.r->inspect.guest_serves);
	cr_expect_eq(s.r->np->pinholes.live, 0);
	stream_knock(23450);
	take(&s, 3);
	cr_expect_eq(s.r->inspected, 2);
	m.has_inspect = false;
	cr_expect_not(ask(&s, &m), "as ever where the guest began");
	rig_free(s.r);
}

Test(derive, what_a_lost_alg_said_is_forgotten)
{
	struct scene s = call_up();
	struct ring_desc d;
	uint16_t port;
	rig_listener(&port);
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_LISTEN, 1, CONTROL);
	cr_assert(ask(&s, &m));
	cr_assert(watch(&s, 2, CONTROL, rig_loopback(), port));
	stream_knock((uint16_t)s.r->answer.outside_port);
	m.token = 3;
	m.guest_port++;
	cr_assert(ask(&s, &m));
	stream_knock((uint16_t)s.r->answer.outside_port);
	cr_assert(rig_await(s.r, RING_NATPROXY_TCP_INCOMING, &d));
	natproxy_alg_lost(s.r->np);
	cr_expect_eq(s.r->np->pinholes.live, 0);
	stream_accept(&s, STREAM_FLOW + 0x10001, d.pair.token);
	rig_turn(s.r);
	go(&s, 2, port);
	cr_expect_eq(s.r->inspected, 1);
	rig_free(s.r);
}

Test(derive_hostile, nothing_is_read_as_what_it_cannot_be)
{
	static const uint32_t services[] = {RAS, 2, 4, 255, 256, 259, UINT32_MAX};
	struct scene s = call_up();
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_LISTEN, 1, services[i]);
		cr_expect_not(ask(&s, &m), "%u", services[i]);
		m.kind = NL__PINHOLE_KIND__TCP_SERVICE;
		cr_expect_not(ask(&s, &m), "%u", services[i]);
		cr_expect_not(watch(&s, 1, services[i], rig_loopback(), 5000), "%u", services[i]);
		m.kind = NL__PINHOLE_KIND__UDP_ONE;
		m.inspect = CONTROL;
		cr_expect_not(ask(&s, &m), "datagrams");
	}
	cr_expect(rig_has_line(s.r, "refused: it is no connection that this protocol reads."));
	cr_expect_eq(s.r->np->pinholes.live, 0);
	rig_free(s.r);
}

Test(derive_hostile, a_watch_is_for_a_host_outside_and_for_no_port_of_the_guest)
{
	struct scene s = call_up();
	const uint32_t sockets = s.r->np->sockets_open;
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_WATCH, 1, CONTROL);
	cr_expect_not(watch(&s, 1, CONTROL, rig_loopback(), 0));
	cr_expect_not(watch(&s, 1, CONTROL, rig_loopback(), 80));
	cr_expect_not(watch(&s, 1, CONTROL, rig_loopback(), 65536 + 5000));
	cr_expect_not(watch(&s, 1, CONTROL, inet_addr("192.168.30.11"), 5000));
	cr_expect_not(watch(&s, 1, CONTROL, inet_addr("192.168.30.1"), 5000));
	cr_expect_not(watch(&s, 1, CONTROL, inet_addr("224.0.1.41"), 5000));
	m.peer_port = 5000;
	m.guest_port = 5000;
	cr_expect_not(ask(&s, &m));
	m.guest_port = 0;
	m.has_pairs = true;
	m.pairs = 3;
	cr_expect_not(ask(&s, &m));
	m.has_pairs = m.has_inspect = false;
	cr_expect_not(ask(&s, &m));
	m = wish_for(NL__PINHOLE_KIND__TCP_LISTEN, 1, CONTROL);
	m.peer_port = 5000;
	cr_expect_not(ask(&s, &m));
	cr_expect_not(s.r->np->pinholes.live || s.r->np->pinholes.watched);
	cr_expect(watch(&s, 1, CONTROL, inet_addr("198.51.100.9"), 5000));
	cr_expect_eq(s.r->np->sockets_open, sockets);
	rig_free(s.r);
}

Test(derive_hostile, watches_by_the_thousand_are_a_handful)
{
	struct scene s = call_up();
	uint32_t granted = 0;
	for (uint32_t i = 1; i <= 100; i++)
		granted += watch(&s, i, CONTROL, rig_loopback(), 5000);
	cr_expect_eq(granted, PINHOLE_SAME_MAX, "of one connection");
	for (uint32_t i = 1; i <= PINHOLE_SAME_MAX; i++) {
		Nl__PinholeClose m = NL__PINHOLE_CLOSE__INIT;
		m.flow = STREAM_NUMBER;
		m.token = i;
		natproxy_on_pinhole_close(s.r->np, &m, NULL);
	}
	cr_expect_eq(s.r->np->pinholes.watched, 0);
	granted = 0;
	for (uint32_t i = 1; i <= 3000; i++)
		granted += watch(&s, i, CONTROL, rig_loopback(), 2000 + i);
	cr_expect_eq(granted, 64);
	rig_op(s.r, RING_NETSTACK_TCP_RESET, STREAM_FLOW);
	rig_turn(s.r);
	cr_expect_not(s.r->np->pinholes.live || s.r->np->pinholes.watched);
	rig_free(s.r);
}

Test(derive_hostile, who_came_does_not_use_up_what_the_guest_may_ask_for)
{
	struct scene s = call_up();
	Nl__PinholeOpen own = wish_for(NL__PINHOLE_KIND__TCP_LISTEN, 1, CONTROL);
	cr_assert(ask(&s, &own));
	const int far = stream_knock((uint16_t)s.r->answer.outside_port);
	take(&s, 1);
	cr_assert(s.r->inspect.guest_serves);
	Nl__PinholeOpen theirs = wish_for(NL__PINHOLE_KIND__TCP_WATCH, 2, CONTROL);
	theirs.flow = s.r->inspect.flow; /* without a port: each is refused, and counts */
	for (int i = 0; i < 2000; i++)
		cr_assert_not(ask(&s, &theirs));
	for (own.token = 3; own.token < 53; own.token++)
		cr_assert(ask(&s, &own), "%u", own.token);
	close(far);
	rig_free(s.r);
}

Test(derive_hostile, what_comes_again_and_again_is_a_call_and_is_read_as_one)
{
	struct scene s = call_up();
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_SERVICE, 1, CONTROL);
	cr_expect_not(ask(&s, &m));
	m.inspect = SIGNALLING;
	m.has_inspect = false;
	cr_expect_not(ask(&s, &m));
	m.has_inspect = true;
	cr_expect(ask(&s, &m));
	rig_free(s.r);
}

/* Whatever alg says: it may have been talked into it. */
Test(derive_hostile, calls_are_sent_on_only_while_the_operator_has_it_so)
{
	struct scene s = call_up();
	struct rig_options o = options(s.port);
	const Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_SERVICE, 1, SIGNALLING);
	cr_assert(ask(&s, &m));
	rig_configure(s.r, &o);
	cr_expect_eq(s.r->np->pinholes.live, 1);
	alg.h323_forward = false;
	rig_configure(s.r, &o);
	cr_expect_eq(s.r->np->pinholes.live, 0);
	cr_expect(rig_has_line(s.r, "was deleted: alg.h323_forward is false now."));
	cr_expect_not(ask(&s, &m));
	cr_expect(rig_has_line(s.r, "refused: calls are sent on, and alg.h323_forward is false."));
	cr_expect_eq(s.r->np->pinholes.live, 0);
	rig_free(s.r);
}

Test(derive_hostile, another_alg_gets_none_of_it)
{
	struct scene s = stream_open((struct rig_options){0}); /* FTP's */
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_LISTEN, 1, 0);
	cr_expect_not(ask(&s, &m));
	m.kind = NL__PINHOLE_KIND__TCP_SERVICE;
	cr_expect_not(ask(&s, &m));
	cr_expect_not(watch(&s, 1, 0, rig_loopback(), 5000));
	cr_expect_eq(s.r->np->pinholes.live, 0);
	rig_free(s.r);
}

Test(derive_hostile, protected_ports_are_for_the_one_that_was_registered)
{
	static const Nl__PinholeKind kinds[] = {NL__PINHOLE_KIND__TCP_LISTEN,
		NL__PINHOLE_KIND__UDP_ONE, NL__PINHOLE_KIND__UDP_PAIR};
	static const uint32_t denied[] = {22, 1719, 2049, 5060, 8080, 65536 + 1720, 0};
	struct scene s = call_up();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		Nl__PinholeOpen m = wish_for(kinds[i], 1, SIGNALLING);
		m.has_inspect = false;
		m.guest_port = 1720;
		cr_expect_not(ask(&s, &m), "kind %u", kinds[i]);
	}
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
		Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_SERVICE, 1, SIGNALLING);
		m.guest_port = denied[i];
		cr_expect_not(ask(&s, &m), "port %u", denied[i]);
	}
	Nl__PinholeOpen m = wish_for(NL__PINHOLE_KIND__TCP_SERVICE, 1, SIGNALLING);
	m.guest_port = 1720;
	m.has_peer_ip_be = true;
	m.peer_ip_be = inet_addr("198.51.100.9");
	cr_expect_not(ask(&s, &m), "its gatekeeper alone gets in");
	cr_expect_eq(s.r->np->pinholes.live, 0);
	rig_free(s.r);
}
