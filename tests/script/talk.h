/*
 * One connection as both of its ends see it: the guest, who sends what the script says, and the far end, which behaves
 * as natproxy does (obeys credit, holds buffers until they are taken) and writes what it is told to.
 *
 * Content is a pattern by connection, direction and offset, so a byte in the wrong place shows. Whatever comes is
 * checked against rules that hold in every script; a breach is the connection's fault.
 */
#ifndef NATLOCK_TESTS_SCRIPT_TALK_H
#define NATLOCK_TESTS_SCRIPT_TALK_H

#include "check.h"
#include "edge.h"
#include "script.h"

enum { TALK_SIGHTS_MAX = 64, TALK_HELD_MAX = 4096, TALK_URGES_MAX = 8 };

struct talk_sight {
	enum far_sight what;
	uint32_t value;
	uint64_t at_ns;
};

struct talk_held {
	uint32_t id;
	uint64_t end; /* offset */
};

struct talk {
	const struct script_connection *name;
	struct numbers numbers;
	const char *fault;
	/* the guest's side */
	bool scaled;
	uint8_t guest_scale, stack_scale;
	uint32_t offered; /* greatest right edge that the guest offered, relative to stack_isn */
	uint32_t granted; /* right edge of the stack's last segment */
	uint32_t acked;	  /* its last acknowledgement */
	bool granted_any, reset_seen;
	/* the far end's side */
	bool alive;    /* natproxy knows the flow */
	bool stalled;  /* takes nothing by itself */
	uint32_t flow; /* id */
	uint64_t up_got, up_accounted, up_taken;
	uint64_t down_wanted, down_sent, credit;
	uint64_t urge[TALK_URGES_MAX]; /* offsets after urgent bytes */
	unsigned int urges;
	bool close_wanted, close_sent;
	struct talk_held held[TALK_HELD_MAX];
	unsigned int held_head, held_tail;
	struct talk_sight sight[TALK_SIGHTS_MAX];
	unsigned int sight_head, sight_tail;
};

void talk_begin(struct talk *t, const struct script_connection *name);
/* The payload of the guest's stream (or its contrary, when forged) from relative sequence number start on. */
void talk_pattern(const struct talk *t, uint32_t start, bool forged, uint8_t *out, uint32_t n);
/* The guest is about to send this. */
void talk_guest_sends(struct talk *t, const struct segment *s);
/* The stack sent this to the guest. */
void talk_stack_sent(struct talk *t, const struct segment *s);
/* The stack told natproxy this; the descriptor is about this connection. */
void talk_hear(struct talk *t, struct edge *e, const struct ring_desc *d);
void talk_far(struct talk *t, struct edge *e, enum far_act act, uint32_t value);
/* Says what natproxy may say by now: data within its credit, then the end. */
void talk_go_on(struct talk *t, struct edge *e);
/* Resets what is left, so that everything held comes back. */
void talk_end(struct talk *t, struct edge *e);

#endif
