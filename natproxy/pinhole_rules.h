/*
 * What each ALG may ask for at most, whatever alg says: one row an ALG. Pure.
 */
#ifndef NATLOCK_NATPROXY_PINHOLE_RULES_H
#define NATLOCK_NATPROXY_PINHOLE_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "algs.h"

/*
 * TCP_LISTEN  one connection of the peer to the guest's port
 * UDP_ONE     the peer's datagrams, from whatever port of it, to the guest's port
 * UDP_PAIR    the same for an even port and the odd one behind it (RTP and RTCP, RFC 3550 11), or for several such pairs that
 *             follow each other (RFC 4566 5.14)
 * TCP_SERVICE the peer's connections to the guest's port, one after another, while it lives (a registration)
 * TCP_WATCH   nobody comes in: the guest itself is to connect to the peer's port, and that connection is inspected
 */
enum pinhole_kind {
	PINHOLE_TCP_LISTEN,
	PINHOLE_UDP_ONE,
	PINHOLE_UDP_PAIR,
	PINHOLE_TCP_SERVICE,
	PINHOLE_TCP_WATCH,
	PINHOLE_KINDS
};

/* Whether datagrams go through it; else it is for connections. */
static inline bool pinhole_is_datagram(uint32_t kind)
{
	return kind == PINHOLE_UDP_ONE || kind == PINHOLE_UDP_PAIR;
}

enum {
	PINHOLE_PAIRS = 4,	  /* of one UDP_PAIR, at most */
	PINHOLE_CONNECTIONS = 64, /* of one TCP_SERVICE, at a time */
};

/* What a guest may have and ask for is counted apart for ALGs that carry many calls: neither kind uses up the other's. */
enum pinhole_account { PINHOLE_COMMON, PINHOLE_CALLS, PINHOLE_ACCOUNTS };

struct pinhole_share { /* of a guest, in an account */
	uint16_t most; /* places at a time, and never more than it leaves free */
	uint16_t rate; /* wishes a second, also the burst */
};

struct pinhole_rule {
	uint8_t kinds;	     /* bit set, 1 << enum pinhole_kind; 0: this ALG opens nothing */
	uint8_t named; /* kinds of which the far end may name another host than the flow's peer */
	bool latch;    /* and of them, nobody in particular, where alg.sip_latch allows it */
	bool inspects; /* connections by it may be inspected themselves */
	uint8_t pairs;	     /* neighbours of one UDP_PAIR */
	uint8_t account;     /* enum pinhole_account */
	bool own_port;	     /* the inside port must be the one from which the flow itself speaks */
	uint16_t port_first; /* lowest inside port; one below 1024 is for a flow from below 1024 */
	uint16_t pending;    /* that nobody has used yet, a control flow */
	uint16_t total;	     /* a control flow, at a time */
	uint16_t watches;    /* of them TCP_WATCH */
	uint8_t kept; /* such a part of a guest's share, and rate, is not for flows that began outside; 0: none */
	uint32_t keep_ms;    /* so long after its opening its life may begin again while nobody has agreed; 0: it never does */
	uint32_t hold_ms;    /* so long its flows may be held open while nobody speaks; 0: they are not */
	uint32_t life_ms;    /* unused, where alg names no time; also the most that it may name */
	uint32_t serve_ms;   /* the most that it may name for TCP_SERVICE and TCP_WATCH */
	uint16_t
		serve_port; /* a protected service that a TCP_SERVICE may lead to all the same; 0: none */
};

/* Never NULL. */
const struct pinhole_rule *pinhole_rule(enum algs_id alg);
const struct pinhole_share *pinhole_share(enum pinhole_account account);
/* "TCP listener", "UDP port" and so on: for people; and "tcp-listen", "udp": for tables. */
const char *pinhole_kind_text(enum pinhole_kind kind);
const char *pinhole_kind_name(enum pinhole_kind kind);

/*
 * Whether no ALG gets a door to this port: above 65535, or a service that an attack from within a
 * browser would like to reach through a helper (NAT Slipstreaming). Ports below 1024 are the rows'
 * business.
 */
bool pinhole_port_denied(uint32_t port, bool datagram);

#endif
