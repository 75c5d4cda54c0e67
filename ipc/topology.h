/*
 * The shape of natlock as C constants, generated from topology.def: actor ids and fixed fd numbers.
 */
#ifndef NATLOCK_IPC_TOPOLOGY_H
#define NATLOCK_IPC_TOPOLOGY_H

#include <stdbool.h>

enum actor_id {
#define ACTOR(ID, name) ACTOR_##ID,
#include "topology.def"
	ACTOR_COUNT
};

/* Fixed descriptor numbers: BROKER_CH_SUPER, NATPROXY_SOCK_FIRST / _LAST, ... */
enum topology_fd {
#define FD(ACTOR, NAME, FIRST, LAST)                                                               \
	ACTOR##_##NAME = FIRST, ACTOR##_##NAME##_FIRST = FIRST, ACTOR##_##NAME##_LAST = LAST,
#include "topology.def"
};

enum {
	FD_SUPER = 3,	    /* the supervisor's channel, the same number in every actor */
	FD_FIRST_FREE = 16, /* the lowest number the kernel may hand out in any actor */
	SHARD_MAX = 8,	    /* of one hub, shard.h */
	/* Descriptors of one Boot: of each shard two regions and two arenas, and the own arena. */
	BOOT_FDS_MAX = 4 * SHARD_MAX + 1,
};

_Static_assert(BROKER_CH_NETSTACK_LAST - BROKER_CH_NETSTACK_FIRST + 1 == SHARD_MAX &&
		       BROKER_CH_NETSTACK_FIRST % SHARD_MAX == 0 &&
		       BROKER_BELL_NETSTACK_LAST - BROKER_BELL_NETSTACK_FIRST + 1 == SHARD_MAX &&
		       BROKER_BELL_NETSTACK_FIRST % SHARD_MAX == 0,
	"a number for each shard, in aligned blocks");

/* Whether a hub has one such process a shard; else it has one. Any number. */
static inline bool topology_is_sharded(unsigned int actor)
{
	const unsigned int sharded = 0
#define SHARDED(ID) | 1U << ACTOR_##ID
#include "topology.def"
		;

	return actor < ACTOR_COUNT && sharded >> actor & 1;
}

#endif
