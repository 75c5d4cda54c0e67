/*
 * The actors' skeleton in memory: what ipc/actor.c, ipc/chan.c and libev are to a worker. The five shells (main.c) and
 * everything below them run unchanged; here they get links over anonymous memory, channels that are lists of records,
 * and a loop that runs a turn only when the real one would have been woken: a bell, a record, a ready descriptor, a
 * deadline. So a lost wake-up shows as lost time, and work that only the fallback timer finds is counted.
 */
#ifndef NATLOCK_TESTS_SIM_ACTORS_H
#define NATLOCK_TESTS_SIM_ACTORS_H

#include <stdbool.h>
#include <stdint.h>

#include "actor.h"
#include "look.h"

/* From a reason to wake until the turn: a wake-up between two processes as measured. */
#define ACTORS_WAKE_NS UINT64_C(4000)

struct record { /* on its way to one edge of one actor */
	struct record *next;
	size_t bytes;
	int fd; /* that comes along, -1 none */
	uint8_t data[];
};

struct node {
	struct actor actor;
	uint64_t turn_ns; /* ACTORS_WAKE_NS, or more to have a slow process */
	uint64_t wake_ns; /* when the next wake-up is due, while `scheduled` */
	bool scheduled, rung, more;
	uint64_t rings_seen[ACTOR_EDGES - 1];
	uint64_t turns, incidents;
	struct record *first[ACTOR_EDGES], *last[ACTOR_EDGES];
	struct ev_io **watcher; /* active ones */
	size_t watchers, watcher_room;
	struct pool pool;
};

extern struct node nodes[ACTOR_COUNT];
extern const char *const actors_names[ACTOR_COUNT];

/* The hub's data path: strict when NATLOCK_SIM_STRICT is in the environment, which runs every scenario so. */
enum data_path actors_data_path(void);
/* Joins links, arenas and channels, and lets each main.c hand in its ops. An actor sees the arenas that it would map. */
void actors_make(void);
/* ops->boot and ops->start of all. */
void actors_boot(const Nl__ActorBoot *boot);
void actors_start(void);
/* Something may have become ready for this actor. */
void actors_kick(enum actor_id id);
/* The supervisor's end of an actor's channel, for the generated <actor>_send_* functions. */
struct chan *actors_super(enum actor_id id);
/* The descriptor that goes with the next record which the supervisor sends. */
void actors_send_fd(int fd);

/* From port_sim.c and sock_sim.c: what a descriptor is ready for (EV_READ | EV_WRITE). */
int port_sim_ready(int fd);
int sock_sim_ready(int fd);

/* Where actor_security and actor_diagnostic leave their lines; gateway.c. */
void gateway_note(enum actor_id id, const char *line);
void gateway_incident(enum actor_id id, const char *what);
/* Called with each record to the supervisor; gateway.c. */
void gateway_record(enum actor_id id, struct chan_in *in);
/* Called after each turn with what it published, and for each channel record; trace.c. */
void trace_turn(enum actor_id id);
void trace_record(enum actor_id from, int to, const ProtobufCMessage *m);

#endif
