/*
 * For the natproxy targets: a started core whose kernel is the fuzzer's input. Each socket call
 * takes a byte of it to decide how it ends. Included by one target each; the state is static and
 * as new for every input.
 */
#ifndef NATLOCK_TESTS_FUZZ_NATPROXY_H
#define NATLOCK_TESTS_FUZZ_NATPROXY_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "natproxy.h"
#include "rewind.h"

enum { FUZZ_FDS = 256, FUZZ_FIRST_FD = 16 };

struct sock_host {
	bool open[FUZZ_FDS];
	const uint8_t *input;
	size_t left;
};

static struct sock_host host;
static struct link inside, outside;
static struct ring_region *region[2];
static struct arena own, broker;
static struct arena_view view;
static struct drops drops;
static struct natproxy *np;
static struct inspect *inspects;
static uint32_t fuzz_shown[256], fuzz_shown_count; /* numbers that alg was told */

static uint8_t take(void)
{
	if (!host.left)
		return 0;
	host.left--;
	return *host.input++;
}

static int new_fd(void)
{
	static const int errors[] = {-EMFILE, -ECONNREFUSED, -EADDRINUSE, -ENETUNREACH, -EACCES};
	const uint8_t how = take();
	if (how > 240)
		return errors[how % 5];
	for (int fd = FUZZ_FIRST_FD; fd < FUZZ_FDS; fd++)
		if (!host.open[fd]) {
			host.open[fd] = true;
			return fd;
		}
	return -EMFILE;
}

static void need_open(int fd)
{
	if (fd < FUZZ_FIRST_FD || fd >= FUZZ_FDS || !host.open[fd])
		abort();
}

static void forget_fd(int fd)
{
	host.open[fd] = false;
}

#include "fuzz_sock.h"

static void on_event(void *context, const Nl__EventRow *event)
{
}
static void on_line(void *context, const char *line)
{
}
static void on_uplink(void *context, const Nl__UplinkState *m)
{
}
static void on_edge(void *context, uint32_t generation)
{
}
static int on_inspect(void *context, const Nl__FlowInspect *m)
{
	fuzz_shown[fuzz_shown_count++ % 256] = m->flow;
	return take() > 250 ? -EPIPE : 0;
}
static int on_bytes(void *context, const Nl__FlowBytes *m)
{
	return take() > 250 ? -EAGAIN : 0;
}
static int on_answer(void *context, const Nl__PinholeAnswer *m)
{
	return 0;
}
static void on_wanted(void *context, const Nl__SocketWanted *m)
{
}

static void on_alg_silent(void *context)
{
}
static int on_end(void *context, const Nl__FlowEnd *m)
{
	return 0;
}

static int on_gone(void *context, const Nl__PinholeGone *m)
{
	return 0;
}

/* What differs of a configuration from the one at boot. */
enum {
	NAT_OFF = 1,
	NO_PORTS = 2,
	WITH_STATIC = 4,
	WITH_LIST = 8,
	WITH_DEVICE = 16,
	OBSERVING = 32, /* ALGs */
	STRICT = 64,
	WITHOUT_UDP = 128, /* of ALGs */
};

