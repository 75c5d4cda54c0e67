/*
 * Theory of operation. Every value has one place in the core, where it is looked at when it is
 * needed: writing it there is all that a change takes. Limits and timeouts hold for what exists
 * too; lists, filtering and devices are asked when a session begins. What a change has to do
 * beyond that is in natproxy_configure.
 */
#include "configure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MS_NS = 1000000, PORT_MAX = 65535, PROTOCOLS = 2 };
static const uint64_t icmp_idle_ns = 60000000000;
static const uint64_t esp_idle_ns =
	3600000000000; /* of the order of the lifetimes that IKE agrees on */

static uint32_t limit_or(protobuf_c_boolean has, uint32_t value, uint32_t fallback)
{
	return has && value ? value : fallback;
}

static uint64_t duration_or(const Nl__Duration *d, uint64_t fallback_ns)
{
	return d && d->has_ms ? d->ms * MS_NS : fallback_ns;
}

static void read_limits(const Nl__Hub *hub, struct nat_limits *out)
{
	static const Nl__Limits none = NL__LIMITS__INIT;
	const Nl__Limits *l = hub->limits ? hub->limits : &none;
	out->sessions[NAT_TCP] =
		limit_or(l->has_tcp_sessions_per_host, l->tcp_sessions_per_host, 1024);
	out->sessions[NAT_UDP] =
		limit_or(l->has_udp_sessions_per_host, l->udp_sessions_per_host, 1024);
	out->sessions[NAT_ICMP] =
		limit_or(l->has_icmp_sessions_per_host, l->icmp_sessions_per_host, 64);
	out->sessions[NAT_ESP] = out->sessions[NAT_UDP];
	out->connecting = limit_or(l->has_syn_sent_per_host, l->syn_sent_per_host, 128);
	out->idle_ns[NAT_TCP] = duration_or(hub->nat->tcp_timeout, 7440ULL * 1000 * MS_NS);
	out->idle_ns[NAT_UDP] = duration_or(hub->nat->udp_timeout, 600ULL * 1000 * MS_NS);
	out->idle_ns[NAT_ICMP] = icmp_idle_ns;
	out->idle_ns[NAT_ESP] = esp_idle_ns;
}

/* The VRF of this name, or of the hub where a rule names none. */
static struct outlet outlet_of(const Nl__Nat *nat, const char *name)
{
	struct outlet o = {0};
	if (!name)
		name = nat->vrf;
	if (!name || strcmp(name, "none") == 0)
		return o;
	/* a name that nobody has leads nowhere rather than anywhere */
	o.device[0] = '?';
	snprintf(o.vrf, sizeof(o.vrf), "%s", name);
	for (size_t i = 0; i < nat->n_vrfs; i++) {
		const Nl__Vrf *v = nat->vrfs[i];
		if (v->name && v->device && *v->device && strcmp(v->name, name) == 0)
			snprintf(o.device, sizeof(o.device), "%s", v->device);
	}
	return o;
}

static void read_list(struct acl *out, const Nl__Nat *nat, bool has, uint32_t number)
{
	acl_read(out, nat->access_lists, nat->n_access_lists, has ? number : 0);
}

static bool is_whole(const Nl__Static *s)
{
	return s->inside && s->outside && s->inside->be && s->outside->be;
}

static void read_fixed(struct natproxy *np, const Nl__Nat *nat)
{
	np->fixed_count = 0;
	for (size_t i = 0; i < nat->n_static_ && np->fixed_count < NATPROXY_FIXED; i++) {
		const Nl__Static *s = nat->static_[i];
		if (is_whole(s))
			np->fixed[np->fixed_count++] = (struct fixed){
				s->inside->be, s->outside->be, outlet_of(nat, s->vrf)};
	}
}

static void read_access(struct natproxy *np, const Nl__Hub *hub)
{
	const Nl__Nat *nat = hub->nat;
	struct access *a = &np->access;
	a->gateway_ip_be = hub->host->address->be;
	a->netmask_be = hub->host->netmask->be;
	a->host_allowed = nat->has_host_loopback && nat->host_loopback == NL__NAT__ACCESS__allow;
	a->dns_redirect = !nat->has_dns_redirect || nat->dns_redirect;
	a->loop_guard = !nat->has_loop_guard || nat->loop_guard;
}

