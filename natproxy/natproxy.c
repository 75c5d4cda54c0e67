/*
 * Theory of operation. This file is what holds the core together: configuration, descriptors and
 * their owners, the turn, the timers, and the messages that concern no single flow. Everything else
 * is in the file that natproxy.h names.
 *
 * A descriptor has one owner, who is told when it is ready. Numbers come from the kernel and index
 * the owner table. The budget counts all open sockets; flows leave a few for questions and doors,
 * so that a guest that opens everything it may still resolves names.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "chan.h"
#include "burst.h"
#include "dgram.h"
#include "dns.h"
#include "dnsrelay.h"
#include "download.h"
#include "expect.h"
#include "gather.h"
#include "inspect.h"
#include "log.h"
#include "publish.h"
#include "relay.h"
#include "session.h"
#include "topology.h"
#include "upload.h"

enum { LINE_BYTES = 384, RETRY_NS = 1000000, MS_NS = 1000000 };
static const uint64_t shortage_say_ns = 10000000000, icmp_idle_ns = 60000000000;

uint64_t natproxy_random(struct natproxy *np)
{
	const uint64_t n = ++np->draws;
	return hash_sip(&np->key, &n, sizeof(n));
}

void natproxy_security(struct natproxy *np, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	np->shell.security(np->shell.context, line);
}

void natproxy_diagnostic(struct natproxy *np, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	np->shell.diagnostic(np->shell.context, line);
}

void natproxy_shortage(struct natproxy *np, uint32_t guest_ip_be, enum nat_protocol protocol)
{
	char ip[16];
	np->shortages++;
	if (np->shortage_said_ns && np->now_ns - np->shortage_said_ns < shortage_say_ns)
		return;
	np->shortage_said_ns = np->now_ns ? np->now_ns : 1;
	if (guest_ip_be)
		natproxy_diagnostic(np,
			"guest %s has reached its limit of %s sessions: see limits in the "
			"configuration. %u sessions were "
			"refused.",
			log_ip(ip, guest_ip_be), nat_protocol_name(protocol), np->shortages);
	else
		natproxy_diagnostic(np,
			"natlock is out of file descriptors (%u of %u): raise LimitNOFILE. %u "
			"sessions were refused.",
			np->sockets_open + FD_FIRST_FREE, np->config.sockets_max, np->shortages);
	np->shortages = 0;
}

bool natproxy_fd_room(const struct natproxy *np, bool spare)
{
	const uint32_t keep = spare ? NATPROXY_FD_ACCEPT : NATPROXY_FD_SPARE;
	return FD_FIRST_FREE + np->sockets_open + keep < np->config.sockets_max;
}

bool natproxy_own(struct natproxy *np, int fd, enum owner_kind kind, uint32_t index)
{
	if (fd >= NATPROXY_FD_MAX) {
		sock_close(np->sock, fd, true);
		return false;
	}
	np->owner[fd] = (struct owner){(uint8_t)kind, index};
	np->sockets_open++;
	return true;
}

void natproxy_close_fd(struct natproxy *np, int fd, bool reset)
{
	np->owner[fd] = (struct owner){OWNER_NONE, 0};
	np->sockets_open--;
	sock_close(np->sock, fd, reset);
}

int natproxy_tell(struct natproxy *np, enum link_class c, const struct ring_desc *d)
{
	const int r = link_send(np->link, c, d, NULL);
	if (r == -EAGAIN)
		np->starved = true;
	return r;
}

void natproxy_return_payload(struct natproxy *np, const struct ring_desc *d)
{
	for (unsigned int i = 0; i < d->nseg; i++)
		link_release(np->link, d->seg[i].id);
}

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
	out->connecting = limit_or(l->has_syn_sent_per_host, l->syn_sent_per_host, 128);
	out->idle_ns[NAT_TCP] = duration_or(hub->nat->tcp_timeout, 7440ULL * 1000 * MS_NS);
	out->idle_ns[NAT_UDP] = duration_or(hub->nat->udp_timeout, 600ULL * 1000 * MS_NS);
	out->idle_ns[NAT_ICMP] = icmp_idle_ns;
}

static void read_alg(struct natproxy_config *c, const Nl__Alg *alg)
{
	if (!alg || !alg->ftp ||
		(alg->ftp->has_mode && alg->ftp->mode == NL__ALG_SWITCH__MODE__off))
		return;
	c->ftp_enabled = !alg->ftp->has_enable || alg->ftp->enable;
	c->ftp_observe = alg->ftp->has_mode && alg->ftp->mode == NL__ALG_SWITCH__MODE__observe;
	c->segment_max = alg->has_segment_max ? alg->segment_max : 18432;
	for (size_t i = 0; i < alg->ftp->n_ports && c->ftp_ports < NATPROXY_FTP_PORTS; i++)
		c->ftp_port[c->ftp_ports++] = (uint16_t)alg->ftp->ports[i];
}

static void read_publish(struct natproxy *np, const Nl__Nat *nat)
{
	for (size_t i = 0; i < nat->n_publish && np->publishes < NATPROXY_PUBLISH; i++) {
		const Nl__Publish *p = nat->publish[i];
		if (!p->listen || !p->to)
			continue;
		np->publish[np->publishes++] =
			(struct publish){.udp = p->proto == NL__PUBLISH__PROTO__udp,
				.listen = {p->listen->ip_be, (uint16_t)p->listen->port},
				.to = {p->to->ip_be, (uint16_t)p->to->port},
				.fd = -1};
	}
}

static void read_nat(struct natproxy *np, const Nl__Hub *hub)
{
	const Nl__Nat *nat = hub->nat;
	struct natproxy_config *c = &np->config;
	c->enabled = !nat->has_enable || nat->enable;
	c->log_sessions = !nat->has_log || nat->log;
	c->inbound_refresh = !nat->has_udp_inbound_refresh || nat->udp_inbound_refresh;
	c->filtering = nat->has_filtering ? nat->filtering : NL__NAT__FILTERING__address_dependent;
	np->access = (struct access){.gateway_ip_be = hub->host->address->be,
		.netmask_be = hub->host->netmask->be,
		.host_allowed =
			nat->has_host_loopback && nat->host_loopback == NL__NAT__ACCESS__allow,
		.dns_redirect = !nat->has_dns_redirect || nat->dns_redirect,
		.loop_guard = !nat->has_loop_guard || nat->loop_guard};
	read_alg(c, hub->alg);
	read_publish(np, nat);
}

int natproxy_init(struct natproxy *np, const struct natproxy_setup *s, struct inspect *inspects)
{
	const Nl__Hub *hub = s->hub;
	struct nat_limits limits;
	if (!hub || !hub->nat || !hub->host || !hub->host->address || !hub->host->netmask)
		return -EINVAL;
	np->shell = s->shell;
	np->sock = s->sock;
	np->link = s->link;
	np->arena = s->arena;
	np->view = s->view;
	np->drops = s->drops;
	np->inspect = inspects;
	np->generation = s->generation;
	np->config.shards = s->shards;
	np->config.sockets_max =
		s->sockets_max < NATPROXY_FD_MAX ? s->sockets_max : NATPROXY_FD_MAX;
	np->config.echo_allowed = s->echo_allowed;
	struct hash_key keys[2];
	memcpy(keys, s->entropy, sizeof(keys));
	np->key = keys[0];
	read_limits(hub, &limits);
	nat_init(&np->nat, &limits, &keys[1]);
	portpick_init(&np->ports, &keys[1], &s->ports);
	pinhole_init(&np->pinholes, &keys[1]);
	dns_init(np, &keys[1], s->domain);
	read_nat(np, hub);
	dns_configure(np, hub);
	return 0;
}

static void tell_uplink(struct natproxy *np)
{
	Nl__UplinkState m = NL__UPLINK_STATE__INIT;
	m.has_up = m.has_echo = m.has_dns = true;
	m.up = !(np->access.loop && np->access.loop_guard);
	m.echo = np->config.echo_allowed;
	m.dns = np->dns.upstream_count > 0;
	np->shell.uplink_state(np->shell.context, &m);
}

void natproxy_start(struct natproxy *np)
{
	np->started = true;
	np->shell.alg_edge(np->shell.context, np->generation);
	tell_uplink(np);
	if (np->config.enabled)
		publish_start(np);
}

void natproxy_drain(struct natproxy *np)
{
	np->draining = true;
	publish_stop(np);
}

void natproxy_time(struct natproxy *np, uint64_t now_ns, uint64_t wall_ms)
{
	np->now_ns = now_ns;
	np->wall_ms = wall_ms;
}

void natproxy_ready(struct natproxy *np, int fd, unsigned int events)
{
	const struct owner o = np->owner[fd];
	struct flow *f;
	switch ((enum owner_kind)o.kind) {
	case OWNER_FLOW:
		f = &np->flow[o.index];
		if (f->kind == FLOW_TCP) {
			relay_ready(np, f, events);
			return;
		}
		f->readable = true;
		flow_work(np, f, WORK_DOWNLOAD);
		return;
	case OWNER_QUERY: dnsrelay_ready(np, o.index); return;
	case OWNER_PUBLISH: publish_ready(np, o.index); return;
	case OWNER_PINHOLE: expect_ready(np, o.index); return;
	case OWNER_NONE: return;
	}
}

static bool work_one(struct natproxy *np, struct flow *f, enum flow_work kind)
{
	switch (kind) {
	case WORK_OWED:
		if (f->owed && !flow_pay(np, f))
			flow_work(np, f, WORK_OWED);
		return false;
	case WORK_UPLOAD: return upload_turn(np, f);
	case WORK_DOWNLOAD: return f->kind == FLOW_TCP ? download_turn(np, f) : gather_turn(np, f);
	case WORK_KINDS: break;
	}
	return false;
}

/* One round through a queue: what was in it at the start. */
static bool work_round(struct natproxy *np, enum flow_work kind)
{
	const uint32_t last = np->work[kind].last;
	bool more = false;
	struct flow *f = NULL;
	while ((!f || (uint32_t)(f - np->flow) + 1 != last) && (f = flow_next_work(np, kind)))
		if (work_one(np, f, kind)) {
			flow_work(np, f, kind);
			more = true;
		}
	return more;
}

