/*
 * Theory of operation. A hub's edges (socket pairs, rings, doorbells) are made first and kept: a
 * worker gets copies, so its successor can be given the same or new ones. A worker's whole start-up
 * is driven by what it says: Hello brings it Boot, Locked may complete its group, and a complete
 * group is told what it must know, then Start. No guest byte is parsed by an unlocked process,
 * because no port is attached before.
 *
 * A worker that says something out of turn, or nonsense, is condemned like one that died.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../filters.h"
#include "crew.h"
#include "port.h"
#include "super_dispatch.h"
#include "supervisor.h"
#include "watch.h"

enum {
	RECORDS_A_TURN = 64,
	RESTORE_BATCH = 64,
	ENTROPY = 32,
	WORKERS_A_HUB = ACTOR_COUNT,
	PAIR_BUFFER = 1 << 20
};

/* What the generated dispatch hands to super_on_*: whose record it is. */
struct super_peer {
	struct worker *w;
};

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* A pair for an edge or a channel: room for a burst of whole messages. */
static int make_pair(int pair[2])
{
	const int bytes = PAIR_BUFFER;
	int i;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	for (i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return 0;
}

static void close_pair(int pair[2])
{
	int i;

	for (i = 0; i < 2; i++) {
		if (pair[i] >= 0)
			close(pair[i]);
		pair[i] = -1;
	}
}

static int renew_pair(struct hub *hub, unsigned int edge)
{
	close_pair(hub->channel[edge]);
	return make_pair(hub->channel[edge]);
}

int crew_renew_edges(struct hub *hub)
{
	unsigned int e;
	int error;

	share_close(&hub->share);
	error = share_make(&hub->share);
	for (e = 0; e < share_edge_count && error == 0; e++)
		if (share_edges[e].ring)
			error = renew_pair(hub, e);
	return error;
}

/* Reads away what a socket holds; descriptors in it are closed by the kernel (none are taken). */
static void drain_socket(int fd)
{
	char byte;

	while (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) > 0)
		;
}

void crew_flush_channels(struct hub *hub, enum actor_id dead)
{
	unsigned int e;

	for (e = 0; e < share_edge_count; e++) {
		if (share_edges[e].ring || (share_edges[e].a != dead && share_edges[e].b != dead))
			continue;
		drain_socket(hub->channel[e][0]);
		drain_socket(hub->channel[e][1]);
	}
}

/* EdgeRenewed goes to those that have a message for it: broker and natproxy, whose channel peers
 * are replaced alone. */
static void tell_renewed(struct hub *hub, enum actor_id who)
{
	Nl__EdgeRenewed m = NL__EDGE_RENEWED__INIT;
	char name[16];

	snprintf(name, sizeof(name), "%s", spawn_actor_name(who));
	m.peer = name;
	m.has_generation = true;
	m.generation = hub->generation;
	if (who == ACTOR_DHCPD && hub->worker[ACTOR_BROKER].state == WORKER_RUNNING)
		broker_send_edge_renewed(&hub->worker[ACTOR_BROKER].chan, &m, NULL, 0);
	if (who == ACTOR_ALG && hub->worker[ACTOR_NATPROXY].state == WORKER_RUNNING)
		natproxy_send_edge_renewed(&hub->worker[ACTOR_NATPROXY].chan, &m, NULL, 0);
}

static int send_common(struct worker *w, Nl__SuperToActor *m, const int *fds, int nfds)
{
	return chan_send_message(&w->chan, &m->base, fds, nfds);
}

static uint32_t sockets_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max > NATPROXY_SOCK_LAST)
		return NATPROXY_SOCK_LAST + 1;
	return (uint32_t)limit.rlim_max;
}

