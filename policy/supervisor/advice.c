/*
 * Theory of operation. Each rule looks at one hub and says at most a few lines. Rules about the
 * configuration alone come first (seed 3.7.6: gateway and DNS mean nothing without NAT), then those
 * about this computer, which may be another one, or another day, than the one natlock will run on.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "advice.h"
#include "algs_config.h"
#include "conf.h"
#include "files.h"
#include "grant.h"

enum { FIRST_PORT_USUAL = 1024, TCP_TIMEOUT_MS = 7440 * 1000, UDP_TIMEOUT_MS = 120 * 1000 };

struct advice {
	FILE *out;
	const char *hub;
	size_t count;
};

static void warn(struct advice *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void warn(struct advice *a, const char *format, ...)
{
	va_list args;

	fprintf(a->out, "natlock: warning: hub %s: ", a->hub);
	va_start(args, format);
	vfprintf(a->out, format, args);
	va_end(args);
	fputc('\n', a->out);
	a->count++;
}

static const char *ip(char *out, uint32_t ip_be)
{
	return inet_ntop(AF_INET, &ip_be, out, INET_ADDRSTRLEN);
}

static bool names_itself(const Nl__Hub *hub)
{
	for (size_t i = 0; i < hub->dhcp->n_dns; i++)
		if (hub->dhcp->dns[i]->be == hub->host->address->be)
			return true;
	return false;
}

static void about_what_guests_are_told(struct advice *a, const Nl__Hub *hub)
{
	char own[INET_ADDRSTRLEN];

	ip(own, hub->host->address->be);
	if (!hub->dhcp->enable)
		return;
	if (!hub->nat->enable && strcmp(hub->dhcp->gateway, own) == 0)
		warn(a,
			"nat.enable is false, but guests are told that %s is their gateway. Set "
			"dhcp.gateway: none",
			own);
	if (names_itself(hub) && (!hub->nat->enable || !hub->nat->dns_redirect))
		warn(a,
			"guests are told that %s is their nameserver, but %s is false. Set "
			"dhcp.dns: []",
			own, hub->nat->enable ? "nat.dns_redirect" : "nat.enable");
	if (hub->dhcp->force)
		warn(a, "dhcp.force: it serves even where another DHCP server answers");
}

static void about_timers(struct advice *a, const Nl__Nat *nat)
{
	if (nat->enable && nat->tcp_timeout->ms < TCP_TIMEOUT_MS)
		warn(a, "nat.tcp_timeout is below 7440s, which RFC 5382 REQ-5 asks for: silent "
			"connections are cut");
	if (nat->enable && nat->udp_timeout->ms < UDP_TIMEOUT_MS)
		warn(a, "nat.udp_timeout is below 120s, which RFC 4787 REQ-5 asks for");
	if (nat->host_loopback == NL__NAT__ACCESS__allow)
		warn(a, "nat.host_loopback: guests reach this computer's own addresses and "
			"everything that listens there");
}

/* Whether an application-level gateway asks it who is inspected. */
static bool is_gateways_list(const Nl__Alg *alg, uint32_t number)
{
	for (enum algs_id id = 0; id < ALGS_COUNT; id++) {
		const Nl__AlgSwitch *s = algs_switch(alg, id);

		for (size_t i = 0; s != NULL && i < s->n_lists; i++)
			if (s->lists[i]->guests == number || s->lists[i]->peers == number)
				return true;
	}
	return alg->ipsec->preserve_port_list == number || alg->ipsec->spi_match_list == number;
}

static void about_lists(struct advice *a, const Nl__Nat *nat, const Nl__Alg *alg)
{
	for (size_t i = 0; i < nat->n_access_lists; i++) {
		uint32_t number = nat->access_lists[i]->number;

		if (number != nat->source_list && number != nat->destination_list &&
			!is_gateways_list(alg, number))
			warn(a,
				"access list %u is not used. Set nat.source_list or "
				"nat.destination_list to it, or name it in alg's lists or "
				"alg.ipsec",
				number);
	}
}

static void about_ports(struct advice *a, const Nl__Nat *nat, const struct advice_host *host)
{
	for (size_t i = 0; i < nat->n_publish; i++)
		if (nat->publish[i]->listen->port < host->first_port)
			warn(a,
				"port %u needs privilege (net.ipv4.ip_unprivileged_port_start=%u). "
				"Start natlock as root, which opens it before it gives root's "
				"rights up, "
				"or choose one above",
				nat->publish[i]->listen->port, host->first_port);
}

