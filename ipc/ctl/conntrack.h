/* Sessions as `conntrack -L` prints them. Rows may hold anything; only printable ASCII comes out. */
#ifndef NATLOCK_CTL_CONNTRACK_H
#define NATLOCK_CTL_CONNTRACK_H

#include <stdio.h>

#include "rows.h"

/* One line a session, of rows of the topic NAT. */
void conntrack_print(FILE *out, const struct rows *sessions);

#endif
