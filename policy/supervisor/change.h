/*
 * What an operator may change of a configuration while natlock runs, and what it takes to put it in force. All of it
 * works on copies: the one that runs is replaced as a whole (configure.h), or not at all. Pure but for the allocator.
 */
#ifndef NATLOCK_SUPERVISOR_CHANGE_H
#define NATLOCK_SUPERVISOR_CHANGE_H

#include "config.pb-c.h"
#include "operator.pb-c.h"
#include "reflect.h"
#include "topology.h"
#include "trouble.h"

/*
 * LIVE    the workers are told, flows go on
 * FILE    as LIVE, but only the configuration file says it: no request changes it (Options)
 * START   what workers and memory are made from: takes effect when natlock is started again
 */
enum change_kind { CHANGE_LIVE, CHANGE_FILE, CHANGE_START };

enum {
	CHANGE_REQUESTS = 64, /* changes in one request */
	CHANGE_PATHS = 128,   /* differing values that are told apart; more count as one */
	CHANGE_TEXT = 4096,   /* any of the texts here, terminated */
};

/* By the path of a value below a hub, and below the configuration. */
enum change_kind change_kind_of_hub(const char *path);
enum change_kind change_kind_of_config(const char *path);

/* The hub of that name, or the first for NULL and ""; NULL: none. */
Nl__Hub *change_hub(const Nl__Config *config, const char *name);

/*
 * A copy of the running configuration with all that the request says; checked by conf_check. NULL with *t: no such hub or entry
 * (EXIT_NO_MATCH), not allowed (EXIT_REFUSED), not valid (EXIT_CONFIG). Any request. fenced: there is a fence around natproxy
 * (fence.h), through which a hub's guests reach this computer only if it was raised with that.
 */
Nl__Config *change_make(const Nl__Config *running, const Nl__ChangeRequest *request, bool fenced,
	struct trouble *t);

/*
 * What is kept for the next start, after a request that was made: a copy of `kept` with the values that `running` has
 * now at the request's paths. NULL with *t: not valid without what is changed but not saved.
 */
Nl__Config *change_keep(const Nl__Config *kept, const Nl__Config *running,
	const Nl__ChangeRequest *request, struct trouble *t);

/* What a newly read configuration can have in force now: values of kind START, and hubs that it lacks, stay as they are
 * in `running`; hubs that are new come last. Both lists are of paths, "hubs.NAME." before those of a hub. */
struct change_plan {
	Nl__Config *
		config; /* NULL: no memory, or what is left does not go together: see *t of change_plan_make */
	char live[CHANGE_TEXT];	   /* takes effect now; empty: nothing */
	char restart[CHANGE_TEXT]; /* only when natlock is started again; empty: nothing */
};
/* `only`: the one hub that is served (up --hub), NULL: all; `fenced` as above. 0, or -1 with *t; then plan->config is NULL. */
int change_plan_make(struct change_plan *plan, const Nl__Config *running, const Nl__Config *read,
	const char *only, bool fenced, struct trouble *t);

/* The hub as its workers are to have it: with its chosen MAC where it says auto, and, as long as the hub is not enabled, with
 * neither NAT nor DHCP. NULL: no memory. */
Nl__Hub *change_in_force(const Nl__Hub *hub, const uint8_t mac[6]);
/* Whether a worker must be told of the difference. */
bool change_concerns(enum actor_id id, const Nl__Hub *before, const Nl__Hub *now);

/* "nat.mtu, dhcp.lease": in which values two hubs differ; empty when in none. */
const char *change_names(const Nl__Hub *before, const Nl__Hub *now, char out[CHANGE_TEXT]);

#endif
