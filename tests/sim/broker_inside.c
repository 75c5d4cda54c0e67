/* The broker's own shell and ports, with main renamed; its reads and writes go to the simulation's cable (port_sim.h). */
#include "look.h"

#define main broker_main
#include "../../broker/main.c"
#undef main

void broker_look(const void *self, struct look *out)
{
	const struct broker *b = self;
	for (uint64_t left = b->bridge.attached; left; left &= left - 1) {
		const struct bridge_port *p = &b->bridge.port[__builtin_ctzll(left)];
		out->entries += p->lent[0] + p->lent[1] + p->egress.pending.used;
	}
	out->ready[BUF_SMALL] = b->bridge.offer[BUF_SMALL] != 0;
	out->ready[BUF_LARGE] = b->bridge.offer[BUF_LARGE] != 0;
}
