/* Theory of operation: see tell.h. Only messages are made here; when they are sent is birth.c's,
 * crew.c's and supervisor.c's to decide. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "../filters.h"
#include "birth.h"
#include "conf.h"
#include "names.h"
#include "shard.h"
#include "super_dispatch.h"
#include "supervisor.h"
#include "tell.h"
#include "watch.h"

enum { RESTORE_BATCH = 64, ENTROPY = 32 };

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

/* A hub's configuration as one of several natproxies is to have it: of the published ports and static addresses those
 * whose guest it serves. */
struct part {
	Nl__Hub hub;
	Nl__Nat nat;
	Nl__Publish *publish[CONF_PUBLISH_MAX];
	Nl__Static *fixed[CONF_STATIC_MAX];
};

static Nl__Hub *part_of(const struct worker *w, struct part *part)
{
	const struct hub *hub = w->hub;
	const Nl__Nat *nat = hub->conf->nat;
	size_t i;

	if (w->id != ACTOR_NATPROXY)
		return hub->conf;
	part->hub = *hub->conf;
	part->nat = *nat;
	part->hub.nat = &part->nat;
	part->nat.publish = part->publish;
	part->nat.n_publish = 0;
	for (i = 0; i < nat->n_publish && i < CONF_PUBLISH_MAX; i++)
		if (shard_of(&hub->shard_key, nat->publish[i]->to->ip_be, hub->shards) == w->shard)
			part->publish[part->nat.n_publish++] = nat->publish[i];
	part->nat.static_ = part->fixed;
	part->nat.n_static_ = 0;
	for (i = 0; i < nat->n_static_ && i < CONF_STATIC_MAX; i++)
		if (shard_of(&hub->shard_key, nat->static_[i]->inside->be, hub->shards) == w->shard)
			part->fixed[part->nat.n_static_++] = nat->static_[i];
	return &part->hub;
}

static void fill_boot(struct worker *w, Nl__ActorBoot *boot, uint8_t *entropy)
{
	const struct policy_filter *filter = policy_filter_find(spawn_actor_name(w->id));
	const Nl__Policy *policy = w->hub->super->config->policy;

	boot->has_filter = filter != NULL;
	if (filter)
		boot->filter = (ProtobufCBinaryData){filter->count * sizeof(filter->insns[0]),
			(uint8_t *)(uintptr_t)filter->insns};
	boot->has_generation = true;
	boot->generation = w->hub->generation;
	boot->has_landlock = true;
	boot->landlock = !policy || policy->landlock;
	boot->has_sockets_max = w->id == ACTOR_NATPROXY;
	boot->sockets_max = sockets_max() / w->hub->shards;
	boot->has_wall_ms = boot->has_boot_ms = true;
	boot->wall_ms = supervisor_wall_clock_ms();
	boot->boot_ms = supervisor_boot_clock_ms();
	boot->has_entropy = true;
	boot->entropy = (ProtobufCBinaryData){ENTROPY, entropy};
	boot->domain = w->hub->super->resolvers.domain;
	boot->has_echo_allowed = w->id == ACTOR_NATPROXY;
	boot->echo_allowed = w->hub->echo_allowed;
	boot->name = w->name;
	boot->has_shards = true;
	boot->shards = w->hub->shards;
	boot->has_shard_key = w->id == ACTOR_BROKER;
	boot->shard_key =
		(ProtobufCBinaryData){sizeof(w->hub->shard_key), (uint8_t *)&w->hub->shard_key};
}

/* What one record cannot carry follows in others. */
static int send_boot(struct worker *w, Nl__ActorBoot *boot, const int *fds, int count)
{
	Nl__SuperToActor out = NL__SUPER_TO_ACTOR__INIT;
	Nl__ActorMore more = NL__ACTOR_MORE__INIT;
	int sent = 0, n, error;

	boot->has_descriptors = true;
	boot->descriptors = (uint32_t)count;
	out.msg_case = NL__SUPER_TO_ACTOR__MSG_BOOT;
	out.boot = boot;
	do {
		n = count - sent < CHAN_MAX_FDS ? count - sent : CHAN_MAX_FDS;
		error = send_common(w, &out, fds + sent, n);
		sent += n;
		out.msg_case = NL__SUPER_TO_ACTOR__MSG_MORE;
		out.more = &more;
	} while (error == 0 && sent < count);
	return error;
}

