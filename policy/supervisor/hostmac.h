/*
 * The gateway's MAC address where host.mac is auto: 00:AC and four random bytes (seed 3.7.2), drawn once and kept in
 * STATE/mac-HUB, so that guests find the same neighbour after a restart.
 */
#ifndef NATLOCK_SUPERVISOR_HOSTMAC_H
#define NATLOCK_SUPERVISOR_HOSTMAC_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What is kept for this hub, else a new one; false: it is new. Whatever else stands in the file counts as nothing. Syscalls: openat read
 * close getrandom
 */
bool hostmac_find(const char *state, const char *hub, uint8_t mac[6]);
/* Keeps it; state empty: nowhere, and no error. 0 or -errno. Syscalls: mkdir openat write fsync rename close */
int hostmac_keep(const char *state, const char *hub, const uint8_t mac[6]);

#endif
