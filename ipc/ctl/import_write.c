/*
 * Theory of operation. Every setting that has a counterpart is written out, defaults included: what
 * the hub did before is then to be read in one place. Only settled values and names come here, so
 * nothing needs escaping but the quotes around it.
 */
#include <arpa/inet.h>
#include <string.h>

#include "import_hub.h"
#include "reflect.h"

static const char *ip(char *out, uint32_t address)
{
	uint32_t be = htonl(address);

	return inet_ntop(AF_INET, &be, out, INET_ADDRSTRLEN);
}

static const char *yes(uint32_t value)
{
	return value ? "true" : "false";
}

/* SoftEther calls the TAP of a bridge to device X tap_X, and holds it open: natlock takes it as any
 * other interface of the host. */
static bool is_tap_name(const char *device)
{
	size_t length = strlen(device);

	return length >= 1 && length <= 11 &&
	       strspn(device, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
		       length;
}

/* The hub that gets the TAP of a bridge; NULL: none, or an earlier bridge has it. */
static const struct import_hub *owner_of(const struct import *im, uint32_t i)
{
	const struct import_bridge *bridge = &im->bridge[i];

	if (!bridge->tap || !is_tap_name(bridge->device))
		return NULL;
	for (uint32_t other = 0; other < i; other++)
		if (im->bridge[other].tap && strcmp(im->bridge[other].device, bridge->device) == 0)
			return NULL;
	for (uint32_t h = 0; h < im->hubs; h++)
		if (strcasecmp(bridge->hub, im->hub[h].name) == 0)
			return &im->hub[h];
	return NULL;
}

static void write_attach(FILE *out, const struct import *im, const struct import_hub *hub)
{
	const char *comma = "";

	fputs("    attach: [", out);
	for (uint32_t i = 0; i < im->bridges; i++)
		if (owner_of(im, i) == hub) {
			fprintf(out, "%s\"veth:tap_%s\"", comma, im->bridge[i].device);
			comma = ", ";
		}
	fputs("]\n", out);
}

static void write_host(FILE *out, const struct import_hub *hub)
{
	char address[INET_ADDRSTRLEN], netmask[INET_ADDRSTRLEN];
	const uint8_t *m = hub->mac;

	fputs("    host:\n", out);
	if (hub->has_mac)
		fprintf(out, "      mac: \"%02X:%02X:%02X:%02X:%02X:%02X\"\n", m[0], m[1], m[2],
			m[3], m[4], m[5]);
	fprintf(out, "      address: %s\n      netmask: %s\n", ip(address, hub->address),
		ip(netmask, hub->netmask));
}

static void write_nat(FILE *out, const struct import_hub *hub)
{
	fprintf(out,
		"    nat:\n      enable: %s\n      mtu: %u\n      tcp_timeout: %us\n"
		"      udp_timeout: %us\n      log: %s\n",
		yes(hub->nat), hub->mtu, hub->tcp_timeout, hub->udp_timeout, yes(hub->log));
}

static void write_routes(FILE *out, const struct import_hub *hub)
{
	char to[INET_ADDRSTRLEN], via[INET_ADDRSTRLEN];

	if (hub->route_count == 0)
		return;
	fputs("      push_routes:\n", out);
	for (uint32_t i = 0; i < hub->route_count; i++)
		fprintf(out, "        - {to: %s/%u, via: %s}\n", ip(to, hub->routes[i].to),
			hub->routes[i].prefix, ip(via, hub->routes[i].via));
}

static void write_dhcp(FILE *out, const struct import_hub *hub)
{
	char a[INET_ADDRSTRLEN], b[INET_ADDRSTRLEN], netmask[INET_ADDRSTRLEN];
	const char *comma = "";

	fprintf(out,
		"    dhcp:\n      enable: %s\n      range: {from: %s, to: %s}\n      netmask: %s\n"
		"      lease: %us\n",
		yes(hub->dhcp), ip(a, hub->from), ip(b, hub->to), ip(netmask, hub->dhcp_netmask),
		hub->lease);
	fprintf(out, "      gateway: %s\n      dns: [",
		hub->gateway ? ip(a, hub->gateway) : "none");
	for (int i = 0; i < 2; i++)
		if (hub->dns[i] != 0) {
			fprintf(out, "%s%s", comma, ip(a, hub->dns[i]));
			comma = ", ";
		}
	fprintf(out, "]\n      domain: \"%s\"\n      log: %s\n",
		hub->domain[0] != '\0' ? hub->domain : "none", yes(hub->log));
	write_routes(out, hub);
}

static void write_limits(FILE *out, const struct import_hub *hub)
{
	const struct {
		const char *key;
		uint32_t value;
	} limits[] = {
		{"tcp_sessions_per_host", hub->max_tcp},
		{"udp_sessions_per_host", hub->max_udp},
		{"icmp_sessions_per_host", hub->max_icmp},
		{"syn_sent_per_host", hub->max_syn},
		{"dns_sessions_per_host", hub->max_dns},
	};
	const char *title = "    limits:\n";

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (limits[i].value != 0) {
			fprintf(out, "%s      %s: %u\n", title, limits[i].key, limits[i].value);
			title = "";
		}
}

static void write_options(FILE *out, const struct import_hub *hub)
{
	if (!hub->no_securenat && !hub->no_enablenat && !hub->no_enabledhcp)
		return;
	fprintf(out,
		"    options:\n      no_securenat: %s\n      no_securenat_enablenat: %s\n"
		"      no_securenat_enabledhcp: %s\n",
		yes(hub->no_securenat), yes(hub->no_enablenat), yes(hub->no_enabledhcp));
}

static void note_count(const struct import *im, const struct import_hub *hub, uint32_t count,
	const char *what, const char *why)
{
	if (count > 0)
		fprintf(im->notes, "hub %s: %u %s: no counterpart. %s\n", hub->ours, count, what,
			why);
}

static void note_hub(const struct import *im, const struct import_hub *hub)
{
	bool bridged = false;

	for (uint32_t i = 0; i < im->bridges; i++)
		bridged |= owner_of(im, i) == hub;
	if (bridged)
		fprintf(im->notes,
			"hub %s: its TAP stays SoftEther's. Switch off what natlock does now: "
			"vpncmd, SecureNatDisable\n",
			hub->ours);
	else
		fprintf(im->notes, "hub %s: it has no port yet. See: natlock attach\n", hub->ours);
	note_count(im, hub, hub->users, "users", "They are of the VPN, which stays SoftEther's");
	note_count(im, hub, hub->groups, "groups", "They are of the VPN, which stays SoftEther's");
	note_count(im, hub, hub->cascades, "cascade connections",
		"Bridge the hub to a TAP and attach that");
	note_count(im, hub, hub->rules, "access list rules",
		"natlock's lists are by subnet: nat.access_lists");
	note_count(im, hub, hub->other_options, "options of its administrator",
		"Only those of SecureNAT have one");
	note_count(im, hub, hub->randomize, "SecureNAT_RandomizeAssignIp",
		"natlock gives a guest the address that it had before");
}

static void note_bridges(const struct import *im)
{
	char hub[64], device[64];

	for (uint32_t i = 0; i < im->bridges; i++) {
		const struct import_bridge *bridge = &im->bridge[i];

		if (owner_of(im, i) == NULL)
			fprintf(im->notes,
				"local bridge of %s to %s: no counterpart. Put the device into a "
				"Linux bridge and attach bridge:NAME\n",
				reflect_printable(hub, sizeof(hub), bridge->hub),
				reflect_printable(device, sizeof(device), bridge->device));
	}
}

static void note_server(const struct import *im)
{
	if (im->hubs_lost > 0)
		fprintf(im->notes, "%u more hubs: one natlock serves %d. Start another one\n",
			im->hubs_lost, IMPORT_HUBS_MAX);
	if (im->bridges_lost > 0)
		fprintf(im->notes, "%u more local bridges were not looked at\n", im->bridges_lost);
	if (im->listeners > 0)
		fprintf(im->notes,
			"%u listeners, the server's certificate and passwords: no "
			"counterpart. natlock serves no VPN\n",
			im->listeners);
	if (im->switches > 0)
		fprintf(im->notes, "%u virtual layer 3 switches: no counterpart\n", im->switches);
	if (im->l2tp || im->etherip)
		fputs("IPsec, L2TP and EtherIP servers: no counterpart\n", im->notes);
	if (im->syslog != 0)
		fputs("syslog to another host: natlock writes to /dev/log. Set log.syslog: true\n",
			im->notes);
}

void import_write(FILE *out, const struct import *im, const char *source)
{
	fprintf(out, "# natlock's configuration, made from %s by: natlockctl import softether\n",
		source);
	fputs("hubs:\n", out);
	for (uint32_t i = 0; i < im->hubs; i++) {
		const struct import_hub *hub = &im->hub[i];

		fprintf(out, "  \"%s\":\n    enable: %s\n", hub->ours,
			yes(hub->online && !hub->disabled));
		write_attach(out, im, hub);
		write_host(out, hub);
		write_nat(out, hub);
		write_dhcp(out, hub);
		write_limits(out, hub);
		write_options(out, hub);
		note_hub(im, hub);
	}
	note_bridges(im);
	note_server(im);
}
