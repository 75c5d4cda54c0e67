/*
 * What is on its way to the guest: one record for bytes that left at about the same time, in order, without gaps from
 * snd_una to snd_nxt. A super-frame is one record until the guest's SACK blocks split it.
 *
 *   in flight ─SACK block─▶ SACKED ─┐
 *      │  ▲                         ├─acknowledged─▶ gone
 *     lost sent again (RESENT) ─────┘
 *      ▼  │
 *     LOST
 *
 * Records come from one table of the stack. A flow may have SENT_FLOW_MAX of them, and is always sure of
 * SENT_FLOW_SURE: when it can't have another, neighbours share one, which only makes loss detection coarser.
 */
#ifndef NATLOCK_NETSTACK_TCP_SENT_H
#define NATLOCK_NETSTACK_TCP_SENT_H

#include <stdbool.h>
#include <stdint.h>

#include "stack.h"
#include "tcp.h"

enum {
	SENT_FLOW_MAX = 192,
	SENT_FLOW_SURE = 2,
	SENT_RECORDS = 4 * STACK_FLOWS_MAX,
	SENT_GRAINS = 32, /* times are told apart by this part of a round trip */
};
_Static_assert(SENT_RECORDS > SENT_FLOW_SURE * STACK_FLOWS_MAX && SENT_RECORDS < 1 << 24,
	"each flow gets its share, and an index + 1 fits");

enum sent_flag { SENT_SACKED = 1, SENT_LOST = 2, SENT_RESENT = 4 };

struct sent {
	uint32_t end;	    /* sequence number after it; it begins where the one before ends */
	uint32_t sent_us;   /* when it last left, see tcp_now_us */
	uint32_t next : 24; /* index + 1, 0 = last */
	uint32_t flags : 8; /* set of enum sent_flag; LOST and SACKED exclude each other */
};
_Static_assert(sizeof(struct sent) == 12, "65,536 of them");

struct sent_table {
	uint32_t free_head; /* index + 1 */
	uint32_t touched;   /* records ever used: those beyond are untouched memory */
	uint32_t used;
	struct sent record[SENT_RECORDS];
};

/* A place in a flow's list. `at` and `before` are indices + 1, 0 = none; start is where `at` begins. */
struct sent_cursor {
	uint32_t before, at, start;
};

static inline struct sent_cursor tcp_sent_first(const struct tcp *t)
{
	return (struct sent_cursor){.at = t->sent_head, .start = t->snd_una};
}
/* The record at the cursor, which must have one. */
struct sent *tcp_sent_at(struct stack *s, const struct sent_cursor *c);
void tcp_sent_step(struct stack *s, struct sent_cursor *c);
/* Gives the record other flags, keeps the sums of the flow right, and steps on. Equal neighbours become one. */
void tcp_sent_change(struct stack *s, struct tcp *t, struct sent_cursor *c, unsigned int flags);
/* Makes the record at the cursor end at seq, which lies inside it. False when there is no record for the rest. */
bool tcp_sent_split(struct stack *s, struct tcp *t, const struct sent_cursor *c, uint32_t seq);

/* [snd_nxt, end) left for the first time; snd_nxt is moved. */
void tcp_sent_append(struct stack *s, struct tcp *t, uint32_t end);
/* [start, end) left again. */
void tcp_sent_again(struct stack *s, struct tcp *t, uint32_t start, uint32_t end);
/* The guest has everything before una: snd_una is moved. */
void tcp_sent_acked(struct stack *s, struct tcp *t, uint32_t una, struct tcp_ack *a);
/* The guest has [start, end) of a SACK block. The cursor stands at or before it and moves along. */
void tcp_sent_sacked(struct stack *s, struct tcp *t, struct sent_cursor *c, struct tcp_range block,
	struct tcp_ack *a);
/* The first bytes that are lost and not sent again, false when there are none. */
bool tcp_sent_next_lost(struct stack *s, const struct tcp *t, struct tcp_range *r);
/* At most `bytes` at the head are lost; UINT32_MAX for all that is not SACKed. */
void tcp_sent_lose(struct stack *s, struct tcp *t, uint32_t bytes);
/* Nothing is lost after all. */
void tcp_sent_unlose(struct stack *s, struct tcp *t);
/* No SACK block is believed any more (RFC 2018 8: the guest may have thrown the bytes away). */
void tcp_sent_unsack(struct stack *s, struct tcp *t);
void tcp_sent_drop(struct stack *s, struct tcp *t);

#endif
