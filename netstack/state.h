/*
 * Inside of the stack: the state, and what its files offer each other. Nothing here is seen outside netstack/.
 */
#ifndef NATLOCK_NETSTACK_STATE_H
#define NATLOCK_NETSTACK_STATE_H

#include <stddef.h>
#include <string.h>

#include "arena.h"
#include "drop.h"
#include "flow.h"
#include "frag.h"
#include "guest.h"
#include "hash.h"
#include "hold.h"
#include "out.h"
#include "packet.h"
#include "park.h"
#include "quote.h"
#include "ring.h"
#include "stack.h"
#include "tcp_sent.h"
#include "topology.h"
#include "wheel.h"
#include "wire/wire.h"

#define NS_PER_MS      UINT64_C(1000000)
#define NS_PER_S       UINT64_C(1000000000)
#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What the gateway was before it changed, as guests still know it. */
struct former {
	uint8_t mac[6];
	uint32_t ip_be;
	uint64_t mac_until_ns, ip_until_ns; /* 0: nothing */
};

struct stack {
	struct link *broker, *natproxy;
	struct arena *arena;
	const struct arena_view *view;
	struct drops *drops;
	uint64_t now_ns;
	struct stack_config config;
	uint8_t wanted_mac[6]; /* what the configuration says */
	uint8_t told_mac[6];   /* what the broker says: the MAC in use changes when both agree */
	struct former former;
	unsigned int announcements; /* to be made */
	uint64_t announce_ns;	    /* when the next is due */
	uint64_t sweep_ns;	 /* when flows end that the configuration does not allow; 0: none */
	struct hash_key key;	 /* tables */
	struct hash_key isn_key; /* ISNs and IP ids: learning one tells nothing about the other */
	uint64_t random_count;
	struct stack_uplink uplink;
	uint64_t defended_ns; /* last announcement against somebody who claims our address */
	struct wheel wheel;
	struct stack_counts counts;
	struct guest_table guests;
	struct frag_table frags;
	struct quote_table quotes;
	struct park_table park;
	struct hold_table holds;
	struct sent_table sent;
	struct flow_table flows;
};

/* Keyed pseudo-random bits: not for secrets that must stay secret after the key leaks. */
static inline uint64_t stack_random(struct stack *s)
{
	uint64_t n = s->random_count++;
	return hash_sip(&s->isn_key, &n, sizeof(n));
}
static inline bool stack_in_subnet(const struct stack *s, uint32_t ip_be)
{
	return ((ip_be ^ s->config.ip_be) & s->config.mask_be) == 0;
}

/* An address of the subnet that a guest may have. */
static inline bool stack_may_be_guest(const struct stack *s, uint32_t ip_be)
{
	uint32_t host = ip_be & ~s->config.mask_be;
	return stack_in_subnet(s, ip_be) && ip_be != s->config.ip_be && host != 0 &&
	       host != ~s->config.mask_be;
}
static inline bool stack_is_former_ip(const struct stack *s, uint32_t ip_be)
{
	return s->now_ns < s->former.ip_until_ns && ip_be == s->former.ip_be;
}
/* The gateway's own address, or the one that guests still know it by. */
static inline bool stack_is_gateway_ip(const struct stack *s, uint32_t ip_be)
{
	return ip_be == s->config.ip_be || stack_is_former_ip(s, ip_be);
}
/* What natproxy knows a destination by: the gateway has no address there but that of now. */
static inline uint32_t stack_told_ip(const struct stack *s, uint32_t ip_be)
{
	return stack_is_former_ip(s, ip_be) ? s->config.ip_be : ip_be;
}
static inline bool stack_is_gateway_mac(const struct stack *s, const uint8_t *mac)
{
	return memcmp(mac, s->config.mac, 6) == 0 ||
	       (s->now_ns < s->former.mac_until_ns && memcmp(mac, s->former.mac, 6) == 0);
}

/* Whether somebody outside may reach this guest. natproxy may not have heard yet that it may not. */
static inline bool stack_may_reach(const struct stack *s, uint32_t ip_be)
{
	return !s->config.off && s->config.nat_enable && stack_may_be_guest(s, ip_be);
}

/* Wraps after 71 minutes: for differences of what is on its way. */
static inline uint32_t tcp_now_us(const struct stack *s)
{
	return (uint32_t)(s->now_ns / 1000);
}

/* arp.c */
void arp_input(struct stack *s, const struct packet *p);
/* Asks who has the guest's address: by broadcast, or its known station by unicast. At most once a second a guest. */
void arp_ask(struct stack *s, struct guest *g);
/* Tells all of the hub where the gateway is, now and once again (RFC 5227 2.3). */
void arp_announce(struct stack *s);
/* Makes the announcement that is due; when that is, UINT64_MAX for never. */
void arp_poll(struct stack *s);
uint64_t arp_next_ns(const struct stack *s);

