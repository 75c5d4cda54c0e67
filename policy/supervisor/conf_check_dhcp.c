/*
 * Theory of operation. What guests are told must be of use to them: addresses that they can have
 * beside the gateway's, a gateway and routes that they can reach, names that they can bear.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "conf_check.h"

enum { ROUTES_OPTION_MAX = 255 }; /* bytes of one option (RFC 2132 2) */

static int check_pool(struct conf_check *c, const Nl__Dhcp *dhcp, const struct conf_hub_subnet *s)
{
	const Nl__IpRange *range = dhcp->range;
	struct conf_place here = conf_at(&dhcp->base, "range");
	char text[REFLECT_TEXT_BYTES], line[CONF_WHERE_BYTES];
	uint32_t from, to;

	if (range->from == NULL || range->to == NULL)
		return conf_fault(c, here, "dhcp.range needs both from: and to:");
	from = ntohl(range->from->be);
	to = ntohl(range->to->be);
	reflect_text_write(&range->base, text);
	if (from > to)
		return conf_fault(
			c, here, "dhcp.range %s runs backwards: swap from: and to:", text);
	if (conf_check_station(c, here, "", range->from->be, s) != 0 ||
		conf_check_station(c, here, "", range->to->be, s) != 0)
		return conf_fault(c, here, "dhcp.range %s is not inside %s (host.address, %s)",
			text, s->text, conf_where(c, conf_at(&s->host->base, "address"), line));
	if (((from ^ s->address) | (to ^ s->address)) & ntohl(dhcp->netmask->be))
		return conf_fault(c, here,
			"dhcp.range %s does not fit dhcp.netmask (%s): guests could not reach "
			"host.address",
			text, conf_where(c, conf_at(&dhcp->base, "netmask"), line));
	if (to - from >= CONF_POOL_MAX)
		return conf_fault(c, here,
			"dhcp.range %s has more than %d addresses: make it shorter", text,
			CONF_POOL_MAX);
	if (from == s->address && to == s->address)
		return conf_fault(
			c, here, "dhcp.range %s holds only the gateway's own address", text);
	return 0;
}

static int check_gateway(
	struct conf_check *c, const Nl__Dhcp *dhcp, const struct conf_hub_subnet *s)
{
	struct conf_place here = conf_at(&dhcp->base, "gateway");
	char shown[CONF_SHOWN_BYTES];
	uint32_t address_be;

	if (strcmp(dhcp->gateway, "none") == 0)
		return 0;
	if (inet_pton(AF_INET, dhcp->gateway, &address_be) != 1)
		return conf_fault(c, here,
			"dhcp.gateway: \"%s\" is neither an IPv4 address such as 192.168.30.1 nor "
			"none",
			reflect_printable(shown, sizeof(shown), dhcp->gateway));
	return conf_check_station(c, here, "dhcp.gateway", address_be, s);
}

bool conf_is_domain(const char *name)
{
	size_t label = 0;

	if (name[0] == '\0' || strlen(name) > 253)
		return false;
	for (const char *c = name;; c++) {
		bool end = *c == '.' || *c == '\0';
		bool letter = (*c | 0x20) >= 'a' && (*c | 0x20) <= 'z';

		if (end && (label == 0 || label > 63 || c[-1] == '-'))
			return false;
		if (*c == '\0')
			return true;
		if (!end && !letter && !(*c >= '0' && *c <= '9') && !(*c == '-' && label > 0))
			return false;
		label = end ? 0 : label + 1;
	}
}

static bool same_mac(const Nl__Mac *a, const Nl__Mac *b)
{
	return memcmp(a->octets.data, b->octets.data, 6) == 0;
}

static bool same_name(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcasecmp(a, b) == 0;
}

static int check_reserved_twice(struct conf_check *c, const Nl__Dhcp *dhcp, size_t i)
{
	const Nl__Reservation *r = dhcp->reservations[i];
	struct conf_place here = conf_at_element(&dhcp->base, "reservations", i);
	char text[REFLECT_TEXT_BYTES], line[CONF_WHERE_BYTES];

	for (size_t other = 0; other < i; other++) {
		const Nl__Reservation *o = dhcp->reservations[other];
		bool mac = same_mac(r->mac, o->mac), name = same_name(r->name, o->name);

		if (!mac && !name && r->address->be != o->address->be)
			continue;
		conf_where(c, conf_at_element(&dhcp->base, "reservations", other), line);
		if (!mac && r->address->be != o->address->be)
			return conf_fault(c, here,
				"dhcp.reservations: the name %s is already given (%s)", r->name,
				line);
		return conf_fault(c, here, "dhcp.reservations: %s is already reserved (%s)",
			reflect_text_write(mac ? &r->mac->base : &r->address->base, text), line);
	}
	return 0;
}

static int check_reservation(
	struct conf_check *c, const Nl__Dhcp *dhcp, size_t i, const struct conf_hub_subnet *s)
{
	const Nl__Reservation *r = dhcp->reservations[i];
	struct conf_place here = conf_at_element(&dhcp->base, "reservations", i);
	char text[REFLECT_TEXT_BYTES], line[CONF_WHERE_BYTES];
	int error;