static void fill_boot(struct worker *w, Nl__ActorBoot *boot, uint8_t *entropy)
{
	const struct policy_filter *filter = policy_filter_find(spawn_actor_name(w->id));
	const Nl__Policy *policy = w->hub->super->config->policy;

	boot->hub = w->hub->conf;
	boot->has_filter = filter != NULL;
	if (filter)
		boot->filter = (ProtobufCBinaryData){filter->count * sizeof(filter->insns[0]),
			(uint8_t *)(uintptr_t)filter->insns};
	boot->has_generation = true;
	boot->generation = w->hub->generation;
	boot->has_landlock = true;
	boot->landlock = !policy || policy->landlock;
	boot->has_sockets_max = w->id == ACTOR_NATPROXY;
	boot->sockets_max = sockets_max();
	boot->has_wall_ms = boot->has_boot_ms = true;
	boot->wall_ms = clock_ms(CLOCK_REALTIME);
	boot->boot_ms = clock_ms(CLOCK_BOOTTIME);
	boot->has_entropy = true;
	boot->entropy = (ProtobufCBinaryData){ENTROPY, entropy};
	boot->domain = w->hub->super->resolvers.domain;
	boot->has_echo_allowed = w->id == ACTOR_NATPROXY;
	boot->echo_allowed = w->hub->echo_allowed;
}

int super_on_actor_hello(struct super_peer *p, const Nl__ActorHello *m, struct chan_in *in)
{
	struct worker *w = p->w;
	Nl__SuperToActor out = NL__SUPER_TO_ACTOR__INIT;
	Nl__ActorBoot boot = NL__ACTOR_BOOT__INIT;
	uint8_t entropy[ENTROPY];
	int fds[CHAN_MAX_FDS], nfds, error;

	if (w->state != WORKER_BOOTING)
		return -EPROTO;
	if (getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy))
		abort();
	fill_boot(w, &boot, entropy);
	out.msg_case = NL__SUPER_TO_ACTOR__MSG_BOOT;
	out.boot = &boot;
	nfds = share_boot_fds(&w->hub->share, hub_data_path(w->hub), w->id, fds);
	error = send_common(w, &out, fds, nfds);
	explicit_bzero(entropy, sizeof(entropy));
	if (error)
		watch_condemn(w, "Boot could not be sent");
	return 0;
}

bool crew_group_locked(const struct hub *hub, enum actor_id id)
{
	unsigned int i;

	for (i = 0; i < ACTOR_COUNT; i++) {
		enum worker_state state = hub->worker[i].state;

		if (hub->born && i != id &&
			!(share_has_ring(id) && share_has_ring((enum actor_id)i)))
			continue;
		if (state != WORKER_LOCKED && state != WORKER_RUNNING)
			return false;
	}
	return true;
}

static void lease_message(const struct store_lease *l, Nl__Lease *m)
{
	nl__lease__init(m);
	m->has_ip_be = m->has_mac = m->has_client_id = true;
	m->ip_be = l->ip_be;
	m->mac = (ProtobufCBinaryData){sizeof(l->mac), (uint8_t *)(uintptr_t)l->mac};
	m->client_id =
		(ProtobufCBinaryData){l->client_id_bytes, (uint8_t *)(uintptr_t)l->client_id};
	m->host_name = (char *)(uintptr_t)l->host_name;
	m->has_created_ms = m->has_expires_ms = m->has_entry = m->has_state = true;
	m->created_ms = l->created_ms;
	m->expires_ms = l->expires_ms;
	m->entry = l->entry;
	m->state = (Nl__Lease__State)l->state;
}

/* What the journal held, in batches that fit a record; the last one says so even when there is
 * none. */
static void tell_leases(struct worker *w)
{
	const struct store *s = &w->hub->store;
	Nl__Lease lease[RESTORE_BATCH], *pointer[RESTORE_BATCH];
	size_t next = 0;

	do {
		Nl__LeaseRestore m = NL__LEASE_RESTORE__INIT;

		m.leases = pointer;
		for (; m.n_leases < RESTORE_BATCH && next < s->leases; m.n_leases++) {
			lease_message(&s->lease[next++], &lease[m.n_leases]);
			pointer[m.n_leases] = &lease[m.n_leases];
		}
		m.has_last = true;
		m.last = next == s->leases;
		if (dhcpd_send_lease_restore(&w->chan, &m, NULL, 0) < 0) {
			watch_condemn(w, "it does not take its leases");
			return;
		}
	} while (next < s->leases);
}

