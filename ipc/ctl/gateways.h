/* The application-level gateways of a hub: each shard has its own rows, people see one for each. */
#ifndef NATLOCK_CTL_GATEWAYS_H
#define NATLOCK_CTL_GATEWAYS_H

#include "rows.h"

/* Makes one row (AlgRow) of those that have the same name: numbers are added up, settings are the first's. */
void gateways_merge(struct rows *rows);

#endif
