/*
 * Theory of operation: see settings.h. The supervisor has checked all this and tells the operator
 * what is wrong (file, line, fix); here it is checked because nothing that comes from another
 * process is believed.
 */
#include "settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* "an address | none"; 0 for none, INADDR_NONE for neither. */
static uint32_t address_or_none(const char *text)
{
	struct in_addr a;
	if (!text || !strcmp(text, "none"))
		return 0;
	return inet_pton(AF_INET, text, &a) == 1 ? a.s_addr : INADDR_NONE;
}

static int read_domain(struct codec_settings *s, const char *configured, const char *host_domain)
{
	const bool hosts = configured && !strcmp(configured, "host");
	const char *text = hosts ? host_domain : configured;
	if (!text || !strcmp(text, "none"))
		return 0;
	if (strlen(text) >= sizeof(s->domain))
		return hosts ? 0 : -EINVAL; /* of resolv.conf: none is told rather than half of it */
	strcpy(s->domain, text);
	return 0;
}

/* The gateway's own station, and what clients are told of addresses. */
static int read_host(struct codec_settings *s, const Nl__Hub *hub)
{
	const Nl__Dhcp *d = hub->dhcp;
	const Nl__VirtualHost *host = hub->host;
	if (!host || !host->address || !host->mac || host->mac->octets.len != sizeof(s->mac))
		return -EINVAL;
	memcpy(s->mac, host->mac->octets.data, sizeof(s->mac));
	s->server_be = host->address->be;
	s->netmask_be = d->netmask ? d->netmask->be : host->netmask ? host->netmask->be : 0;
	s->router_be = address_or_none(d->gateway);
	if (!s->server_be || !s->netmask_be || s->router_be == INADDR_NONE ||
		d->n_dns > CODEC_DNS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < d->n_dns; i++)
		s->dns_be[i] = d->dns[i]->be;
	s->dns_count = (unsigned int)d->n_dns;
	return 0;
}

static int read_routes(struct codec_settings *s, const Nl__Dhcp *d)
{
	if (d->n_push_routes > CODEC_ROUTES_MAX)
		return -E2BIG;
	for (size_t i = 0; i < d->n_push_routes; i++) {
		const Nl__Route *r = d->push_routes[i];
		if (!r->to || !r->via || r->to->prefix > 32)
			return -EINVAL;
		uint32_t mask = r->to->prefix ? UINT32_MAX << (32 - r->to->prefix) : 0;
		s->route[i] = (struct codec_route){
			r->to->ip_be & htonl(mask), r->via->be, (uint8_t)r->to->prefix};
	}
	s->route_count = (unsigned int)d->n_push_routes;
	return 0;
}

static int read_reservations(struct engine_config *c, const Nl__Dhcp *d)
{
	if (d->n_reservations > LEASE_RESERVATIONS)
		return -E2BIG;
	for (size_t i = 0; i < d->n_reservations; i++) {
		const Nl__Reservation *r = d->reservations[i];
		struct lease_reservation *to = &c->reservation[i];
		if (!r->address || !r->address->be || !r->mac ||
			r->mac->octets.len != sizeof(to->mac))
			return -EINVAL;
		to->ip_be = r->address->be;
		memcpy(to->mac, r->mac->octets.data, sizeof(to->mac));
		if (r->name && strlen(r->name) < sizeof(to->name))
			strcpy(to->name, r->name);
	}
	c->reservations = (uint32_t)d->n_reservations;
	return 0;
}

static int read_range(struct engine_config *c, const Nl__Dhcp *d)
{
	const struct codec_settings *s = &c->settings;
	if (!d->range || !d->range->from || !d->range->to)
		return -EINVAL;
	uint32_t from_be = d->range->from->be, to_be = d->range->to->be;
	c->from = ntohl(from_be);
	c->to = ntohl(to_be);
	if (c->from > c->to || c->to - c->from >= LEASE_MAX - LEASE_RESERVATIONS ||
		((from_be ^ s->server_be) & s->netmask_be) ||
		((to_be ^ s->server_be) & s->netmask_be))
		return -EINVAL;
	return 0;
}

int settings_read(struct settings *out, const Nl__Hub *hub, const char *host_domain)
{
	const Nl__Dhcp *d = hub->dhcp;
	struct engine_config *c = &out->engine;
	memset(out, 0, sizeof(*out));
	if (!d)
		return -EINVAL;
	out->enable = d->enable;
	out->log = d->log;
	out->force = d->force;
	c->lease_ms = d->lease ? d->lease->ms : 0;
	if (c->lease_ms < 1000 || c->lease_ms / 1000 > SETTINGS_LEASE_MAX_S)
		return -EINVAL;
	c->leases_per_port = hub->limits ? SETTINGS_LEASES_A_MAC * hub->limits->macs_per_port : 0;
	int error = read_host(&c->settings, hub);
	if (!error)
		error = read_domain(&c->settings, d->domain, host_domain);
	if (!error)
		error = read_routes(&c->settings, d);
	if (!error)
		error = read_range(c, d);
	return error ? error : read_reservations(c, d);
}
