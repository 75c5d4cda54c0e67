/*
 * Theory of operation. The smaller sections of a hub: resolvers, limits, shards. Each is a few
 * ranges and words.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "conf_check.h"
#include "topology.h"

enum { PROCESSORS_A_SHARD = 4, PROCESSORS_FOR_TWO = 8 };

unsigned int conf_shards(const char *shards, unsigned int processors)
{
	unsigned int n = processors / PROCESSORS_A_SHARD;

	if (strcmp(shards, "auto") != 0)
		return shards[0] >= '1' && shards[0] <= '0' + SHARD_MAX && !shards[1]
			       ? (unsigned int)(shards[0] - '0')
			       : 0;
	if (processors < PROCESSORS_FOR_TWO)
		return 1;
	return n < SHARD_MAX ? n : SHARD_MAX;
}

unsigned int conf_processors(void)
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return processors > 0 ? (unsigned int)processors : 1;
}

/* Loopback is allowed: many a resolv.conf names 127.0.0.53. */
static int check_upstream(
	struct conf_check *c, const Nl__Dns *dns, size_t i, const struct conf_hub_subnet *s)
{
	uint32_t address = ntohl(dns->upstreams[i]->be);
	struct conf_place here = conf_at_element(&dns->base, "upstreams", i);
	char text[INET_ADDRSTRLEN], line[CONF_WHERE_BYTES];

	conf_ip(text, dns->upstreams[i]->be);
	if (address == s->address)
		return conf_fault(c, here,
			"dns.upstreams: %s is the gateway itself (host.address, %s), which would "
			"ask itself. Name a resolver, or [] for this computer's",
			text, conf_where(c, conf_at(&s->host->base, "address"), line));
	if (address >> 24 != 127 && !conf_is_unicast(address))
		return conf_fault(c, here, "dns.upstreams: no resolver can be at %s", text);
	for (size_t other = 0; other < i; other++)
		if (dns->upstreams[other]->be == dns->upstreams[i]->be)
			return conf_fault(c, here, "dns.upstreams: %s is given twice", text);
	return 0;
}

int conf_check_dns(struct conf_check *c, const Nl__Dns *dns, const struct conf_hub_subnet *s)
{
	const struct conf_range cache = {"cache", dns->cache, 0, CONF_CACHE_MAX, false};
	int error = conf_count(c, conf_at(&dns->base, "upstreams"), "dns.upstreams",
		dns->n_upstreams, CONF_UPSTREAMS_MAX);

	for (size_t i = 0; i < dns->n_upstreams && error == 0; i++)
		error = check_upstream(c, dns, i, s);
	return error == 0 ? conf_ranges(c, &dns->base, "dns", &cache, 1) : error;
}

int conf_check_limits(struct conf_check *c, const Nl__Limits *limits)
{
	const struct conf_range ranges[] = {
		{"tcp_sessions_per_host", limits->tcp_sessions_per_host, 1, 65536, false},
		{"udp_sessions_per_host", limits->udp_sessions_per_host, 1, 65536, false},
		{"icmp_sessions_per_host", limits->icmp_sessions_per_host, 1, 65536, false},
		{"syn_sent_per_host", limits->syn_sent_per_host, 1, 65536, false},
		{"dns_sessions_per_host", limits->dns_sessions_per_host, 1, 65536, false},
		{"macs_per_port", limits->macs_per_port, 1, 4096, false},
	};

	return conf_ranges(c, &limits->base, "limits", ranges, sizeof(ranges) / sizeof(ranges[0]));
}

int conf_check_shards(struct conf_check *c, const Nl__Hub *hub)
{
	const char *shards = hub->shards;
	char shown[CONF_SHOWN_BYTES];

	if (conf_shards(shards, 1) > 0)
		return 0;
	return conf_fault(c, conf_at(&hub->base, "shards"),
		"shards \"%s\" should be auto or a number from 1 to %d",
		reflect_printable(shown, sizeof(shown), shards), SHARD_MAX);
}