void crew_tell_resolvers(struct hub *hub)
{
	struct worker *w = &hub->worker[ACTOR_NATPROXY];
	Nl__Resolvers m = NL__RESOLVERS__INIT;
	struct resolvers *r = &hub->super->resolvers;

	m.n_ip_be = r->count;
	m.ip_be = r->ip_be;
	if (w->state == WORKER_LOCKED || w->state == WORKER_RUNNING)
		natproxy_send_resolvers(&w->chan, &m, NULL, 0);
}

void crew_tell_host_network(struct hub *hub)
{
	struct worker *w = &hub->worker[ACTOR_NATPROXY];
	const struct hostnet *host = &hub->super->hostnet;
	Nl__HostNetwork m = NL__HOST_NETWORK__INIT;
	Nl__Subnet own[HOSTNET_OWN], *pointer[HOSTNET_OWN];
	char why[160];
	size_t i;

	for (i = 0; i < host->own_count; i++) {
		nl__subnet__init(&own[i]);
		own[i].has_ip_be = own[i].has_prefix = true;
		own[i].ip_be = host->own[i].ip_be;
		own[i].prefix = host->own[i].prefix;
		pointer[i] = &own[i];
	}
	m.n_own = host->own_count;
	m.own = pointer;
	m.has_loop = true;
	m.loop = hub->conf->nat->loop_guard &&
		 hostnet_loops(host, hub->conf->host->address->be, why, sizeof(why));
	m.loop_why = m.loop ? why : NULL;
	m.has_partial = true;
	m.partial = host->partial;
	if (m.partial && hub->conf->nat->host_loopback != NL__NAT__ACCESS__allow)
		supervisor_note(hub->super,
			"this host's addresses could not be read, or are more than %d: guests "
			"reach "
			"nothing, as some of it might be this host",
			HOSTNET_OWN);
	if (m.loop)
		supervisor_note(hub->super, "hub %s: %s", hub->conf->name, why);
	if (w->state == WORKER_LOCKED || w->state == WORKER_RUNNING)
		natproxy_send_host_network(&w->chan, &m, NULL, 0);
}

int crew_tell_port(struct hub *hub, unsigned int number)
{
	struct worker *w = &hub->worker[ACTOR_BROKER];
	const struct port *port = &hub->port[number];
	Nl__PortAttach m = NL__PORT_ATTACH__INIT;

	if (w->state != WORKER_RUNNING &&
		!(w->state == WORKER_LOCKED && crew_group_locked(hub, w->id)))
		return -EAGAIN;
	m.has_port = m.has_kind = m.has_vnet_hdr = m.has_mtu = true;
	m.port = number;
	m.kind = port->kind;
	m.name = (char *)(uintptr_t)port->name;
	m.vnet_hdr = port->vnet_hdr;
	m.mtu = port->mtu;
	return broker_send_port_attach(&w->chan, &m, &port->fd, 1);
}

/* What a worker must know before Start. */
static void tell_all(struct worker *w)
{
	struct hub *hub = w->hub;
	unsigned int i;

	if (w->id == ACTOR_DHCPD)
		tell_leases(w);
	if (w->id == ACTOR_NATPROXY) {
		crew_tell_resolvers(hub);
		crew_tell_host_network(hub);
	}
	for (i = 0; i < HUB_PORTS && w->id == ACTOR_BROKER; i++)
		if (hub->port[i].used)
			crew_tell_port(hub, i);
}

static void start(struct worker *w)
{
	Nl__SuperToActor out = NL__SUPER_TO_ACTOR__INIT;
	Nl__ActorStart m = NL__ACTOR_START__INIT;

	tell_all(w);
	out.msg_case = NL__SUPER_TO_ACTOR__MSG_START;
	out.start = &m;
	if (w->state != WORKER_LOCKED || send_common(w, &out, NULL, 0) < 0)
		return;
	w->state = WORKER_RUNNING;
	watch_started(w);
	if (w->hub->born)
		tell_renewed(w->hub, w->id);
}

/* Everybody that waited for the last one of its group. The rings can be sealed: all that map them
 * have. */
