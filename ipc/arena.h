/*
 * Payload arenas: memory in which exactly one process writes and its neighbours read.
 *
 * Geometry (the same for every arena): ARENA_SMALL_COUNT buffers of 2 KiB, then ARENA_LARGE_COUNT
 * of 64 KiB. Pages are touched on first use, and the free lists are last-in-first-out, so an idle
 * gateway holds little. A reader of a kernel descriptor offers {small, large}: a short message then
 * pins a small buffer only.
 *
 * buf_id: arena id in the top 4 bits, index + 1 below; 0 is never valid. Small buffers have indices
 * 0..ARENA_SMALL_COUNT-1, large ones follow.
 *
 * Ownership: the owner takes a buffer, fills it, lends it (arena_lend) with a message and gets it
 * back by a release. lent[] is private: giving back what was not lent, or lent to somebody else, is
 * a violation.
 */
#ifndef NATLOCK_IPC_ARENA_H
#define NATLOCK_IPC_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum arena_id { ARENA_NONE, ARENA_BROKER, ARENA_NETSTACK, ARENA_NATPROXY, ARENA_ID_COUNT };

enum {
	ARENA_SMALL_BYTES = 2048,
	ARENA_SMALL_COUNT = 4096,
	ARENA_LARGE_BYTES = 65536,
	ARENA_LARGE_COUNT = 512,
	ARENA_MAX_IDS = ARENA_SMALL_COUNT + ARENA_LARGE_COUNT,
	ARENA_BYTES = ARENA_SMALL_BYTES * ARENA_SMALL_COUNT + ARENA_LARGE_BYTES * ARENA_LARGE_COUNT,
	ARENA_RESERVED = 64, /* buffers of each class that data may not take */
};

enum buf_class { BUF_SMALL, BUF_LARGE };

static inline uint32_t buf_id(enum arena_id a, uint32_t index)
{
	return (uint32_t)a << 28 | (index + 1);
}
static inline enum arena_id buf_arena(uint32_t id)
{
	return (enum arena_id)(id >> 28);
}
/* Index of an id; ARENA_MAX_IDS or more when the id is not valid. */
static inline uint32_t buf_index(uint32_t id)
{
	return (id & 0x0fffffff) - 1;
}
/* Class of a valid id, and how many buffers a class has. */
static inline enum buf_class buf_class_of(uint32_t id)
{
	return buf_index(id) < ARENA_SMALL_COUNT ? BUF_SMALL : BUF_LARGE;
}
static inline uint32_t buf_class_count(enum buf_class c)
{
	return c == BUF_SMALL ? ARENA_SMALL_COUNT : ARENA_LARGE_COUNT;
}
static inline uint32_t buf_offset(uint32_t index)
{
	return index < ARENA_SMALL_COUNT ? index * ARENA_SMALL_BYTES
					 : ARENA_SMALL_COUNT * ARENA_SMALL_BYTES +
						   (index - ARENA_SMALL_COUNT) * ARENA_LARGE_BYTES;
}
static inline uint32_t buf_bytes(uint32_t index)
{
	return index < ARENA_SMALL_COUNT ? ARENA_SMALL_BYTES : ARENA_LARGE_BYTES;
}
/* Whether [off, off+len) lies inside buffer id of an arena in the set (bit 1 << arena_id). Any
 * input. */
bool buf_seg_ok(uint32_t off, uint32_t len, uint32_t id, uint32_t arena_set);

/* The owner's side. */
struct arena {
	uint8_t *base; /* ARENA_BYTES, read-write */
	enum arena_id id;
	uint32_t free_count[2];		/* per class */
	uint32_t free[ARENA_MAX_IDS];	/* two stacks of indices: small from 0, large from
					   ARENA_SMALL_COUNT */
	uint8_t lent_to[ARENA_MAX_IDS]; /* ARENA_FREE, ARENA_TAKEN, or ARENA_LENT + the borrower: a
					   number that the owner gives it, an enum actor_id or a shard */
};
enum { ARENA_FREE, ARENA_TAKEN, ARENA_LENT };

void arena_init(struct arena *a, enum arena_id id, uint8_t *base);
/* A buffer for the owner to fill, or 0 when the class is exhausted (data leaves ARENA_RESERVED). */
uint32_t arena_take(struct arena *a, enum buf_class c, bool control);
/* Owner gives a buffer back that it took and did not lend. */
void arena_untake(struct arena *a, uint32_t id);
void arena_lend(struct arena *a, uint32_t id, int borrower);
/* The borrower gave it back. 0, or -EPROTO if it did not have it. */
int arena_return(struct arena *a, uint32_t id, int borrower);
/* Everything lent to a borrower comes back: its link was replaced. Returns how many. */
uint32_t arena_reclaim(struct arena *a, int borrower);
static inline uint8_t *arena_ptr(const struct arena *a, uint32_t id)
{
	return a->base + buf_offset(buf_index(id));
}
/* Share of the class in use, in percent. */
unsigned int arena_used_percent(const struct arena *a, enum buf_class c);

/* The reader's side: all arenas that this process maps, by id; NULL where it maps none. */
struct arena_view {
	const uint8_t *base[ARENA_ID_COUNT];
};
/* The bytes of a validated segment. */
static inline const uint8_t *arena_view_ptr(const struct arena_view *v, uint32_t id, uint32_t off)
{
	return v->base[buf_arena(id)] + off;
}

#endif
