/*
 * Theory of operation. The gateway's own address and netmask make the hub's subnet; every other
 * address of a hub is measured against it. Addresses that can be nobody's are refused here once:
 * a subnet's first and last (RFC 950 2.1, RFC 922 7), and what RFC 6890 lists as no host's.
 */
#include <arpa/inet.h>
#include <string.h>

#include "conf_check.h"

static bool is_contiguous(uint32_t mask)
{
	return (~mask & (~mask + 1)) == 0;
}

bool conf_is_inside(const struct conf_hub_subnet *s, uint32_t address)
{
	return (address & s->mask) == (s->address & s->mask);
}

static bool is_station(const struct conf_hub_subnet *s, uint32_t address)
{
	return conf_is_inside(s, address) && (address & ~s->mask) != 0 &&
	       (address & ~s->mask) != (uint32_t)~s->mask;
}

bool conf_is_unicast(uint32_t address)
{
	uint32_t first = address >> 24;

	return first != 0 && first != 127 && first < 224;
}

int conf_check_netmask(
	struct conf_check *c, const ProtobufCMessage *section, const char *title, uint32_t mask_be)
{
	uint32_t mask = ntohl(mask_be);
	char text[INET_ADDRSTRLEN];

	if (!is_contiguous(mask))
		return conf_fault(c, conf_at(section, "netmask"),
			"%s.netmask %s is not a netmask: its one-bits must come first, as in "
			"255.255.255.0",
			title, conf_ip(text, mask_be));
	if (mask < 0xff000000 || mask > 0xfffffffc)
		return conf_fault(c, conf_at(section, "netmask"),
			"%s.netmask %s is out of range: 255.0.0.0 to 255.255.255.252", title,
			conf_ip(text, mask_be));
	return 0;
}

int conf_check_host(struct conf_check *c, const Nl__VirtualHost *host, struct conf_hub_subnet *s)
{
	char address[INET_ADDRSTRLEN];
	uint32_t network_be;
	int error = conf_check_netmask(c, &host->base, "host", host->netmask->be);

	if (error != 0)
		return error;
	s->host = host;
	s->address = ntohl(host->address->be);
	s->mask = ntohl(host->netmask->be);
	network_be = htonl(s->address & s->mask);
	snprintf(s->text, sizeof(s->text), "%s/%d", conf_ip(address, network_be),
		__builtin_popcount(s->mask));
	if (!conf_is_unicast(s->address) || !is_station(s, s->address))
		return conf_fault(c, conf_at(&host->base, "address"),
			"host.address %s cannot be a station's address in %s. Choose one such as "
			"192.168.30.1",
			conf_ip(address, host->address->be), s->text);
	if (!host->mac->auto_ && (host->mac->octets.data[0] & 1) != 0)
		return conf_fault(c, conf_at(&host->base, "mac"),
			"host.mac is a multicast address: its first octet must be even");
	return 0;
}

int conf_check_station(struct conf_check *c, struct conf_place p, const char *what,
	uint32_t address_be, const struct conf_hub_subnet *s)
{
	char address[INET_ADDRSTRLEN], line[CONF_WHERE_BYTES];

	if (is_station(s, ntohl(address_be)))
		return 0;
	return conf_fault(c, p, "%s %s is not inside %s (host.address, %s)", what,
		conf_ip(address, address_be), s->text,
		conf_where(c, conf_at(&s->host->base, "address"), line));
}

int conf_check_guest(struct conf_check *c, struct conf_place p, const char *what,
	uint32_t address_be, const struct conf_hub_subnet *s)
{
	char address[INET_ADDRSTRLEN], line[CONF_WHERE_BYTES];

	if (address_be == s->host->address->be)
		return conf_fault(c, p,
			"%s %s is the gateway's own (host.address, %s): give a guest's", what,
			conf_ip(address, address_be),
			conf_where(c, conf_at(&s->host->base, "address"), line));
	return conf_check_station(c, p, what, address_be, s);
}
