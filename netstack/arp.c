/*
 * Theory of operation (RFC 826, RFC 5227): the gateway answers for its own address and no other, to requests and
 * probes (sender 0.0.0.0) alike, which also is the defence of the address. Guests learn of each other through the
 * switch; we only watch. A claim of the gateway's address by somebody else is met with an announcement. Senders
 * outside the subnet teach us nothing.
 */
#include <string.h>

#include "state.h"

enum { ARP_REQUEST = 1, ARP_REPLY = 2, ARP_BYTES = 28, ARP_ETHERNET = 1 };

static const uint64_t ARP_DEFEND_NS = 10 * NS_PER_S;
static const uint64_t ARP_ANNOUNCE_NS =
	2 * NS_PER_S; /* RFC 5227 1.1: ANNOUNCE_INTERVAL, ANNOUNCE_NUM */
enum { ARP_ANNOUNCEMENTS = 2 };

struct arp {
	uint16_t op;
	uint8_t sender_mac[6], target_mac[6];
	uint32_t sender_be, target_be;
};

static bool arp_parse(const struct packet *p, struct arp *a)
{
	struct wire_in w = packet_wire(p, ETH_HEADER_BYTES);
	bool shape = wire_u16(&w) == ARP_ETHERNET;
	const uint8_t *mac;
	shape = wire_u16(&w) == ETHERTYPE_IP4 && shape;
	shape = wire_u8(&w) == 6 && shape;
	shape = wire_u8(&w) == 4 && shape;
	a->op = wire_u16(&w);
	mac = wire_bytes(&w, 6);
	if (mac)
		memcpy(a->sender_mac, mac, 6);
	a->sender_be = wire_u32_be(&w);
	mac = wire_bytes(&w, 6);
	if (mac)
		memcpy(a->target_mac, mac, 6);
	a->target_be = wire_u32_be(&w);
	return wire_ok(&w) && shape && (a->op == ARP_REQUEST || a->op == ARP_REPLY) &&
	       !(a->sender_mac[0] & 1) && memcmp(a->sender_mac, p->head + 6, 6) == 0;
}

/* sender_be: which of the gateway's addresses it speaks for. */
static void arp_send_as(struct stack *s, uint32_t sender_be, uint16_t op, const uint8_t *to_mac,
	uint32_t port, const uint8_t *target_mac, uint32_t target_be)
{
	static const uint8_t nobody[6];
	struct out o;
	out_ethernet(s, &o, to_mac, port, ETHERTYPE_ARP_);
	wire_put_u16(&o.wire, ARP_ETHERNET);
	wire_put_u16(&o.wire, ETHERTYPE_IP4);
	wire_put_u8(&o.wire, 6);
	wire_put_u8(&o.wire, 4);
	wire_put_u16(&o.wire, op);
	wire_put(&o.wire, s->config.mac, 6);
	wire_put(&o.wire, &sender_be, 4);
	wire_put(&o.wire, target_mac ? target_mac : nobody, 6);
	wire_put(&o.wire, &target_be, 4);
	if (out_send(s, &o, LINK_CONTROL) < 0)
		drop_count(s->drops, DROP_RING_FULL);
}

static void arp_send(struct stack *s, uint16_t op, const uint8_t *to_mac, uint32_t port,
	const uint8_t *target_mac, uint32_t target_be)
{
	arp_send_as(s, s->config.ip_be, op, to_mac, port, target_mac, target_be);
}

void arp_ask(struct stack *s, struct guest *g)
{
	if (g->asked_ns && s->now_ns - g->asked_ns < NS_PER_S)
		return;
	g->asked_ns = s->now_ns;
	arp_send(s, ARP_REQUEST, g->known ? g->mac : NULL, RING_PORT_BY_MAC, NULL, g->ip_be);
}

/* RFC 5227 2.4 (c): announce once, then not again for a while, so that two defenders do not flood the hub. */
static void arp_defend(struct stack *s)
{
	if (s->defended_ns && s->now_ns - s->defended_ns < ARP_DEFEND_NS)
		return;
	s->defended_ns = s->now_ns;
	arp_send(s, ARP_REPLY, NULL, RING_PORT_BY_MAC, NULL, s->config.ip_be);
}

void arp_announce(struct stack *s)
{
	s->announcements = ARP_ANNOUNCEMENTS;
	s->announce_ns = s->now_ns;
}

void arp_poll(struct stack *s)
{
	if (!s->announcements || s->now_ns < s->announce_ns)
		return;
	s->announcements--;
	s->announce_ns = s->now_ns + ARP_ANNOUNCE_NS;
	if (s->config.off)
		return;
	if (stack_is_former_ip(s, s->former.ip_be))
		arp_send_as(s, s->former.ip_be, ARP_REQUEST, NULL, RING_PORT_BY_MAC, NULL,
			s->former.ip_be);
	arp_send(s, ARP_REQUEST, NULL, RING_PORT_BY_MAC, NULL, s->config.ip_be);
}

uint64_t arp_next_ns(const struct stack *s)
{
	return s->announcements ? s->announce_ns : UINT64_MAX;
}

/* A guest that asks us whether we still are its gateway; see configure.c. */
static bool arp_asks_for_former(const struct stack *s, const struct packet *p, const struct arp *a)
{
	return p->to_us && a->sender_be && stack_is_former_ip(s, a->target_be);
}

void arp_input(struct stack *s, const struct packet *p)
{
	struct arp a = {0};
	if (!arp_parse(p, &a)) {
		drop_count(s->drops, DROP_ARP_BAD);
		return;
	}
	if (a.sender_be == s->config.ip_be) {
		drop_count(s->drops, DROP_ARP_SPOOF);
		arp_defend(s);
		return;
	}
	if (a.sender_be != 0) {
		if (!stack_may_be_guest(s, a.sender_be)) {
			drop_count(s->drops, DROP_ARP_SPOOF);
			return;
		}
		if (stack_is_former_ip(s, a.sender_be))
			s->former.ip_until_ns = 0;
		guest_learn(s, a.sender_be, a.sender_mac, p->port);
	}
	if (a.op == ARP_REQUEST &&
		(a.target_be == s->config.ip_be || arp_asks_for_former(s, p, &a)))
		arp_send_as(s, a.target_be, ARP_REPLY, a.sender_mac, p->port, a.sender_mac,
			a.sender_be);
}
