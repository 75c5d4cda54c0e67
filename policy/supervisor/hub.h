/*
 * One hub as the supervisor sees it: its workers, what joins them, its ports, its leases and its
 * log. Only data and how to find a worker: crew.h brings it to life, watch.h keeps it alive, port.h
 * gives it ports.
 */
#ifndef NATLOCK_SUPERVISOR_HUB_H
#define NATLOCK_SUPERVISOR_HUB_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "chan.h"
#include "config.pb-c.h"
#include "hash.h"
#include "hostnames.h"
#include "operator.pb-c.h"
#include "seclog.h"
#include "share.h"
#include "store.h"
#include "super.pb-c.h"
#include "topology.h"

struct supervisor;
struct hub;

/*
 * WAITING    no process: its turn comes when the back-off timer ends
 * BOOTING    process there; it may only say Hello and Locked
 * LOCKED     behind its filter; gets what it must know, then Start
 * RUNNING    everything is allowed
 * DRAINING   was told to finish; its end is expected
 * GONE       ended as expected; nothing follows
 */
enum worker_state {
	WORKER_WAITING,
	WORKER_BOOTING,
	WORKER_LOCKED,
	WORKER_RUNNING,
	WORKER_DRAINING,
	WORKER_GONE
};

enum {
	HUB_PORTS = 64,
	HUB_QUEUE_BYTES = 256 * 1024,
	HUB_WORKERS = 2 + 3 * SHARD_MAX, /* at most: broker, dhcpd, and three a shard */
	HUB_NAME = 16,
};
_Static_assert(HUB_PORTS <= BROKER_PORT_LAST - BROKER_PORT_FIRST + 1,
	"the broker has a descriptor number for each port");

struct worker {
	struct hub *hub;
	enum actor_id id;
	unsigned int shard;  /* 0 for a process that serves all */
	char name[HUB_NAME]; /* "netstack", or "netstack.1" where there are several */
	enum worker_state state;
	pid_t pid;
	int pidfd;
	struct chan chan;
	uint8_t *queue;
	struct ev_io record_io, flush_io, exit_io;
	struct ev_timer timer; /* BOOTING: patience; WAITING: back-off; DRAINING: patience */
	uint32_t landlock_abi;
	struct seclog_quota quota; /* outlives restarts */
	uint32_t restarts;
	uint32_t failures; /* in a row: back-off doubles */
	double started;	   /* ev_now() at Start */
	bool names_behind; /* natproxy: names changed while its channel was full; told when it has room */
	bool stale;	   /* its Boot may be older than hub->conf: told after Start */
	char blame[160];   /* what a neighbour reported; empty: nothing */
	double suspected;  /* ev_time() when one with whom less ends accused this process; 0: none did */
};

struct port {
	bool used;
	int fd;
	Nl__PortKind kind;
	char name[64];
	bool vnet_hdr;
	uint32_t mtu;
	bool detaching; /* the broker was told to close it */
};

/*
 * The edge between the broker and a shard, as the broker knows it:
 * UP        in use
 * LOST      the shard's processes are gone and the broker was told; it may still use its end
 * CLEARED   the broker's end is as new: successors may begin
 */
enum edge_state { EDGE_UP, EDGE_LOST, EDGE_CLEARED };

struct hub {
	struct supervisor *super;
	unsigned int index; /* among the supervisor's hubs */
	Nl__Hub *conf;	    /* as the workers have it (change_in_force); owned */
	uint8_t mac[6];	    /* where host.mac is auto */
	bool mac_kept;	    /* and it is on disk */
	unsigned int shards;
	struct hash_key shard_key;	   /* of shard_of; as old as the hub */
	struct worker worker[HUB_WORKERS]; /* in order of actor, then shard */
	unsigned int workers;
	unsigned int first_worker; /* workers of the hubs before this one: gives uids */
	struct share share;
	enum edge_state edge[SHARD_MAX];
	uint32_t
		lost_generation[SHARD_MAX]; /* of the last EdgeLost: which EdgeCleared answers it */
	int channel[SHARE_EDGES_MAX][SHARD_MAX]
		   [2]; /* both ends of each instance of an edge: its a, its b */
	struct port port[HUB_PORTS];
	struct store store;
	struct hostnames names;
	struct seclog log;
	uint32_t generation; /* of the edges; a restart of anything is a new one */
	bool born;	     /* all workers were started once */
	bool draining;
	uint32_t drain_awaits; /* whose answers drain.c waits for: 1 << index into worker */
	bool echo_allowed;
};

static inline enum data_path hub_data_path(const struct hub *hub)
{
	return hub->conf->data_path == NL__HUB__DATA_PATH__strict ? DATA_PATH_STRICT
								  : DATA_PATH_SHARED;
}
/* Fills the table of workers, none of them there yet, from hub->shards and hub->first_worker. */
void hub_crew(struct hub *hub);
/* Of an actor without shards shard 0; NULL when there is none. */
struct worker *hub_worker(struct hub *hub, enum actor_id id, unsigned int shard);
/* By its name; NULL when there is none. */
struct worker *hub_worker_by_name(struct hub *hub, const char *name);
/* The number of a worker among all hubs' workers, for identity_worker. */
unsigned int hub_worker_number(const struct worker *w);

#endif
