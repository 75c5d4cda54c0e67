/* `natlock run` and `natlock up`: everything that needs the caller's privileges, in order, and then
 * the loop. */
#ifndef NATLOCK_SUPERVISOR_START_H
#define NATLOCK_SUPERVISOR_START_H

#include "config.pb-c.h"
#include "options.h"
#include "trouble.h"

struct supervisor;

/* Exit code of natlock: for run the program's. */
int start_run(const struct options *o);
int start_up(const struct options *o);

/*
 * Lays the options of `run` over the embedded defaults: subnet, MTU, published ports, a reservation
 * of the guest's address for its MAC, nothing kept on disk. NULL with *t. Pure but for the
 * allocator.
 */
Nl__Config *start_run_config(
	const struct options *o, const uint8_t guest_mac[6], struct trouble *t);

/* One hub more, with its table of workers; its processes are crew_open's to make. 0, or -1 with *t. */
int start_add_hub(struct supervisor *s, const Nl__Hub *asked, struct trouble *t);
/* Whether the host has another way to this hub's subnet: -1 with *t then. */
int start_check_overlap(struct supervisor *s, const Nl__Hub *conf, struct trouble *t);

#endif
