/*
 * Ports on real interfaces: two guests, each a network namespace of its own with the kernel's TCP
 * and UDP, joined by the broker's switch. Bulk data is compared by hash both ways; super-frames
 * must have been on the way where they can be, and where one side has no virtio-net header they
 * must have been cut (the receiving kernel verifies each checksum).
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hash.h"
#include "port.h"
#include "world.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { BULK = 24 << 20, TCP_PORT = 5001, UDP_PORT = 5002 };

/* A guest and the far end of its wire. */
struct guest {
	int net;     /* its namespace */
	int wire;    /* what the broker's port gets */
	int pump[2]; /* for virtual machines: the guest's interface and our end of the socket */
	bool stream;
	uint32_t ip_be;
};

static struct guest guest[2];
static struct port port[2];
static volatile bool stop;

static void must(bool ok, const char *what)
{
	cr_assert(ok, "%s: %s", what, strerror(errno));
}

/* A namespace of its own for this thread; skips the test where that is not allowed. */
static void enter_new_namespace(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET))
		cr_skip_test("needs root");
}

static void configure(const char *name, uint32_t ip_be)
{
	struct ifreq r = {0};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = ip_be};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strcpy(r.ifr_name, name);
	memcpy(&r.ifr_addr, &a, sizeof a);
	must(ioctl(s, SIOCSIFADDR, &r) == 0, "address");
	inet_pton(AF_INET, "255.255.255.0", &a.sin_addr);
	memcpy(&r.ifr_netmask, &a, sizeof a);
	must(ioctl(s, SIOCSIFNETMASK, &r) == 0, "netmask");
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	must(ioctl(s, SIOCSIFFLAGS, &r) == 0, "up");
	close(s);
}

static int open_tap(uint32_t ip_be, bool vnet)
{
	struct ifreq r = {.ifr_name = "eth0",
		.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0))};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		cr_skip_test("no /dev/net/tun");
	must(ioctl(fd, TUNSETIFF, &r) == 0, "TUNSETIFF");
	if (vnet)
		must(ioctl(fd, TUNSETOFFLOAD,
			     TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) == 0,
			"offload");
	configure("eth0", ip_be);
	return fd;
}

/* A link that was just set up drops what is sent until the kernel's link watch has run. */
static void wait_running(const char *name)
{
	struct ifreq r = {0};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strcpy(r.ifr_name, name);
	for (int i = 0; i < 5000 && !(r.ifr_flags & IFF_RUNNING); i++) {
		usleep(1000);
		must(ioctl(s, SIOCGIFFLAGS, &r) == 0, "flags");
	}
	must(r.ifr_flags & IFF_RUNNING, "link watch");
	close(s);
}

static int open_packet(uint32_t ip_be)
{
	int on = 1, fd;
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	must(system("ip link add eth0 type veth peer name wire0 && ip link set wire0 arp off up") ==
			0,
		"veth");
	configure("eth0", ip_be);
	wait_running("eth0");
	wait_running("wire0");
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) == 0, "PACKET_VNET_HDR");
	must(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0,
		"PACKET_IGNORE_OUTGOING");
	a.sll_ifindex = (int)if_nametoindex("wire0");
	must(bind(fd, (struct sockaddr *)&a, sizeof a) == 0, "bind packet socket");
	return fd;
}

static void open_guest(int n, Nl__PortKind kind)
{
	struct guest *g = &guest[n];
	int pair[2], type = kind == NL__PORT_KIND__QEMU_STREAM ? SOCK_STREAM : SOCK_DGRAM;
	enter_new_namespace();
	g->net = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	g->ip_be = htonl(0xc0a81e0a + (uint32_t)n);
	g->stream = type == SOCK_STREAM;
	g->pump[0] = -1;
	if (kind == NL__PORT_KIND__TAP) {
		g->wire = open_tap(g->ip_be, true);
	} else if (kind == NL__PORT_KIND__PACKET) {
		g->wire = open_packet(g->ip_be);
	} else {
		must(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0,
			"socketpair");
		g->pump[0] = open_tap(g->ip_be, false);
		g->pump[1] = pair[1];
		g->wire = pair[0];
	}
}

static int guest_socket(int n, int type)
{
	must(setns(guest[n].net, CLONE_NEWNET) == 0, "setns");
	return socket(AF_INET, type | SOCK_CLOEXEC, 0);
}