static void read_ipsec(struct natproxy *np, const Nl__Hub *hub)
{
	static const Nl__AlgIpsec none = NL__ALG_IPSEC__INIT;
	const Nl__AlgIpsec *ipsec = hub->alg && hub->alg->ipsec ? hub->alg->ipsec : &none;
	np->config.esp = ipsec->esp;
	read_list(&np->preserve_port_list, hub->nat, true, ipsec->preserve_port_list);
	read_list(&np->spi_match_list, hub->nat, true, ipsec->spi_match_list);
}

int configure_read(struct natproxy *np, const Nl__Hub *hub)
{
	struct natproxy_config *c = &np->config;
	if (!hub || !hub->nat || !hub->host || !hub->host->address || !hub->host->netmask)
		return -EINVAL;
	const Nl__Nat *nat = hub->nat;
	read_limits(hub, &np->nat.limits);
	c->enabled = (!hub->has_enable || hub->enable) && (!nat->has_enable || nat->enable);
	c->closed = nat->has_new_sessions && !nat->new_sessions;
	c->log_sessions = !nat->has_log || nat->log;
	c->inbound_refresh = !nat->has_udp_inbound_refresh || nat->udp_inbound_refresh;
	c->filtering = nat->has_filtering ? nat->filtering : NL__NAT__FILTERING__address_dependent;
	read_access(np, hub);
	c->segment_max = hub->alg && hub->alg->has_segment_max ? hub->alg->segment_max : 0;
	c->sip_latch = hub->alg && hub->alg->sip_latch;
	c->h323_forward = hub->alg && hub->alg->h323_forward;
	c->icmp_errors = !hub->alg || !hub->alg->icmp || !hub->alg->icmp->has_enable ||
			 hub->alg->icmp->enable;
	want_configure(&np->wants, hub->alg, nat);
	read_ipsec(np, hub);
	read_list(&np->source_list, nat, nat->has_source_list, nat->source_list);
	read_list(&np->destination_list, nat, nat->has_destination_list, nat->destination_list);
	read_fixed(np, nat);
	np->outlet = outlet_of(nat, NULL);
	np->has_devices |= nat->n_vrfs > 0;
	return 0;
}

static bool from_publish(const Nl__Nat *nat, const Nl__Publish *p, struct publish *out)
{
	if (!p->listen || !p->to || p->listen->port > PORT_MAX || p->to->port > PORT_MAX)
		return false;
	*out = (struct publish){.used = true,
		.udp = p->proto == NL__PUBLISH__PROTO__udp,
		.listen = {p->listen->ip_be, (uint16_t)p->listen->port},
		.to = {p->to->ip_be, (uint16_t)p->to->port},
		.outlet = outlet_of(nat, p->vrf),
		.fd = -1};
	return true;
}

/* The n-th port of a static address that can be one, 0: there are not so many. */
static uint16_t port_of(const Nl__Static *s, size_t n)
{
	for (size_t i = 0; is_whole(s) && i < s->n_ports && i < NATPROXY_FIXED_PORTS; i++)
		if (s->ports[i] && s->ports[i] <= PORT_MAX && n-- == 0)
			return (uint16_t)s->ports[i];
	return 0;
}

/* The i-th of all ports of static addresses, each TCP and UDP. */
static bool from_static(const Nl__Nat *nat, size_t i, struct publish *out)
{
	for (size_t k = 0; k < nat->n_static_ && k < NATPROXY_FIXED; k++) {
		const Nl__Static *s = nat->static_[k];
		const uint16_t port = port_of(s, i / PROTOCOLS);
		if (port) {
			*out = (struct publish){.used = true,
				.fixed = true,
				.udp = i % PROTOCOLS,
				.listen = {s->outside->be, port},
				.to = {s->inside->be, port},
				.outlet = outlet_of(nat, s->vrf),
				.fd = -1};
			return true;
		}
		for (size_t n = 0; port_of(s, n); n++)
			i -= PROTOCOLS;
	}
	return false;
}

bool configure_publish(const Nl__Nat *nat, size_t i, struct publish *out)
{
	for (size_t k = 0; k < nat->n_publish; k++)
		if (from_publish(nat, nat->publish[k], out) && i-- == 0)
			return true;
	return from_static(nat, i, out);
}
