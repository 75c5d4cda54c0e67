/*
 * Theory of operation. The table changes with each stored lease, and the same change goes to every
 * natproxy. What expires is not told: each knows the time. A claim that loses (the name is another's)
 * costs its address the name it had before, and no more.
 *
 * How many changes there are is up to dhcpd. A natproxy that does not keep up is told all names anew when its channel has room
 * again: what one process does must not fill the channel of another.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "names.h"
#include "super_dispatch.h"
#include "supervisor.h"

enum { NAMES_BATCH = 256 };

static bool hears(const struct worker *w)
{
	return w->id == ACTOR_NATPROXY && (w->state == WORKER_LOCKED || w->state == WORKER_RUNNING);
}

static void host_message(const struct hostnames_host *host, Nl__HostName *m)
{
	nl__host_name__init(m);
	m->name = (char *)(uintptr_t)host->name;
	m->has_ip_be = true;
	m->ip_be = host->ip_be;
	m->has_expires_ms = host->expires_ms != hostnames_for_ever;
	m->expires_ms = host->expires_ms;
}

void names_tell(struct worker *w)
{
	const struct hostnames *h = &w->hub->names;
	Nl__HostName name[NAMES_BATCH], *pointer[NAMES_BATCH];
	bool first = true;
	uint32_t i = 1;

	w->names_behind = false;
	do {
		Nl__HostNames m = NL__HOST_NAMES__INIT;

		m.names = pointer;
		m.has_all = first;
		m.all = first;
		for (; i <= h->fresh && m.n_names < NAMES_BATCH; i++) {
			if (!h->host[i].used)
				continue;
			host_message(&h->host[i], &name[m.n_names]);
			pointer[m.n_names] = &name[m.n_names];
			m.n_names++;
		}
		natproxy_send_host_names(&w->chan, &m, NULL, 0);
		first = false;
		w->names_behind = i <= h->fresh && w->chan.queue_bytes > HUB_QUEUE_BYTES / 2;
	} while (i <= h->fresh && !w->names_behind);
}

static void tell_change(struct hub *hub, Nl__HostName *name)
{
	Nl__HostNames m = NL__HOST_NAMES__INIT;
	unsigned int i;

	m.n_names = 1;
	m.names = &name;
	for (i = 0; i < hub->workers; i++) {
		struct worker *w = &hub->worker[i];

		if (!hears(w))
			continue;
		if (w->chan.queue_bytes > 0)
			w->names_behind = true;
		else
			natproxy_send_host_names(&w->chan, &m, NULL, 0);
	}
}

/* Whether the address got the name that its host claims. */
static bool claim(struct hub *hub, uint32_t ip_be, const char *claimed, uint64_t expires_ms)
{
	char label[HOSTNAMES_LABEL];

	return claimed && hostnames_label(claimed, label) &&
	       hostnames_set(&hub->names, ip_be, label, expires_ms, supervisor_wall_ms(hub->super));
}

void names_learn(struct hub *hub, const Nl__Lease *lease)
{
	const uint64_t now_ms = supervisor_wall_ms(hub->super);
	Nl__HostName m = NL__HOST_NAME__INIT;
	bool claimed = lease->state == NL__LEASE__STATE__LEASED &&
		       claim(hub, lease->ip_be, lease->host_name, lease->expires_ms);
	uint32_t host;

	if (!claimed)
		hostnames_remove(&hub->names, lease->ip_be);
	host = hostnames_by_ip(&hub->names, lease->ip_be, now_ms);
	m.has_ip_be = true;
	m.ip_be = lease->ip_be;
	m.has_removed = m.removed = host == HOSTNAMES_NONE;
	if (host)
		host_message(&hub->names.host[host], &m);
	tell_change(hub, &m);
}

/* Puts lease `at` of the n where no younger one is above it: a heap with the youngest at its top. */
static void sift(const struct store_lease **lease, size_t n, size_t at)
{
	const struct store_lease *moved = lease[at];
	size_t child;

	for (; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && lease[child + 1]->created_ms > lease[child]->created_ms)
			child++;
		if (lease[child]->created_ms <= moved->created_ms)
			break;
		lease[at] = lease[child];
	}
	lease[at] = moved;
}

/* Not qsort: of more than 1 KiB it asks the kernel for the size of memory, for which our filter ends us. */
static void sort_older_first(const struct store_lease **lease, size_t n)
{
	size_t i;

	for (i = n / 2; i > 0; i--)
		sift(lease, n, i - 1);
	for (i = n; i > 1; i--) {
		const struct store_lease *youngest = lease[0];

		lease[0] = lease[i - 1];
		lease[i - 1] = youngest;
		sift(lease, i - 1, 0);
	}
}

static void claim_leases(struct hub *hub)
{
	const struct store *s = &hub->store;
	const struct store_lease **lease = calloc(s->leases + 1, sizeof(*lease));
	size_t i;

	if (!lease)
		return;
	for (i = 0; i < s->leases; i++)
		lease[i] = &s->lease[i];
	sort_older_first(lease, s->leases);
	for (i = 0; i < s->leases; i++)
		if (lease[i]->state == NL__LEASE__STATE__LEASED &&
			lease[i]->expires_ms > supervisor_wall_ms(hub->super))
			claim(hub, lease[i]->ip_be, lease[i]->host_name, lease[i]->expires_ms);
	free(lease);
}

void names_build(struct hub *hub)
{
	const Nl__Dhcp *dhcp = hub->conf->dhcp;
	struct hash_key key;
	size_t i;

	if (getrandom(&key, sizeof(key), 0) != sizeof(key))
		abort();
	hostnames_clear(&hub->names);
	hostnames_init(&hub->names, &key);
	for (i = 0; dhcp && i < dhcp->n_reservations; i++)
		if (dhcp->reservations[i]->address)
			claim(hub, dhcp->reservations[i]->address->be, dhcp->reservations[i]->name,
				hostnames_for_ever);
	claim_leases(hub);
	for (i = 0; i < hub->workers; i++)
		if (hears(&hub->worker[i]))
			names_tell(&hub->worker[i]);
}
