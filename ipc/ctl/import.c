/*
 * Theory of operation. The items of the file (softether.h) go through a stack of sections. A
 * section is known by its name and the one it is in; a value by its name and section:
 *
 *   root ┬ VirtualHUB ─ NAME ┬ SecureNAT ┬ VirtualHost
 *        │                   │           ├ VirtualRouter
 *        │                   │           └ VirtualDhcpServer
 *        │                   ├ Option, AdminOption
 *        │                   └ SecurityAccountDatabase, CascadeList, AccessList   (counted)
 *        ├ LocalBridgeList ─ LocalBridgeN
 *        └ ListenerList, VirtualLayer3SwitchList, IPsec                           (told)
 *
 * What no table names is passed over. A value that is not of its kind is told and left.
 */
#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

#include "import.h"
#include "import_hub.h"
#include "reflect.h"

enum section {
	SECTION_OTHER,
	SECTION_FILE,
	SECTION_ROOT,
	SECTION_HUBS,
	SECTION_HUB,
	SECTION_SECURENAT,
	SECTION_HOST,
	SECTION_ROUTER,
	SECTION_DHCP,
	SECTION_OPTION,
	SECTION_ADMIN,
	SECTION_CASCADES,
	SECTION_RULES,
	SECTION_ACCOUNTS,
	SECTION_USERS,
	SECTION_GROUPS,
	SECTION_BRIDGES,
	SECTION_BRIDGE,
	SECTION_LISTENERS,
	SECTION_SWITCHES,
	SECTION_IPSEC,
	SECTION_SERVER,
	SECTION_SYSLOG,
};

struct known_section {
	enum section in;
	const char *name; /* NULL: any */
	enum section is;
};
static const struct known_section sections[] = {
	{SECTION_FILE, "root", SECTION_ROOT},
	{SECTION_ROOT, "VirtualHUB", SECTION_HUBS},
	{SECTION_ROOT, "LocalBridgeList", SECTION_BRIDGES},
	{SECTION_ROOT, "ListenerList", SECTION_LISTENERS},
	{SECTION_ROOT, "VirtualLayer3SwitchList", SECTION_SWITCHES},
	{SECTION_ROOT, "IPsec", SECTION_IPSEC},
	{SECTION_ROOT, "ServerConfiguration", SECTION_SERVER},
	{SECTION_SERVER, "SyslogSettings", SECTION_SYSLOG},
	{SECTION_HUBS, NULL, SECTION_HUB},
	{SECTION_HUB, "SecureNAT", SECTION_SECURENAT},
	{SECTION_HUB, "Option", SECTION_OPTION},
	{SECTION_HUB, "AdminOption", SECTION_ADMIN},
	{SECTION_HUB, "CascadeList", SECTION_CASCADES},
	{SECTION_HUB, "AccessList", SECTION_RULES},
	{SECTION_HUB, "SecurityAccountDatabase", SECTION_ACCOUNTS},
	{SECTION_ACCOUNTS, "UserList", SECTION_USERS},
	{SECTION_ACCOUNTS, "GroupList", SECTION_GROUPS},
	{SECTION_SECURENAT, "VirtualHost", SECTION_HOST},
	{SECTION_SECURENAT, "VirtualRouter", SECTION_ROUTER},
	{SECTION_SECURENAT, "VirtualDhcpServer", SECTION_DHCP},
	{SECTION_BRIDGES, NULL, SECTION_BRIDGE},
};

enum value_kind { VALUE_BOOL, VALUE_NUMBER, VALUE_IP, VALUE_MAC, VALUE_TEXT };

struct known_value {
	enum section in;
	const char *name;
	enum value_kind kind;
	size_t offset, bytes; /* in the hub, the bridge or the whole */
};

#define IN(STRUCT, FIELD) offsetof(struct STRUCT, FIELD), sizeof(((struct STRUCT *)NULL)->FIELD)

