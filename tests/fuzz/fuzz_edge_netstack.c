/*
 * netstack between a hostile broker and a hostile natproxy: records and ring entries of both, in any order. What frames
 * of guests do is fuzz_stack_frame's.
 */
#include <stdlib.h>

#include "edge.h"

#define calloc(count, bytes) edge_alloc(count, bytes)
#define main		     netstack_main
int main(void);
#include "../../netstack/main.c"
#undef main

static void check(const struct actor *a, const void *self)
{
	edge_require(a->link[0].release_count <= LINK_RELEASES_MAX);
	edge_require(a->link[1].release_count <= LINK_RELEASES_MAX);
}

const struct edge_target edge_target = {
	.worker = netstack_main,
	.state_bytes = sizeof(struct netstack),
	.shards = 1,
	.first_fd = NETSTACK_STRAY_FIRST,
	.heard = {&nl__super_to_netstack__descriptor, &nl__broker_to_netstack__descriptor,
		&nl__natproxy_to_netstack__descriptor},
	.check = check,
};
