/*
 * Theory of operation. Ethernet, ARP, IPv4 without options and fragments, ICMP echo, UDP and a DHCP client that
 * repeats itself every second until it is bound. TCP is guest_tcp.c's.
 */
#include "guest.h"

#include <arpa/inet.h>
#include <string.h>

#include "cable.h"

enum {
	IP_BYTES = 20,
	UDP_BYTES = 8,
	ICMP_BYTES = 8,
	ARP_BYTES = 28,
	DHCP_BYTES = 300,
	DHCP_FIXED = 240,
	TTL = 64
};

const uint8_t GUEST_MAC[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
const uint8_t GATEWAY_MAC[6] = {0x00, 0xac, 0x11, 0x22, 0x33, 0x44};
static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

struct guest guest;
static uint16_t ip_id;

static void ethernet(struct wire_out *w, const uint8_t to[6], uint16_t type)
{
	wire_put(w, to, 6);
	wire_put(w, GUEST_MAC, 6);
	wire_put_u16(w, type);
}

void guest_send_raw(const uint8_t *frame, uint32_t bytes)
{
	cable_send(CABLE_UP, NULL, frame, bytes);
}

/* ARP (RFC 826). */

static void arp_send(uint16_t operation, const uint8_t to[6], uint32_t target_ip)
{
	uint8_t frame[ETH_HEADER_BYTES + ARP_BYTES];
	struct wire_out w = wire_out(frame, sizeof(frame));
	ethernet(&w, to, ETHERTYPE_ARP_);
	wire_put_u16(&w, 1);
	wire_put_u16(&w, ETHERTYPE_IP4);
	wire_put_u16(&w, 0x0604);
	wire_put_u16(&w, operation);
	wire_put(&w, GUEST_MAC, 6);
	wire_put_u32(&w, guest.ip);
	wire_put(&w, to, 6);
	wire_put_u32(&w, target_ip);
	guest_send_raw(frame, sizeof(frame));
}

void guest_ask_gateway(void)
{
	arp_send(1, everybody, GATEWAY_IP);
}

static void arp_input(const uint8_t *p, size_t n)
{
	struct wire_in w = wire_in(p, n);
	const uint8_t *mac;
	uint32_t sender, target;
	uint16_t operation;
	wire_bytes(&w, 6);
	operation = wire_u16(&w);
	mac = wire_bytes(&w, 6);
	sender = wire_u32(&w);
	wire_bytes(&w, 6);
	target = wire_u32(&w);
	if (!wire_ok(&w))
		return;
	if (sender == GATEWAY_IP) {
		memcpy(guest.gateway_mac, mac, 6);
		guest.gateway_known = true;
	}
	if (operation == 1 && target == guest.ip && guest.ip)
		arp_send(2, mac, sender);
}

/* IPv4 (RFC 791). */

uint16_t guest_sum(uint32_t from, uint32_t to, uint8_t protocol, const uint8_t *bytes, size_t n)
{
	return wire_fold(
		wire_sum(wire_pseudo_sum(htonl(from), htonl(to), protocol, (uint16_t)n), bytes, n));
}

static void ip_header(struct wire_out *w, uint8_t protocol, uint32_t to, size_t n)
{
	uint8_t *start = w->p;
	uint16_t sum;
	wire_put_u16(w, 0x4500);
	wire_put_u16(w, (uint16_t)(IP_BYTES + n));
	wire_put_u16(w, ip_id++);
	wire_put_u16(w, 0x4000);
	wire_put_u8(w, TTL);
	wire_put_u8(w, protocol);
	wire_put_u16(w, 0);
	wire_put_u32(w, guest.ip);
	wire_put_u32(w, to);
	sum = wire_fold(wire_sum(0, start, IP_BYTES));
	start[10] = (uint8_t)(sum >> 8);
	start[11] = (uint8_t)sum;
}

uint32_t guest_make_ip(
	uint8_t *out, uint8_t protocol, uint32_t ip, const uint8_t *payload, size_t n)
{
	struct wire_out w = wire_out(out, ETH_HEADER_BYTES + IP_BYTES + n);
	ethernet(&w, ip == 0xffffffff ? everybody : guest.gateway_mac, ETHERTYPE_IP4);
	ip_header(&w, protocol, ip, n);
	wire_put(&w, payload, n);
	return (uint32_t)wire_written(&w);
}

static void ip_send(uint8_t protocol, uint32_t to, const uint8_t *payload, size_t n)
{
	static uint8_t frame[CABLE_FRAME_MAX];
	guest_send_raw(frame, guest_make_ip(frame, protocol, to, payload, n));
}

/* ICMP echo (RFC 792). */

void guest_ping(uint32_t ip, uint16_t id, uint16_t seq)
{
	uint8_t p[ICMP_BYTES + 32] = {8};
	uint16_t sum;
	p[4] = (uint8_t)(id >> 8);
	p[5] = (uint8_t)id;
	p[6] = (uint8_t)(seq >> 8);
	p[7] = (uint8_t)seq;
	memset(p + ICMP_BYTES, 0xa5, sizeof(p) - ICMP_BYTES);
	sum = wire_fold(wire_sum(0, p, sizeof(p)));
	p[2] = (uint8_t)(sum >> 8);
	p[3] = (uint8_t)sum;
	ip_send(IP_PROTO_ICMP, ip, p, sizeof(p));
}

static void icmp_input(const uint8_t *p, size_t n)
{
	if (n < ICMP_BYTES || wire_fold(wire_sum(0, p, n)) != 0) {
		guest.bad++;
		return;
	}
	if (p[0] == 0 && n == ICMP_BYTES + 32 && p[ICMP_BYTES] == 0xa5)
		guest.pongs++;
	if (p[0] == 3 || p[0] == 11) {
		guest.errors++;
		guest.error_type = p[0];
		guest.error_code = p[1];
	}
}

/* UDP (RFC 768). */

static void udp_header(uint8_t *p, uint16_t from, uint16_t to, const uint8_t *bytes, size_t n)
{
	struct wire_out w = wire_out(p, UDP_BYTES + n);
	wire_put_u16(&w, from);
	wire_put_u16(&w, to);
	wire_put_u16(&w, (uint16_t)(UDP_BYTES + n));
	wire_put_u16(&w, 0);
	wire_put(&w, bytes, n);
}

void guest_udp_run(
	uint32_t ip, uint16_t from, uint16_t to, const uint8_t *bytes, size_t n, uint16_t each)
{
	static uint8_t p[65535], frame[CABLE_FRAME_MAX];
	const struct wire_vnet vnet = {.flags = WIRE_VNET_NEEDS_CSUM,
		.gso_type = WIRE_GSO_UDP,
		.gso_size = each,
		.csum_start = ETH_HEADER_BYTES + IP_BYTES,
		.csum_offset = WIRE_UDP_CSUM_OFFSET};
	udp_header(p, from, to, bytes, n);
	cable_send(
		CABLE_UP, &vnet, frame, guest_make_ip(frame, IP_PROTO_UDP, ip, p, UDP_BYTES + n));
}

void guest_udp(uint32_t ip, uint16_t from, uint16_t to, const uint8_t *bytes, size_t n)
{
	static uint8_t p[65535];
	uint16_t sum;
	udp_header(p, from, to, bytes, n);
	sum = guest_sum(guest.ip, ip, IP_PROTO_UDP, p, UDP_BYTES + n);
	p[6] = (uint8_t)(sum >> 8);
	p[7] = (uint8_t)sum;
	ip_send(IP_PROTO_UDP, ip, p, UDP_BYTES + n);
}

/* DHCP (RFC 2131), as a client. */

static void dhcp_send(uint8_t type)
{
	uint8_t p[DHCP_BYTES] = {1, 1, 6};
	struct wire_out w = wire_out(p + 4, sizeof(p) - 4);
	wire_put_u32(&w, guest.dhcp_xid);
	memcpy(p + 28, GUEST_MAC, 6);
	w = wire_out(p + 236, sizeof(p) - 236);
	wire_put_u32(&w, 0x63825363);
	wire_put_u16(&w, 53 << 8 | 1);
	wire_put_u8(&w, type);
	if (type == 3) {
		wire_put_u16(&w, 50 << 8 | 4);
		wire_put_u32(&w, guest.offered_ip);
		wire_put_u16(&w, 54 << 8 | 4);
		wire_put_u32(&w, GATEWAY_IP);
	}
	wire_put_u8(&w, 255);
	guest_udp(0xffffffff, 68, 67, p, sizeof(p));
}

static void dhcp_again(void *arg)
{
	if (guest.dhcp == DHCP_DISCOVERING)
		dhcp_send(1);
	if (guest.dhcp == DHCP_REQUESTING)
		dhcp_send(3);
	if (guest.dhcp != DHCP_BOUND)
		clock_at(clock_ns() + SECOND, dhcp_again, NULL);
}

void guest_dhcp(void)
{
	guest.dhcp_xid = 0x11223344;
	guest.dhcp = DHCP_DISCOVERING;
	dhcp_again(NULL);
}

static uint8_t dhcp_options(const uint8_t *p, size_t n)
{
	struct wire_in w = wire_in(p + DHCP_FIXED, n - DHCP_FIXED);
	uint8_t type = 0, code;
	while ((code = wire_u8(&w)) != 255 && wire_ok(&w)) {
		uint8_t length = code ? wire_u8(&w) : 0;
		const uint8_t *value = wire_bytes(&w, length);
		struct wire_in v = wire_in(value, value ? length : 0);
		if (code == 53)
			type = wire_u8(&v);
		if (code == 3)
			guest.router_ip = wire_u32(&v);
		if (code == 6)
			guest.dns_ip = wire_u32(&v);
	}
	return type;
}

static void dhcp_input(const uint8_t *p, size_t n)
{
	struct wire_in w = wire_in(p, n);
	uint32_t xid, ip;
	uint8_t type;
	wire_bytes(&w, 4);
	xid = wire_u32(&w);
	wire_bytes(&w, 8);
	ip = wire_u32(&w);
	if (n < DHCP_FIXED || p[0] != 2 || xid != guest.dhcp_xid)
		return;
	type = dhcp_options(p, n);
	if (type == 2 && guest.dhcp == DHCP_DISCOVERING) {
		guest.offered_ip = ip;
		guest.dhcp = DHCP_REQUESTING;
		dhcp_send(3);
	}
	if (type == 5 && guest.dhcp == DHCP_REQUESTING) {
		guest.ip = ip;
		guest.dhcp = DHCP_BOUND;
	}
}

/* Input. */

/* A super-frame's datagrams, of `each` bytes; 0: there is one. */
static void datagrams(
	uint32_t ip, uint16_t from, uint16_t to, const uint8_t *p, size_t n, uint16_t each)
{
	guest.super_frames += each != 0;
	for (; each && n > each; n -= each, p += each)
		guest.datagram(ip, from, to, p, each);
	guest.datagram(ip, from, to, p, n);
}

static void udp_input(uint32_t from_ip, const uint8_t *p, size_t n, uint16_t each)
{
	struct wire_in w = wire_in(p, n);
	uint16_t from = wire_u16(&w), to = wire_u16(&w), length = wire_u16(&w);
	if (n < UDP_BYTES || length < UDP_BYTES || length > n) {
		guest.bad++;
		return;
	}
	if (to == 68)
		dhcp_input(p + UDP_BYTES, length - UDP_BYTES);
	else if (guest.datagram)
		datagrams(from_ip, from, to, p + UDP_BYTES, length - UDP_BYTES, each);
}

/* The L4 checksum; one that the port says is for the receiver's hardware to finish is taken on trust. */
static bool sum_ok(const struct wire_vnet *vnet, uint32_t from, uint32_t to, uint8_t protocol,
	const uint8_t *p, size_t n)
{
	if (vnet->flags & WIRE_VNET_NEEDS_CSUM || protocol == IP_PROTO_ICMP)
		return true;
	if (protocol == IP_PROTO_UDP && n >= UDP_BYTES && !p[6] && !p[7])
		return true;
	return guest_sum(from, to, protocol, p, n) == 0 ||
	       guest_sum(from, to, protocol, p, n) == 0xffff;
}

static void ip_input(const struct wire_vnet *vnet, const uint8_t *p, size_t n)
{
	struct wire_in w = wire_in(p, n);
	uint32_t from, to;
	uint16_t total, fragment;
	uint8_t version, protocol;
	version = wire_u8(&w);
	wire_u8(&w);
	total = wire_u16(&w);
	wire_u16(&w);
	fragment = wire_u16(&w);
	wire_u8(&w);
	protocol = wire_u8(&w);
	wire_u16(&w);
	from = wire_u32(&w);
	to = wire_u32(&w);
	if (!wire_ok(&w) || version != 0x45 || total < IP_BYTES || total > n ||
		wire_fold(wire_sum(0, p, IP_BYTES)) != 0 || fragment & 0x3fff) {
		guest.bad++;
		return;
	}
	if ((to != guest.ip || !guest.ip) && to != 0xffffffff && guest.dhcp == DHCP_BOUND)
		return;
	if (!sum_ok(vnet, from, to, protocol, p + IP_BYTES, total - IP_BYTES)) {
		guest.bad++;
		return;
	}
	if (protocol == IP_PROTO_ICMP)
		icmp_input(p + IP_BYTES, total - IP_BYTES);
	else if (protocol == IP_PROTO_UDP)
		udp_input(from, p + IP_BYTES, total - IP_BYTES,
			vnet->gso_type == WIRE_GSO_UDP ? vnet->gso_size : 0);
	else if (protocol == IP_PROTO_TCP)
		guest_tcp_input(from, p + IP_BYTES, total - IP_BYTES);
}

void guest_frame(const struct wire_vnet *vnet, const uint8_t *frame, uint32_t bytes)
{
	if (bytes < ETH_HEADER_BYTES ||
		(memcmp(frame, GUEST_MAC, 6) != 0 && memcmp(frame, everybody, 6) != 0))
		return;
	if (frame[12] == 0x08 && frame[13] == 0x06)
		arp_input(frame + ETH_HEADER_BYTES, bytes - ETH_HEADER_BYTES);
	else if (frame[12] == 0x08 && frame[13] == 0x00)
		ip_input(vnet, frame + ETH_HEADER_BYTES, bytes - ETH_HEADER_BYTES);
}