/* A hub, given to natproxy_configure, or with a setup to natproxy_init. */
static void configure(struct natproxy_setup *s, unsigned int how)
{
	static uint8_t entropy[32];
	static char vrf[] = "blue";
	static uint32_t static_port = 8081;
	static uint32_t ftp_port = 21, tftp_ports[] = {69, 80, 200}, dns_port = 53, rtsp_port = 554, sip_port = 5060,
			rcmd_ports[] = {512, 513, 514}, h323_ports[] = {1720, 1719, 1718}, skinny_port = 2000;
	Nl__Ip4 address = NL__IP4__INIT, mask = NL__IP4__INIT;
	Nl__VirtualHost virtual = NL__VIRTUAL_HOST__INIT;
	Nl__Nat nat = NL__NAT__INIT;
	Nl__AlgSwitch ftp = NL__ALG_SWITCH__INIT, tftp = NL__ALG_SWITCH__INIT;
	Nl__AlgSwitch dns = NL__ALG_SWITCH__INIT, rtsp, rcmd, sip, h323, skinny;
	Nl__AlgList first = NL__ALG_LIST__INIT, *alg_lists[1] = {&first};
	Nl__Alg alg = NL__ALG__INIT;
	Nl__Hub hub = NL__HUB__INIT;
	Nl__Endpoint at = NL__ENDPOINT__INIT, to = NL__ENDPOINT__INIT;
	Nl__Publish tcp = NL__PUBLISH__INIT, udp = NL__PUBLISH__INIT, *publish[2] = {&tcp, &udp};
	Nl__Ip4 outside_ip = NL__IP4__INIT, inside_ip = NL__IP4__INIT;
	Nl__Static one = NL__STATIC__INIT, *statics[1] = {&one};
	Nl__Vrf blue = NL__VRF__INIT, *vrfs[1] = {&blue};
	Nl__Subnet eight = NL__SUBNET__INIT, *permit[1] = {&eight};
	Nl__AccessList list = NL__ACCESS_LIST__INIT, *lists[1] = {&list};
	address.be = inet_addr("192.168.30.1");
	mask.be = inet_addr("255.255.255.0");
	virtual.address = &address;
	virtual.netmask = &mask;
	at.port = 8080;
	to.ip_be = inet_addr("192.168.30.10");
	to.port = 80;
	udp.proto = NL__PUBLISH__PROTO__udp;
	tcp.listen = udp.listen = &at;
	tcp.to = udp.to = &to;
	nat.n_publish = how & NO_PORTS ? 0 : 2;
	nat.publish = publish;
	nat.has_enable = (how & NAT_OFF) != 0;
	outside_ip.be = inet_addr("10.9.9.8");
	inside_ip.be = to.ip_be;
	one.inside = &inside_ip;
	one.outside = &outside_ip;
	one.n_ports = 1;
	one.ports = &static_port;
	nat.n_static_ = how & WITH_STATIC ? 1 : 0;
	nat.static_ = statics;
	blue.name = blue.device = vrf;
	nat.n_vrfs = 1;
	nat.vrfs = vrfs;
	nat.vrf = how & WITH_DEVICE ? vrf : NULL;
	list.number = 1;
	eight.ip_be = htonl(0x08080800);
	eight.prefix = 31;
	list.n_permit = 1;
	list.permit = permit;
	nat.n_access_lists = 1;
	nat.access_lists = lists;
	nat.has_destination_list = (how & WITH_LIST) != 0;
	nat.destination_list = 1;
	ftp.has_enable = ftp.enable = ftp.has_mode = ftp.has_strict = true;
	ftp.mode = how & OBSERVING ? NL__ALG_SWITCH__MODE__observe : NL__ALG_SWITCH__MODE__fix;
	ftp.strict = (how & STRICT) != 0;
	tftp = dns = rtsp = rcmd = sip = h323 = skinny = ftp;
	ftp.n_ports = dns.n_ports = rtsp.n_ports = sip.n_ports = skinny.n_ports = 1;
	ftp.ports = &ftp_port;
	dns.ports = &dns_port;
	rtsp.ports = &rtsp_port;
	sip.ports = &sip_port;
	skinny.ports = &skinny_port;
	rcmd.n_ports = 3;
	rcmd.ports = rcmd_ports;
	h323.n_ports = 3;
	h323.ports = h323_ports;
	tftp.n_ports = 3;
	tftp.ports = tftp_ports;
	tftp.enable = !(how & WITHOUT_UDP);
	first.has_peers = first.has_mode = true;
	first.peers = 1; /* off for these */
	dns.n_lists = 1;
	dns.lists = alg_lists;
	alg.ftp = &ftp;
	alg.tftp = &tftp;
	alg.dns = &dns;
	alg.rtsp = &rtsp;
	alg.sip = &sip;
	alg.rcmd = &rcmd;
	alg.h323 = &h323;
	alg.skinny = &skinny;
	hub.host = &virtual;
	hub.nat = &nat;
	hub.alg = &alg;
	if (!s) {
		if (natproxy_configure(np, &hub))
			abort();
		return;
	}
	s->hub = &hub;
	s->entropy = entropy;
	if (natproxy_init(np, s, inspects))
		abort();
}

