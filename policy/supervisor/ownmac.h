/*
 * The gateway's own MAC address on a hub where host.mac is auto: chosen once (seed 3.7.2: 00:AC and
 * random bytes), kept in the state folder, so that guests and switches know the gateway again after
 * a restart.
 */
#ifndef NATLOCK_SUPERVISOR_OWNMAC_H
#define NATLOCK_SUPERVISOR_OWNMAC_H

#include <stdint.h>

/* The address kept for this hub below `state`, or where there is none (or no folder: "") a new one.
 * Syscalls: openat read close getrandom */
void ownmac_find(const char *state, const char *hub, uint8_t mac[6]);
/* Keeps it. 0 (also where there is no folder), or -errno. Syscalls: openat write fdatasync close
 * rename unlink */
int ownmac_keep(const char *state, const char *hub, const uint8_t mac[6]);

#endif
