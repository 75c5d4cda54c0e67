/* Leases as other DHCP servers keep them. Rows may hold anything; only printable ASCII comes out. */
#ifndef NATLOCK_CTL_EXPORT_H
#define NATLOCK_CTL_EXPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "rows.h"

/* Rows of the topic DHCP as the file of "kea" (memfile, version 3.0) or "dnsmasq"; false: neither. */
bool export_print(FILE *out, const struct rows *leases, const char *format);

#endif