static const struct known_value values[] = {
	{SECTION_HUB, "Online", VALUE_BOOL, IN(import_hub, online)},
	{SECTION_SECURENAT, "Disabled", VALUE_BOOL, IN(import_hub, disabled)},
	{SECTION_SECURENAT, "SaveLog", VALUE_BOOL, IN(import_hub, log)},
	{SECTION_HOST, "VirtualHostIp", VALUE_IP, IN(import_hub, address)},
	{SECTION_HOST, "VirtualHostIpSubnetMask", VALUE_IP, IN(import_hub, netmask)},
	{SECTION_HOST, "VirtualHostMacAddress", VALUE_MAC, IN(import_hub, mac)},
	{SECTION_ROUTER, "NatEnabled", VALUE_BOOL, IN(import_hub, nat)},
	{SECTION_ROUTER, "NatMtu", VALUE_NUMBER, IN(import_hub, mtu)},
	{SECTION_ROUTER, "NatTcpTimeout", VALUE_NUMBER, IN(import_hub, tcp_timeout)},
	{SECTION_ROUTER, "NatUdpTimeout", VALUE_NUMBER, IN(import_hub, udp_timeout)},
	{SECTION_DHCP, "DhcpEnabled", VALUE_BOOL, IN(import_hub, dhcp)},
	{SECTION_DHCP, "DhcpLeaseIPStart", VALUE_IP, IN(import_hub, from)},
	{SECTION_DHCP, "DhcpLeaseIPEnd", VALUE_IP, IN(import_hub, to)},
	{SECTION_DHCP, "DhcpSubnetMask", VALUE_IP, IN(import_hub, dhcp_netmask)},
	{SECTION_DHCP, "DhcpExpireTimeSpan", VALUE_NUMBER, IN(import_hub, lease)},
	{SECTION_DHCP, "DhcpGatewayAddress", VALUE_IP, IN(import_hub, gateway)},
	{SECTION_DHCP, "DhcpDnsServerAddress", VALUE_IP, IN(import_hub, dns[0])},
	{SECTION_DHCP, "DhcpDnsServerAddress2", VALUE_IP, IN(import_hub, dns[1])},
	{SECTION_DHCP, "DhcpDomainName", VALUE_TEXT, IN(import_hub, domain)},
	{SECTION_DHCP, "DhcpPushRoutes", VALUE_TEXT, IN(import_hub, push_routes)},
	{SECTION_OPTION, "SecureNAT_MaxTcpSessionsPerIp", VALUE_NUMBER, IN(import_hub, max_tcp)},
	{SECTION_OPTION, "SecureNAT_MaxUdpSessionsPerIp", VALUE_NUMBER, IN(import_hub, max_udp)},
	{SECTION_OPTION, "SecureNAT_MaxIcmpSessionsPerIp", VALUE_NUMBER, IN(import_hub, max_icmp)},
	{SECTION_OPTION, "SecureNAT_MaxTcpSynSentPerIp", VALUE_NUMBER, IN(import_hub, max_syn)},
	{SECTION_OPTION, "SecureNAT_MaxDnsSessionsPerIp", VALUE_NUMBER, IN(import_hub, max_dns)},
	{SECTION_OPTION, "SecureNAT_RandomizeAssignIp", VALUE_BOOL, IN(import_hub, randomize)},
	{SECTION_ADMIN, "no_securenat", VALUE_NUMBER, IN(import_hub, no_securenat)},
	{SECTION_ADMIN, "no_securenat_enablenat", VALUE_NUMBER, IN(import_hub, no_enablenat)},
	{SECTION_ADMIN, "no_securenat_enabledhcp", VALUE_NUMBER, IN(import_hub, no_enabledhcp)},
	{SECTION_BRIDGE, "HubName", VALUE_TEXT, IN(import_bridge, hub)},
	{SECTION_BRIDGE, "DeviceName", VALUE_TEXT, IN(import_bridge, device)},
	{SECTION_BRIDGE, "TapMode", VALUE_BOOL, IN(import_bridge, tap)},
	{SECTION_IPSEC, "L2TP_IPsec", VALUE_BOOL, IN(import, l2tp)},
	{SECTION_IPSEC, "EtherIP_IPsec", VALUE_BOOL, IN(import, etherip)},
	{SECTION_SYSLOG, "SaveType", VALUE_NUMBER, IN(import, syslog)},
};

/* What a key that is missing means: SoftEther's default, or ours where the two are one. */
static const struct import_hub fresh_hub = {
	.online = 1,
	.log = 1,
	.address = 0xc0a81e01,
	.netmask = 0xffffff00,
	.nat = 1,
	.mtu = 1500,
	.tcp_timeout = 7200,
	.udp_timeout = 600,
	.dhcp = 1,
	.from = 0xc0a81e0a,
	.to = 0xc0a81ec8,
	.dhcp_netmask = 0xffffff00,
	.lease = 7200,
	.gateway = 0xc0a81e01,
	.dns = {0xc0a81e01, 0},
};

