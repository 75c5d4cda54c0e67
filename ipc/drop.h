/* Counters of dropped input, one per reason (drop.def). Pure. */
#ifndef NATLOCK_IPC_DROP_H
#define NATLOCK_IPC_DROP_H

#include <stdint.h>

enum drop {
#define DROP(NAME, TEXT) DROP_##NAME,
#include "drop.def"
	DROP_COUNT
};

struct drops {
	uint64_t count[DROP_COUNT];
};

static inline void drop_count(struct drops *d, enum drop why)
{
	d->count[why]++;
}
static inline void drop_count_many(struct drops *d, enum drop why, uint64_t n)
{
	d->count[why] += n;
}
const char *drop_name(enum drop why);	 /* "MAC_SPOOF" */
const char *drop_meaning(enum drop why); /* the sentence for the operator */

#endif