	if (r->mac == NULL || r->mac->auto_ || r->address == NULL)
		return conf_fault(c, here,
			"dhcp.reservations needs {mac: \"00:AC:85:40:B5:50\", address: "
			"192.168.30.20}");
	if ((r->mac->octets.data[0] & 1) != 0)
		return conf_fault(c, here, "dhcp.reservations: %s is a multicast MAC address",
			reflect_text_write(&r->mac->base, text));
	if (r->name != NULL && !conf_is_domain(r->name))
		return conf_fault(c, here,
			"dhcp.reservations: a name consists of letters, digits and hyphens");
	if (r->address->be == s->host->address->be)
		return conf_fault(c, here,
			"dhcp.reservations: %s is the gateway's own (host.address, %s)",
			conf_ip(text, r->address->be),
			conf_where(c, conf_at(&s->host->base, "address"), line));
	error = check_reserved_twice(c, dhcp, i);
	return error == 0 ? conf_check_station(
				    c, here, "dhcp.reservations: address", r->address->be, s)
			  : error;
}

static int check_nameservers(struct conf_check *c, const Nl__Dhcp *dhcp)
{
	char text[INET_ADDRSTRLEN];
	int error =
		conf_count(c, conf_at(&dhcp->base, "dns"), "dhcp.dns", dhcp->n_dns, CONF_DNS_MAX);

	for (size_t i = 0; i < dhcp->n_dns && error == 0; i++)
		if (!conf_is_unicast(ntohl(dhcp->dns[i]->be)))
			error = conf_fault(c, conf_at_element(&dhcp->base, "dns", i),
				"dhcp.dns: no guest can reach a nameserver at %s",
				conf_ip(text, dhcp->dns[i]->be));
	return error;
}

static int check_route(
	struct conf_check *c, const Nl__Dhcp *dhcp, size_t i, const struct conf_hub_subnet *s)
{
	const Nl__Route *route = dhcp->push_routes[i];
	struct conf_place here = conf_at_element(&dhcp->base, "push_routes", i);
	char text[REFLECT_TEXT_BYTES], line[CONF_WHERE_BYTES];
	int error;

	if (route->to == NULL || route->via == NULL)
		return conf_fault(
			c, here, "dhcp.push_routes needs {to: 10.0.0.0/8, via: 192.168.30.2}");
	error = conf_subnet(c, conf_at(&route->base, "to"), "dhcp.push_routes: to", route->to);
	if (error == 0)
		error = conf_check_station(c, conf_at(&route->base, "via"), "dhcp.push_routes: via",
			route->via->be, s);
	for (size_t other = 0; other < i && error == 0; other++)
		if (reflect_equal(&route->to->base, &dhcp->push_routes[other]->to->base))
			error = conf_fault(c, conf_at(&route->base, "to"),
				"dhcp.push_routes: %s has a route already (%s)",
				reflect_text_write(&route->to->base, text),
				conf_where(c, conf_at_element(&dhcp->base, "push_routes", other),
					line));
	return error;
}

/* RFC 3442: one byte for the length, those of the subnet that count, four for the router; the
 * default route goes first, since clients then ignore option 3. */
static int check_routes(struct conf_check *c, const Nl__Dhcp *dhcp, const struct conf_hub_subnet *s)
{
	size_t bytes = strcmp(dhcp->gateway, "none") == 0 ? 0 : 5;
	int error = conf_count(c, conf_at(&dhcp->base, "push_routes"), "dhcp.push_routes",
		dhcp->n_push_routes, CONF_ROUTES_MAX);

	for (size_t i = 0; i < dhcp->n_push_routes && error == 0; i++) {
		error = check_route(c, dhcp, i, s);
		if (error == 0)
			bytes += 5 + (dhcp->push_routes[i]->to->prefix + 7) / 8;
	}
	if (error == 0 && bytes > ROUTES_OPTION_MAX)
		error = conf_fault(c, conf_at(&dhcp->base, "push_routes"),
			"dhcp.push_routes take %zu bytes of the option, which holds %d: give fewer "
			"or wider subnets",
			bytes, ROUTES_OPTION_MAX);
	return error;
}

static int check_reservations(
	struct conf_check *c, const Nl__Dhcp *dhcp, const struct conf_hub_subnet *s)
{
	int error = conf_count(c, conf_at(&dhcp->base, "reservations"), "dhcp.reservations",
		dhcp->n_reservations, CONF_RESERVATIONS_MAX);

	for (size_t i = 0; i < dhcp->n_reservations && error == 0; i++)
		error = check_reservation(c, dhcp, i, s);
	return error;
}

int conf_check_dhcp(struct conf_check *c, const Nl__Dhcp *dhcp, const struct conf_hub_subnet *s)
{
	const struct conf_range lease = {
		"lease", dhcp->lease->ms, 10ull * CONF_SECOND, 365ull * CONF_DAY, true};
	char shown[CONF_SHOWN_BYTES];
	int error = conf_ranges(c, &dhcp->base, "dhcp", &lease, 1);

	if (error == 0)
		error = conf_check_netmask(c, &dhcp->base, "dhcp", dhcp->netmask->be);
	if (error == 0)
		error = check_pool(c, dhcp, s);
	if (error == 0)
		error = check_gateway(c, dhcp, s);
	if (error == 0)
		error = check_nameservers(c, dhcp);
	if (error == 0 && !conf_is_domain(dhcp->domain))
		error = conf_fault(c, conf_at(&dhcp->base, "domain"),
			"dhcp.domain: \"%s\" is not a domain such as lab.example, nor host or none",
			reflect_printable(shown, sizeof(shown), dhcp->domain));
	if (error == 0)
		error = check_reservations(c, dhcp, s);
	return error == 0 ? check_routes(c, dhcp, s) : error;
}