/* Writes all of it to a non-blocking descriptor; gives up when the test is over. */
static void pump_out(int fd, const uint8_t *bytes, size_t n)
{
	while (n && !stop) {
		ssize_t done = write(fd, bytes, n);
		if (done < 0)
			poll(&(struct pollfd){fd, POLLOUT, 0}, 1, 10);
		else
			n -= (size_t)done, bytes += done;
	}
}

/* Plays QEMU: frames between the guest's interface and a socket. */
static void *pump(void *arg)
{
	const struct guest *g = arg;
	static uint8_t up[70000];
	static struct stream down;
	stream_init(&down);
	while (!stop) {
		struct pollfd p[2] = {{g->pump[0], POLLIN, 0}, {g->pump[1], POLLIN, 0}};
		const uint8_t *frame;
		uint32_t bytes;
		size_t room;
		ssize_t n;
		uint8_t *to;
		poll(p, 2, 20);
		while ((n = read(g->pump[0], up + 4, sizeof up - 4)) > 0) {
			stream_prefix(up, (uint32_t)n);
			pump_out(g->pump[1], g->stream ? up : up + 4,
				(size_t)n + (g->stream ? 4 : 0));
		}
		to = stream_room(&down, &room);
		n = read(g->pump[1], to, room);
		if (n > 0 && !g->stream)
			pump_out(g->pump[0], to, (size_t)n);
		if (n > 0 && g->stream)
			stream_filled(&down, (size_t)n);
		while (stream_next(&down, &frame, &bytes) == 1) {
			cr_assert_leq(bytes, 1514);
			pump_out(g->pump[0], frame, bytes);
		}
	}
	return NULL;
}

static ssize_t write_port(void *context, unsigned int slot, const struct iovec *piece, int pieces)
{
	return port_write(&port[slot], piece, pieces);
}

/* The broker's loop with poll in place of libev, and a netstack that takes nothing. */
static void *broker(void *arg)
{
	struct bridge *b = &world.bridge;
	while (!stop) {
		struct pollfd p[2];
		struct ring_desc d;
		for (int i = 0; i < 2; i++)
			p[i] = (struct pollfd){port[i].fd,
				(short)(POLLIN | (b->blocked >> i & 1 ? POLLOUT : 0)), 0};
		poll(p, 2, 20);
		for (unsigned int i = 0; i < 2; i++) {
			if (p[i].revents & POLLOUT)
				bridge_flush(b, i);
			port_receive(&port[i], b, i, 1);
		}
		while (world_netstack_gets(&d) == 1)
			world_netstack_releases(&d);
	}
	return NULL;
}

static pthread_t threads[3];

static void open_lab(Nl__PortKind a, Nl__PortKind b)
{
	Nl__PortKind kind[2] = {a, b};
	world_open(false, 8);
	world.bridge.config.io.port.write = write_port;
	for (unsigned int i = 0; i < 4; i++)
		bridge_detach(&world.bridge, i);
	for (int i = 0; i < 2; i++) {
		Nl__PortAttach m = NL__PORT_ATTACH__INIT;
		open_guest(i, kind[i]);
		m.kind = kind[i];
		m.vnet_hdr = kind[i] == NL__PORT_KIND__TAP || kind[i] == NL__PORT_KIND__PACKET;
		port_open(&port[i], guest[i].wire, &m);
		bridge_attach(&world.bridge, (unsigned int)i, (uint32_t)i, port[i].vnet,
			kind[i] == NL__PORT_KIND__QEMU_STREAM, 1500);
	}
	stop = false;
	pthread_create(&threads[0], NULL, broker, NULL);
	for (int i = 0; i < 2; i++)
		if (guest[i].pump[0] >= 0)
			pthread_create(&threads[1 + i], NULL, pump, &guest[i]);
}

static void close_lab(void)
{
	stop = true;
	pthread_join(threads[0], NULL);
	for (int i = 0; i < 2; i++)
		if (guest[i].pump[0] >= 0)
			pthread_join(threads[1 + i], NULL);
}

static uint8_t sent[BULK], got[BULK];

