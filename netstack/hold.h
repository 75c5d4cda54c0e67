/*
 * Who has which payload buffer: broker's and our own on the way to natproxy, natproxy's on the way to the guest.
 *
 * One entry a buffer, which also is the node of the list that the buffer waits in: no allocation, and a neighbour
 * that lends or returns a buffer twice is found out at once.
 *
 *   frame or own buffer:  FREE ─take─▶ MINE ─queue─▶ QUEUED (receive queue) ─lend─▶ LENT ─RELEASE_WRITTEN─▶ FREE
 *   natproxy's buffer:    FREE ─TCP_DATA─▶ QUEUED (send queue) ─acknowledged─▶ LIMBO ─broker has passed─▶ FREE
 *
 * On a strict data path (ring.h) the broker's buffers end here and natproxy's too: what goes on is a copy in a buffer of
 * our own, LENT to natproxy or, on the way to the broker, in LIMBO from the moment it was sent.
 */
#ifndef NATLOCK_NETSTACK_HOLD_H
#define NATLOCK_NETSTACK_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "ring.h"

struct stack;

enum hold_state { HOLD_FREE, HOLD_MINE, HOLD_QUEUED, HOLD_LENT, HOLD_LIMBO };

enum {
	HOLD_RX_COUNT = 2 * ARENA_MAX_IDS, /* broker's, then our own */
	HOLD_UNITS_LARGE = 8,	   /* a large buffer weighs as much as this many small ones */
	HOLD_UNITS_FLOW_MAX = 512, /* what one flow may pin: an eighth of an arena */
	HOLD_FLOW_SHARE = 8, /* the same by class: one flow pins no more than this part of it */
};

/* Bytes [seq, seq + len) of a stream lie at `off` of the arena. */
struct hold {
	uint32_t seq, off, len;
	uint32_t flow; /* flow id that pins it, for the budget */
	uint16_t next; /* list: hold number + 1, 0 = end */
	uint8_t state; /* enum hold_state */
};

struct limbo_entry {
	uint32_t id;
	uint32_t
		index; /* of broker's ring: free once the broker has consumed everything before it */
};

struct hold_table {
	struct hold rx[HOLD_RX_COUNT];
	struct hold tx[ARENA_MAX_IDS];
	struct limbo_entry limbo[ARENA_MAX_IDS +
				 ARENA_MAX_IDS]; /* natproxy's and our own: each id at most once */
	uint32_t limbo_head, limbo_tail;
	uint32_t frames, reads; /* buffers not free: rx of the broker, tx */
	/* by class: what is on the way up (the broker's buffers, and copies pinned by a flow), and `reads` */
	uint32_t pinned[2], read[2];
	uint32_t pinning_flows; /* TCP flows that pin something on the way up */
	/*
	 * Sums by class of tcp.rx_ahead: of the flows that last sent in an even and in an odd period. With each period the
	 * older of the two is forgotten, see rx_reserved.
	 */
	uint32_t promised[2][2];
	uint32_t period; /* of stack.now_ns */
};

/* rx entries: number of an id and back. */
uint16_t hold_number(uint32_t id);
uint32_t hold_id(uint16_t number);
uint32_t hold_units(uint32_t id);
struct hold *hold_rx(struct stack *s, uint32_t id);
struct hold *hold_tx(struct stack *s, uint32_t id);

/* A buffer of the broker arrived. -EPROTO when we have it already. */
int hold_take_frame(struct stack *s, uint32_t id);
/* A small or large buffer of our own, 0 when there is none: for the caller to count if something is dropped for it. */
uint32_t hold_take_own(struct stack *s, enum buf_class c);
/*
 * Replaces the *n pieces of foreign arenas by one piece of our own (MINE) with the same bytes, at most ARENA_LARGE_BYTES.
 * Pieces that are our own already stay. False, and nothing changed, when there is no buffer.
 */
bool hold_copy(struct stack *s, struct ring_seg *piece, unsigned int *n);
/* An own buffer (MINE) counts as pinned by the flow until it is released. */
void hold_pin_own(struct stack *s, uint32_t id, const struct hold *as);
/* Buffers of a class that flows on the way up may still pin: they leave three eighths to everybody else. */
uint32_t hold_room(const struct stack *s, enum buf_class c);
uint32_t hold_room_max(enum buf_class c);
/* How full the fuller class is, in percent: of what is on the way up, of natproxy's buffers. */
unsigned int hold_pinned_percent(const struct stack *s);
unsigned int hold_read_percent(const struct stack *s);
/* Gives an rx buffer (MINE, QUEUED or LENT) back to whom it belongs. */
void hold_release(struct stack *s, uint32_t id);
/* The buffer goes on to natproxy with the next descriptor. */
void hold_lend(struct stack *s, uint32_t id);
/* natproxy returned it. -EPROTO when it did not have it. */
int hold_returned(struct stack *s, uint32_t id);
/* natproxy lent one of its buffers. -EPROTO when we have it already. */
int hold_take_read(struct stack *s, uint32_t id);
/* A natproxy or own buffer is done with, but the broker may still read it (ring.h, invariant 6). */
void hold_limbo(struct stack *s, uint32_t id);
/* Returns what the broker has passed. */
void hold_poll(struct stack *s);

#endif
