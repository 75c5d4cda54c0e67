/*
 * The learning switch: joins ports, netstack and dhcpd. Sans-IO: frames come in by bridge_input, go
 * out by the write of struct bridge_io and by the ring to netstack; tests/sim drives the same code
 * with memory in place of ports.
 *
 *     port ─ bridge_offer, bridge_input ─▶ steer, fdb ─┬▶ port (egress)
 *                                                      ├▶ netstack (ring, by reference)
 *                                                      └▶ dhcpd (a copy)
 *     netstack ─ bridge_send ────┐
 *     dhcpd ──── bridge_answer ──┴▶ check ─▶ port by MAC, by number, or all
 *
 * Ports are named by slot (0..PORTS_MAX - 1) inside the broker and by the supervisor's number in
 * messages.
 */
#ifndef NATLOCK_BROKER_BRIDGE_H
#define NATLOCK_BROKER_BRIDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "drop.h"
#include "egress.h"
#include "fdb.h"
#include "frame.h"
#include "ring.h"
#include "steer.h"

enum {
	BRIDGE_DHCP_BYTES_MAX = 1514, /* what DhcpHeard and DhcpAnswer may carry */
	BRIDGE_SHARE = 3,     /* a port may have lent at most this many times what is free */
	BRIDGE_MTU_MIN = 576, /* a port that claims less is taken at this (RFC 791 3.2) */
	BRIDGE_MTU_MAX = 65535,
};

struct bridge_io {
	struct egress_io port;
	/* Hands a DHCP request to dhcpd: 0, or -EAGAIN when it is too slow. `number` is the
	 * supervisor's. */
	int (*dhcp)(
		void *context, uint32_t number, const uint8_t *frame, uint32_t bytes, bool csum_ok);
};

/* What went through a session, from the hub's point of view: rx came from it, tx went to it. */
struct bridge_counts {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, dropped;
};

struct bridge_port {
	uint32_t number;  /* the supervisor's name for it */
	bool vouched;	  /* a kernel wrote its vnet header: what that says of checksums counts */
	uint32_t lent[2]; /* buffers of each class filled from this port and not given back */
	struct bridge_counts counts;
	struct egress egress;
};

struct bridge_config {
	struct steer_gateway gateway;
	struct hash_key key;	/* secret */
	uint32_t macs_per_port; /* 1.. */
	struct arena *arena;	/* the broker's own */
	const struct arena_view *view;
	struct link *netstack;
	struct drops *drops;
	struct bridge_io io;
};

struct bridge {
	struct bridge_config config;
	uint64_t attached; /* bit a slot */
	uint64_t blocked; /* slots with frames queued: call bridge_flush when they can be written */
	uint64_t broken;  /* slots whose port is gone: detach them */
	uint32_t offer[2]; /* the buffers that the next frame is read into; 0 = none taken */
	uint8_t lender[ARENA_MAX_IDS]; /* slot that a lent buffer was filled from; PORTS_MAX = since
					  detached */
	struct bridge_counts gateway;
	struct fdb fdb;
	struct bridge_port port[PORTS_MAX];
};

/* One frame may be read: where to, in two pieces (small, large). */
struct bridge_offer {
	struct iovec piece[2];
};

void bridge_init(struct bridge *b, const struct bridge_config *c);

/* A new port in a free slot. mtu 0 means the largest. stream: frames leave with a length in front
 * (stream.h). */
void bridge_attach(
	struct bridge *b, unsigned int slot, uint32_t number, bool vnet, bool stream, uint32_t mtu);
/* The port is gone. The caller takes its stations with fdb_forget and tells netstack. */
void bridge_detach(struct bridge *b, unsigned int slot);
/* The slot of a port by the supervisor's number, -1 if there is none. */
int bridge_slot(const struct bridge *b, uint32_t number);

/*
 * Where the next frame of a port is to be read. False when netstack's ring, the arena, or this
 * port's share of it is used up: leave frames in the kernel's queue and ask again after a
 * millisecond or when netstack gave something back.
 */
bool bridge_offer(struct bridge *b, unsigned int slot, struct bridge_offer *offer);
/*
 * A frame of `bytes` bytes was read into the offer. vnet: the header in front of it as the kernel
 * wrote it, NULL for a port without. Any content. The offer is used up.
 */
void bridge_input(struct bridge *b, unsigned int slot, const struct wire_vnet *vnet, uint32_t bytes,
	uint64_t now_ns);
/* The same for a frame that lies elsewhere: copied into the offer, which must have been granted. */
void bridge_input_copy(struct bridge *b, unsigned int slot, const struct wire_vnet *vnet,
	const uint8_t *frame, uint32_t bytes, uint64_t now_ns);

/*
 * RING SEND from netstack, as link_peek gave it (segments inside their buffers, arenas mapped
 * here). When it returns, nothing refers to the descriptor's payload any more: then, not before,
 * the caller calls link_consumed. 0 or -EPROTO: netstack lies.
 */
int bridge_send(
	struct bridge *b, const struct ring_desc *d, const struct ring_header *h, uint64_t now_ns);
/* RING RELEASE_FRAME from netstack: 0 or -EPROTO. */
int bridge_release(struct bridge *b, const struct ring_desc *d);
/* DhcpAnswer: a whole frame for one port, or for all. 0 (also when that port is gone) or -EPROTO:
 * dhcpd lies. */
int bridge_answer(struct bridge *b, const uint8_t *frame, size_t bytes, bool all, uint32_t number);

/* Writes what is queued for a port that can be written again. */
void bridge_flush(struct bridge *b, unsigned int slot);

#endif