static void start_group(struct hub *hub, enum actor_id last)
{
	unsigned int i;
	int error = share_has_ring(last) || !hub->born ? share_seal(&hub->share) : 0;

	if (error) {
		watch_condemn(&hub->worker[last], "the rings cannot be sealed");
		return;
	}
	for (i = 0; i < ACTOR_COUNT; i++)
		if (hub->worker[i].state == WORKER_LOCKED &&
			crew_group_locked(hub, (enum actor_id)i))
			start(&hub->worker[i]);
	if (!hub->born) {
		hub->born = true;
		supervisor_hub_born(hub);
	}
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
	if (crew_group_locked(p->w->hub, p->w->id))
		start_group(p->w->hub, p->w->id);
	return 0;
}

int super_on_actor_drained(struct super_peer *p, const Nl__ActorDrained *m, struct chan_in *in)
{
	return p->w->state == WORKER_DRAINING ? 0 : -EPROTO;
}

int super_on_actor_rows(struct super_peer *p, const Nl__ActorRows *m, struct chan_in *in)
{
	operator_on_rows(&p->w->hub->super->op, p->w, m);
	return 0;
}

int super_on_actor_note(struct super_peer *p, const Nl__ActorNote *m, struct chan_in *in)
{
	struct hub *hub = p->w->hub;
	const char *name = spawn_actor_name(p->w->id);
	uint64_t wall_ms = m->has_at_ms ? m->at_ms : supervisor_wall_ms(hub->super);

	if (!m->text || strlen(m->text) > SECLOG_LINE)
		return -EPROTO;
	if (m->kind != NL__ACTOR_NOTE__KIND__SECURITY)
		supervisor_note_of(p->w, m->text);
	else if (!seclog_write_of(
			 &hub->log, &p->w->quota, name, clock_ms(CLOCK_BOOTTIME), wall_ms, m->text))
		supervisor_note(hub->super,
			"%s writes more than the security log takes from one process: lines are "
			"lost",
			name);
	return 0;
}

int super_on_actor_incident(struct super_peer *p, const Nl__ActorIncident *m, struct chan_in *in)
{
	if (!m->actor || !m->what)
		return -EPROTO;
	watch_incident(p->w, m->actor, m->what);
	return 0;
}

int super_on_port_closed(struct super_peer *p, const Nl__PortClosed *m, struct chan_in *in)
{
	if (m->port >= HUB_PORTS)
		return -EPROTO;
	port_remove(p->w->hub, m->port);
	return 0;
}

/* Answers only after crew_sync: the sequence number waits in the order in which commits came. */
struct commits {
	uint64_t sequence[RECORDS_A_TURN];
	bool refused[RECORDS_A_TURN];
	unsigned int count;
};
static struct commits commits[SUPERVISOR_HUBS];

int super_on_lease_commit(struct super_peer *p, const Nl__LeaseCommit *m, struct chan_in *in)
{
	struct hub *hub = p->w->hub;
	struct commits *c = &commits[hub->index];

	if (c->count == RECORDS_A_TURN)
		crew_sync(hub);
	c->sequence[c->count] = m->sequence;
	c->refused[c->count++] = store_commit(&hub->store, m->lease) < 0;
	return 0;
}

void crew_sync(struct hub *hub)
{
	struct commits *c = &commits[hub->index];
	struct worker *w = &hub->worker[ACTOR_DHCPD];
	int error = store_sync(&hub->store);
	unsigned int i;

	if (error < 0)
		supervisor_note(hub->super, "leases cannot be stored in %s: %s", hub->store.path,
			strerror(-error));
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
	else if (w->chan.queue_bytes > 0)
		ev_io_start(loop, &w->flush_io);
}

static void on_writable(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct worker *w = io->data;

	if (chan_flush(&w->chan) != 1)
		ev_io_stop(loop, io);
}

