/*
 * Theory of operation. The kernel tells the end of a worker by its pidfd; everything else (a broken
 * channel, a neighbour's report, no Locked in time) kills the worker first and so arrives by the
 * same way.
 *
 *   ended ─▶ draining or expected ─────────────▶ GONE; the last one ends the hub
 *         ─▶ hub not born yet ─────────────────▶ natlock gives up: the trouble is not transient
 *         ─▶ dhcpd, alg ───────────────────────▶ WAITING(back-off) ─▶ spawn
 *         ─▶ netstack, natproxy of a shard ────▶ the other is killed too; when both are gone: new edges
 *                                                among them, EdgeLost ─▶ broker, WAITING(back-off) ─▶ spawn
 *         ─▶ broker ───────────────────────────▶ all ring sharers are killed too; when all are gone: new
 *                                                edges, QEMU's streams closed, WAITING(back-off) ─▶ spawn
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "birth.h"
#include "crew.h"
#include "edges.h"
#include "hublog.h"
#include "port.h"
#include "spawn.h"
#include "supervisor.h"
#include "tell.h"
#include "watch.h"

uint64_t watch_backoff_ms(uint64_t min_ms, uint64_t max_ms, uint32_t failures)
{
	uint64_t ms = min_ms ? min_ms : 1;
	uint32_t i;

	for (i = 1; i < failures && ms < max_ms; i++)
		ms *= 2;
	return ms < max_ms ? ms : max_ms;
}

static bool alive(const struct worker *w)
{
	return w->pidfd >= 0;
}

static void kill_worker(struct worker *w)
{
	if (alive(w))
		kill(w->pid, SIGKILL);
}

/* "its policy (SIGSYS)", "signal 11", "exit status 1": how a process ended, for the log. */
static const char *manner(int status, char *out, size_t cap)
{
	if (status == 128 + SIGSYS)
		snprintf(out, cap, "was killed by its policy");
	else if (status > 128)
		snprintf(out, cap, "was ended by signal %d", status - 128);
	else
		snprintf(out, cap, "ended with status %d", status);
	return out;
}

static void log_end(struct worker *w, int status)
{
	char how[64];

	hublog_process_ended(w, manner(status, how, sizeof(how)), w->blame);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events);

static void set_timer(struct worker *w, double seconds)
{
	struct ev_loop *loop = w->hub->super->loop;

	ev_timer_stop(loop, &w->timer);
	ev_timer_init(&w->timer, on_timer, seconds, 0.0);
	w->timer.data = w;
	ev_timer_start(loop, &w->timer);
}

static void wait_for_turn(struct worker *w)
{
	const Nl__Policy *policy = w->hub->super->config->policy;
	uint64_t ms = watch_backoff_ms(
		policy->restart_backoff_min->ms, policy->restart_backoff_max->ms, w->failures);

	w->state = WORKER_WAITING;
	set_timer(w, (double)ms / 1000.0);
}

/* Whether b cannot go on without a: those that share rings with it, or all of them when a is the
 * broker or there is no broker that goes on. */
static bool shares_fate(const struct worker *a, const struct worker *b)
{
	bool broker_goes_on = hub_worker(a->hub, ACTOR_BROKER, 0)->state == WORKER_RUNNING;

	if (!share_has_ring(a->id) || !share_has_ring(b->id))
		return a == b;
	return !broker_goes_on || (topology_is_sharded(b->id) && a->shard == b->shard);
}

/* Those that share the dead one's fate and are still there are ended too; true when all of them are
 * gone. */
static bool all_gone(const struct worker *dead)
{
	struct hub *hub = dead->hub;
	bool gone = true;
	unsigned int i;

	for (i = 0; i < hub->workers; i++) {
		struct worker *w = &hub->worker[i];

		if (!shares_fate(dead, w) || !alive(w))
			continue;
		kill_worker(w);
		w->state = WORKER_GONE; /* its end is our doing */
		gone = false;
	}
	return gone;
}

static void wait_together(const struct worker *dead)
{
	struct hub *hub = dead->hub;
	uint32_t failures = 0;
	unsigned int i;

	for (i = 0; i < hub->workers; i++)
		if (shares_fate(dead, &hub->worker[i]) && hub->worker[i].failures > failures)
			failures = hub->worker[i].failures;
	for (i = 0; i < hub->workers; i++) {
		struct worker *w = &hub->worker[i];

		if (!shares_fate(dead, w))
			continue;
		edges_flush(w);
		w->failures = failures;
		wait_for_turn(w);
	}
}