/* What root opens for it at the start (grant_ipsec.h), and which guests have none of it. */
static void about_ipsec(struct advice *a, const Nl__Hub *hub, const struct advice_host *host)
{
	const Nl__AlgIpsec *ipsec = hub->alg->ipsec;

	if (ipsec->esp && host->first_port > 0)
		warn(a, "alg.ipsec.esp: only root may open a raw socket of protocol 50. Start "
			"natlock as root, or say esp: false: NAT traversal by UDP needs nothing");
	if (ipsec->preserve_port_list && host->first_port > CONF_IKE_PORT)
		warn(a,
			"alg.ipsec.preserve_port_list: port %d needs privilege "
			"(net.ipv4.ip_unprivileged_port_start=%u). Start natlock as root, which "
			"opens it before it gives root's rights up, or say 0",
			CONF_IKE_PORT, host->first_port);
	if (ipsec->esp && grant_device(hub->nat, NULL)[0])
		warn(a, "alg.ipsec.esp: guests of a vrf have no ESP, and nat.vrf is one. Say "
			"vrf: none, or esp: false");
}

static void about_devices(struct advice *a, const Nl__Hub *hub)
{
	static const char *const kinds[] = {"veth:", "bridge:"};

	for (size_t i = 0; i < hub->nat->n_vrfs; i++)
		if (if_nametoindex(hub->nat->vrfs[i]->device) == 0)
			warn(a, "there is no device %s here now (nat.vrfs). See: ip link",
				hub->nat->vrfs[i]->device);
	for (size_t i = 0; i < hub->n_attach; i++)
		for (size_t k = 0; k < 2; k++) {
			size_t length = strlen(kinds[k]);

			if (strncmp(hub->attach[i], kinds[k], length) == 0 &&
				if_nametoindex(hub->attach[i] + length) == 0)
				warn(a, "there is no device %s here now (attach). See: ip link",
					hub->attach[i] + length);
		}
}

static void about_network(struct advice *a, const Nl__Hub *hub, const struct advice_host *host)
{
	uint32_t mask = ntohl(hub->host->netmask->be);
	const struct hostnet_route *route = hostnet_overlap(
		host->net, hub->host->address->be, (uint8_t)__builtin_popcount(mask));
	char text[INET_ADDRSTRLEN];

	if (route != NULL)
		warn(a,
			"its subnet overlaps the host's route %s/%u dev %s: natlock up refuses it. "
			"Choose another host.address",
			ip(text, route->to.ip_be), route->to.prefix, route->device);
	if (hub->nat->dns_redirect && hub->dns->n_upstreams == 0 && host->resolvers->count == 0)
		warn(a, "no DNS upstream: resolv.conf has no usable nameserver. Set dns.upstreams");
}

size_t advice_give(FILE *out, const Nl__Config *config, const struct advice_host *host)
{
	struct advice a = {.out = out};
	size_t served = 0;

	for (size_t i = 0; i < config->n_hubs; i++) {
		const Nl__Hub *hub = config->hubs[i];

		a.hub = hub->name;
		served += hub->enable != 0;
		if (!hub->enable)
			continue;
		about_what_guests_are_told(&a, hub);
		about_timers(&a, hub->nat);
		about_lists(&a, hub->nat, hub->alg);
		about_ports(&a, hub->nat, host);
		about_ipsec(&a, hub, host);
		about_devices(&a, hub);
		about_network(&a, hub, host);
	}
	if (served > 0)
		return a.count;
	fputs("natlock: warning: no hub is enabled: nothing is served. Set enable: true\n", out);
	return a.count + 1;
}

void advice_look(struct advice_host *host, struct hostnet *net, struct resolvers *resolvers)
{
	char text[32];

	*host = (struct advice_host){.net = net, .resolvers = resolvers};
	hostnet_read(net);
	resolvers_read(resolvers);
	host->first_port = FIRST_PORT_USUAL;
	if (geteuid() == 0) /* opened before root's rights go (grant.c) */
		host->first_port = 0;
	else if (files_read("/proc/sys/net/ipv4/ip_unprivileged_port_start", text, sizeof(text)) >
		 0)
		host->first_port = (uint32_t)strtoul(text, NULL, 10);
}