/* configure.c */
/* Ends what should have ended by now; when that is wanted, UINT64_MAX for never. */
void configure_poll(struct stack *s);
uint64_t configure_next_ns(const struct stack *s);

/* ip4.c */
void ip4_input(struct stack *s, struct packet *p);
/* A whole datagram, from one frame or reassembled. */
void ip4_deliver(struct stack *s, struct packet *p, struct guest *g);

/* icmp.c */
enum icmp_type {
	ICMP_ECHO_REPLY = 0,
	ICMP_UNREACHABLE = 3,
	ICMP_ECHO_REQUEST = 8,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER = 12,
};
enum icmp_code {
	ICMP_NET = 0,
	ICMP_HOST = 1,
	ICMP_PROTOCOL = 2,
	ICMP_PORT = 3,
	ICMP_FRAG_NEEDED = 4,
	ICMP_PROHIBITED = 13,
};
void icmp_input(struct stack *s, struct packet *p, struct guest *g);
/* An error from the gateway about packet p, if RFC 1122 3.2.2 and the rate limit allow one. */
void icmp_error(
	struct stack *s, const struct packet *p, struct guest *g, uint8_t type, uint8_t code);
/* An error about a packet of a flow that is not at hand: its header is rebuilt from what is known. */
struct icmp_quote {
	uint32_t offender_ip_be, remote_ip_be;
	uint8_t protocol, type, code;
	uint16_t
		detail; /* of fragmentation needed the MTU, of a parameter problem the pointer, else 0 */
	uint8_t inner[QUOTE_INNER_BYTES]; /* first bytes after the quoted IP header */
	const struct quote *sent;	  /* what is known of the packet itself; NULL nothing */
};
/* Errors that go through in either direction: of known codes; not source quench (RFC 6633) and redirect. */
bool icmp_is_passed(uint8_t type, uint8_t code);
void icmp_quote_error(struct stack *s, struct guest *g, const struct icmp_quote *q);

/* dgram.c */
void dgram_closed(struct stack *s, struct flow *f);
/* A DGRAM_DATA of natproxy's to the flow's guest, whose MAC is known. Its buffers stay the caller's. */
void dgram_download(struct stack *s, struct flow *f, const struct ring_desc *d);
/*
 * A datagram's payload to natproxy on the flow of key, which is opened if need be. Takes the payload's buffers. each:
 * of a run that a link accepts, the bytes of each datagram; 0 = one datagram.
 */
void dgram_upload(struct stack *s, struct packet *p, struct guest *g, const struct flow_key *key,
	const struct ring_remote *remote, uint32_t payload_at, uint16_t each);

/* Tells natproxy that an ended flow is over. */
void dgram_flush(struct stack *s, struct flow *f);

/* datagram.c */
/*
 * One datagram or a run of them to the guest, in fragments where the MTU asks for it. l4: the 8 bytes of UDP, ICMP or ESP header with the
 * checksum field at `field`; complete already, or without one, when `sum_known`. 0, or -EAGAIN when (part of) it found no room.
 */
struct datagram {
	struct out_ip ip;
	uint8_t l4[8];
	const struct ring_seg *seg;
	unsigned int nseg;
	uint16_t field;
	uint16_t
		each; /* UDP: the payload is a run of datagrams of so many bytes; 0 = one datagram */
	bool sum_known;
};
int datagram_send(struct stack *s, const struct guest *g, const struct datagram *d);

/*
 * The kinds of datagram flows: *_wrap makes the transport header of what natproxy sent, *_quote what an ICMP error
 * quotes of a packet of the guest's that is not remembered.
 */
/* udp.c */
void udp_input(struct stack *s, struct packet *p, struct guest *g);
void udp_wrap(
	const struct stack *s, struct flow *f, const struct ring_desc *d, struct datagram *out);
void udp_quote(const struct flow *f, const struct ring_desc *d, struct wire_out *inner);
/* icmp.c */
void icmp_wrap_echo(
	struct stack *s, const struct flow *f, const struct ring_desc *d, struct datagram *out);
void icmp_quote_echo(const struct flow *f, const struct ring_desc *d, struct wire_out *inner);
/* esp.c */
void esp_input(struct stack *s, struct packet *p, struct guest *g);
/* Takes the first 8 bytes off the payload's first piece, which has them. */
void esp_wrap(const struct stack *s, struct datagram *out, struct ring_seg *piece);
void esp_quote(const struct flow *f, struct wire_out *inner);
/* The flow of a peer that speaks before the guest does: 0, or -EPROTO. */
int esp_incoming_key(const struct ring_pair *pair, struct flow_key *key);

#endif