/* New memory and channels where the dead ones had some among themselves. */
static int renew_edges(const struct worker *dead)
{
	struct hub *hub = dead->hub;
	int error = 0;

	if (!share_has_ring(dead->id))
		return 0;
	if (hub_worker(hub, ACTOR_BROKER, 0)->state == WORKER_RUNNING) {
		error = edges_renew_shard(hub, dead->shard);
		tell_lost(hub, dead->shard);
		return error;
	}
	error = edges_renew(hub);
	port_restart(hub);
	return error;
}

static void replace(struct worker *dead)
{
	struct hub *hub = dead->hub;
	int error;

	dead->restarts++;
	if (!all_gone(dead))
		return;
	hub->generation++;
	error = renew_edges(dead);
	if (error)
		supervisor_note(hub->super, "hub %s: no shared memory: %s", hub->conf->name,
			strerror(-error));
	wait_together(dead);
}

bool watch_alive(const struct hub *hub)
{
	unsigned int i;

	for (i = 0; i < hub->workers; i++)
		if (alive(&hub->worker[i]))
			return true;
	return false;
}

void watch_end_if_last(struct hub *hub)
{
	if (!watch_alive(hub))
		supervisor_hub_gone(hub);
}

static void stillborn(struct worker *w, int status)
{
	struct trouble t;
	char how[64];

	trouble(&t, EXIT_FAILED, "E0605", "the process %s %s before it was ready", w->name,
		manner(status, how, sizeof(how)));
	if (w->blame[0])
		trouble_cause(&t, "%s", w->blame);
	trouble_fix(&t, "See: natlock doctor");
	supervisor_hub_failed(w->hub, &t);
}

/* Whether this end is the first of a series or only the company of one. */
static void count_failure(struct worker *w)
{
	bool stable = w->state == WORKER_RUNNING && ev_time() - w->started > WATCH_STABLE_SECONDS;

	w->failures = stable ? 1 : w->failures + 1;
}

/* Of one that we ended for a neighbour's sake: whether it broke its policy, or failed, just before. */
static bool came_before_us(int status)
{
	return status > 128 && status != 128 + SIGKILL;
}

/* It is dead, and its tracer has yet to hear of it: the timer asks again. */
static bool is_unreaped(struct worker *w)
{
	return alive(w) && !ev_is_active(&w->exit_io);
}

static void on_exit_fd(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct worker *w = io->data;
	struct hub *hub = w->hub;
	enum worker_state was = w->state;
	int status = spawn_reap(w->pidfd);

	if (status == -EAGAIN) {
		ev_io_stop(loop, io);
		set_timer(w, WATCH_REAP_MS / 1000.0);
		return;
	}
	watch_end(w);
	w->pidfd = -1;
	crew_forget(w);
	operator_worker_gone(&hub->super->op, w);
	if (hub->draining || was == WORKER_DRAINING) {
		w->state = WORKER_GONE;
		watch_end_if_last(hub);
		return;
	}
	if (!hub->born) {
		w->state = WORKER_GONE;
		stillborn(w, status);
		return;
	}
	if (was != WORKER_GONE) {
		log_end(w, status);
		count_failure(w);
	} else if (came_before_us(status)) {
		log_end(w, status);
	}
	w->state = WORKER_GONE;
	replace(w);
}

static void respawn(struct worker *w)
{
	struct trouble t;
	char line[512];

	if (birth_spawn(w, 1, &t) == 0)
		return;
	supervisor_note(w->hub->super, "%s", trouble_text(&t, line, sizeof(line)));
	w->failures++;
	wait_for_turn(w);
}

/* A shard that waits for the broker to let go of its predecessor is not to blame itself. */
static void not_ready(struct worker *w)
{
	struct hub *hub = w->hub;

	if (w->state == WORKER_LOCKED && share_has_ring(w->id) && hub->edge[w->shard] == EDGE_LOST)
		w = hub_worker(hub, ACTOR_BROKER, 0);
	watch_condemn(w, "it was not ready in time");
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct worker *w = timer->data;

	if (is_unreaped(w)) {
		ev_io_start(loop, &w->exit_io);
		return;
	}
	switch (w->state) {
	case WORKER_WAITING: respawn(w); break;
	case WORKER_BOOTING:
	case WORKER_LOCKED: not_ready(w); break;
	case WORKER_DRAINING: kill_worker(w); break;
	case WORKER_RUNNING: watch_condemn(w, "it closed its channel and went on"); break;
	case WORKER_GONE: break;
	}
}

