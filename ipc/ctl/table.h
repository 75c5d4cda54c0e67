/* What table.c shares: rows that a filter keeps. */
#ifndef NATLOCK_CTL_TABLE_H
#define NATLOCK_CTL_TABLE_H

#include "filter.h"
#include "rows.h"

/* Takes out of a table of sessions (topic NAT) what does not match; now: wall clock. */
void table_filter(struct rows *rows, const struct filter *filter, uint64_t now_ms);

#endif
