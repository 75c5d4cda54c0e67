/*
 * The state of a running natlock (`run` or `up`), and what its parts tell one another.
 *
 *   main.c      which command          start.c     order of birth        spawn.c    processes
 *   birth.c     boot, locks, Start     crew.c      what workers say      tell.c     what they hear
 *   edges.c     what joins them        watch.c     deaths and restarts   port.c     ports of a hub
 *   guest.c     the program of `run`   plumb.c     interfaces            attach.c   TARGET words
 *   operator.c  natlockctl asks        process.c   /proc                 hostnet.c  host's network
 */
#ifndef NATLOCK_SUPERVISOR_SUPERVISOR_H
#define NATLOCK_SUPERVISOR_SUPERVISOR_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "config.pb-c.h"
#include "drain.h"
#include "events.h"
#include "fence.h"
#include "grant.h"
#include "grant_echo.h"
#include "grant_ipsec.h"
#include "grant_reserved.h"
#include "guest.h"
#include "hostnet.h"
#include "hub.h"
#include "identity.h"
#include "logsock.h"
#include "operator.h"
#include "places.h"
#include "pool.h"
#include "resolvers.h"
#include "saved.h"
#include "spawn.h"
#include "trouble.h"

enum {
	SUPERVISOR_HUBS = 16,
	SUPERVISOR_NOTES = 16,
	SUPERVISOR_NOTE = 480,
	SUPERVISOR_NOTES_A_MINUTE = 30,
	SUPERVISOR_START_SECONDS = 1, /* what a worker notes so soon is about its configuration */
	SUPERVISOR_POOL = 1 << 20
};

struct supervisor {
	struct ev_loop *loop;
	struct ev_io signal_io, host_io, resolv_io;
	struct ev_timer settle; /* the host's network changed: look when it is quiet */
	struct ev_prepare sync; /* leases go to disk once a turn */
	int signal_fd;
	bool is_run;		 /* `natlock run`: one hub, one program */
	const char *config_path; /* NULL: built in */
	bool config_named;	 /* by -c; else it is looked for at each reload */
	char config_found[PLACES_PATH];
	const char *only;			/* --hub; NULL: all are served */
	Nl__Config *config, *file, *kept;	/* configure.h */
	char saved[SAVED_PATH];			/* the layer's place; empty: nowhere */
	bool is_saved;				/* there is a layer */
	struct places places;
	struct identity identity;
	struct fence fence;
	struct spawn_binaries binaries;
	struct hub hub[SUPERVISOR_HUBS];
	unsigned int hubs;
	struct grant_echo echo[SUPERVISOR_HUBS][SHARD_MAX];
	struct grant_ipsec ipsec[SUPERVISOR_HUBS]; /* of each hub */
	struct grant_reserveds reserved;
	struct grants grants;	       /* ports that root opened */
	struct guest guest;	       /* is_run */
	char resolv_conf[PLACES_PATH]; /* is_run: what the guest has as /etc/resolv.conf */
	int ready_fd;		       /* is_run: --ready-fd, -1 */
	struct operator op;
	struct drain drain;
	struct events events;
	struct logsock logsock;
	struct hostnet hostnet;
	struct resolvers resolvers;
	char note[SUPERVISOR_NOTES]
		 [SUPERVISOR_NOTE]; /* what an operator should know; shown by status */
	unsigned int notes;
	unsigned int notes_this_minute;
	time_t note_minute;
	char ping_range[32]; /* net.ipv4.ping_group_range as the host sees it */
	double started;	     /* ev_time() */
	bool draining, locked, gone;
	bool reload_due; /* SIGHUP came before the start was over */
	int exit_code;
	struct pool pool; /* where received messages are unpacked */
	uint8_t pool_bytes[SUPERVISOR_POOL];
};

/* The kernel's clocks now, in ms. */
uint64_t supervisor_wall_clock_ms(void);
uint64_t supervisor_boot_clock_ms(void);
/* Wall clock of this turn of the loop, in ms. */
uint64_t supervisor_wall_ms(const struct supervisor *s);
/* Keeps a note for status, and says it on standard error under `up`. Equal notes are kept once, and no more
 * than SUPERVISOR_NOTES_A_MINUTE new ones taken; whether this one was. It is cleaned as seclog_clean does. */
bool supervisor_note(struct supervisor *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Takes out the notes that begin so: what they say is over, or is said anew. */
void supervisor_forget(struct supervisor *s, const char *beginning);
/* Which way pings go where the kernel decides otherwise than the hub's configuration, as a note. */
void supervisor_note_icmp(struct hub *hub);
/* The same for what a worker says; under `run` too it is said on standard error if the worker has just started. */
void supervisor_note_of(struct worker *w, const char *text);
/* By name; NULL or "" is the first one. NULL: no such hub. */
struct hub *supervisor_hub(struct supervisor *s, const char *name);

/* Opens the hub's leases on disk, or closes them, as its configuration says; those that it knows already stay known. 0 or
 * -errno, of which a note was made. */
int supervisor_open_store(struct hub *hub);

/* A hub more while natlock runs, without ports. 0, or -1 with *t; then nothing is left of it. */
int supervisor_add_hub(struct supervisor *s, const Nl__Hub *asked, struct trouble *t);

/* All workers of a hub run for the first time. */
void supervisor_hub_born(struct hub *hub);
/* A worker ended before its hub was born: natlock gives up, or that hub alone if others were born before. */
void supervisor_hub_failed(struct hub *hub, const struct trouble *t);
/* The last worker of a draining hub is gone. */
void supervisor_hub_gone(struct hub *hub);
/* The end that an operator asks for: under `run` its program is told, whose end is ours. */
void supervisor_shutdown(struct supervisor *s);
/* Begins the orderly end; later calls do nothing but keep the first exit code. */
void supervisor_drain(struct supervisor *s, int exit_code);

/* The loop and what it watches from the beginning: ports may be added afterwards. 0, or -1 with *t.
 */
int supervisor_prepare(struct supervisor *s, struct trouble *t);
/*
 * Makes everything that needs no privilege, enters the loop, returns the exit code when all is
 * gone. Called after identity_enter; s->guest is already waiting when is_run.
 */
int supervisor_main(struct supervisor *s, struct trouble *t);

#endif
