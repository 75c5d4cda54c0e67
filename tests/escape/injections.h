/* What is injected into each live process: the table of injections.def as data. */
#ifndef NATLOCK_ESCAPE_INJECTIONS_H
#define NATLOCK_ESCAPE_INJECTIONS_H

#include "call.h"
#include "seize.h"

/* In whom a call is made. A set of them: whose job it is. */
enum role {
	BROKER = 1,
	NETSTACK = 2,
	NATPROXY = 4,
	DHCPD = 8,
	ALG = 16,
	SUPERVISOR = 32,
	CONTROL = 64, /* victim.h */
	NOBODY = 0,
	WORKERS = BROKER | NETSTACK | NATPROXY | DHCPD | ALG,
	EVERYBODY = WORKERS | SUPERVISOR,
};

enum { ATTEMPT_LEADS = 2 };

/* One call about to be made in one process. */
struct attempt {
	const struct injection *kind;
	struct seized *process;
	enum role role;
	struct call call;
	long lead[ATTEMPT_LEADS]; /* descriptors that calls before it made there */
	unsigned int leads;
};

struct injection {
	const char *subject; /* of this row and those after it; then there is nothing else in it */
	const char *name;
	unsigned int jobs; /* a set of roles */
	/* Why the control cannot work on every machine; NULL: it must. */
	const char *without;
	void (*compose)(struct attempt *a);
};

extern const struct injection injections[];
extern const unsigned int injection_count;

/* NULL if there is none of this name. */
const struct injection *injections_find(const char *name);

/* One of the roles by its name in topology.def, "supervisor" or "control"; NOBODY if it is none. */
enum role injections_role(const char *name);
const char *injections_role_name(enum role role);

/* Prepares the call for a process that was seized. What leads up to it is made there. */
void injections_compose(
	struct attempt *a, const struct injection *kind, struct seized *process, enum role role);

/* Makes the call and undoes what led up to it, and a socket that it made. */
void injections_start(struct attempt *a);
struct seize_outcome injections_finish(struct attempt *a);

#endif
