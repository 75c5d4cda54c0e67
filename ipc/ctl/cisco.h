/* Sessions as Cisco IOS shows them. Rows may hold anything; only printable ASCII comes out. */
#ifndef NATLOCK_CTL_CISCO_H
#define NATLOCK_CTL_CISCO_H

#include <stdio.h>

#include "rows.h"

/* show ip nat translations: what is fixed, rows of FORWARDS; then sessions, rows of NAT. */
void cisco_translations(FILE *out, const struct rows *forwards, const struct rows *sessions);
/* show ip nat statistics: rows of HUBS and of FORWARDS. */
void cisco_statistics(FILE *out, const struct rows *hubs, const struct rows *forwards);

#endif
