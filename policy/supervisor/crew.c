/*
 * Theory of operation. A hub's edges (socket pairs, rings, doorbells) are made first and kept: a
 * worker gets copies, so its successor can be given the same or new ones. How workers start is
 * birth.c's, how they end watch.c's; here is what they say in between.
 *
 * A worker that says something out of turn, or nonsense, is condemned like one that died.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "birth.h"
#include "crew.h"
#include "edges.h"
#include "hublog.h"
#include "names.h"
#include "port.h"
#include "super_dispatch.h"
#include "supervisor.h"
#include "tell.h"
#include "watch.h"

enum { RECORDS_A_TURN = 64 };

int super_on_actor_drained(struct super_peer *p, const Nl__ActorDrained *m, struct chan_in *in)
{
	return p->w->state == WORKER_DRAINING ? 0 : -EPROTO;
}

int super_on_actor_rows(struct super_peer *p, const Nl__ActorRows *m, struct chan_in *in)
{
	operator_on_rows(&p->w->hub->super->op, p->w, m);
	return 0;
}

int super_on_actor_answer(struct super_peer *p, const Nl__ActorAnswer *m, struct chan_in *in)
{
	operator_on_answer(&p->w->hub->super->op, p->w, m);
	return 0;
}

int super_on_actor_note(struct super_peer *p, const Nl__ActorNote *m, struct chan_in *in)
{
	if (m->kind == NL__ACTOR_NOTE__KIND__SECURITY)
		return hublog_note(p->w, m, in->pool);
	if (!m->text || strlen(m->text) > SECLOG_LINE)
		return -EPROTO;
	supervisor_note_of(p->w, m->text);
	return 0;
}

int super_on_actor_incident(struct super_peer *p, const Nl__ActorIncident *m, struct chan_in *in)
{
	if (!m->actor || !m->what)
		return -EPROTO;
	watch_incident(p->w, m->actor, m->shard, m->what);
	return 0;
}

int super_on_port_closed(struct super_peer *p, const Nl__PortClosed *m, struct chan_in *in)
{
	struct hub *hub = p->w->hub;

	if (m->port >= HUB_PORTS)
		return -EPROTO;
	/* What a liar closed would stay closed for its successor too. */
	if (port_is_there(hub, m->port) && !hub->port[m->port].detaching)
		return -EPROTO;
	port_remove(hub, m->port);
	return 0;
}

/* Answers only after crew_sync: the sequence number waits in the order in which commits came. */
struct commits {
	uint64_t sequence[RECORDS_A_TURN];
	bool refused[RECORDS_A_TURN];
	unsigned int count;
};
static struct commits commits[SUPERVISOR_HUBS];

/*
 * What a liar commits outlives it: so only addresses that guests of this hub can have, or had before its address was changed
 * (their leases end too).
 */
static bool is_of_hub(const struct hub *hub, const Nl__Lease *m)
{
	const Nl__VirtualHost *host = hub->conf->host;

	if (!m)
		return false;
	return ((m->ip_be ^ host->address->be) & host->netmask->be) == 0 ||
	       store_knows(&hub->store, m->ip_be);
}

int super_on_lease_commit(struct super_peer *p, const Nl__LeaseCommit *m, struct chan_in *in)
{
	struct hub *hub = p->w->hub;
	struct commits *c = &commits[hub->index];

	if (c->count == RECORDS_A_TURN)
		crew_sync(hub);
	c->sequence[c->count] = m->sequence;
	c->refused[c->count] = !is_of_hub(hub, m->lease) || store_commit(&hub->store, m->lease) < 0;
	if (!c->refused[c->count++])
		names_learn(hub, m->lease);
	return 0;
}

/* The operator hears when storing begins to fail, and when it is over. */
static int sync_leases(struct hub *hub)
{
	struct store *s = &hub->store;
	bool failed = s->failing;
	int error = store_sync(s);

	if (error < 0 && !failed)
		supervisor_note(hub->super,
			"leases cannot be stored in %s: %s. %s. Until then nobody gets a new one",
			s->path, strerror(-error), store_advice(error));
	else if (failed && !s->failing)
		supervisor_note(hub->super, "leases are stored again in %s", s->path);
	return error;
}

