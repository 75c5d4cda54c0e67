/*
 * The skeleton that every confined actor shares: boot, lock, the loop, inspection, the end.
 *
 *   exec'd by the supervisor: empty root, own namespaces, no capability, fds as in topology.def
 *     Hello ▶        ◀ Boot{hub, filter, fds}      map regions, allocate everything (ops->boot)
 *     Locked ▶       after confine(): Landlock, then the seccomp filter as the last act
 *                    ◀ Start                       only when all actors are locked: ops->start
 *     loop: rings and channels, each turn has a budget; then flush, sleep protocol, epoll
 *                    ◀ Drain                       ops->drain; Drained ▶; exit 0
 * End of file on fd 3 means exit. A peer that breaks the protocol is an Incident: report, stop that
 * edge.
 *
 * An actor's main.c is: struct ops, the message handlers, `return actor_main(&ops, &state);`.
 *
 * What the loop asks of the kernel after the lock, and every policy therefore allows:
 * Syscalls: epoll_wait epoll_ctl recvmsg sendmsg close exit_group clock_gettime gettimeofday
 * and of an actor that has rings (the bells): Syscalls: read write
 *   epoll_wait, epoll_ctl  fd 9, by libev
 *   recvmsg, sendmsg       fd 3 and the edges
 *   close                  descriptors that came with a message and were not taken
 *   read, write            the own bell and the neighbours' (topology.def), 8 bytes each
 *   clock_gettime          BOOTTIME, MONOTONIC, REALTIME: a system call only where the vDSO cannot
 *   gettimeofday           read the clock source; the second by libev
 * No system call returns memory: the heap that libev may still want is
 * taken before the lock.
 */
#ifndef NATLOCK_IPC_ACTOR_H
#define NATLOCK_IPC_ACTOR_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "chan.h"
#include "drop.h"
#include "portmap.h"
#include "ring.h"
#include "topology.h"
#include "super.pb-c.h"

struct actor;

struct actor_ops {
	enum actor_id id;
	/*
	 * Boot: everything is mapped; allocate arenas and tables now, there is no heap later.
	 * `boot` and all that it points to stays valid for life. -errno ends the process.
	 */
	int (*boot)(void *self, struct actor *a, const Nl__ActorBoot *boot);
	void (*start)(void *self);
	void (*drain)(void *self);
	/*
	 * One turn: handle what the rings hold, at most ACTOR_BUDGET descriptors a link. true = call it again soon: more is
	 * waiting, or something that arrived (a release, credit) lets go on what had stopped. May be NULL.
	 */
	bool (*turn)(void *self);
	/* Dispatches one record of channel `edge` (0 = supervisor, 1.. = edges in the order of
	 * topology.def, where one with shards counts SHARD_MAX), generated code. -EPROTO = liar. */
	int (*on_record)(void *self, int edge, struct chan_in *in);
	/* Packs rows of a table from `cursor` on with actor_row(); returns the next cursor, 0 when
	 * finished. May be NULL. */
	uint64_t (*dump)(void *self, Nl__Topic topic, uint64_t cursor);
	/*
	 * The hub's configuration or this computer's domain changed: what can change while it runs takes effect now. `m` has
	 * a hub; it is gone afterwards. 0, or -errno: what Boot would not have taken either, and the process ends.
	 */
	int (*configure)(void *self, const Nl__ActorConfigure *m);
	/* What the operator wants done, and how many things it reached; NULL for an actor that takes no orders. */
	uint32_t (*order)(void *self, const Nl__Order *order);
	/* Next deadline on the actor clock in ns, UINT64_MAX for none; and what to do then (turn is
	 * called after it). Both or neither. */
	uint64_t (*deadline)(void *self);
	void (*timeout)(void *self, uint64_t now_ns);
};

enum {
	ACTOR_VERSION = 1,	     /* of the protocol, in Hello */
	ACTOR_BUDGET = 128,	     /* ring descriptors a link and turn */
	ACTOR_RECORDS = 16,	     /* channel records an edge and turn */
	ACTOR_EDGES = 2 + SHARD_MAX, /* the broker's: supervisor, dhcpd, a netstack a shard */
	ACTOR_NAME_BYTES = 16,
	ACTOR_LAZY_MS = 5, /* what was sent lazily is delivered no later */
	ACTOR_FALLBACK_MS =
		1000, /* how often a sleeper with rings looks whether a doorbell was lost */
	ACTOR_GRACE_MS =
		250, /* how long such work may still be announced before it counts as lost */
};

