/*
 * Shared rings: how bulk data crosses between two actors.
 *
 *      process X                                        process Y
 *      region_X (read-write in X, read-only in Y)       region_Y (read-write in Y, read-only in X)
 *        head ─────────── "I published up to here" ───────▶ read by Y
 *        tail ─────────── "I consumed Y's up to here" ────▶ read by Y
 *        sleep_epoch ──── odd: "ring my doorbell" ────────▶ read by Y
 *        desc[RING_SLOTS], header slots ──────────────────▶ read by Y
 *
 * Rule 1: every shared page has exactly one writer. A descriptor is the only hand-laid structure
 * between processes: the reader copies it to private memory, validates the copy and uses the copy.
 * Payload stays where it was read from the kernel (arena.h) and is passed by reference.
 *
 * The invariants (each is violated by a test in tests/unit/ipc/ring_invariants.c):
 *  1. head - tail <= RING_SLOTS on every read of a peer's index, and an index never moves back;
 *     otherwise the peer is hostile and the link is dead (link_error()).
 *  2. A descriptor is copied, then the copy validated: op known for this direction, nseg <= 4,
 *     hlen in range, each segment inside one buffer of an arena this direction may name; a run of
 *     datagrams holds at least two and at most RING_RUN_DATAGRAMS.
 *  3. The owner keeps lent[id] private: giving back what was not lent is a violation (arena.h).
 *  4. Headers are parsed only from a private copy.
 *  5. The broker copies the header slot and checks source MAC and vnet fields before it writes.
 *  6. A buffer goes back to its owner only after the guest acknowledged it and the broker's tail
 *     has passed every descriptor that names it (link_sent_index, link_peer_consumed).
 *  7. Flow ids are checked against the receiver's own table: index, in use, generation.
 *  8. Slots and buffers are reserved for control: LINK_DATA sends may not use the last
 *     RING_RESERVED slots, and releases wait in a private list that cannot overflow.
 *
 * The same code runs over anonymous memory inside one process (tests/sim): the link is
 * transport-free, a doorbell is whatever the bell function does.
 */
#ifndef NATLOCK_IPC_RING_H
#define NATLOCK_IPC_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"

enum {
	RING_SLOTS = 4096,   /* power of two */
	RING_RESERVED = 256, /* slots that LINK_DATA may not take */
	RING_HEADER_BYTES = 128,
	RING_SEGS = 4,
	RING_IDS = 12,
	RING_RUN_DATAGRAMS = 512, /* in one descriptor; kernels pass on at most 128 at a time */
	RING_RUN_BYTES = 65507,	  /* payload of a run: with its headers one IPv4 packet */
	RING_PORT_BY_MAC = 0xffffffff, /* SEND: let the switch look the destination up */
};

enum ring_op {
	RING_OP_NONE,
#define OP(FROM, TO, NAME, KIND, WHAT) RING_##FROM##_##NAME,
#include "ring_ops.def"
	RING_OP_COUNT
};

/* A piece of payload: `off` is relative to the arena's base and must lie, with `len`, inside buffer
 * `id`. */
struct ring_seg {
	uint32_t off;
	uint32_t len;
	uint32_t id; /* buf_id: arena and index, see arena.h */
};

/* Two endpoints, for operations that open a flow. Addresses big-endian, ports in host order. */
struct ring_pair {
	uint32_t guest_ip_be;
	uint32_t remote_ip_be;
	uint16_t guest_port; /* echo: the identifier */
	uint16_t remote_port;
	uint32_t token; /* names a request until a flow id does */
	uint32_t kind;	/* enum dgram_kind, or as the operation says */
};

enum dgram_kind { DGRAM_UDP = 1, DGRAM_ECHO = 2, DGRAM_ESP = 3 };

/* What went wrong with a connection, for TCP_FAILED and TCP_REJECTED. */
enum ring_failure {
	RING_FAIL_REFUSED = 1, /* a reset answered: reset the guest's SYN */
	RING_FAIL_HOST,	       /* ICMP host unreachable */
	RING_FAIL_NET,	       /* ICMP network unreachable */
	RING_FAIL_PROHIBITED,  /* ICMP administratively prohibited: denied by policy */
	RING_FAIL_TIMEOUT,     /* nobody answered: be silent, as the network was */
	RING_FAIL_SHORTAGE,    /* out of descriptors or over quota: reset */
	RING_FAIL_ICMP,	       /* the ICMP error named beside it */
};

/* desc.arg of DGRAM_*: the far endpoint of one datagram. 8 bytes. */
struct ring_remote {
	uint32_t ip_be;
	uint16_t port; /* host order; echo: the sequence number */
	uint8_t ttl;   /* to the outside: already decremented by netstack */
	uint8_t tos;
};

