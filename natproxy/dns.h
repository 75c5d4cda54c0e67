/* What natproxy's DNS is told: configuration, servers, names of leased hosts. The rest of it is
 * dnsrelay.h. */
#ifndef NATLOCK_NATPROXY_DNS_H
#define NATLOCK_NATPROXY_DNS_H

#include "natproxy.h"

/* Part of natproxy_init, before dns_host_domain and dns_configure. */
void dns_init(struct natproxy *np, const struct hash_key *key);
/* This computer's domain, NULL or one that is too long: none. It holds from the next dns_configure on. */
void dns_host_domain(struct natproxy *np, const char *domain);
/*
 * The hub's dns part, limits.dns_sessions_per_host, dhcp.domain and the gateway's address, at boot and
 * whenever they change. Questions in flight stay; what is kept is forgotten if the servers changed.
 */
void dns_configure(struct natproxy *np, const Nl__Hub *hub);
/* The device by which this server is asked, NULL: as this computer's routes say. */
const char *dns_device(const struct natproxy *np, uint32_t ip_be);
/* This computer's nameservers, at most DNSREDIR_UPSTREAMS of them; used unless dns.upstreams are. */
void dns_resolvers(struct natproxy *np, const uint32_t *ip_be, size_t count);

#endif