bool natproxy_flush(struct natproxy *np)
{
	np->starved = false;
	burst_flush(np);
	work_round(np, WORK_OWED);
	bool more = work_round(np, WORK_UPLOAD);
	more |= work_round(np, WORK_DOWNLOAD);
	return more;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t natproxy_deadline(const struct natproxy *np)
{
	uint64_t at = np->starved ? np->now_ns + RETRY_NS : UINT64_MAX;
	at = sooner(at, nat_deadline(&np->nat));
	at = sooner(at, pinhole_deadline(&np->pinholes));
	at = sooner(at, dnsredir_deadline(&np->dns));
	at = sooner(at, dnstcp_deadline(np));
	at = np->inspect_due_ns ? sooner(at, np->inspect_due_ns) : at;
	return sooner(at, publish_deadline(np));
}

static void end_flow(struct natproxy *np, struct flow *f, const char *why)
{
	if (f->kind == FLOW_TCP) {
		relay_reset(np, f, why);
		return;
	}
	flow_stop(np, f, false, why);
	flow_owe(np, f, OWED_CLOSED);
}

void natproxy_timeout(struct natproxy *np)
{
	uint32_t ref;
	while ((ref = nat_expired(&np->nat, np->now_ns))) {
		struct flow *f = flow_live(np, nat_session(&np->nat, ref)->flow);
		if (f->kind == FLOW_TCP)
			end_flow(np, f, "idle");
		else
			dgram_expired(np, f, ref);
	}
	inspect_timeout(np);
	expect_timeout(np);
	dnsrelay_timeout(np);
	dnstcp_timeout(np);
	publish_timeout(np);
}

int natproxy_on_guest_gone(struct natproxy *np, const Nl__GuestGone *m, struct chan_in *in)
{
	uint32_t ref = NAT_NONE;
	while ((ref = nat_next(&np->nat, ref))) {
		const struct nat_session *s = nat_session(&np->nat, ref);
		struct flow *f = flow_live(np, s->flow);
		if (s->guest.ip_be == m->ip_be && f)
			end_flow(np, f, "the guest is gone");
	}
	return 0;
}

int natproxy_on_resolvers(struct natproxy *np, const Nl__Resolvers *m, struct chan_in *in)
{
	dns_resolvers(np, m->ip_be, m->n_ip_be);
	if (np->started)
		tell_uplink(np);
	return 0;
}

int natproxy_on_host_network(struct natproxy *np, const Nl__HostNetwork *m, struct chan_in *in)
{
	struct access *a = &np->access;
	a->own_count = 0;
	for (size_t i = 0; i < m->n_own && a->own_count < ACCESS_OWN_MAX; i++)
		a->own_ip_be[a->own_count++] = m->own[i]->ip_be;
	a->own_partial = (m->has_partial && m->partial) || m->n_own > ACCESS_OWN_MAX;
	const bool before = a->loop;
	a->loop = m->has_loop && m->loop;
	if (a->loop && !before && a->loop_guard)
		natproxy_diagnostic(np, "loop: %s. Refusing sessions.",
			m->loop_why && *m->loop_why ? m->loop_why
						    : "this hub's gateway is also this host's "
						      "default gateway (seed 3.7.4)");
	if (np->started)
		tell_uplink(np);
	return 0;
}

int natproxy_on_edge_renewed(struct natproxy *np, const Nl__EdgeRenewed *m, struct chan_in *in)
{
	np->generation = m->generation;
	natproxy_alg_lost(np);
	np->shell.alg_edge(np->shell.context, np->generation);
	return 0;
}

/* A listener for a published port that natproxy could not open itself: token = its place in
 * nat.publish. */
int natproxy_on_socket_grant(struct natproxy *np, const Nl__SocketGrant *m, struct chan_in *in)
{
	if (in->nfds != 1 || m->token >= np->publishes || np->publish[m->token].fd >= 0)
		return -EPROTO;
	const int fd = in->fds[0];
	in->fds[0] = -1;
	if (!natproxy_own(np, fd, OWNER_PUBLISH, m->token))
		return 0;
	np->publish[m->token].fd = fd;
	sock_watch(np->sock, fd, SOCK_READ);
	return 0;
}
