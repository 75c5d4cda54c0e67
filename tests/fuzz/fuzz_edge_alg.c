/* alg between a hostile natproxy and a supervisor that says anything. */
#include "edge.h"

#define main alg_main
int main(void);
#include "../../alg/main.c"
#undef main

/* Every flow is in one chain or free, and a flow that is not there holds no buffer. */
static void check(const struct actor *a, const void *self)
{
	const struct alg *alg = self;
	uint32_t free_flows = 0, used = 0;
	for (uint16_t i = alg->free; i != NONE; i = alg->flow[i].next)
		free_flows += !alg->flow[i].used;
	for (int i = 0; i < FLOWS; i++)
		used += alg->flow[i].used;
	edge_require(free_flows + used == FLOWS);
	edge_require(used || (alg->pool.small_count == STREAM_SMALL_COUNT &&
				     alg->pool.large_count == STREAM_LARGE_COUNT));
}

const struct edge_target edge_target = {
	.worker = alg_main,
	.state_bytes = sizeof(struct alg),
	.shards = 1,
	.first_fd = ALG_STRAY_FIRST,
	.heard = {&nl__super_to_alg__descriptor, &nl__natproxy_to_alg__descriptor},
	.check = check,
};
