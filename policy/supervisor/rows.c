/* Theory of operation: see rows.h. What a row says of a process is read from the kernel at that
 * moment (process.c). */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../filters.h"
#include "change.h"
#include "log.h"
#include "port.h"
#include "process.h"
#include "rows.h"
#include "supervisor.h"

static void add(struct rows *rows, const ProtobufCMessage *m)
{
	ProtobufCBinaryData *row = &rows->row[rows->count];
	size_t n = protobuf_c_message_get_packed_size(m);

	if (rows->count == ROWS_MAX || !(row->data = malloc(n + 1)))
		return;
	row->len = protobuf_c_message_pack(m, row->data);
	rows->count++;
}

static const char *state_name(enum worker_state state)
{
	static const char *const names[] = {
		[WORKER_WAITING] = "waiting to restart",
		[WORKER_BOOTING] = "starting",
		[WORKER_LOCKED] = "locked",
		[WORKER_RUNNING] = "ok",
		[WORKER_DRAINING] = "draining",
		[WORKER_GONE] = "gone",
	};

	return names[state];
}

static void add_status(struct rows *rows, struct supervisor *s)
{
	Nl__StatusRow row = NL__STATUS_ROW__INIT;
	char *notes[SUPERVISOR_NOTES];
	char health[64] = "OK", fence[FENCE_TEXT], config[PLACES_PATH + SAVED_PATH + 32];
	unsigned int i, h;

	for (h = 0; h < s->hubs; h++)
		for (i = 0; i < s->hub[h].workers; i++)
			if (s->hub[h].worker[i].state != WORKER_RUNNING)
				snprintf(health, sizeof(health), "%s is %s",
					s->hub[h].worker[i].name,
					state_name(s->hub[h].worker[i].state));
	for (i = 0; i < s->notes; i++)
		notes[i] = s->note[i];
	row.version = (char *)(uintptr_t)NATLOCK_VERSION;
	row.has_uptime_ms = true;
	row.uptime_ms = (uint64_t)((ev_time() - s->started) * 1000);
	snprintf(config, sizeof(config), "%s%s%s", s->config_path ? s->config_path : "built in",
		s->is_saved ? " and the saved changes in " : "", s->is_saved ? s->saved : "");
	row.config = config;
	row.health = health;
	row.fence = (char *)(uintptr_t)fence_text(&s->fence, fence);
	row.n_notes = s->notes;
	row.notes = notes;
	add(rows, &row.base);
}

static const char *seccomp_name(int mode)
{
	return mode == 2 ? "filter" : mode == 1 ? "strict" : mode == 0 ? "none" : "?";
}

struct process_of {
	const char *name, *policy, *user, *state, *hub;
	pid_t pid;
	uint32_t landlock_abi, restarts;
};

static void add_process(struct rows *rows, const struct process_of *of)
{
	const struct policy_filter *filter = policy_filter_find(of->policy);
	Nl__ProcessRow row = NL__PROCESS_ROW__INIT;
	struct process_facts facts;
	char landlock[16], caps[24];

	if (!process_read(of->pid, &facts))
		facts = (struct process_facts){.seccomp = -1, .root = "?"};
	snprintf(landlock, sizeof(landlock), of->landlock_abi ? "v%u" : "none", of->landlock_abi);
	snprintf(caps, sizeof(caps), facts.caps ? "%llx" : "none", (unsigned long long)facts.caps);
	row.process = (char *)(uintptr_t)of->name;
	row.hub = (char *)(uintptr_t)of->hub;
	row.user = (char *)(uintptr_t)of->user;
	row.seccomp = (char *)(uintptr_t)seccomp_name(facts.seccomp);
	row.landlock = landlock;
	row.caps = caps;
	row.state = (char *)(uintptr_t)of->state;
	row.root = facts.root;
	row.namespaces = facts.namespaces;
	row.has_pid = row.has_fds = row.has_rss_bytes = row.has_cpu_ms = row.has_restarts = true;
	row.pid = (uint32_t)of->pid;
	row.fds = facts.fds;
	row.rss_bytes = facts.rss_bytes;
	row.cpu_ms = facts.cpu_ms;
	row.restarts = of->restarts;
	row.has_syscalls = filter && facts.seccomp == 2;
	row.syscalls = row.has_syscalls ? filter->syscalls : 0;
	add(rows, &row.base);
}