int tell_boot(struct worker *w)
{
	Nl__ActorBoot boot = NL__ACTOR_BOOT__INIT;
	uint8_t entropy[ENTROPY];
	int fds[BOOT_FDS_MAX];
	struct part part;
	int error;

	if (getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy))
		abort();
	fill_boot(w, &boot, entropy);
	boot.hub = part_of(w, &part);
	error = send_boot(w, &boot, fds,
		share_boot_fds(&w->hub->share, hub_data_path(w->hub), w->id, w->shard, fds));
	explicit_bzero(entropy, sizeof(entropy));
	return error;
}

int tell_configure(struct worker *w)
{
	Nl__SuperToActor out = NL__SUPER_TO_ACTOR__INIT;
	Nl__ActorConfigure m = NL__ACTOR_CONFIGURE__INIT;
	struct part part;

	if (w->state != WORKER_RUNNING)
		return -EAGAIN;
	m.hub = part_of(w, &part);
	m.domain = w->hub->super->resolvers.domain;
	out.msg_case = NL__SUPER_TO_ACTOR__MSG_CONFIGURE;
	out.configure = &m;
	return send_common(w, &out, NULL, 0);
}

int tell_order(struct worker *w, const Nl__Order *order, uint32_t request)
{
	Nl__SuperToActor out = NL__SUPER_TO_ACTOR__INIT;
	Nl__ActorOrder m = NL__ACTOR_ORDER__INIT;

	if (w->state != WORKER_RUNNING)
		return -EAGAIN;
	m.has_request = true;
	m.request = request;
	m.order = (Nl__Order *)(uintptr_t)order;
	out.msg_case = NL__SUPER_TO_ACTOR__MSG_ORDER;
	out.order = &m;
	return send_common(w, &out, NULL, 0);
}

void tell_lease(const struct store_lease *l, Nl__Lease *m)
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
			tell_lease(&s->lease[next++], &lease[m.n_leases]);
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

static bool hears(const struct worker *w, enum actor_id id)
{
	return w->id == id && (w->state == WORKER_LOCKED || w->state == WORKER_RUNNING);
}

void tell_resolvers(struct hub *hub)
{
	Nl__Resolvers m = NL__RESOLVERS__INIT;
	struct resolvers *r = &hub->super->resolvers;
	unsigned int i;

	m.n_ip_be = r->count;
	m.ip_be = r->ip_be;
	for (i = 0; i < hub->workers; i++)
		if (hears(&hub->worker[i], ACTOR_NATPROXY))
			natproxy_send_resolvers(&hub->worker[i].chan, &m, NULL, 0);
}

static void send_host_network(struct hub *hub, const Nl__HostNetwork *m)
{
	unsigned int i;

	if (m->partial && hub->conf->nat->host_loopback != NL__NAT__ACCESS__allow)
		supervisor_note(hub->super,
			"this host's addresses could not be read, or are more than %d: guests "
			"reach nothing, as some of it might be this host",
			HOSTNET_OWN);
	if (m->loop)
		supervisor_note(hub->super, "hub %s: %s", hub->conf->name, m->loop_why);
	for (i = 0; i < hub->workers; i++)
		if (hears(&hub->worker[i], ACTOR_NATPROXY))
			natproxy_send_host_network(&hub->worker[i].chan, m, NULL, 0);
}

void tell_host_network(struct hub *hub)
{
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
	send_host_network(hub, &m);
}

int tell_port(struct hub *hub, unsigned int number)
{
	struct worker *w = hub_worker(hub, ACTOR_BROKER, 0);
	struct port *port = &hub->port[number];
	Nl__PortAttach m = NL__PORT_ATTACH__INIT;

	if (w->state != WORKER_RUNNING && !(w->state == WORKER_LOCKED && birth_group_locked(w)))
		return -EAGAIN;
	port->detaching = false;
	m.has_port = m.has_kind = m.has_vnet_hdr = m.has_mtu = true;
	m.port = number;
	m.kind = port->kind;
	m.name = (char *)(uintptr_t)port->name;
	m.vnet_hdr = port->vnet_hdr;
	m.mtu = port->mtu;
	return broker_send_port_attach(&w->chan, &m, &port->fd, 1);
}

