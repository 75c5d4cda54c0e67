/*
 * Theory of operation: see hub.h. A hub has one broker and one dhcpd; of netstack, natproxy and alg
 * it has one a shard. With one shard the names are the actors'; with more they carry its number.
 */
#include <stdio.h>
#include <string.h>

#include "hub.h"
#include "spawn.h"

static void add(struct hub *hub, enum actor_id id, unsigned int shard)
{
	struct worker *w = &hub->worker[hub->workers++];

	*w = (struct worker){.hub = hub,
		.id = id,
		.shard = shard,
		.state = WORKER_GONE,
		.pidfd = -1,
		.chan = {.fd = -1}};
	if (hub->shards > 1 && topology_is_sharded(id))
		snprintf(w->name, sizeof(w->name), "%s.%u", spawn_actor_name(id), shard);
	else
		snprintf(w->name, sizeof(w->name), "%s", spawn_actor_name(id));
}

void hub_crew(struct hub *hub)
{
	unsigned int id, shard;

	hub->workers = 0;
	for (id = 0; id < ACTOR_COUNT; id++)
		for (shard = 0; shard < share_count((enum actor_id)id, hub->shards); shard++)
			add(hub, (enum actor_id)id, shard);
}

struct worker *hub_worker(struct hub *hub, enum actor_id id, unsigned int shard)
{
	unsigned int i;

	for (i = 0; i < hub->workers; i++)
		if (hub->worker[i].id == id && hub->worker[i].shard == shard)
			return &hub->worker[i];
	return NULL;
}

struct worker *hub_worker_by_name(struct hub *hub, const char *name)
{
	unsigned int i;

	for (i = 0; i < hub->workers; i++)
		if (name && strcmp(hub->worker[i].name, name) == 0)
			return &hub->worker[i];
	return NULL;
}

unsigned int hub_worker_number(const struct worker *w)
{
	return w->hub->first_worker + (unsigned int)(w - w->hub->worker);
}
