/* Tables in the text format of Prometheus. Rows may hold anything; only printable ASCII comes out. */
#ifndef NATLOCK_CTL_METRICS_H
#define NATLOCK_CTL_METRICS_H

#include <stdio.h>

#include "rows.h"

enum { METRICS_HUBS = 64, METRICS_TABLES = 3 + 3 * METRICS_HUBS };

struct metrics_table {
	Nl__Topic topic;
	const char *hub; /* whose table it is, where the rows do not say */
	struct rows rows;
};

/* All families, each with the rows of all tables that it is in. */
void metrics_print(FILE *out, const struct metrics_table *tables, size_t count);

#endif
