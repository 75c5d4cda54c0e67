/*
 * Theory of operation. SoftEther takes settings that cannot work, such as a pool outside the
 * subnet; natlock refuses them. An import that ended in a refusal would leave its user with a file
 * to be mended by hand, so what does not fit is replaced by the nearest thing that does, and told.
 * The rules are those of policy/supervisor/conf_check*.c; a fuzz target holds the two together.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "import_hub.h"

enum { POOL_MAX = 65280, DAY = 86400, ROUTES_BYTES = 255, DEFAULT_ROUTE_BYTES = 5 };

static void note(const struct import *im, const struct import_hub *hub, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void note(const struct import *im, const struct import_hub *hub, const char *format, ...)
{
	va_list args;

	fprintf(im->notes, "hub %s: ", hub->ours);
	va_start(args, format);
	vfprintf(im->notes, format, args);
	va_end(args);
	fputc('\n', im->notes);
}

static const char *ip(char *out, uint32_t address)
{
	uint32_t be = htonl(address);

	return inet_ntop(AF_INET, &be, out, INET_ADDRSTRLEN);
}

static bool is_name_byte(char c, bool first)
{
	return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') ||
	       (!first && (c == '-' || c == '_' || c == '.'));
}

static bool is_taken(const struct import *im, uint32_t index)
{
	for (uint32_t i = 0; i < index; i++)
		if (strcmp(im->hub[i].ours, im->hub[index].ours) == 0)
			return true;
	return false;
}

/* A folder's name: what may not stand in one becomes a hyphen; a name that is taken is replaced.
 */
static void settle_name(struct import *im, uint32_t index)
{
	struct import_hub *hub = &im->hub[index];
	size_t used = 0;

	for (const char *c = hub->name; *c != '\0' && used < sizeof(hub->ours) - 1; c++, used++)
		hub->ours[used] = is_name_byte(*c, used == 0) ? *c : used == 0 ? 'h' : '-';
	hub->ours[used] = '\0';
	for (uint32_t n = 0; used == 0 || is_taken(im, index); n++, used = 1)
		snprintf(hub->ours, sizeof(hub->ours), "hub-%u-%u", index, n);
	if (strcmp(hub->ours, hub->name) != 0)
		note(im, hub,
			"it had another name; natlock's hubs are named by letters, digits, "
			"- _ .");
}

static bool is_netmask(uint32_t mask)
{
	return (~mask & (~mask + 1)) == 0 && mask >= 0xff000000 && mask <= 0xfffffffc;
}

static bool is_station(const struct import_hub *hub, uint32_t address)
{
	uint32_t host = address & ~hub->netmask;

	return (address & hub->netmask) == (hub->address & hub->netmask) && host != 0 &&
	       host != (uint32_t)~hub->netmask;
}

static bool is_unicast(uint32_t address)
{
	uint32_t first = address >> 24;

	return first != 0 && first != 127 && first < 224;
}

static void settle_host(const struct import *im, struct import_hub *hub)
{
	char was[INET_ADDRSTRLEN], now[INET_ADDRSTRLEN];

	if (!is_netmask(hub->netmask)) {
		note(im, hub, "netmask %s cannot be used: it is 255.255.255.0 now",
			ip(was, hub->netmask));
		hub->netmask = 0xffffff00;
	}
	if (!is_unicast(hub->address) || !is_station(hub, hub->address)) {
		ip(was, hub->address);
		hub->address = is_unicast(hub->address) ? (hub->address & hub->netmask) + 1
							: (0xc0a81e00 & hub->netmask) + 1;
		note(im, hub, "address %s is no station's: it is %s now", was,
			ip(now, hub->address));
	}
	if (hub->has_mac && (hub->mac[0] & 1) != 0) {
		note(im, hub, "its MAC address was a multicast one: natlock chooses one");
		hub->has_mac = 0;
	}
}

static void settle_range(const struct import *im, const struct import_hub *hub, const char *what,
	uint32_t *value, uint32_t least, uint32_t most)
{
	uint32_t was = *value;

	*value = was < least ? least : was > most ? most : was;
	if (*value != was)
		note(im, hub, "%s %u is out of natlock's range: it is %u now", what, was, *value);
}

static void settle_numbers(const struct import *im, struct import_hub *hub)
{
	struct {
		const char *what;
		uint32_t *value, least, most;
	} numbers[] = {
		{"nat.mtu", &hub->mtu, 576, 65520},
		{"nat.tcp_timeout", &hub->tcp_timeout, 1, 30 * DAY},
		{"nat.udp_timeout", &hub->udp_timeout, 1, 30 * DAY},
		{"dhcp.lease", &hub->lease, 10, 365 * DAY},
	};
	uint32_t *const limits[] = {
		&hub->max_tcp, &hub->max_udp, &hub->max_icmp, &hub->max_syn, &hub->max_dns};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		settle_range(im, hub, numbers[i].what, numbers[i].value, numbers[i].least,
			numbers[i].most);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (*limits[i] != 0)
			settle_range(im, hub, "a limit of sessions", limits[i], 1, 65536);
}

