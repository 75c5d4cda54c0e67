/* What the simulation may see of an actor's inside, filled in by <actor>_inside.c. */
#ifndef NATLOCK_TESTS_SIM_LOOK_H
#define NATLOCK_TESTS_SIM_LOOK_H

#include <stdint.h>

struct look {
	uint32_t entries;  /* of all tables that flows use: 0 when the actor is at rest */
	uint32_t ready[2]; /* buffers of its own arena that it keeps in hand, per class */
	uint64_t segments_in, segments_out, retransmits, timeouts; /* netstack */
};

int broker_main(void);
int netstack_main(void);
int natproxy_main(void);
int dhcpd_main(void);
int alg_main(void);
void broker_look(const void *self, struct look *out);
void netstack_look(const void *self, struct look *out);
void natproxy_look(const void *self, struct look *out);
void dhcpd_look(const void *self, struct look *out);
void alg_look(const void *self, struct look *out);

#endif
