/* Open ports come and go with the configuration and the host. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward.h"
#include "rig.h"

enum { FLOW = 0x40001, TO_PORT = 80, RULES = 3 };

static Nl__Endpoint at[RULES], to[RULES];
static Nl__Publish rule[RULES], *rules[RULES];
static Nl__Nat nat;

static uint16_t free_port(int type)
{
	uint16_t port;
	close(type == SOCK_STREAM ? rig_listener(&port) : rig_udp(&port));
	return port;
}

static void make_rule(unsigned int i, Nl__Publish__Proto proto, uint16_t port)
{
	nl__publish__init(&rule[i]);
	nl__endpoint__init(&at[i]);
	nl__endpoint__init(&to[i]);
	rules[i] = &rule[i];
	rule[i].proto = proto;
	rule[i].listen = &at[i];
	rule[i].to = &to[i];
	at[i].ip_be = htonl(INADDR_LOOPBACK);
	at[i].port = port;
	to[i].ip_be = rig_guest_ip();
	to[i].port = TO_PORT + i;
}

static struct rig_options with_rules(size_t count)
{
	nl__nat__init(&nat);
	nat.n_publish = count;
	nat.publish = rules;
	return (struct rig_options){.nat = &nat};
}

static int try_port(int type, uint16_t port)
{
	const struct sockaddr_in far = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
	const int fd = socket(AF_INET, type, 0);
	if (connect(fd, (const struct sockaddr *)&far, sizeof(far)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* A connection to rule i that the guest accepted as this flow. */
static int accepted(struct rig *r, unsigned int i, uint32_t flow)
{
	struct ring_desc d;
	const int fd = try_port(SOCK_STREAM, (uint16_t)at[i].port);
	cr_assert_geq(fd, 0);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_INCOMING, &d));
	d = (struct ring_desc){
		.op = RING_NETSTACK_TCP_ACCEPTED, .flow = flow, .pair = {.token = d.pair.token}};
	rig_send(r, &d);
	rig_turn(r);
	return fd;
}

Test(forward, one_is_added_another_removed_and_what_stays_is_not_touched)
{
	rig_network();
	for (unsigned int i = 0; i < RULES; i++)
		make_rule(i, NL__PUBLISH__PROTO__tcp, free_port(SOCK_STREAM));
	struct rig_options o = with_rules(2);
	struct rig *r = rig_new(&o);
	const int stays = r->np->publish[0].fd, first = accepted(r, 0, FLOW),
		  second = accepted(r, 1, FLOW + 1);
	char text[8];
	rules[1] = &rule[2];
	rig_configure(r, &o);
	cr_assert_eq(r->np->publish[0].fd, stays);
	cr_assert_eq(r->np->publish[0].sessions, 1);
	cr_assert_lt(try_port(SOCK_STREAM, (uint16_t)at[1].port), 0, "removed");
	accepted(r, 2, FLOW + 2);
	cr_assert_eq(r->np->nat.live, 3, "connections of the removed port go on");
	for (uint32_t i = 0; i < 2; i++) {
		struct ring_desc d = rig_payload(r, RING_NETSTACK_TCP_DATA, FLOW + i, 0, "hi", 2);
		rig_send(r, &d);
		rig_turn(r);
		cr_assert_eq(read(i ? second : first, text, sizeof(text)), 2);
	}
	rig_op(r, RING_NETSTACK_TCP_RESET, FLOW + 1);
	rig_turn(r);
	cr_assert_eq(r->np->publish[1].sessions, 1, "the new one's only");
	rig_configure(r, &(struct rig_options){0});
	cr_assert_lt(try_port(SOCK_STREAM, (uint16_t)at[0].port), 0);
	rig_free(r);
}

Test(forward, a_removed_udp_port_ends_its_sessions)
{
	rig_network();
	make_rule(0, NL__PUBLISH__PROTO__udp, free_port(SOCK_DGRAM));
	struct rig_options o = with_rules(1);
	struct rig *r = rig_new(&o);
	const int fd = try_port(SOCK_DGRAM, (uint16_t)at[0].port);
	struct ring_desc d;
	cr_assert_eq(write(fd, "knock", 5), 5);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_INCOMING, &d));
	d = (struct ring_desc){.op = RING_NETSTACK_DGRAM_OPEN, .flow = FLOW, .pair = d.pair};
	d.pair.kind = DGRAM_UDP;
	rig_send(r, &d);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
	rig_give_back(r, &d);
	cr_assert_eq(r->np->publish[0].sessions, 1);
	rig_configure(r, &(struct rig_options){0});
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
	cr_assert_eq(r->np->nat.live, 0);
	cr_assert_eq(r->np->sockets_open, 0);
	rig_free(r);
}