struct actor {
	const struct actor_ops *ops;
	void *self;
	struct ev_loop *loop;
	struct chan chan[ACTOR_EDGES];	   /* [0] supervisor, then edges as in topology.def */
	struct link link[ACTOR_EDGES - 1]; /* [i]: the ring of edge i + 1, if edge_is_ring[i] */
	bool edge_is_ring[ACTOR_EDGES - 1];
	struct arena arena; /* own arena; base NULL if the actor owns none */
	/* Own and foreign arenas. The broker's [i] holds those of shard i, so what a shard names
	 * can only be its own; others have [0] alone. */
	struct arena_view view[SHARD_MAX];
	struct portmap ports;	     /* natproxy's; its `mine` is NULL with one shard */
	char name[ACTOR_NAME_BYTES]; /* "netstack", or with more shards than one "netstack.1" */
	unsigned int shards;	     /* of the hub */
	struct drops drops;
	uint32_t generation;
	bool started, draining;
	uint64_t
		fallback_wakes; /* work found by the fallback timer: a lost doorbell; must stay 0 */
	/* From here on private to actor.c and boot.c. */
	int edges; /* with the supervisor's, and those of shards that there are not */
	uint8_t peer[ACTOR_EDGES];	 /* [i]: enum actor_id at the far end of edge i >= 1 */
	uint8_t edge_shard[ACTOR_EDGES]; /* [i]: which of the peer's shards, 0 for one without */
	int edge_fd[ACTOR_EDGES];	 /* [i]: descriptor of the channel */
	int bell_fd[ACTOR_EDGES];	 /* [i]: the peer's bell, -1 for an edge without a ring */
	bool dead[ACTOR_EDGES];		 /* reported by actor_incident */
	struct link *links[ACTOR_EDGES - 1]; /* those of link[] in use */
	size_t link_count;
	struct ev_io chan_io[ACTOR_EDGES], bell_io;
	struct ev_timer timer;
	struct ev_check check;
	uint64_t now_ns, wall_base_ms, boot_base_ms;
	uint64_t lazy_due_ns, fallback_due_ns, drain_due_ns;
	bool asleep, suspect;
};

/* Runs the actor until it exits. Never returns to unlocked code. */
int actor_main(const struct actor_ops *ops, void *self);

/* Monotonic time in ns (CLOCK_BOOTTIME), read once a turn. */
uint64_t actor_now_ns(const struct actor *a);
/* Wall clock in ms, derived from Boot: a confined process asks the kernel for no wall clock. */
uint64_t actor_wall_ms(const struct actor *a);
/* A security or diagnostic line; printf form, guest bytes must be escaped (log_escape). Dropped and
 * counted when the channel is full. */
void actor_security(struct actor *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same with its parts: event, text and what else applies; the supervisor adds time, hub and process. A text
 * is at most 1024 bytes, guest bytes escaped. */
void actor_event(struct actor *a, const Nl__EventRow *event);
void actor_diagnostic(struct actor *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds one row (a protobuf-c message) to the slice being dumped; false when the slice is full:
 * return this row's cursor. */
bool actor_row(struct actor *a, const ProtobufCMessage *row);
/* The peer of edge i broke the rules: reported once; its channel and its ring are dead from then
 * on. Edge 0: exits. */
void actor_incident(struct actor *a, int edge, const char *what);
/* The process at the far end of edge i is gone: what waited for it is forgotten, and nothing is sent or taken until
 * actor_renew. Syscalls: epoll_ctl */
void actor_lose(struct actor *a, int edge);
/* The process at the far end of edge i was replaced (EdgeRenewed): what waited for the old one is
 * forgotten, and an edge that was dead lives again. Syscalls: epoll_ctl */
void actor_renew(struct actor *a, int edge);
/* Whether edge i is there: the hub has the shard that it leads to. */
static inline bool actor_has_edge(const struct actor *a, int edge)
{
	return a->edge_shard[edge] < a->shards;
}
/* For boot: descriptors up to `highest` will be watched with ev_io watchers of the actor's own
 * (memory is made ready). */
void actor_reserve_fds(struct actor *a, int highest);

#endif
