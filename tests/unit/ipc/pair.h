/* Two ends of a link over private memory, for tests. */
#ifndef NATLOCK_TESTS_UNIT_IPC_PAIR_H
#define NATLOCK_TESTS_UNIT_IPC_PAIR_H

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ring.h"
#include "topology.h"

struct pair {
	struct ring_region *region[2];
	struct link end[2]; /* end[i] writes region[i] */
	int bell[2];	    /* bell[i] wakes the process of end[i] */
};

static inline struct pair *pair_new(uint8_t a, uint8_t b)
{
	struct pair *p = calloc(1, sizeof(*p));
	uint8_t actor[2] = {a, b};

	for (int i = 0; i < 2; i++) {
		p->region[i] = aligned_alloc(64, sizeof(struct ring_region));
		memset((void *)p->region[i], 0, sizeof(struct ring_region));
		p->bell[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	}
	for (int i = 0; i < 2; i++)
		link_init(&p->end[i], p->region[i], p->region[1 - i], actor[i], actor[1 - i],
			link_arenas(DATA_PATH_SHARED, actor[1 - i], actor[i]),
			link_release_op(actor[i], actor[1 - i]), p->bell[1 - i]);
	return p;
}

/* Moves both directions to `index`, as if so many messages had been exchanged. */
static inline void pair_start_at(struct pair *p, uint32_t index)
{
	for (int i = 0; i < 2; i++) {
		struct link *l = &p->end[i];

		l->head = l->published = l->announced = index;
		l->tail = l->tail_published = l->peer_tail = l->peer_head = index;
		atomic_store(&p->region[i]->head, index);
		atomic_store(&p->region[i]->tail, index);
	}
}

static inline void pair_free(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		free(p->region[i]);
		close(p->bell[i]);
	}
	free(p);
}

/* How often the bell of end i was rung since the last call. */
static inline uint64_t pair_bells(struct pair *p, int i)
{
	uint64_t n = 0;

	return read(p->bell[i], &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* Marks end i asleep; whether it may block. */
static inline bool pair_sleep(struct pair *p, int i)
{
	struct link *l = &p->end[i];

	return link_sleep(&l, 1);
}

static inline void pair_wake(struct pair *p, int i)
{
	struct link *l = &p->end[i];

	link_wake(&l, 1);
}

/* A descriptor without payload that is valid from netstack to natproxy. */
static inline struct ring_desc pair_credit(uint64_t arg)
{
	return (struct ring_desc){.op = RING_NETSTACK_TCP_CREDIT, .flow = 7, .arg = arg};
}

#endif
