/* The configuration changes under a running core. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "configure.h"
#include "rig.h"

enum { FLOW = 0x40001, SECOND_FLOW = 0x40002 };

static int connected(struct rig *r, uint32_t flow, uint16_t guest_port, int listener, uint16_t port)
{
	struct ring_desc d;
	rig_open(r, flow, guest_port, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	return accept(listener, NULL, NULL);
}

static bool works(struct rig *r, uint32_t flow, int far, uint64_t offset)
{
	char byte;
	struct ring_desc d = rig_payload(r, RING_NETSTACK_TCP_DATA, flow, offset, "y", 1);
	rig_send(r, &d);
	rig_turn(r);
	return read(far, &byte, 1) == 1 && byte == 'y';
}

Test(configure, limits_and_timeouts_hold_at_once_and_sessions_stay)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	uint16_t port;
	const int listener = rig_listener(&port),
		  far = connected(r, FLOW, RIG_GUEST_PORT, listener, port);
	struct ring_desc d;
	rig_configure(r, &(struct rig_options){.tcp_limit = 1,
				 .connecting_limit = 7,
				 .udp_timeout_ms = 3000,
				 .strict = true});
	cr_assert_eq(r->np->nat.limits.sessions[NAT_TCP], 1);
	cr_assert_eq(r->np->nat.limits.connecting, 7);
	cr_assert_eq(r->np->nat.limits.idle_ns[NAT_UDP], 3000000000);
	cr_assert_eq(r->np->config.filtering, NL__NAT__FILTERING__address_and_port_dependent);
	rig_open(r, SECOND_FLOW, RIG_GUEST_PORT + 1, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FAILED, &d));
	cr_assert_eq(d.arg, RING_FAIL_SHORTAGE);
	cr_assert(works(r, FLOW, far, 0), "what ran goes on");
	rig_free(r);
}

Test(configure, host_loopback_is_denied_at_once)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	uint16_t port;
	struct ring_desc d;
	rig_listener(&port);
	rig_configure(r, &(struct rig_options){.deny_host = true});
	rig_open(r, FLOW, RIG_GUEST_PORT, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FAILED, &d));
	cr_assert_eq(d.arg, RING_FAIL_PROHIBITED);
	rig_free(r);
}

static void switched(const struct rig_options *off)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	uint16_t port;
	const int listener = rig_listener(&port),
		  far = connected(r, FLOW, RIG_GUEST_PORT, listener, port);
	struct ring_desc d;
	char byte;
	rig_configure(r, off);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_RESET, &d));
	cr_assert_eq(read(far, &byte, 1), -1);
	cr_assert_eq(errno, ECONNRESET);
	cr_assert(rig_has_line(r, "ended: the NAT was switched off"));
	rig_open(r, SECOND_FLOW, RIG_GUEST_PORT + 1, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FAILED, &d));
	cr_assert_eq(d.arg, RING_FAIL_PROHIBITED);
	rig_configure(r, &(struct rig_options){0});
	connected(r, SECOND_FLOW, RIG_GUEST_PORT + 1, listener, port);
	rig_free(r);
}

Test(configure, the_nat_is_switched_off_and_on)
{
	Nl__Nat nat = NL__NAT__INIT;
	nat.has_enable = true;
	switched(&(struct rig_options){.nat = &nat});
}

Test(configure, the_hub_is_switched_off_and_on)
{
	switched(&(struct rig_options){.hub_off = true});
}

Test(configure, alg_ports_are_the_new_ones)
{
	struct rig *r = rig_new(&(struct rig_options){.ftp_port = 21});
	rig_configure(r, &(struct rig_options){.ftp_port = 2121, .observe = true});
	struct want want;
	cr_assert_not(want_flow(&r->np->wants, ALGS_TCP, 21, rig_guest_ip(), 1, &want));
	cr_assert(want_flow(&r->np->wants, ALGS_TCP, 2121, rig_guest_ip(), 1, &want));
	cr_assert(want.observe);
	rig_configure(r, &(struct rig_options){0});
	cr_assert_not(want_flow(&r->np->wants, ALGS_TCP, 2121, rig_guest_ip(), 1, &want));
	rig_free(r);
}

static Nl__AccessList *list(uint32_t number, const char *ip, uint32_t prefix, bool permit)
{
	static Nl__AccessList lists[2];
	static Nl__Subnet subnets[2], *pointers[2];
	const uint32_t i = number % 2;
	nl__access_list__init(&lists[i]);
	nl__subnet__init(&subnets[i]);
	pointers[i] = &subnets[i];
	subnets[i].ip_be = inet_addr(ip);
	subnets[i].prefix = prefix;
	lists[i].number = number;
	if (permit) {
		lists[i].n_permit = 1;
		lists[i].permit = &pointers[i];
	} else {
		lists[i].n_deny = 1;
		lists[i].deny = &pointers[i];
	}
	return &lists[i];
}

/* With this nat no session begins any more, and what runs goes on. */
static void refused(Nl__Nat *nat, const char *said)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	uint16_t port;
	const int listener = rig_listener(&port),
		  far = connected(r, FLOW, RIG_GUEST_PORT, listener, port);
	struct ring_desc d;
	rig_configure(r, &(struct rig_options){.nat = nat});
	rig_open(r, SECOND_FLOW, RIG_GUEST_PORT + 1, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FAILED, &d));
	cr_assert_eq(d.arg, RING_FAIL_PROHIBITED);
	cr_assert(rig_has_line(r, said));
	cr_assert_eq(r->drops.count[DROP_DENIED], 1);
	cr_assert(works(r, FLOW, far, 0), "what ran goes on");
	d = (struct ring_desc){.op = RING_NETSTACK_DGRAM_OPEN, .flow = SECOND_FLOW + 1};
	d.pair = (struct ring_pair){
		.guest_ip_be = rig_guest_ip(), .guest_port = 5555, .kind = DGRAM_UDP};
	rig_send(r, &d);
	d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, SECOND_FLOW + 1, 0, "x", 1);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = port, .ttl = 63};
	rig_send(r, &d);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_ERROR, &d));
	cr_assert_eq(d.pair.token, 3U << 8 | 13, "administratively prohibited");
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_CLOSED, &d));
	rig_free(r);
}