/* How many datagrams a run of `bytes` bytes holds; `each` 0 means that it is a single one. */
static inline uint32_t ring_run_count(uint32_t bytes, uint32_t each)
{
	return each ? (bytes + each - 1) / each : 1;
}

/* desc.arg of FRAME: what the kernel vouches for. 8 bytes. */
struct ring_rx {
	uint8_t csum_ok; /* L4 checksum verified or never computed (partial) by a kernel we trust */
	uint8_t zero;
	uint16_t gso_size; /* payload bytes a segment, when the frame is an unsegmented super-frame;
			      else 0 */
	uint32_t zero2;
};

struct ring_desc {
	uint8_t op; /* enum ring_op */
	uint8_t nseg;
	uint16_t hlen;
	uint32_t flow;
	union {
		uint64_t arg;
		struct ring_remote remote;
		struct ring_rx rx;
	};
	union {
		struct ring_seg seg[RING_SEGS];
		uint32_t ids[RING_IDS];
		struct ring_pair pair;
	};
};
_Static_assert(sizeof(struct ring_desc) == 64, "one descriptor, one cache line");

/* Header slot of SEND: a struct virtio_net_hdr (10 bytes), two zero bytes, then hlen bytes of
 * frame. */
struct ring_header {
	uint8_t vnet[10];
	uint8_t zero[2];
	uint8_t frame[RING_HEADER_BYTES - 12];
};

/* One directed region as it lies in shared memory. */
struct ring_region {
	_Alignas(64) _Atomic uint32_t head;
	_Alignas(64) _Atomic uint32_t tail;
	_Alignas(64) _Atomic uint32_t sleep_epoch;
	_Alignas(64) struct ring_desc desc[RING_SLOTS];
	struct ring_header header[RING_SLOTS];
};

/* Flow ids: netstack owns the table; the generation makes late messages harmless. */
enum { FLOW_INDEX_BITS = 16, FLOW_MAX = 1 << FLOW_INDEX_BITS };
static inline uint32_t flow_index(uint32_t id)
{
	return id & (FLOW_MAX - 1);
}
static inline uint32_t flow_generation(uint32_t id)
{
	return id >> FLOW_INDEX_BITS;
}
static inline uint32_t flow_id(uint32_t index, uint32_t generation)
{
	return generation << FLOW_INDEX_BITS | (index & (FLOW_MAX - 1));
}

enum link_class { LINK_DATA, LINK_CONTROL };

/*
 * How payload crosses netstack (config.proto, Hub.DataPath, same values).
 *   SHARED  by reference: natproxy reads the broker's arena, the broker natproxy's.
 *   STRICT  netstack copies it into its own arena both ways: broker and natproxy map nothing of each
 *           other, and a descriptor that names such an arena is a violation.
 */
enum data_path { DATA_PATH_SHARED, DATA_PATH_STRICT };

enum {
	LINK_RELEASES_MAX =
		2 * ARENA_MAX_IDS, /* a peer can lend buffers of its own and of one more arena */
	LINK_LAZY_MAX = 64, /* messages or released buffers that may wait unrung; under a quarter of
			       the large buffers over two hops */
};

/*
 * One end of a pair of rings. All fields private to ring.c except the counters.
 * A link never blocks and never allocates. Not thread-safe: one process, one thread.
 */
struct link {
	struct ring_region *mine;	  /* written here */
	const struct ring_region *theirs; /* written by the peer */
	uint8_t from, to;		  /* enum actor_id: me, the peer */
	uint8_t release_op;
	uint32_t arenas_in; /* bit set of enum arena_id that incoming segments may name */
	int bell_fd;	    /* the peer's doorbell; -1: none (sim polls) */
	uint32_t head;	    /* where the next descriptor goes */
	uint32_t published; /* value last stored to mine->head */
	uint32_t announced; /* messages before this index are known to be seen without another bell
			     */
	uint32_t tail;	    /* how far we consumed the peer's ring */
	uint32_t tail_published; /* value last stored to mine->tail */
	uint32_t peer_tail;	 /* last validated value of theirs->tail */
	uint32_t peer_head;	 /* last validated value of theirs->head */
	uint32_t epoch;		 /* value last stored to mine->sleep_epoch */
	uint32_t rung_epoch;	 /* peer's sleep epoch for which the bell was rung */
	uint32_t lazy;		 /* weight of what was sent lazily since `announced` */
	bool urgent;		 /* something unannounced must not wait */
	bool wants_room;	 /* we were short of slots: a moved tail is work */
	int error;		 /* 0, or -EPROTO once the peer broke an invariant */
	const char *error_what;
	/* releases waiting for a slot: bounded because an id can be lent only once */
	uint32_t release_count;
	uint32_t release_ids[LINK_RELEASES_MAX];
	uint64_t sent, received, rings, full;
};