static bool pool_fits(const struct import_hub *hub)
{
	uint32_t beyond = (hub->from ^ hub->address) | (hub->to ^ hub->address);

	return hub->from <= hub->to && is_station(hub, hub->from) && is_station(hub, hub->to) &&
	       (beyond & hub->dhcp_netmask) == 0 && hub->to - hub->from < POOL_MAX &&
	       (hub->from != hub->address || hub->to != hub->address);
}

/* What natlock cannot give out is not given out: the rest of the hub goes on. */
static void settle_pool(const struct import *im, struct import_hub *hub)
{
	char from[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN];

	if (!is_netmask(hub->dhcp_netmask)) {
		note(im, hub, "DHCP netmask %s cannot be used: it is that of the host now",
			ip(from, hub->dhcp_netmask));
		hub->dhcp_netmask = hub->netmask;
	}
	if (pool_fits(hub))
		return;
	if (hub->dhcp)
		note(im, hub,
			"the DHCP range %s-%s does not fit the hub's subnet: DHCP is off. Set "
			"dhcp.range and dhcp.enable",
			ip(from, hub->from), ip(to, hub->to));
	hub->dhcp = 0;
	hub->dhcp_netmask = hub->netmask;
	hub->from = (hub->address & hub->netmask) + 1;
	hub->to = (hub->address | ~hub->netmask) - 1;
	if (hub->to - hub->from >= POOL_MAX)
		hub->to = hub->from + POOL_MAX - 1;
}

static bool is_domain(const char *name)
{
	size_t label = 0;

	for (const char *c = name;; c++) {
		bool end = *c == '.' || *c == '\0';

		if (end && (label == 0 || label > 63 || c[-1] == '-'))
			return false;
		if (*c == '\0')
			return true;
		if (!end && !is_name_byte(*c, true) && !(*c == '-' && label > 0))
			return false;
		label = end ? 0 : label + 1;
	}
}

static void settle_told(const struct import *im, struct import_hub *hub)
{
	char was[INET_ADDRSTRLEN];

	if (hub->gateway != 0 && !is_station(hub, hub->gateway)) {
		note(im, hub, "the gateway %s is outside of the hub's subnet: none is sent",
			ip(was, hub->gateway));
		hub->gateway = 0;
	}
	for (int i = 0; i < 2; i++)
		if (hub->dns[i] != 0 && !is_unicast(hub->dns[i])) {
			note(im, hub, "no guest can reach a nameserver at %s: left out",
				ip(was, hub->dns[i]));
			hub->dns[i] = 0;
		}
	if (hub->domain[0] != '\0' && !is_domain(hub->domain)) {
		note(im, hub, "its domain name is none that DNS knows: none is sent");
		hub->domain[0] = '\0';
	}
}

/* "10.0.0.0/255.0.0.0/192.168.30.2"; false when it is not that. Changes text. */
static bool read_route(char *text, struct import_route *route)
{
	uint32_t parts[3], mask;
	char *save, *part = strtok_r(text, "/", &save);
	struct in_addr address;

	for (int i = 0; i < 3; i++, part = strtok_r(NULL, "/", &save)) {
		if (part == NULL || inet_pton(AF_INET, part, &address) != 1)
			return false;
		parts[i] = ntohl(address.s_addr);
	}
	mask = parts[1];
	*route = (struct import_route){
		parts[0] & mask, (uint32_t)__builtin_popcount(mask), parts[2]};
	return part == NULL && (~mask & (~mask + 1)) == 0;
}

static bool is_route_known(const struct import_hub *hub, const struct import_route *route)
{
	for (uint32_t i = 0; i < hub->route_count; i++)
		if (hub->routes[i].to == route->to && hub->routes[i].prefix == route->prefix)
			return true;
	return false;
}

/* One option holds 255 bytes (RFC 3442; RFC 2132 2). */
static void settle_routes(const struct import *im, struct import_hub *hub)
{
	uint32_t bytes = hub->gateway != 0 ? DEFAULT_ROUTE_BYTES : 0, lost = 0;
	char *save, *text = strtok_r(hub->push_routes, ", ;\t", &save);

	for (; text != NULL; text = strtok_r(NULL, ", ;\t", &save)) {
		struct import_route route;
		bool good = read_route(text, &route) && is_station(hub, route.via) &&
			    !is_route_known(hub, &route) && hub->route_count < IMPORT_ROUTES_MAX;
		uint32_t takes = good ? 5 + (route.prefix + 7) / 8 : 0;

		if (!good || bytes + takes > ROUTES_BYTES) {
			lost++;
			continue;
		}
		bytes += takes;
		hub->routes[hub->route_count++] = route;
	}
	if (lost > 0)
		note(im, hub,
			"%u of its pushed routes are no routes by a station of the hub, or too "
			"many: left out",
			lost);
}

void import_settle(struct import *im, uint32_t index)
{
	struct import_hub *hub = &im->hub[index];

	settle_name(im, index);
	settle_host(im, hub);
	settle_numbers(im, hub);
	settle_pool(im, hub);
	settle_told(im, hub);
	settle_routes(im, hub);
}