static void *send_bulk(void *arg)
{
	int fd = *(int *)arg;
	size_t done = 0;
	while (done < BULK) {
		ssize_t n = write(fd, sent + done, BULK - done);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	shutdown(fd, SHUT_WR);
	return NULL;
}

/* BULK bytes by TCP from one guest to the other, compared by hash. */
static void transfer(int from, int to)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(TCP_PORT),
		.sin_addr.s_addr = guest[to].ip_be};
	struct timeval patience = {20, 0};
	const struct hash_key key = {7, 9};
	int listener = guest_socket(to, SOCK_STREAM), client = guest_socket(from, SOCK_STREAM),
	    server, one = 1;
	pthread_t sender;
	size_t done = 0;
	ssize_t n;
	for (size_t i = 0; i < BULK; i++)
		sent[i] = (uint8_t)(i * 2654435761u >> 13);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(client, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	must(bind(listener, (struct sockaddr *)&a, sizeof a) == 0, "bind");
	must(listen(listener, 1) == 0, "listen");
	must(connect(client, (struct sockaddr *)&a, sizeof a) == 0, "connect through the broker");
	server = accept(listener, NULL, NULL);
	setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	pthread_create(&sender, NULL, send_bulk, &client);
	memset(got, 0, sizeof got);
	while (done < BULK && (n = read(server, got + done, BULK - done)) > 0)
		done += (size_t)n;
	pthread_join(sender, NULL);
	cr_assert_eq(done, BULK);
	cr_assert_eq(hash_sip(&key, sent, BULK), hash_sip(&key, got, BULK));
	close(server);
	close(client);
	close(listener);
}

/* Datagrams of many sizes, fragments included; segment > 0: as one UDP_SEGMENT super-frame each. */
static void datagrams(int from, int to, int segment)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(UDP_PORT),
		.sin_addr.s_addr = guest[to].ip_be};
	int receiver = guest_socket(to, SOCK_DGRAM), sender = guest_socket(from, SOCK_DGRAM);
	struct timeval patience = {5, 0};
	setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	must(bind(receiver, (struct sockaddr *)&a, sizeof a) == 0, "bind");
	if (segment)
		must(setsockopt(sender, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) == 0,
			"UDP_SEGMENT");
	for (size_t bytes = 1; bytes < 9000; bytes += 613) {
		size_t done = 0;
		cr_assert_eq(sendto(sender, sent, bytes, 0, (struct sockaddr *)&a, sizeof a),
			(ssize_t)bytes);
		while (done < bytes) {
			ssize_t n = recv(receiver, got, sizeof got, 0);
			must(n > 0, "datagram");
			if (segment)
				cr_assert(n == segment || done + (size_t)n == bytes);
			cr_assert_eq(memcmp(got, sent + done, (size_t)n), 0);
			done += (size_t)n;
		}
	}
	close(receiver);
	close(sender);
}

static uint64_t mean_frame(int slot)
{
	const struct bridge_counts *c = &world.bridge.port[slot].counts;
	return c->rx_bytes / c->rx_frames;
}

static void both_ways(Nl__PortKind a, Nl__PortKind b)
{
	open_lab(a, b);
	transfer(0, 1);
	transfer(1, 0);
	datagrams(0, 1, 0);
	datagrams(1, 0, 0);
	datagrams(0, 1, 1000);
	datagrams(1, 0, 1000);
	close_lab();
	cr_assert_gt(mean_frame(0), 2000,
		"super-frames came from guest 0, whose acknowledgments are counted too");
	cr_assert_eq(world_drops(DROP_VNET_BAD), 0);
	cr_assert_eq(world_drops(DROP_FRAME_LONG), 0);
}

Test(port_kernel, tap_to_tap, .timeout = 60)
{
	both_ways(NL__PORT_KIND__TAP, NL__PORT_KIND__TAP);
	cr_assert_gt(mean_frame(1), 2000);
}

Test(port_kernel, tap_to_packet, .timeout = 60)
{
	both_ways(NL__PORT_KIND__TAP, NL__PORT_KIND__PACKET);
	cr_assert_gt(mean_frame(1), 2000);
}

Test(port_kernel, tap_to_qemu_stream, .timeout = 60)
{
	both_ways(NL__PORT_KIND__TAP, NL__PORT_KIND__QEMU_STREAM);
}

Test(port_kernel, packet_to_qemu_dgram, .timeout = 60)
{
	both_ways(NL__PORT_KIND__PACKET, NL__PORT_KIND__QEMU_DGRAM);
}

/* Headers of a UDP super-frame from the gateway: 3,000 bytes of payload in segments of 1,000,
 * checksum left to the kernel. */
