/* dhcpd between a hostile broker and a supervisor that says anything. */
#include <stdlib.h>

#include "edge.h"

#define calloc(count, bytes) edge_alloc(count, bytes)
#define main		     dhcpd_main
int main(void);
#include "../../dhcpd/main.c"
#undef main

/* Every lease is in one list, and the lists' counts are what they hold. */
static void check(const struct actor *a, const void *self)
{
	const struct lease_pool *p = &((const struct dhcpd *)self)->engine.pool;
	uint32_t seen = 0;
	for (int state = 0; state < LEASE_STATES; state++)
		seen += p->list[state].count;
	edge_require(seen == p->top && seen - p->list[LEASE_UNUSED].count == p->count);
	edge_require(p->top <= LEASE_MAX);
}

const struct edge_target edge_target = {
	.worker = dhcpd_main,
	.state_bytes = sizeof(struct dhcpd),
	.shards = 1,
	.first_fd = DHCPD_STRAY_FIRST,
	.heard = {&nl__super_to_dhcpd__descriptor, &nl__broker_to_dhcpd__descriptor},
	.check = check,
};
