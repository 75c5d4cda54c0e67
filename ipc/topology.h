/*
 * The shape of natlock as C constants, generated from topology.def: actor ids and fixed fd numbers.
 */
#ifndef NATLOCK_IPC_TOPOLOGY_H
#define NATLOCK_IPC_TOPOLOGY_H

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
	FD_FIRST_FREE = 16, /* the lowest number the kernel may hand out in an actor */
};

#endif