/* Our end of the worker's channel, watched. */
static int open_channel(struct worker *w, int *theirs)
{
	int pair[2];
	int error = make_pair(pair);

	if (error)
		return error;
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

static void fill_plan(const struct worker *w, struct spawn_plan *plan, int super_fd)
{
	const struct hub *hub = w->hub;
	unsigned int i;

	*plan = (struct spawn_plan){
		.id = w->id,
		.uid = identity_worker(&hub->super->identity, hub->index * WORKERS_A_HUB + w->id),
		.super_fd = super_fd,
		.probe_echo = w->id == ACTOR_NATPROXY,
	};
	for (i = 0; i < ACTOR_COUNT; i++) {
		plan->channel[i] = -1;
		plan->bell[i] = hub->share.bell[i];
	}
	for (i = 0; i < share_edge_count; i++) {
		if (share_edges[i].a == w->id)
			plan->channel[share_edges[i].b] = hub->channel[i][0];
		if (share_edges[i].b == w->id)
			plan->channel[share_edges[i].a] = hub->channel[i][1];
	}
}

static void adopt(struct worker *w, const struct spawned *born)
{
	w->pid = born->pid;
	w->pidfd = born->pidfd;
	if (w->id == ACTOR_NATPROXY)
		w->hub->echo_allowed = born->echo_allowed;
	w->state = WORKER_BOOTING;
	w->blame[0] = '\0';
	ev_io_start(w->hub->super->loop, &w->record_io);
	watch_begin(w);
}

/* Workers w[0] to w[count - 1], all or none. */
static int spawn(struct worker *w, unsigned int count, struct trouble *t)
{
	struct spawn_plan plan[ACTOR_COUNT];
	struct spawned born[ACTOR_COUNT];
	int theirs[ACTOR_COUNT], result = 0, error = 0;
	unsigned int opened = 0, i;

	while (opened < count && (error = open_channel(&w[opened], &theirs[opened])) == 0) {
		fill_plan(&w[opened], &plan[opened], theirs[opened]);
		opened++;
	}
	if (error) {
		trouble(t, EXIT_FAILED, "E0603", "cannot make a channel for %s",
			spawn_actor_name(w[opened].id));
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

int crew_spawn(struct worker *w, struct trouble *t)
{
	return spawn(w, 1, t);
}

int crew_open(struct hub *hub, struct trouble *t)
{
	unsigned int i;
	int error;

	share_init(&hub->share);
	memset(hub->channel, -1, sizeof(hub->channel));
	hub->generation = 1;
	for (i = 0; i < ACTOR_COUNT; i++)
		hub->worker[i] = (struct worker){.hub = hub,
			.id = (enum actor_id)i,
			.state = WORKER_GONE,
			.pidfd = -1,
			.chan = {.fd = -1}};
	error = crew_renew_edges(hub);
	for (i = 0; i < share_edge_count && error == 0; i++)
		if (!share_edges[i].ring)
			error = renew_pair(hub, i);
	if (error) {
		trouble(t, EXIT_FAILED, "E0604", "cannot make the workers' shared memory");
		return trouble_cause(t, "%s", strerror(-error));
	}
	return spawn(hub->worker, ACTOR_COUNT, t);
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
	for (i = 0; i < ACTOR_COUNT; i++) {
		struct worker *w = &hub->worker[i];
		Nl__SuperToActor out = NL__SUPER_TO_ACTOR__INIT;
		Nl__ActorDrain m = NL__ACTOR_DRAIN__INIT;

		out.msg_case = NL__SUPER_TO_ACTOR__MSG_DRAIN;
		out.drain = &m;
		if (w->state == WORKER_RUNNING)
			send_common(w, &out, NULL, 0);
		watch_draining(w);
	}
	watch_end_if_last(hub);
}

int crew_ask(struct worker *w, Nl__Topic topic, uint64_t cursor, uint32_t request)
{
	Nl__SuperToActor out = NL__SUPER_TO_ACTOR__INIT;
	Nl__ActorDump m = NL__ACTOR_DUMP__INIT;

	if (w->state != WORKER_RUNNING)
		return -EAGAIN;
	m.has_topic = m.has_cursor = m.has_request = true;
	m.topic = topic;
	m.cursor = cursor;
	m.request = request;
	out.msg_case = NL__SUPER_TO_ACTOR__MSG_DUMP;
	out.dump = &m;
	return send_common(w, &out, NULL, 0);
}

void crew_close(struct hub *hub)
{
	unsigned int i;

	for (i = 0; i < ACTOR_COUNT; i++) {
		crew_forget(&hub->worker[i]);
		free(hub->worker[i].queue);
		hub->worker[i].queue = NULL;
	}
	for (i = 0; i < share_edge_count; i++)
		close_pair(hub->channel[i]);
	share_close(&hub->share);
}