/* Both ends of the ring and both owners' books, which are not in rewound memory. */
struct books {
	struct link inside, outside;
	struct arena own, broker;
	struct drops drops;
};

static void boot(void)
{
	np = rewind_alloc(sizeof(*np));
	inspects = rewind_alloc(natproxy_inspect_bytes());
	region[0] = rewind_alloc(sizeof(struct ring_region));
	region[1] = rewind_alloc(sizeof(struct ring_region));
	arena_init(&own, ARENA_NATPROXY, rewind_alloc(ARENA_BYTES));
	arena_init(&broker, ARENA_BROKER, rewind_alloc(ARENA_BYTES));
	view.base[ARENA_BROKER] = view.base[ARENA_NETSTACK] = broker.base;
	view.base[ARENA_NATPROXY] = own.base;
	link_init(&inside, region[0], region[1], ACTOR_NATPROXY, ACTOR_NETSTACK,
		link_arenas(DATA_PATH_SHARED, ACTOR_NETSTACK, ACTOR_NATPROXY),
		link_release_op(ACTOR_NATPROXY, ACTOR_NETSTACK), -1);
	link_init(&outside, region[1], region[0], ACTOR_NETSTACK, ACTOR_NATPROXY,
		link_arenas(DATA_PATH_SHARED, ACTOR_NATPROXY, ACTOR_NETSTACK),
		link_release_op(ACTOR_NETSTACK, ACTOR_NATPROXY), -1);
	struct natproxy_setup s = {
		.shell = {NULL, on_event, on_line, on_uplink, on_edge, on_inspect, on_bytes,
			on_answer, on_end, on_gone, on_alg_silent, on_wanted},
		.sock = &host,
		.link = &inside,
		.arena = &own,
		.view = &view,
		.drops = &drops,
		.sockets_max = FUZZ_FDS,
		.echo_allowed = true,
	};
	configure(&s, 0);
	rewind_keep();
}

static void fuzz_begin(const uint8_t *bytes, size_t n)
{
	static struct books before;
	if (!np) {
		boot();
		before = (struct books){inside, outside, own, broker, drops};
	}
	rewind_back();
	inside = before.inside;
	outside = before.outside;
	own = before.own;
	broker = before.broker;
	drops = before.drops;
	host = (struct sock_host){.input = bytes, .left = n};
	fuzz_shown_count = 0;
	natproxy_time(np, 1000000000, 1);
	natproxy_start(np);
}

/* Netstack's part of a turn: gives back what it was lent, keeps the ring empty. */
static void fuzz_drain(void)
{
	struct ring_desc d;
	link_flush(&inside);
	while (link_recv(&outside, &d, NULL) == 1)
		if (d.op == RING_NATPROXY_TCP_DATA || d.op == RING_NATPROXY_DGRAM_DATA)
			for (unsigned int i = 0; i < d.nseg; i++)
				link_release(&outside, d.seg[i].id);
	if (link_error(&outside, NULL))
		abort(); /* natproxy itself must never break the protocol */
	link_flush(&outside);
}

static void fuzz_some_event(void)
{
	const int fd = FUZZ_FIRST_FD + take() % 16;
	if (host.open[fd])
		natproxy_ready(np, fd, 1 + take() % 3);
}

static void fuzz_turn(uint64_t step_ns)
{
	natproxy_time(np, np->now_ns + step_ns, 1);
	if (natproxy_deadline(np) <= np->now_ns)
		natproxy_timeout(np);
	natproxy_flush(np);
	fuzz_drain();
}

#endif