/*
 * Prepares one end: the indices of `mine`, which is memory of sizeof(struct ring_region), become zero, and so
 * must those of `theirs` have begun. `release_op` is the operation that gives buffers back in this direction,
 * RING_OP_NONE if there is none; link_arenas and link_release_op know both sets for natlock's own
 * edges.
 */
void link_init(struct link *l, struct ring_region *mine, const struct ring_region *theirs,
	uint8_t from, uint8_t to, uint32_t arenas_in, uint8_t release_op, int bell_fd);
/*
 * The process at the far end is gone: this end is as new, and dead (link_error) until link_revive. Between the two
 * the successor has its own indices at zero.
 */
void link_reset(struct link *l);
void link_revive(struct link *l);
/* Arenas that descriptors of direction from -> to may name, as a set of 1 << enum arena_id. */
uint32_t link_arenas(enum data_path path, uint8_t from, uint8_t to);
/* Arenas that an actor reads because a neighbour may name them; its own is not among them. What the
 * supervisor hands out and what boot.c maps both follow from it. */
uint32_t link_arenas_read(enum data_path path, uint8_t actor);
/* Operation of direction from -> to that gives buffers back, RING_OP_NONE if there is none. */
uint8_t link_release_op(uint8_t from, uint8_t to);

/*
 * Free slots for class c right now (re-reads the peer's tail when short). A sender that waits for
 * room is rung when room comes, provided it does not stop while more than half of the ring is free.
 */
uint32_t link_room(struct link *l, enum link_class c);

/*
 * Queues one descriptor (copied), and for SEND its header slot (copied; NULL otherwise). Invisible
 * to the peer until link_flush. Returns 0, -EAGAIN when no slot of that class is free, -EPROTO when
 * dead.
 */
int link_send(
	struct link *l, enum link_class c, const struct ring_desc *d, const struct ring_header *h);
/* The same, but the peer may be left asleep: for RELEASE, small CONSUMED, CREDIT with some left. */
int link_send_lazy(struct link *l, enum link_class c, const struct ring_desc *d);

/*
 * Gives a buffer back to the peer: collected privately, sent in packs of 12 by link_flush, lazily.
 * Never fails: a peer that lent more buffers than exist is hostile (link_error).
 */
void link_release(struct link *l, uint32_t id);

/*
 * Takes the next descriptor, copied and validated (invariants 1 and 2), header slot too for SEND (h
 * may be NULL on links without SEND). Returns 1, 0 when empty, -EPROTO when the peer is hostile.
 * The slot is given up by link_consumed(), which the consumer calls when it no longer needs what
 * the descriptor refers to.
 */
int link_peek(struct link *l, struct ring_desc *d, struct ring_header *h);
void link_consumed(struct link *l);
/* link_peek + link_consumed. */
int link_recv(struct link *l, struct ring_desc *d, struct ring_header *h);

/* Index of the next descriptor to be sent, and whether the peer has consumed everything before it.
 */
uint32_t link_sent_index(const struct link *l);
bool link_peer_consumed(struct link *l, uint32_t index);
/*
 * Whether everything sent before `index` is certain to be seen: the bell was rung, or the peer was
 * awake. Laziness that assumes the peer's knowledge (CREDIT while some is left) must be judged by
 * this, not by what was published.
 */
bool link_announced(const struct link *l, uint32_t index);

/*
 * Publishes what was queued (head, tail) and rings the peer's bell if it sleeps and something is
 * not lazy, more than LINK_LAZY_MAX lazy ones are waiting, or it may have waited for room. Once a
 * turn. Syscalls: write
 */
void link_flush(struct link *l);

/*
 * The sleep protocol: link_sleep marks the epoch odd on every given link's own region, fences, and
 * returns false (epoch even again) if work arrived meanwhile; then do not block. link_wake makes it
 * even.
 */
bool link_sleep(struct link *const *links, size_t n);
void link_wake(struct link *const *links, size_t n);
/* Whether the peer published something that was not yet taken. Reads shared memory, changes
 * nothing. */
bool link_pending(const struct link *l);

/* Whether lazy messages are waiting that a timer must deliver (at most 5 ms later), and doing so.
 * Syscalls: write */
bool link_has_lazy(const struct link *l);
void link_ring(struct link *l);

/* 0, or -EPROTO with a sentence in *what once the peer broke an invariant. */
int link_error(const struct link *l, const char **what);
/* The caller found the peer to be hostile: the link is dead from now on. `what` is a literal. */
void link_fail(struct link *l, const char *what);

#endif