static struct ring_header datagram_header(const uint8_t mac[6])
{
	struct ring_header h = {0};
	struct wire_vnet v = {.flags = 1,
		.gso_type = 5,
		.hdr_len = 42,
		.gso_size = 1000,
		.csum_start = 34,
		.csum_offset = 6};
	uint8_t *ip = h.frame + 14, *udp = ip + 20;
	uint16_t sum;
	uint32_t gateway_be, pseudo;
	memcpy(h.vnet, &v, sizeof v);
	memcpy(h.frame, mac, 6);
	memcpy(h.frame + 6, world_gateway, 6);
	memcpy(h.frame + 12,
		(uint8_t[]){8, 0, 0x45, 0, 3028 >> 8, 3028 & 255, 0, 1, 0, 0, 64, 17, 0, 0, 192,
			168, 30, 1},
		18);
	memcpy(ip + 16, &guest[0].ip_be, 4);
	memcpy(&gateway_be, ip + 12, 4);
	sum = wire_fold(wire_sum(0, ip, 20));
	memcpy(ip + 10, (uint8_t[]){(uint8_t)(sum >> 8), (uint8_t)sum}, 2);
	pseudo = wire_pseudo_sum(gateway_be, guest[0].ip_be, 17, 3008);
	sum = (uint16_t)~wire_fold(pseudo);
	memcpy(udp,
		(uint8_t[]){0, 53, UDP_PORT >> 8, UDP_PORT & 255, 3008 >> 8, 3008 & 255,
			(uint8_t)(sum >> 8), (uint8_t)sum},
		8);
	return h;
}

/* What netstack sends goes out by the virtio-net header; the guest's kernel verifies each checksum
 * it is given. */
static void netstack_to_guest(Nl__PortKind kind)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(UDP_PORT)};
	struct ring_desc d = {
		.op = RING_NETSTACK_SEND, .nseg = 2, .hlen = 42, .flow = RING_PORT_BY_MAC};
	struct timeval patience = {5, 0};
	struct ifreq r = {.ifr_name = "eth0"};
	struct ring_header h;
	int receiver;
	open_lab(kind, NL__PORT_KIND__TAP);
	receiver = guest_socket(0, SOCK_DGRAM);
	must(ioctl(receiver, SIOCGIFHWADDR, &r) == 0, "hardware address");
	must(bind(receiver, (struct sockaddr *)&a, sizeof a) == 0, "bind");
	setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	stop = true;
	pthread_join(threads[0], NULL);
	h = datagram_header((const uint8_t *)r.ifr_hwaddr.sa_data);
	for (int i = 0; i < 2; i++)
		d.seg[i] = (struct ring_seg){
			buf_offset(7 + (uint32_t)i), 1500, buf_id(ARENA_NATPROXY, 7 + (uint32_t)i)};
	for (int i = 0; i < 3000; i++)
		world.natproxy_arena.base[buf_offset(7 + (uint32_t)i / 1500) + (uint32_t)i % 1500] =
			(uint8_t)(i * 11 >> 2);
	cr_assert_eq(world_netstack_sends(&d, &h), 0);
	for (int k = 0; k < 3; k++) {
		must(recv(receiver, got, sizeof got, 0) == 1000, "datagram");
		for (int i = 0; i < 1000; i++)
			cr_assert_eq(got[i], (uint8_t)((k * 1000 + i) * 11 >> 2));
	}
	close(receiver);
}

Test(port_kernel, netstack_to_tap, .timeout = 20)
{
	netstack_to_guest(NL__PORT_KIND__TAP);
}

Test(port_kernel, netstack_to_packet, .timeout = 20)
{
	netstack_to_guest(NL__PORT_KIND__PACKET);
}

Test(port_kernel, a_deleted_interface_is_the_end_of_its_port, .timeout = 20)
{
	Nl__PortAttach m = NL__PORT_ATTACH__INIT;
	struct iovec piece = {sent, 100};
	world_open(false, 8);
	m.kind = NL__PORT_KIND__TAP;
	m.vnet_hdr = true;
	open_guest(0, NL__PORT_KIND__TAP);
	port_open(&port[0], guest[0].wire, &m);
	must(system("ip link set eth0 down") == 0, "down");
	cr_assert_eq(port_write(&port[0], &piece, 1), -ENOBUFS, "down is not gone");
	must(system("ip link del eth0") == 0, "delete");
	cr_assert_eq(port_write(&port[0], &piece, 1), -EPIPE);
	cr_assert_eq(port_receive(&port[0], &world.bridge, 0, 1), PORT_GONE);
}
