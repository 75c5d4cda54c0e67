/*
 * The fence around natproxy, raised by root before privileges go: an nftables table
 * (fence_rules.h) that belongs to a netlink socket. Nobody else can change it, and natlock, which
 * keeps the socket but not the right to use it, cannot either; it goes with the last process that
 * has the socket, however that ends.
 *
 * Only root has it. Without it natproxy's filter and its own checks hold guests back, and natlock
 * says so.
 */
#ifndef NATLOCK_SUPERVISOR_FENCE_H
#define NATLOCK_SUPERVISOR_FENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "fence_rules.h"
#include "trouble.h"

struct supervisor;
struct hub;

enum { FENCE_WHY = 160, FENCE_TEXT = FENCE_WHY + 40 };

struct fence { /* zeroed: there is none */
	bool up;
	int fd; /* up: the table is there as long as it is open */
	struct fence_plan plan;
	char why[FENCE_WHY]; /* not up: why */
};

/*
 * Raises it as policy.fence says; where it cannot be had, a note says why. If the table of these
 * uids is another gateway's, takes other uids. 0, or -1 with *t: it is required and cannot be
 * had. Call it before identity_enter, and before anything is opened for a worker: its uid may be
 * another one afterwards. Syscalls: socket sendto recvfrom close
 */
int fence_raise(struct supervisor *s, struct trouble *t);

/* Whether workers have uids that a table can name: 0, -EPERM as an ordinary user, -EUSERS where
 * there are too few. */
int fence_possible(const struct identity *id);

/* Makes the table of a plan: a descriptor, -EEXIST where there is one of this name, or why not. */
int fence_open(const struct fence_plan *plan);

/* What an error of fence_open means, and what to do about it. Static texts. */
const char *fence_error(int error);
const char *fence_advice(int error);

/* "nftables table inet natlock-61185", or "none: " and why. */
const char *fence_text(const struct fence *f, char out[FENCE_TEXT]);

/* Which worker may have which destinations: the uids, those of natproxies that may reach this
 * computer, and those that have ESP. Pure. */
void fence_plan(
	struct fence_plan *plan, const struct identity *id, struct hub *hub, unsigned int hubs);

#endif
