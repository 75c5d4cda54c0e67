/* Addresses and devices of sockets. 127/8 is all this host's, so any of it can be an outside address. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "source.h"

enum { FLOW = 0x40001 };

static Nl__Nat nat;
static Nl__Ip4 inside, outside;
static Nl__Static one, *statics[] = {&one};
static Nl__Vrf blue, *vrfs[] = {&blue};

static struct rig *with_static(const char *address)
{
	nl__nat__init(&nat);
	nl__ip4__init(&inside);
	nl__ip4__init(&outside);
	nl__static__init(&one);
	inside.be = rig_guest_ip();
	outside.be = inet_addr(address);
	one.inside = &inside;
	one.outside = &outside;
	nat.n_static_ = 1;
	nat.static_ = statics;
	return rig_new(&(struct rig_options){.nat = &nat});
}

static struct sockaddr_in accept_from(int listener)
{
	struct sockaddr_in from = {0};
	socklen_t n = sizeof(from);
	cr_assert_geq(accept(listener, (struct sockaddr *)&from, &n), 0);
	return from;
}

static void send_datagram(struct rig *r, uint16_t guest_port, uint16_t port)
{
	struct ring_desc d = {.op = RING_NETSTACK_DGRAM_OPEN, .flow = FLOW};
	d.pair = (struct ring_pair){
		.guest_ip_be = rig_guest_ip(), .guest_port = guest_port, .kind = DGRAM_UDP};
	rig_send(r, &d);
	d = rig_payload(r, RING_NETSTACK_DGRAM_DATA, FLOW, 0, "x", 1);
	d.remote = (struct ring_remote){.ip_be = rig_loopback(), .port = port, .ttl = 63};
	rig_send(r, &d);
	rig_turn(r);
}

Test(source, connections_leave_from_the_guests_own_address_and_port)
{
	struct rig *r = with_static("127.0.0.77");
	uint16_t port;
	const int listener = rig_listener(&port);
	struct ring_desc d;
	/* a port that chance would not give to anybody, and two connections that share it */
	for (uint32_t i = 0; i < 2; i++) {
		uint16_t other;
		const int fd = i ? rig_listener(&other) : listener;
		rig_open(r, FLOW + i, 8080, i ? other : port);
		cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
		const struct sockaddr_in from = accept_from(fd);
		cr_assert_eq(from.sin_addr.s_addr, inet_addr("127.0.0.77"));
		cr_assert_eq(ntohs(from.sin_port), 8080);
	}
	rig_free(r);
}

Test(source, datagrams_leave_from_it_and_strangers_reach_the_guest_by_it)
{
	struct rig *r = with_static("127.0.0.77");
	uint16_t port, any;
	const int fd = rig_udp(&port), stranger = rig_udp(&any);
	struct sockaddr_in from = {0};
	socklen_t n = sizeof(from);
	struct ring_desc d;
	char text[8];
	send_datagram(r, 5000, port);
	cr_assert_eq(recvfrom(fd, text, sizeof(text), 0, (struct sockaddr *)&from, &n), 1);
	cr_assert_eq(from.sin_addr.s_addr, inet_addr("127.0.0.77"));
	cr_assert_eq(ntohs(from.sin_port), 5000);
	cr_assert_eq(sendto(stranger, "knock", 5, 0, (struct sockaddr *)&from, n), 5);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_DATA, &d));
	cr_assert_eq(d.seg[0].len, 5);
	rig_free(r);
}

Test(source, an_address_that_is_not_there_is_said_and_the_guest_hears_of_it)
{
	struct rig *r = with_static("10.200.0.77");
	uint16_t port;
	struct ring_desc d;
	rig_listener(&port);
	rig_open(r, FLOW + 1, 8080, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FAILED, &d));
	cr_assert_eq(d.arg, RING_FAIL_NET);
	cr_assert(
		rig_has_line(r, "its outside address 10.200.0.77 is not an address of this host"));
	send_datagram(r, 5000, port);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_ERROR, &d));
	cr_assert_eq(d.pair.token, 3U << 8 | 0, "network unreachable");
	rig_free(r);
}

static struct rig *with_device(char *device)
{
	static char name[] = "blue";
	nl__nat__init(&nat);
	nl__vrf__init(&blue);
	blue.name = name;
	blue.device = device;
	nat.n_vrfs = 1;
	nat.vrfs = vrfs;
	nat.vrf = name;
	return rig_new(&(struct rig_options){.nat = &nat});
}

Test(source, a_device_that_is_there_is_used)
{
	char device[] = "lo";
	struct rig *r = with_device(device);
	uint16_t port;
	const int listener = rig_listener(&port);
	struct ring_desc d;
	rig_open(r, FLOW, RIG_GUEST_PORT, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_OPENED, &d));
	accept_from(listener);
	char bound[16] = "";
	socklen_t n = sizeof(bound);
	getsockopt(r->np->flow[flow_index(FLOW)].fd, SOL_SOCKET, SO_BINDTODEVICE, bound, &n);
	cr_assert_str_eq(bound, "lo");
	cr_assert_not(sock_stranded(&r->sock, r->np->flow[flow_index(FLOW)].fd));
	rig_free(r);
}

Test(source, a_device_that_is_not_there_lets_nothing_out)
{
	char device[] = "nl-none0";
	struct rig *r = with_device(device);
	uint16_t port;
	struct ring_desc d;
	rig_listener(&port);
	rig_open(r, FLOW + 1, RIG_GUEST_PORT, port);
	cr_assert(rig_await(r, RING_NATPROXY_TCP_FAILED, &d));
	cr_assert_eq(d.arg, RING_FAIL_NET);
	send_datagram(r, 5000, port);
	cr_assert(rig_await(r, RING_NATPROXY_DGRAM_ERROR, &d));
	cr_assert_eq(d.pair.token, 3U << 8 | 0);
	cr_assert(rig_has_line(r, "device nl-none0 of vrf blue is not there"));
	cr_assert_eq(r->np->nat.live, 0);
	rig_free(r);
}
