/* A supervisor in small: starts one fake actor in the broker's place and plays netstack and dhcpd
 * for it. */
#ifndef NATLOCK_TESTS_UNIT_IPC_FAKE_SUPER_H
#define NATLOCK_TESTS_UNIT_IPC_FAKE_SUPER_H

#include <sys/types.h>

#include "chan.h"
#include "ring.h"
#include "super_dispatch.h"

struct super_peer {
	pid_t pid;
	struct chan chan, dhcpd;
	struct pool pool;
	int bell_actor, bell_netstack;
	struct ring_region *region_actor, *region_netstack;
	struct link netstack; /* netstack's end of the ring */
	int memory[5];	      /* the descriptors of Boot */
	/* What was heard. */
	int hello, locked, drained, notes, incidents, rows, slices;
	uint64_t filter_hash, landlock_abi, next_cursor;
	char note[1024], incident_actor[64], incident_what[128];
	char drop_reason[64][64];
	uint64_t drop_count[64];
	int drops;
};

/* What a spawn may get wrong on purpose. */
struct fake_fault {
	bool no_filter, unsealed, epoll_taken, blocking_bell, refuse;
};

/* Fork and exec of $FAKE_ACTOR with the descriptors of topology.def. */
void fake_spawn(struct super_peer *p, const struct fake_fault *fault);
/* Sends Boot with a filter that allows what actor.h lists and kills for all else. */
void fake_boot(struct super_peer *p, const struct fake_fault *fault);
/* Spawn, Boot, Locked, Start. */
void fake_ready(struct super_peer *p);
void fake_command(struct super_peer *p, uint32_t command);
void fake_dump(struct super_peer *p, Nl__Topic topic, uint64_t cursor);
/* Handles records until *counter has reached `value`; false after two seconds or at the end of the
 * file. */
bool fake_until(struct super_peer *p, const int *counter, int value);
/* Wait status as an exit code, or 1000 + signal. */
int fake_wait(struct super_peer *p);
/* The counter of a reason in the last dump of DROPS; 0 when it was not there. */
uint64_t fake_drops(const struct super_peer *p, const char *reason);

#endif
