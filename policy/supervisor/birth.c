/*
 * Theory of operation. A worker's whole start-up is driven by what it says: Hello brings it Boot,
 * Locked may complete its group, and a complete group is told what it must know, then Start. No
 * guest byte is parsed by an unlocked process, because no port is attached before.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../filters.h"
#include "birth.h"
#include "crew.h"
#include "edges.h"
#include "super_dispatch.h"
#include "supervisor.h"
#include "tell.h"
#include "watch.h"

/* Sharers of rings start together with those they share them with. */
static bool share_rings(const struct worker *a, const struct worker *b)
{
	bool one_serves_all = !topology_is_sharded(a->id) || !topology_is_sharded(b->id);

	return share_has_ring(a->id) && share_has_ring(b->id) &&
	       (one_serves_all || a->shard == b->shard);
}

bool birth_group_locked(const struct worker *w)
{
	const struct hub *hub = w->hub;
	unsigned int i;

	if (share_has_ring(w->id) && hub->edge[w->shard] == EDGE_LOST)
		return false;
	for (i = 0; i < hub->workers; i++) {
		const struct worker *other = &hub->worker[i];

		if (hub->born && other != w && !share_rings(w, other))
			continue;
		if (other->state != WORKER_LOCKED && other->state != WORKER_RUNNING)
			return false;
	}
	return true;
}

static void start(struct worker *w)
{
	tell_first(w);
	if (w->state != WORKER_LOCKED || tell_start(w) < 0)
		return;
	w->state = WORKER_RUNNING;
	watch_started(w);
	if (w->hub->born)
		tell_renewed(w);
	if (w->stale && tell_configure(w) < 0)
		watch_condemn(w, "it does not take its configuration");
	w->stale = false;
}

/* The memory of a netstack can be sealed: all that map it have. */
static int seal_for(const struct worker *w)
{
	return w->id == ACTOR_NETSTACK ? share_seal(&w->hub->share, w->shard) : 0;
}

/* Everybody that waited for the last one of its group. */
static void start_complete(struct hub *hub)
{
	unsigned int i;

	for (i = 0; i < hub->workers; i++) {
		struct worker *w = &hub->worker[i];

		if (w->state != WORKER_LOCKED || !birth_group_locked(w))
			continue;
		if (seal_for(w) < 0)
			watch_condemn(w, "the rings cannot be sealed");
		else
			start(w);
	}
}

static void start_group(struct worker *last)
{
	struct hub *hub = last->hub;

	start_complete(hub);
	if (!hub->born) {
		hub->born = true;
		supervisor_hub_born(hub);
	}
}

int super_on_actor_hello(struct super_peer *p, const Nl__ActorHello *m, struct chan_in *in)
{
	if (p->w->state != WORKER_BOOTING)
		return -EPROTO;
	if (tell_boot(p->w) < 0)
		watch_condemn(p->w, "Boot could not be sent");
	return 0;
}

/* A worker whose filter is missing from this build, or differs from it, never sees a guest's byte. */
static bool wears_filter(const struct worker *w, const Nl__ActorLocked *m)
{
	const struct policy_filter *filter = policy_filter_find(spawn_actor_name(w->id));

	return filter && m->has_filter_hash && m->filter_hash == filter->hash;
}

int super_on_actor_locked(struct super_peer *p, const Nl__ActorLocked *m, struct chan_in *in)
{
	if (p->w->state != WORKER_BOOTING)
		return -EPROTO;
	if (!wears_filter(p->w, m)) {
		watch_condemn(p->w, "it is not behind the filter that was compiled for it");
		return 0;
	}
	p->w->landlock_abi = m->landlock_abi;
	p->w->state = WORKER_LOCKED;
	if (birth_group_locked(p->w))
		start_group(p->w);
	return 0;
}

static void fill_plan(const struct worker *w, struct spawn_plan *plan, int super_fd)
{
	const struct hub *hub = w->hub;

	*plan = (struct spawn_plan){
		.id = w->id,
		.name = w->name,
		.uid = identity_worker(&hub->super->identity, hub_worker_number(w)),
		.super_fd = super_fd,
		.probe_echo = w->id == ACTOR_NATPROXY,
	};
	edges_plan(w, plan);
}

static void adopt(struct worker *w, const struct spawned *born)
{
	w->pid = born->pid;
	w->pidfd = born->pidfd;
	if (w->id == ACTOR_NATPROXY)
		w->hub->echo_allowed = born->echo_allowed || grant_echo_has(w->hub, w->shard);
	w->state = WORKER_BOOTING;
	w->blame[0] = '\0';
	w->suspected = 0;
	w->stale = false;
	ev_io_start(w->hub->super->loop, &w->record_io);
	watch_begin(w);
}

int birth_spawn(struct worker *w, unsigned int count, struct trouble *t)
{
	struct spawn_plan plan[HUB_WORKERS];
	struct spawned born[HUB_WORKERS];
	int theirs[HUB_WORKERS], result = 0, error = 0;
	unsigned int opened = 0, i;

	while (opened < count && (error = crew_channel(&w[opened], &theirs[opened])) == 0) {
		fill_plan(&w[opened], &plan[opened], theirs[opened]);
		opened++;
	}
	if (error) {
		trouble(t, EXIT_FAILED, "E0603", "cannot make a channel for %s", w[opened].name);
		result = trouble_cause(t, "%s", strerror(-error));
	} else {
		result = spawn_workers(&w->hub->super->binaries, plan, born, count, t);
	}
	for (i = 0; i < opened; i++) {
		close(theirs[i]);
		if (result == 0) {
			adopt(&w[i], &born[i]);
			continue;
		}
		close(w[i].chan.fd);
		w[i].chan.fd = -1;
	}
	return result;
}

int super_on_edge_cleared(struct super_peer *p, const Nl__EdgeCleared *m, struct chan_in *in)
{
	struct hub *hub = p->w->hub;

	if (m->shard >= hub->shards)
		return -EPROTO;
	if (hub->edge[m->shard] != EDGE_LOST || m->generation != hub->lost_generation[m->shard])
		return 0;
	hub->edge[m->shard] = EDGE_CLEARED;
	start_complete(hub);
	return 0;
}