Test(configure, no_new_sessions_where_none_are_wanted)
{
	Nl__Nat nat = NL__NAT__INIT;
	nat.has_new_sessions = true;
	refused(&nat, "was refused: no new sessions are taken (nat.new_sessions)");
}

Test(configure, a_guest_must_pass_the_source_list)
{
	Nl__Nat nat = NL__NAT__INIT;
	Nl__AccessList *lists[] = {list(10, "192.168.30.0", 29, true)};
	nat.n_access_lists = 1;
	nat.access_lists = lists;
	nat.has_source_list = true;
	nat.source_list = 10;
	refused(&nat,
		"was refused: access list 10 (nat.source_list). Connection source 192.168.30.10:40001, "
		"Connection destination 127.0.0.1:");
}

Test(configure, a_far_end_must_pass_the_destination_list)
{
	Nl__Nat nat = NL__NAT__INIT;
	Nl__AccessList *lists[] = {list(11, "0.0.0.0", 0, true), list(10, "127.0.0.0", 8, false)};
	nat.n_access_lists = 2;
	nat.access_lists = lists;
	nat.has_destination_list = true;
	nat.destination_list = 10;
	refused(&nat, "was refused: access list 10 (nat.destination_list)");
}

Test(configure, dns_is_the_new_one_at_once)
{
	Nl__Dns dns = NL__DNS__INIT;
	Nl__Ip4 first = NL__IP4__INIT, *upstreams[] = {&first};
	struct rig *r = rig_new(&(struct rig_options){0});
	first.be = inet_addr("192.0.2.53");
	dns.n_upstreams = 1;
	dns.upstreams = upstreams;
	dns.has_cache = dns.has_local_names = true;
	dns.cache = 17;
	rig_configure(r, &(struct rig_options){
				 .dns = &dns, .dns_limit = 3, .domain = "lab.example"});
	cr_assert_eq(r->np->dns.upstream_count, 1);
	cr_assert_eq(r->np->dns.upstream[0].ip_be, first.be);
	cr_assert_eq(r->np->dns.guest_limit, 3);
	cr_assert_eq(r->np->dns_cache.capacity, 17);
	cr_assert_not(r->np->dns_local.enabled);
	cr_assert_eq(r->np->dns_local.domain_bytes, 13);
	cr_assert(r->uplink.dns, "netstack hears that there is a server");
	rig_configure(r, &(struct rig_options){0});
	cr_assert_eq(r->np->dns.upstream_count, 0);
	cr_assert(r->np->dns_local.enabled);
	rig_free(r);
}

Test(configure, what_boot_would_refuse_is_refused_and_changes_nothing)
{
	struct rig *r = rig_new(&(struct rig_options){0});
	Nl__Hub hub = NL__HUB__INIT;
	cr_assert_eq(natproxy_configure(r->np, &hub), -EINVAL);
	cr_assert(r->np->config.enabled);
	rig_free(r);
}

Test(configure, ports_of_static_addresses_follow_those_of_publish)
{
	Nl__Nat nat = NL__NAT__INIT;
	Nl__Publish p = NL__PUBLISH__INIT, broken = NL__PUBLISH__INIT;
	Nl__Endpoint at = NL__ENDPOINT__INIT, to = NL__ENDPOINT__INIT;
	Nl__Static s = NL__STATIC__INIT, *statics[] = {&s};
	Nl__Ip4 inside = NL__IP4__INIT, outside = NL__IP4__INIT;
	Nl__Publish *publishes[] = {&broken, &p};
	uint32_t ports[] = {22, 80};
	struct publish out;
	at.port = to.port = 8080;
	p.listen = &at;
	p.to = &to;
	inside.be = inet_addr("192.168.30.50");
	outside.be = inet_addr("203.0.113.7");
	s.inside = &inside;
	s.outside = &outside;
	s.n_ports = 2;
	s.ports = ports;
	nat.n_publish = 2;
	nat.publish = publishes;
	nat.n_static_ = 1;
	nat.static_ = statics;
	cr_assert(configure_publish(&nat, 0, &out));
	cr_assert_eq(out.listen.port, 8080);
	cr_assert_not(out.fixed);
	for (size_t i = 1; i <= 4; i++) {
		cr_assert(configure_publish(&nat, i, &out));
		cr_assert(out.fixed);
		cr_assert_eq(out.listen.port, i <= 2 ? 22 : 80);
		cr_assert_eq(out.udp, i % 2 == 0);
		cr_assert_eq(out.to.ip_be, inside.be);
	}
	cr_assert_not(configure_publish(&nat, 5, &out));
}