static bool read_number(const char *text, uint32_t *value)
{
	uint64_t number = 0;

	for (const char *c = text; *c != '\0'; c++) {
		if (*c < '0' || *c > '9' || number > UINT32_MAX)
			return false;
		number = number * 10 + (uint64_t)(*c - '0');
	}
	*value = (uint32_t)number;
	return text[0] != '\0' && number <= UINT32_MAX;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 00-AC-85-40-B5-50 */
static bool read_mac(const char *text, uint8_t mac[6])
{
	for (size_t i = 0; i < 6; i++) {
		int high = hex(text[3 * i]), low = high < 0 ? -1 : hex(text[3 * i + 1]);

		if (low < 0 || text[3 * i + 2] != (i < 5 ? '-' : '\0'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* The value at its place; false when it is not of its kind. */
static bool store(const struct known_value *known, const struct softether_item *item, void *place)
{
	uint32_t number = 0;
	struct in_addr address;

	switch (known->kind) {
	case VALUE_BOOL:
		number = strcmp(item->value, "true") == 0;
		if (!number && strcmp(item->value, "false") != 0)
			return false;
		break;
	case VALUE_NUMBER:
		if (!read_number(item->value, &number))
			return false;
		break;
	case VALUE_IP:
		if (inet_pton(AF_INET, item->value, &address) != 1)
			return false;
		number = ntohl(address.s_addr);
		break;
	case VALUE_MAC: return read_mac(item->value, place);
	case VALUE_TEXT:
		if (item->cut || strlen(item->value) >= known->bytes)
			return false;
		strcpy(place, item->value);
		return true;
	}
	memcpy(place, &number, sizeof(number));
	return true;
}

/* The structure that values of a section go into; NULL: there was no more room for it. */
static void *target_of(struct import *im, enum section in)
{
	if (in == SECTION_BRIDGE)
		return im->bridges_lost > 0 ? NULL : &im->bridge[im->bridges - 1];
	if (in == SECTION_IPSEC || in == SECTION_SYSLOG)
		return im;
	return im->hubs_lost > 0 ? NULL : &im->hub[im->hubs - 1];
}

static void take_value(struct import *im, enum section in, const struct softether_item *item)
{
	char shown[64];
	uint8_t *target;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const struct known_value *known = &values[i];

		if (known->in != in || strcmp(known->name, item->name) != 0)
			continue;
		target = target_of(im, in);
		if (target == NULL)
			return;
		if (!store(known, item, target + known->offset))
			fprintf(im->notes, "line %d: %s \"%s\" is not understood: left out\n",
				item->line, known->name,
				reflect_printable(shown, sizeof(shown), item->value));
		else if (known->kind == VALUE_MAC)
			((struct import_hub *)target)->has_mac = 1;
		return;
	}
	if (in == SECTION_ADMIN && strcmp(item->value, "0") != 0 && im->hubs_lost == 0)
		im->hub[im->hubs - 1].other_options++;
}

static void begin_hub(struct import *im, const struct softether_item *item)
{
	if (im->hubs == IMPORT_HUBS_MAX) {
		im->hubs_lost++;
		return;
	}
	im->hub[im->hubs] = fresh_hub;
	strcpy(im->hub[im->hubs].name, item->name);
	im->hubs++;
}

static void begin_bridge(struct import *im)
{
	if (im->bridges == IMPORT_BRIDGES_MAX) {
		im->bridges_lost++;
		return;
	}
	im->bridge[im->bridges++] = (struct import_bridge){0};
}

/* What is only counted: one section is one of them. */
static void count_section(struct import *im, enum section in)
{
	struct import_hub *hub = im->hubs > 0 ? &im->hub[im->hubs - 1] : NULL;

	if (in == SECTION_LISTENERS)
		im->listeners++;
	if (in == SECTION_SWITCHES)
		im->switches++;
	if (hub == NULL || im->hubs_lost > 0)
		return;
	hub->users += in == SECTION_USERS;
	hub->groups += in == SECTION_GROUPS;
	hub->cascades += in == SECTION_CASCADES;
	hub->rules += in == SECTION_RULES;
}

static enum section begin_section(
	struct import *im, enum section in, const struct softether_item *item)
{
	count_section(im, in);
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		const struct known_section *known = &sections[i];

		if (known->in != in ||
			(known->name != NULL && strcmp(known->name, item->name) != 0))
			continue;
		if (known->is == SECTION_HUB)
			begin_hub(im, item);
		if (known->is == SECTION_BRIDGE)
			begin_bridge(im);
		return known->is;
	}
	return SECTION_OTHER;
}

/* The whole text into *im; 0, or -EINVAL as softether_next. */
static int read_all(struct import *im, struct softether *s)
{
	enum section stack[SOFTETHER_DEPTH_MAX + 1] = {SECTION_FILE};
	struct softether_item item;
	int more;

	while ((more = softether_next(s, &item)) == 1) {
		if (item.kind == SOFTETHER_OPEN)
			stack[item.depth] = begin_section(im, stack[item.depth - 1], &item);
		else if (item.kind == SOFTETHER_VALUE)
			take_value(im, stack[item.depth], &item);
	}
	return more;
}

int import_softether(
	const char *name, const char *text, size_t bytes, FILE *out, FILE *notes, struct failure *f)
{
	static struct import im; /* too large for a stack */
	struct softether s;
	char shown[128];

	memset(&im, 0, sizeof(im));
	im.notes = notes;
	reflect_printable(shown, sizeof(shown), name);
	softether_init(&s, text, bytes);
	if (read_all(&im, &s) < 0)
		return failure(f, CTL_CONFIG, "E0711", s.error,
			"Give the file that SoftEther itself wrote: vpn_server.config",
			"%s:%d: not a configuration of SoftEther VPN", shown, s.line);
	if (im.hubs == 0)
		return failure(f, CTL_NO_MATCH, "E0712", NULL,
			"Give the file of the server: vpn_server.config", "%s has no virtual hub",
			shown);
	for (uint32_t i = 0; i < im.hubs; i++)
		import_settle(&im, i);
	import_write(out, &im, shown);
	return CTL_OK;
}
