/* Theory of operation: see dns.h. A change of servers, or of the way to them, may mean another view of the world (a VPN that
 * came up), so nothing learnt from the old ones is told any more. */
#include <string.h>

#include "dns.h"
#include "source.h"

enum { CACHE_DEFAULT = 4096, SESSIONS_DEFAULT = 128 };

void dns_init(struct natproxy *np, const struct hash_key *key)
{
	dnsredir_init(&np->dns, key);
	dnscache_init(&np->dns_cache, key, 0);
	hostnames_init(&np->dns_local.hosts, key);
	dnsnames_init(&np->dns_names, key);
}

void dns_host_domain(struct natproxy *np, const char *domain)
{
	struct dns_servers *s = &np->dns_servers;
	s->domain[0] = '\0';
	if (domain && strlen(domain) < sizeof(s->domain))
		strcpy(s->domain, domain);
}

static void use_servers(struct natproxy *np)
{
	struct dns_servers *s = &np->dns_servers;
	const bool others =
		s->configured ? dnsredir_upstreams(&np->dns, s->configured_ip_be, s->configured)
			      : dnsredir_upstreams(&np->dns, s->host_ip_be, s->hosts);
	if (others || strcmp(s->device, np->outlet.device) != 0)
		dnscache_flush(&np->dns_cache);
	memcpy(s->device, np->outlet.device, sizeof(s->device));
}

void dns_resolvers(struct natproxy *np, const uint32_t *ip_be, size_t count)
{
	struct dns_servers *s = &np->dns_servers;
	s->hosts = count < DNSREDIR_UPSTREAMS ? (uint32_t)count : DNSREDIR_UPSTREAMS;
	for (uint32_t i = 0; i < s->hosts; i++)
		s->host_ip_be[i] = ip_be[i];
	use_servers(np);
}

static void read_upstreams(struct dns_servers *s, const Nl__Dns *dns)
{
	s->configured = 0;
	for (size_t i = 0; i < dns->n_upstreams && s->configured < DNSREDIR_UPSTREAMS; i++)
		if (dns->upstreams[i]->be)
			s->configured_ip_be[s->configured++] = dns->upstreams[i]->be;
}

static void read_local(struct natproxy *np, const Nl__Hub *hub, const Nl__Dns *dns)
{
	struct dnslocal *l = &np->dns_local;
	const char *domain = hub->dhcp && hub->dhcp->domain ? hub->dhcp->domain : "none";
	const bool hosts = strcmp(domain, "host") == 0;
	if (hosts)
		domain = np->dns_servers.domain;
	else if (strcmp(domain, "none") == 0)
		domain = NULL;
	l->gateway_ip_be = hub->host->address->be;
	l->netmask_be = hub->host->netmask->be;
	dnslocal_configure(l, !dns->has_local_names || dns->local_names, domain, !hosts);
}

void dns_configure(struct natproxy *np, const Nl__Hub *hub)
{
	static const Nl__Dns none = NL__DNS__INIT;
	const Nl__Dns *dns = hub->dns ? hub->dns : &none;
	const Nl__Limits *limits = hub->limits;
	np->dns.guest_limit = limits && limits->has_dns_sessions_per_host
				      ? limits->dns_sessions_per_host
				      : SESSIONS_DEFAULT;
	dnscache_resize(&np->dns_cache, dns->has_cache ? dns->cache : CACHE_DEFAULT);
	read_upstreams(&np->dns_servers, dns);
	read_local(np, hub, dns);
	use_servers(np);
}

/* The hub's own servers are where its guests' sessions go; those of this computer, and whatever runs
 * on it, are reached its own way. */
const char *dns_device(const struct natproxy *np, uint32_t ip_be)
{
	const bool near = access_is_local(&np->access, ip_be);
	return np->dns_servers.configured && !near ? source_device(&np->outlet) : NULL;
}

int natproxy_on_host_names(struct natproxy *np, const Nl__HostNames *m, struct chan_in *in)
{
	struct hostnames *hosts = &np->dns_local.hosts;
	if (m->has_all && m->all)
		hostnames_clear(hosts);
	for (size_t i = 0; i < m->n_names; i++) {
		const Nl__HostName *n = m->names[i];
		if (n->has_removed && n->removed)
			hostnames_remove(hosts, n->ip_be);
		else if (n->name)
			hostnames_set(hosts, n->ip_be, n->name,
				n->has_expires_ms ? n->expires_ms : hostnames_for_ever,
				np->wall_ms);
	}
	return 0;
}