void watch_begin(struct worker *w)
{
	ev_io_init(&w->exit_io, on_exit_fd, w->pidfd, EV_READ);
	w->exit_io.data = w;
	ev_io_start(w->hub->super->loop, &w->exit_io);
	set_timer(w, WATCH_BOOT_SECONDS);
}

void watch_end(struct worker *w)
{
	ev_io_stop(w->hub->super->loop, &w->exit_io);
	ev_timer_stop(w->hub->super->loop, &w->timer);
}

void watch_started(struct worker *w)
{
	ev_timer_stop(w->hub->super->loop, &w->timer);
	w->started = ev_time();
	if (w->restarts > 0)
		hublog_process_started(w);
}

void watch_closed(struct worker *w)
{
	if (w->state == WORKER_RUNNING && !is_unreaped(w))
		set_timer(w, WATCH_END_SECONDS);
}

void watch_deaf(struct hub *hub)
{
	unsigned int i;

	for (i = 0; i < hub->workers; i++)
		if (alive(&hub->worker[i]) && hub->worker[i].chan.refused)
			watch_condemn(&hub->worker[i], "it does not read its channel");
}

void watch_condemn(struct worker *w, const char *why)
{
	if (!w->blame[0])
		snprintf(w->blame, sizeof(w->blame), "%s", why);
	kill_worker(w);
}

static bool neighbours(enum actor_id x, enum actor_id y)
{
	unsigned int e;

	for (e = 0; e < share_edge_count; e++)
		if ((share_edges[e].a == x && share_edges[e].b == y) ||
			(share_edges[e].a == y && share_edges[e].b == x))
			return true;
	return false;
}

/* How much ends with it: itself, its shard, the hub. */
static int reach(enum actor_id id)
{
	return (int)share_has_ring(id) + (int)(id == ACTOR_BROKER);
}

/* dhcpd and alg are done with an edge that they reported and hear of no successor beyond it: they are replaced with it. */
static void accuse(struct worker *from, struct worker *w, const char *why)
{
	bool below = reach(from->id) < reach(w->id);
	bool again = w->suspected && ev_time() - w->suspected < WATCH_SUSPECT_SECONDS;
	char said[sizeof(from->blame)];

	if (from->blame[0]) /* condemned already: its further words weigh nothing */
		return;
	if (!below || again)
		watch_condemn(w, why);
	if (!below)
		return;
	w->suspected = ev_time();
	snprintf(said, sizeof(said), "%.100s; %s", why,
		again ? "it was believed" : "that is its word alone");
	watch_condemn(from, said);
}

/* Whether the broker has still to let go of the predecessor, whose ring the successor has begun anew: what it says is of that one. */
static bool is_lost(const struct worker *w)
{
	return topology_is_sharded(w->id) && share_has_ring(w->id) &&
	       w->hub->edge[w->shard] == EDGE_LOST;
}

void watch_incident(struct worker *from, const char *liar, unsigned int shard, const char *what)
{
	enum actor_id id = spawn_actor_by_name(liar);
	/* Who knows one shard only means its own; that it is called 0 there is no matter. */
	bool same = topology_is_sharded(from->id) && topology_is_sharded(id);
	struct worker *w = hub_worker(from->hub, id, same ? from->shard : shard);
	char why[160];

	if (!w || !neighbours(from->id, id)) {
		watch_condemn(from, "it reported a process that it cannot know");
		return;
	}
	if (from->id == ACTOR_BROKER && is_lost(w))
		return;
	snprintf(why, sizeof(why), "%s reports: %s", from->name, what);
	accuse(from, w, why);
}

void watch_draining(struct worker *w)
{
	if (!alive(w)) {
		ev_timer_stop(w->hub->super->loop, &w->timer);
		w->state = WORKER_GONE;
		return;
	}
	if (w->state != WORKER_RUNNING)
		kill_worker(w);
	w->state = WORKER_DRAINING;
	set_timer(w, WATCH_DRAIN_SECONDS);
}

void watch_restart(struct worker *w)
{
	watch_condemn(w, "restart was asked for");
}
