/*
 * What each ALG is switched to and what it has done so far: the rows of `natlockctl alg list` and
 * `alg stats`. One for each ALG, whatever number of parsers it has; natproxy tells of icmp, which has none.
 */
#ifndef NATLOCK_ALG_STATS_H
#define NATLOCK_ALG_STATS_H

#include "algs.h"
#include "config.pb-c.h"
#include "operator.pb-c.h"

enum {
	STATS_TEXT_BYTES = 160, /* more of ports or lists is cut off */
};

struct stats_alg {
	/* as configured, for people; lists: "10 off, 0>20 observe" */
	bool enabled, strict;
	char name[16], mode[8], ports[STATS_TEXT_BYTES], lists[STATS_TEXT_BYTES];
	/* so far; granted, refused, expired and used are wishes; notes: what was left alone and told */
	uint64_t flows, messages, edits, bytes, granted, refused, expired, used, violations,
		gave_up, notes;
	uint32_t open; /* flows that are under inspection now */
};

/* Zero it first. */
struct stats {
	struct stats_alg alg[ALGS_COUNT]; /* by enum algs_id */
};

/* Takes over what the configuration says; NULL: nothing is switched on. Counters go on. Any values. */
void stats_configure(struct stats *s, const Nl__Alg *alg);
/* Fills a row of this process; its texts stay *a's. */
void stats_row(struct stats_alg *a, char *process, Nl__AlgRow *row);

#endif
