/* natproxy's own shell and watchers with main renamed; the sockets below are sock_sim.c's. */
#include "look.h"

#define main natproxy_main
#include "../../natproxy/main.c"
#undef main

void natproxy_look(const void *self, struct look *out)
{
	const struct natproxy *np = &((const struct shell *)self)->core;
	for (uint32_t ref = NAT_NONE; (ref = nat_next(&np->nat, ref));)
		out->entries++;
	for (uint32_t i = 0; i < FLOW_MAX; i++)
		out->entries += np->flow[i].kind != FLOW_NONE;
	out->entries +=
		np->sockets_open + np->inspects + np->incomings + np->dns.live + np->reading_flows;
	for (int i = 0; i < NATPROXY_BURSTS; i++)
		out->entries += np->burst[i].count;
	for (uint32_t i = 0; i < SOCK_BATCH; i++) {
		out->ready[BUF_SMALL] += np->slot[i].small != 0;
		out->ready[BUF_LARGE] += np->slot[i].large != 0;
	}
}