int tell_detach(struct hub *hub, unsigned int port)
{
	struct worker *w = hub_worker(hub, ACTOR_BROKER, 0);
	Nl__PortDetach m = NL__PORT_DETACH__INIT;

	if (w->state != WORKER_RUNNING)
		return -EAGAIN;
	m.has_port = true;
	m.port = port;
	hub->port[port].detaching = true;
	return broker_send_port_detach(&w->chan, &m, NULL, 0);
}

/* What a worker must know before Start. */
void tell_first(struct worker *w)
{
	struct hub *hub = w->hub;
	unsigned int i;

	if (w->id == ACTOR_DHCPD)
		tell_leases(w);
	if (w->id == ACTOR_NATPROXY) {
		grant_echo_tell(w); /* first: a full channel queues no descriptor */
		grant_ipsec_tell(w);
		grant_reserved_tell(w);
		tell_resolvers(hub);
		tell_host_network(hub);
		names_tell(w);
	}
	for (i = 0; i < HUB_PORTS && w->id == ACTOR_BROKER; i++)
		if (hub->port[i].used)
			tell_port(hub, i);
}

int tell_start(struct worker *w)
{
	Nl__SuperToActor out = NL__SUPER_TO_ACTOR__INIT;
	Nl__ActorStart m = NL__ACTOR_START__INIT;

	out.msg_case = NL__SUPER_TO_ACTOR__MSG_START;
	out.start = &m;
	return send_common(w, &out, NULL, 0);
}

void tell_drain(struct worker *w)
{
	Nl__SuperToActor out = NL__SUPER_TO_ACTOR__INIT;
	Nl__ActorDrain m = NL__ACTOR_DRAIN__INIT;

	out.msg_case = NL__SUPER_TO_ACTOR__MSG_DRAIN;
	out.drain = &m;
	if (w->state == WORKER_RUNNING)
		send_common(w, &out, NULL, 0);
}

int tell_dump(struct worker *w, Nl__Topic topic, uint64_t cursor, uint32_t request)
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

/* EdgeRenewed goes to those that have a message for it: broker and natproxy, whose channel peers
 * are replaced alone. */
void tell_lost(struct hub *hub, unsigned int shard)
{
	Nl__EdgeLost m = NL__EDGE_LOST__INIT;

	m.has_shard = m.has_generation = true;
	m.shard = shard;
	m.generation = hub->generation;
	hub->edge[shard] = EDGE_LOST;
	hub->lost_generation[shard] = hub->generation;
	broker_send_edge_lost(&hub_worker(hub, ACTOR_BROKER, 0)->chan, &m, NULL, 0);
}

void tell_renewed(const struct worker *who)
{
	Nl__EdgeRenewed m = NL__EDGE_RENEWED__INIT;
	struct hub *hub = who->hub;
	struct worker *broker = hub_worker(hub, ACTOR_BROKER, 0);
	struct worker *natproxy = hub_worker(hub, ACTOR_NATPROXY, who->shard);
	char name[16];

	snprintf(name, sizeof(name), "%s", spawn_actor_name(who->id));
	m.peer = name;
	m.has_generation = true;
	m.generation = hub->generation;
	if (who->id == ACTOR_DHCPD && broker->state == WORKER_RUNNING)
		broker_send_edge_renewed(&broker->chan, &m, NULL, 0);
	if (who->id == ACTOR_ALG && natproxy->state == WORKER_RUNNING)
		natproxy_send_edge_renewed(&natproxy->chan, &m, NULL, 0);
	if (who->id == ACTOR_NETSTACK && hub->edge[who->shard] == EDGE_CLEARED) {
		m.has_shard = true;
		m.shard = who->shard;
		broker_send_edge_renewed(&broker->chan, &m, NULL, 0);
		hub->edge[who->shard] = EDGE_UP;
	}
}