static void add_worker(struct rows *rows, const struct supervisor *s, const struct worker *w)
{
	char user[16];
	struct process_of of = {
		.name = w->name,
		.policy = spawn_actor_name(w->id),
		.hub = w->hub->conf->name,
		.user = user,
		.state = state_name(w->state),
		.pid = w->pid,
		.landlock_abi = w->landlock_abi,
		.restarts = w->restarts,
	};

	snprintf(
		user, sizeof(user), "%u", identity_worker_host(&s->identity, hub_worker_number(w)));
	add_process(rows, &of);
}

static void add_processes(struct rows *rows, const struct supervisor *s)
{
	struct process_of self = {
		.name = "supervisor",
		.policy = "supervisor",
		.user = s->identity.user,
		.state = s->draining ? "draining" : "ok",
		.pid = getpid(),
	};
	unsigned int h, i;

	add_process(rows, &self);
	for (h = 0; h < s->hubs; h++)
		for (i = 0; i < s->hub[h].workers; i++)
			add_worker(rows, s, &s->hub[h].worker[i]);
}

void rows_count(Nl__HubRow *counted, enum actor_id from, const ProtobufCBinaryData *row)
{
	Nl__HubRow *said = nl__hub_row__unpack(NULL, row->len, row->data);

	if (!said)
		return;
	switch (from) {
	case ACTOR_BROKER:
		counted->has_ports = said->has_ports;
		counted->ports = said->ports;
		break;
	case ACTOR_NATPROXY:
		counted->has_tcp |= said->has_tcp;
		counted->has_udp |= said->has_udp;
		counted->has_icmp |= said->has_icmp;
		counted->has_dns |= said->has_dns;
		counted->tcp += said->tcp;
		counted->udp += said->udp;
		counted->icmp += said->icmp;
		counted->dns += said->dns;
		break;
	case ACTOR_DHCPD:
		counted->has_leases = said->has_leases;
		counted->has_pool = said->has_pool;
		counted->leases = said->leases;
		counted->pool = said->pool;
		break;
	case ACTOR_NETSTACK:
	case ACTOR_ALG:
	case ACTOR_COUNT: break;
	}
	nl__hub_row__free_unpacked(said, NULL);
}

/* What the supervisor knows of a hub while a worker cannot say it. */
static void fill_hub(const struct supervisor *s, const struct hub *hub, Nl__HubRow *row)
{
	const Nl__Dhcp *dhcp = hub->conf->dhcp;

	if (!row->has_ports)
		row->ports = port_count(hub);
	if (!row->has_leases)
		row->leases = (uint32_t)store_in_force(&hub->store, supervisor_wall_ms(s));
	if (!row->has_pool)
		row->pool = dhcp->enable
				    ? ntohl(dhcp->range->to->be) - ntohl(dhcp->range->from->be) + 1
				    : 0;
	row->has_ports = row->has_leases = row->has_pool = true;
}

void rows_hub(struct rows *rows, const struct supervisor *s, const struct hub *hub,
	const Nl__HubRow *counted)
{
	const Nl__Hub *conf = hub->conf, *asked = change_hub(s->config, conf->name);
	Nl__HubRow row = *counted;
	Nl__Address address = NL__ADDRESS__INIT;
	char mac[18] = "auto", strict[] = "strict", shared[] = "shared";

	address.has_ip_be = address.has_prefix = true;
	address.ip_be = conf->host->address->be;
	address.prefix = (uint32_t)__builtin_popcount(conf->host->netmask->be);
	if (conf->host->mac->octets.len == 6)
		log_mac(mac, conf->host->mac->octets.data, ':');
	row.name = conf->name;
	row.address = &address;
	row.mac = mac;
	row.data_path = hub_data_path(hub) == DATA_PATH_STRICT ? strict : shared;
	row.has_shards = true;
	row.shards = hub->shards;
	row.has_enable = row.has_nat = row.has_dhcp = true;
	row.enable = asked->enable;
	row.nat = asked->nat->enable;
	row.dhcp = asked->dhcp->enable;
	fill_hub(s, hub, &row);
	rows->count = 0;
	add(rows, &row.base);
}

void rows_make(struct rows *rows, struct supervisor *s, Nl__Topic topic)
{
	rows->count = 0;
	if (topic == NL__TOPIC__STATUS)
		add_status(rows, s);
	if (topic == NL__TOPIC__PROCESSES)
		add_processes(rows, s);
}

void rows_free(struct rows *rows)
{
	while (rows->count > 0)
		free(rows->row[--rows->count].data);
}
