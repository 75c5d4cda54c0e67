/*
 * The cable between the guest and the hub's port, with everything that goes wrong on cables: seeded, so that the same
 * frames meet the same fate in each run.
 */
#ifndef NATLOCK_TESTS_SIM_CABLE_H
#define NATLOCK_TESTS_SIM_CABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "wire/wire.h"

enum {
	CABLE_FRAME_MAX = 14 + 4 + 65535,
	CABLE_QUEUE = 1000 /* frames that wait to be sent, as a TAP's txqueuelen */
};

/* Parts in a million of the frames, each direction on its own. */
struct cable_profile {
	uint32_t loss, duplicate, reorder, damage, truncate;
	bool pairs;		       /* a lost frame takes the next one with it */
	uint64_t delay_ns, reorder_ns; /* reordered frames come so much later */
	uint64_t bits_per_second;      /* 0 = no limit */
};

struct cable_counts {
	uint64_t lost, duplicated, reordered, damaged, truncated;
};

enum cable_way { CABLE_UP, CABLE_DOWN, CABLE_WAYS };

void cable_set(const struct cable_profile *p, uint64_t seed);
/* Copies one frame into the cable. False: the queue is full. */
bool cable_send(
	enum cable_way way, const struct wire_vnet *vnet, const uint8_t *frame, uint32_t bytes);
/* Whether a frame would be taken now. */
bool cable_has_room(enum cable_way way);
const struct cable_counts *cable_counts(enum cable_way way);

/* The ends: port_sim.c and guest.c. */
void port_sim_frame(const struct wire_vnet *vnet, const uint8_t *frame, uint32_t bytes);
void guest_frame(const struct wire_vnet *vnet, const uint8_t *frame, uint32_t bytes);

#endif