Test(forward, what_cannot_be_opened_is_said_once_and_tried_again)
{
	uint16_t port;
	rig_network();
	const int taken = rig_listener(&port);
	make_rule(0, NL__PUBLISH__PROTO__tcp, port);
	struct rig_options o = with_rules(1);
	struct rig *r = rig_new(&o);
	char text[48];
	cr_assert_str_eq(
		forward_state(r->np, &r->np->publish[0], text, sizeof(text)), "cannot: in use");
	const uint32_t lines = r->lines;
	r->skew_ns += 3000000000;
	rig_turn(r);
	cr_assert_eq(r->lines, lines, "nothing new");
	close(taken);
	r->skew_ns += 3000000000;
	rig_turn(r);
	cr_assert_str_eq(forward_state(r->np, &r->np->publish[0], text, sizeof(text)), "listening");
	cr_assert(rig_has_line(r, "listening on 127.0.0.1:"));
	cr_assert_geq(try_port(SOCK_STREAM, port), 0);
	rig_free(r);
}

Test(forward, an_address_that_appears_is_listened_on_at_once)
{
	static const char *const own[] = {"127.0.0.0"};
	rig_network();
	make_rule(0, NL__PUBLISH__PROTO__tcp, free_port(SOCK_STREAM));
	at[0].ip_be = inet_addr("10.200.0.9");
	struct rig_options o = with_rules(1);
	struct rig *r = rig_new(&o);
	char text[48];
	cr_assert_str_eq(forward_state(r->np, &r->np->publish[0], text, sizeof(text)),
		"waiting for address");
	r->np->publish[0].listen.ip_be = htonl(INADDR_LOOPBACK); /* as good as having it */
	rig_host(r, own, 1);
	cr_assert_str_eq(forward_state(r->np, &r->np->publish[0], text, sizeof(text)), "listening");
	rig_free(r);
}

Test(forward, a_device_that_is_not_there_is_waited_for)
{
	Nl__Vrf blue = NL__VRF__INIT, *vrfs[] = {&blue};
	char name[] = "blue", device[] = "nl-none0", other[] = "green", text[48];
	rig_network();
	make_rule(0, NL__PUBLISH__PROTO__tcp, free_port(SOCK_STREAM));
	make_rule(1, NL__PUBLISH__PROTO__udp, free_port(SOCK_DGRAM));
	struct rig_options o = with_rules(2);
	blue.name = name;
	blue.device = device;
	nat.n_vrfs = 1;
	nat.vrfs = vrfs;
	rule[0].vrf = name;
	rule[1].vrf = other;
	struct rig *r = rig_new(&o);
	cr_assert_str_eq(forward_state(r->np, &r->np->publish[0], text, sizeof(text)),
		"waiting for device nl-none0");
	cr_assert(rig_has_line(r, "device nl-none0 of vrf blue is not there"));
	cr_assert_str_eq(forward_state(r->np, &r->np->publish[1], text, sizeof(text)),
		"waiting for device ?", "a VRF that nobody has leads nowhere");
	rig_free(r);
}

Test(forward, the_table_has_an_end_and_says_so)
{
	static Nl__Publish many[NATPROXY_PUBLISH + 1], *all[NATPROXY_PUBLISH + 1];
	static Nl__Endpoint ends[NATPROXY_PUBLISH + 1];
	rig_network();
	make_rule(0, NL__PUBLISH__PROTO__tcp, 1);
	for (unsigned int i = 0; i <= NATPROXY_PUBLISH; i++) {
		many[i] = rule[0];
		all[i] = &many[i];
		ends[i] = at[0];
		ends[i].port = 2000 + i;
		many[i].listen = &ends[i];
	}
	struct rig_options o = with_rules(0);
	nat.n_publish = NATPROXY_PUBLISH + 1;
	nat.publish = all;
	struct rig *r = rig_new(&(struct rig_options){0});
	rig_configure(r, &o);
	cr_assert_eq(r->np->publishes, NATPROXY_PUBLISH);
	cr_assert(rig_has_line(r, "are more than 512"));
	rig_free(r);
}