void crew_sync(struct hub *hub)
{
	struct commits *c = &commits[hub->index];
	struct worker *w = hub_worker(hub, ACTOR_DHCPD, 0);
	int error = sync_leases(hub);
	unsigned int i;

	for (i = 0; i < c->count; i++) {
		Nl__LeaseCommitted m = NL__LEASE_COMMITTED__INIT;

		m.has_sequence = m.has_stored = true;
		m.sequence = c->sequence[i];
		m.stored = error == 0 && !c->refused[i];
		if (w->state == WORKER_RUNNING || w->state == WORKER_DRAINING)
			dhcpd_send_lease_committed(&w->chan, &m, NULL, 0);
	}
	c->count = 0;
}

static int dispatch(struct worker *w, struct chan_in *in)
{
	struct super_peer peer = {w};

	switch (w->id) {
	case ACTOR_BROKER: return super_dispatch_broker(&peer, in);
	case ACTOR_NETSTACK: return super_dispatch_netstack(&peer, in);
	case ACTOR_NATPROXY: return super_dispatch_natproxy(&peer, in);
	case ACTOR_DHCPD: return super_dispatch_dhcpd(&peer, in);
	case ACTOR_ALG: return super_dispatch_alg(&peer, in);
	case ACTOR_COUNT: break;
	}
	return -EPROTO;
}

static void on_record(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct worker *w = io->data;
	struct chan_in in;
	unsigned int budget = RECORDS_A_TURN;
	int r = 0;

	while (budget-- > 0 && (r = chan_recv(&w->chan, &in)) > 0) {
		r = dispatch(w, &in);
		if (r < 0)
			break;
	}
	if (r < 0)
		ev_io_stop(loop, &w->record_io); /* its end comes by pidfd */
	if (r == -EPROTO)
		watch_condemn(w, "it broke the rules of its channel");
	else if (r < 0)
		watch_closed(w);
}

static void on_writable(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct worker *w = io->data;

	if (chan_flush(&w->chan) == 1)
		return;
	ev_io_stop(loop, io);
	if (w->names_behind && !w->chan.error)
		names_tell(w);
}

void crew_flush(struct hub *hub)
{
	unsigned int i;

	for (i = 0; i < hub->workers; i++) {
		struct worker *w = &hub->worker[i];

		if (w->chan.fd >= 0 && !w->chan.error && w->chan.queue_bytes > 0)
			ev_io_start(hub->super->loop, &w->flush_io);
	}
}

int crew_channel(struct worker *w, int *theirs)
{
	int pair[2];
	int error = edges_pair(pair);

	if (error)
		return error;
	edges_take_no_descriptors(pair[0]);
	if (!w->queue)
		w->queue = malloc(HUB_QUEUE_BYTES);
	chan_init(
		&w->chan, pair[0], &w->hub->super->pool, w->queue, w->queue ? HUB_QUEUE_BYTES : 0);
	ev_io_init(&w->record_io, on_record, pair[0], EV_READ);
	ev_io_init(&w->flush_io, on_writable, pair[0], EV_WRITE);
	w->record_io.data = w->flush_io.data = w;
	*theirs = pair[1];
	return 0;
}

int crew_open(struct hub *hub, struct trouble *t)
{
	int error;

	hub->generation = 1;
	error = edges_open(hub);
	if (error) {
		trouble(t, EXIT_FAILED, "E0604", "cannot make the workers' shared memory");
		return trouble_cause(t, "%s", strerror(-error));
	}
	return birth_spawn(hub->worker, hub->workers, t);
}

void crew_forget(struct worker *w)
{
	struct ev_loop *loop = w->hub->super->loop;

	if (w->chan.fd < 0)
		return;
	ev_io_stop(loop, &w->record_io);
	ev_io_stop(loop, &w->flush_io);
	close(w->chan.fd);
	w->chan.fd = -1;
	w->pid = 0;
}

void crew_drain(struct hub *hub)
{
	unsigned int i;

	hub->draining = true;
	grant_silence(hub);
	for (i = 0; i < hub->workers; i++) {
		tell_drain(&hub->worker[i]);
		watch_draining(&hub->worker[i]);
	}
	watch_end_if_last(hub);
}

void crew_close(struct hub *hub)
{
	unsigned int i;

	for (i = 0; i < hub->workers; i++) {
		crew_forget(&hub->worker[i]);
		free(hub->worker[i].queue);
		hub->worker[i].queue = NULL;
	}
	edges_close(hub);
}
