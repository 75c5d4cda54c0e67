/* The five actors, booted with natlock's defaults, and what a supervisor is to them; and what every scenario ends with. */
#ifndef NATLOCK_TESTS_SIM_GATEWAY_H
#define NATLOCK_TESTS_SIM_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "actors.h"

enum { GATEWAY_NOTES = 256, GATEWAY_NOTE_BYTES = 256 };

/* tap: the port is a TAP with virtio-net headers, else a datagram socket with plain frames. */
void gateway_boot(bool tap);
/* Boot, lease, ARP: the guest is ready to talk. A perfect cable unless cable_set says otherwise later. */
void gateway_with_guest(bool tap);
/* The hub's configuration, to be changed, then to be heard of by one actor after the other. */
Nl__Hub *gateway_hub(void);
void gateway_configure(enum actor_id id);
/* The guest's port is taken off the hub; ports that the broker said are closed. */
void gateway_kick(void);
uint32_t gateway_ports_closed(void);
/* Lines of the logs so far that contain a text. */
uint32_t gateway_notes(const char *part);
/* Leases that the supervisor stored. */
uint32_t gateway_commits(void);
uint64_t gateway_drops(enum actor_id id, enum drop why);
uint64_t gateway_drops_all(void);
/* Buffers of an arena that are neither free nor kept in hand. */
uint32_t gateway_buffers_out(enum actor_id id);
/*
 * Lets all timers pass and checks that nothing is left: every table empty, every buffer free, no socket open, no
 * incident, no doorbell lost. Fails the test otherwise, saying what is left.
 */
void gateway_at_rest(void);

#endif
