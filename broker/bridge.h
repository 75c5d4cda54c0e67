/*
 * The learning switch: joins ports, netstack and dhcpd. Sans-IO: frames come in by bridge_input, go
 * out by the write of struct bridge_io and by the ring to netstack; tests/sim drives the same code
 * with memory in place of ports.
 *
 *     port ─ bridge_offer, bridge_input ─▶ steer, fdb ─┬▶ port (egress)
 *                                                      ├▶ the netstack of the guest's shard (ring, by reference)
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
#include "claim.h"
#include "drop.h"
#include "egress.h"
#include "fdb.h"
#include "frame.h"
#include "ring.h"
#include "shard.h"
#include "steer.h"
#include "topology.h"

enum {
	BRIDGE_DHCP_BYTES_MAX = 1514, /* what DhcpHeard and DhcpAnswer may carry */
	BRIDGE_SHARE = 3, /* a port may have lent at most this many times what is free */
	BRIDGE_SHARD_SHARE =
		2, /* and a shard, when there are several: it alone cannot use up a port's share */
	BRIDGE_MTU_MIN = 576, /* a port that claims less is taken at this (RFC 791 3.2) */
	BRIDGE_MTU_MAX = 65535,
};

/* How long frames of a port may wait for one of several shards. */
#define BRIDGE_PATIENCE_NS (20 * UINT64_C(1000000))
/* How long the gateway's MAC before a change is its own too, as a station keeps its port. */
#define BRIDGE_FORMER_NS FDB_QUIET_NS
/* How long a gateway that was switched off may still take its leave (resets to its guests). */
#define BRIDGE_LEAVE_NS (1 * UINT64_C(1000000000))

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
	uint32_t number;   /* the supervisor's name for it */
	uint32_t guest_be; /* whom the last frame for the gateway came from, and its shard */
	uint8_t shard;
	bool vouched;	  /* a kernel wrote its vnet header: what that says of checksums counts */
	uint32_t lent[2]; /* buffers of each class filled from this port and not given back */
	struct bridge_counts counts;
	struct egress egress;
};

struct bridge_config {
	struct steer_gateway gateway;
	bool open_arp;		/* any station may claim any address but the gateway's */
	struct hash_key key;	/* secret */
	uint32_t macs_per_port; /* 1.. */
	struct arena *arena;	/* the broker's own */
	unsigned int shards;	/* 1..SHARD_MAX */
	struct hash_key shard_key;
	struct bridge_shard {
		struct link *netstack;
		const struct arena_view *view; /* what this netstack's messages may refer to */
	} shard[SHARD_MAX];
	struct drops *drops;
	struct bridge_io io;
};

struct bridge {
	struct bridge_config config;
	uint64_t attached; /* bit a slot */
	uint64_t blocked; /* slots with frames queued: call bridge_flush when they can be written */
	uint64_t broken;  /* slots whose port is gone: detach them */
	uint64_t crowded; /* slots with as many stations as they may have, where one more was turned away */
	uint32_t offer[2]; /* the buffers that the next frame is read into; 0 = none taken */
	uint8_t lender[ARENA_MAX_IDS]; /* slot that a lent buffer was filled from; PORTS_MAX = since
					  detached */
	uint32_t lent[SHARD_MAX][2];   /* buffers of each class that a shard has */
	uint64_t full_ns
		[SHARD_MAX]; /* since when a shard has had no room; 0: it had some when last asked */
	struct bridge_counts gateway;
	uint64_t changed_ns; /* when bridge_configure last moved or stopped the gateway; 0 never */
	struct fdb fdb;
	struct claims claims;
	struct bridge_port port[PORTS_MAX];
};

/* One frame may be read: where to, in two pieces (small, large). */
struct bridge_offer {
	struct iovec piece[2];
};

void bridge_init(struct bridge *b, const struct bridge_config *c);

/* What may change while frames pass. */
struct bridge_change {
	struct steer_gateway gateway; /* its former_mac is not read */
	uint32_t macs_per_port;
	uint32_t
		mtu; /* of the hub; ports that were attached with less take as much. 0: as they are */
	bool open_arp;
};
void bridge_configure(struct bridge *b, const struct bridge_change *c, uint64_t now_ns);
/* Every few seconds: forgets what is too old to count. */
void bridge_sweep(struct bridge *b, uint64_t now_ns);

/* A new port in a free slot. mtu 0 means the largest. stream: frames leave with a length in front
 * (stream.h). */
void bridge_attach(
	struct bridge *b, unsigned int slot, uint32_t number, bool vnet, bool stream, uint32_t mtu);
/* The port is gone. The caller takes its stations with fdb_forget and tells netstack. */
void bridge_detach(struct bridge *b, unsigned int slot);
/* The slot of a port by the supervisor's number, -1 if there is none. */
int bridge_slot(const struct bridge *b, uint32_t number);

/*
 * Where the next frame of a port is to be read. False when the ring to the shard that the port's last frame went
 * to, the arena, or a share of it is used up: leave frames in the kernel's queue and ask again after a
 * millisecond or when netstack gave something back. Of several shards none can stop a port for longer than
 * BRIDGE_PATIENCE_NS: then frames are taken, and those for the shard without room are dropped.
 */
bool bridge_offer(struct bridge *b, unsigned int slot, struct bridge_offer *offer, uint64_t now_ns);
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
 * RING SEND from a shard's netstack, as link_peek of its link gave it (segments inside their buffers, arenas
 * mapped here: an id means the arena of that shard). When it returns, nothing refers to the descriptor's payload any more: then, not before,
 * the caller calls link_consumed. 0 or -EPROTO: netstack lies. Under another source address than the gateway's nothing
 * leaves; that is no lie within BRIDGE_FORMER_NS after a change.
 */
int bridge_send(struct bridge *b, unsigned int shard, const struct ring_desc *d,
	const struct ring_header *h, uint64_t now_ns);
/* RING RELEASE_FRAME from a shard's netstack: 0 or -EPROTO, also for what another shard has. */
int bridge_release(struct bridge *b, unsigned int shard, const struct ring_desc *d);
/* netstack and natproxy of a shard are gone, and its link is reset: what they had is free again. Until its link
 * lives frames for it are dropped. */
void bridge_shard_lost(struct bridge *b, unsigned int shard);
/* DhcpAnswer: a whole frame for one port, or for all. 0 (also when that port is gone, and when the source is not the
 * gateway, of whose change dhcpd may hear earlier than we: nothing leaves) or -EPROTO: dhcpd lies. */
int bridge_answer(struct bridge *b, const uint8_t *frame, size_t bytes, bool all, uint32_t number,
	uint64_t now_ns);

/* Writes what is queued for a port that can be written again. */
void bridge_flush(struct bridge *b, unsigned int slot);

#endif
