/*
 * The stack alone between two edges that the script plays: the broker's, where frames come and go, and natproxy's. One
 * process, one clock that only edge_advance moves.
 *
 * What the stack sends is collected as frames that a guest would see (super-frames cut up, partial checksums
 * finished) and as descriptors for natproxy. A breach of an invariant of the edges themselves is a fault.
 */
#ifndef NATLOCK_TESTS_SCRIPT_EDGE_H
#define NATLOCK_TESTS_SCRIPT_EDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"
#include "stack.h"

#define EDGE_MS UINT64_C(1000000)

enum { EDGE_GATEWAY = 0xc0a81e01, EDGE_GUEST = 0xc0a81e0a, EDGE_FAR = 0xcb007109 };

struct edge_setup {
	uint32_t gateway_ip; /* its net is a /24 */
	uint16_t mtu;
	uint8_t key;	    /* the secret's bytes follow from it */
	uint32_t half_open; /* limit a guest */
};

struct edge;
struct edge *edge_new(const struct edge_setup *setup, uint64_t now_ns);
void edge_free(struct edge *e);
uint64_t edge_now(const struct edge *e);
/* One turn of the stack and of both rings. True when anything happened. */
bool edge_turn(struct edge *e);
/* Moves the clock to the stack's next deadline, but not beyond until_ns. False when that is reached already. */
bool edge_advance(struct edge *e, uint64_t until_ns);
/* The first thing that was wrong at the edges, NULL when nothing was. */
const char *edge_fault(const struct edge *e);
void edge_uplink(struct edge *e, bool up);
const struct stack *edge_stack(const struct edge *e);
uint64_t edge_drops(const struct edge *e, unsigned int reason);

/* A frame of the guest's port. */
void edge_frame(struct edge *e, const uint8_t *bytes, uint32_t n);
/* The next collected frame, valid until the next call; NULL when there is none. */
const uint8_t *edge_next_frame(struct edge *e, uint32_t *n);

/* A message of natproxy; bytes (may be NULL) go along in natproxy's arena, at most a large buffer. */
void edge_say(struct edge *e, struct ring_desc *d, const uint8_t *bytes, uint32_t n);
bool edge_next_message(struct edge *e, struct ring_desc *d);
/* The bytes that a message for natproxy refers to. */
const uint8_t *edge_bytes(const struct edge *e, const struct ring_seg *seg);
/* natproxy is done with a buffer that a message lent. */
void edge_release(struct edge *e, uint32_t id);
/* Every buffer of every arena is back with its owner. */
bool edge_at_rest(const struct edge *e);

#endif
