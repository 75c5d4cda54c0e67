/*
 * One hub as the supervisor sees it: five workers, what joins them, its ports, its leases and its
 * log. Only data: crew.h brings it to life, watch.h keeps it alive, port.h gives it ports.
 */
#ifndef NATLOCK_SUPERVISOR_HUB_H
#define NATLOCK_SUPERVISOR_HUB_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "chan.h"
#include "config.pb-c.h"
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

enum { HUB_PORTS = 64, HUB_QUEUE_BYTES = 256 * 1024 };
_Static_assert(HUB_PORTS <= BROKER_PORT_LAST - BROKER_PORT_FIRST + 1,
	"the broker has a descriptor number for each port");

struct worker {
	struct hub *hub;
	enum actor_id id;
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
	char blame[160];   /* what a neighbour reported; empty: nothing */
};

struct port {
	bool used;
	int fd;
	Nl__PortKind kind;
	char name[64];
	bool vnet_hdr;
	uint32_t mtu;
};

struct hub {
	struct supervisor *super;
	unsigned int index; /* among the supervisor's hubs: gives the workers their uids */
	Nl__Hub *conf;	    /* owned by the supervisor's Config */
	struct worker worker[ACTOR_COUNT];
	struct share share;
	int channel[SHARE_EDGES_MAX]
		   [2]; /* both ends of each edge's socket pair: by edge, its a and its b */
	struct port port[HUB_PORTS];
	struct store store;
	struct seclog log;
	uint32_t generation; /* of the edges; a restart of anything is a new one */
	bool born;	     /* all five were started once */
	bool draining;
	bool echo_allowed;
};

static inline enum data_path hub_data_path(const struct hub *hub)
{
	return hub->conf->data_path == NL__HUB__DATA_PATH__strict ? DATA_PATH_STRICT
								  : DATA_PATH_SHARED;
}

#endif
