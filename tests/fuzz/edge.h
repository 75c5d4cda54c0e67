/*
 * A worker's own main.c, its generated dispatch and the skeleton (ipc/actor.c) between hostile neighbours: a target names
 * the worker and what holds of it, edge.c does the rest.
 *
 * An input is a list of acts {what, length (2, little-endian), bytes}: a record on a channel, with descriptors or cut
 * short, entries of a neighbour's ring, time that passes, a kernel that takes no more, or what only this worker knows.
 * After each the worker has its turn. The kernel is edge.c's: descriptors are counted, what is said must be readable.
 */
#ifndef NATLOCK_TESTS_FUZZ_EDGE_H
#define NATLOCK_TESTS_FUZZ_EDGE_H

#include "actor.h"

struct edge_target {
	int (*worker)(void); /* its main, renamed */
	size_t state_bytes;  /* of what it passes to actor_main */
	unsigned int shards;
	int first_fd; /* where the kernel puts a descriptor that comes along (topology.def) */
	/* What it hears of the supervisor, and on its edges in the order of topology.def (one for all shards). */
	const ProtobufCMessageDescriptor *heard[3];
	/* How many descriptors it owns now, after any record. NULL: none, ever. */
	unsigned int (*owned)(const void *self);
	/* Aborts when what it counts is not so, at the end of an input; may be NULL. */
	void (*check)(const struct actor *a, const void *self);
	/* An act that only this worker knows; may be NULL. */
	void (*act)(struct actor *a, void *self);
};
extern const struct edge_target edge_target;

/* The next byte of the act under way; 0 when there are no more. */
uint8_t edge_take(void);
/* All that is left of it, taken. */
const uint8_t *edge_rest(size_t *bytes);
/* A descriptor of the kernel's, for what the worker opens itself; -1 when there are too many. And its end, which aborts
 * when it is not open. */
int edge_open(void);
void edge_close(int fd);
bool edge_is_open(int fd);
/* For a worker's allocations at boot: rewind.h. */
void *edge_alloc(size_t count, size_t bytes);
void edge_require(bool ok);

#endif
