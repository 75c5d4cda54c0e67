/*
 * Theory of operation. `run` reads no file: its configuration is the embedded default with the
 * command line laid over it, checked like any other. The guest has the first address of the DHCP
 * range, and that range keeps it reserved for the guest's MAC, so dhcpd never gives it to somebody
 * else.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "start.h"

enum { FIRST_LEASE = 10, LAST_LEASE = 200, SMALL_PREFIX = 24 };

static void set_text(char **field, uint32_t ip_be)
{
	char text[INET_ADDRSTRLEN];

	free(*field);
	*field = strdup(inet_ntop(AF_INET, &ip_be, text, sizeof(text)));
}

/* Who is in the list is freed with it, whatever becomes of him afterwards; who finds no place at once. */
static bool append(void ***list, size_t *n, void *item)
{
	void **bigger = realloc(*list, (*n + 1) * sizeof(**list));

	if (!bigger) {
		free(item);
		return false;
	}
	bigger[(*n)++] = item;
	*list = bigger;
	return true;
}

/* The gateway first, then leases: in the usual /24 those of the default, in a smaller one all that
 * remain. */
static void set_subnet(Nl__Hub *hub, const struct options_subnet *subnet)
{
	uint32_t base = ntohl(subnet->network_be), last = base | UINT32_MAX >> subnet->prefix;
	uint32_t mask = htonl(UINT32_MAX << (32 - subnet->prefix)), gateway = htonl(base + 1);
	bool small = subnet->prefix > SMALL_PREFIX;

	hub->host->address->be = gateway;
	hub->host->netmask->be = mask;
	hub->dhcp->netmask->be = mask;
	hub->dhcp->range->from->be = htonl(small ? base + 2 : base + FIRST_LEASE);
	hub->dhcp->range->to->be = htonl(small ? last - 1 : base + LAST_LEASE);
	set_text(&hub->dhcp->gateway, gateway);
	if (hub->dhcp->n_dns > 0)
		hub->dhcp->dns[0]->be = gateway;
}

static Nl__Endpoint *endpoint(uint32_t ip_be, uint32_t port)
{
	Nl__Endpoint *e = malloc(sizeof(*e));

	if (!e)
		return NULL;
	nl__endpoint__init(e);
	e->has_ip_be = e->has_port = true;
	e->ip_be = ip_be;
	e->port = port;
	return e;
}

static bool add_publish(Nl__Hub *hub, const struct options_publish *p)
{
	Nl__Publish *m = malloc(sizeof(*m));

	if (!m)
		return false;
	nl__publish__init(m);
	m->has_proto = true;
	m->proto = p->udp ? NL__PUBLISH__PROTO__udp : NL__PUBLISH__PROTO__tcp;
	if (!append((void ***)&hub->nat->publish, &hub->nat->n_publish, m))
		return false;
	m->listen = endpoint(p->listen_be, p->listen_port);
	m->to = endpoint(hub->dhcp->range->from->be, p->guest_port);
	return m->listen && m->to;
}

static Nl__Mac *mac_message(const uint8_t mac[6])
{
	Nl__Mac *m = malloc(sizeof(*m));
	uint8_t *octets = malloc(6);

	if (!m || !octets) {
		free(m);
		free(octets);
		return NULL;
	}
	nl__mac__init(m);
	m->has_octets = true;
	m->octets.data = octets;
	m->octets.len = 6;
	memcpy(octets, mac, 6);
	return m;
}

static Nl__Ip4 *address_message(uint32_t ip_be)
{
	Nl__Ip4 *m = malloc(sizeof(*m));

	if (!m)
		return NULL;
	nl__ip4__init(m);
	m->has_be = true;
	m->be = ip_be;
	return m;
}

static bool add_reservation(Nl__Hub *hub, const uint8_t mac[6])
{
	Nl__Reservation *m = malloc(sizeof(*m));

	if (!m)
		return false;
	nl__reservation__init(m);
	if (!append((void ***)&hub->dhcp->reservations, &hub->dhcp->n_reservations, m))
		return false;
	m->name = strdup("guest");
	m->mac = mac_message(mac);
	m->address = address_message(hub->dhcp->range->from->be);
	return m->name && m->mac && m->address;
}

static bool lay_over(Nl__Config *config, const struct options *o, const uint8_t mac[6])
{
	Nl__Hub *hub = config->hubs[0];
	unsigned int i;

	if (o->subnet.prefix)
		set_subnet(hub, &o->subnet);
	if (o->mtu)
		hub->nat->mtu = o->mtu;
	hub->dhcp->persist = false;
	free(config->log->file);
	config->log->file = strdup("none");
	free(hub->shards);
	hub->shards = strdup("1"); /* one guest is served by one shard */
	for (i = 0; i < o->publishes; i++)
		if (!add_publish(hub, &o->publish[i]))
			return false;
	return config->log->file && hub->shards && hub->dhcp->gateway && add_reservation(hub, mac);
}

Nl__Config *start_run_config(const struct options *o, const uint8_t guest_mac[6], struct trouble *t)
{
	struct conf_error error = {0};
	Nl__Config *config = conf_parse("defaults", "", 0, &error);

	if (config && lay_over(config, o, guest_mac) && conf_check(config, NULL, &error) == 0)
		return config;
	trouble(t, EXIT_GATEWAY, "E0201", "%s", error.text[0] ? error.text : "out of memory");
	conf_free(config);
	return NULL;
}
