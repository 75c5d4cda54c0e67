/*
 * Theory of operation. This file is what holds the core together: changes of configuration, descriptors and
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
#include "configure.h"
#include "dgram.h"
#include "dns.h"
#include "dnsrelay.h"
#include "download.h"
#include "echo.h"
#include "esp_socket.h"
#include "ike_port.h"
#include "raw.h"
#include "derive.h"
#include "expect.h"
#include "forward.h"
#include "gather.h"
#include "inspect.h"
#include "inspect_dgram.h"
#include "log.h"
#include "lowport.h"
#include "publish.h"
#include "relay.h"
#include "reserve.h"
#include "session.h"
#include "sweep.h"
#include "topology.h"
#include "upload.h"

enum { LINE_BYTES = 384, RETRY_NS = 1000000, ORDER_NUMBERS = 4096, EXPIRED_A_TURN = 512 };
static const uint64_t shortage_say_ns = 10000000000;
/* An address that is taken away and given back at once, as DHCP clients do, ends nothing. */
static const uint64_t address_grace_ns = 500000000;

uint64_t natproxy_random(struct natproxy *np)
{
	const uint64_t n = ++np->draws;
	return hash_sip(&np->key, &n, sizeof(n));
}

static void say(struct natproxy *np, Nl__EventRow *event, const char *format, va_list args)
{
	char line[LINE_BYTES];
	vsnprintf(line, sizeof(line), format, args);
	event->text = line;
	np->shell.security(np->shell.context, event);
	event->text = NULL;
}

void natproxy_security(struct natproxy *np, const char *format, ...)
{
	Nl__EventRow event = NL__EVENT_ROW__INIT;
	va_list args;
	va_start(args, format);
	say(np, &event, format, args);
	va_end(args);
}

void natproxy_event(struct natproxy *np, Nl__EventRow *event, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(np, event, format, args);
	va_end(args);
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
	const enum owner_kind kind = np->owner[fd].kind;
	np->owner[fd] = (struct owner){OWNER_NONE, 0};
	np->sockets_open--;
	if (lowport_rest(np, fd, reset))
		return;
	/* what root opened stays open with the supervisor */
	if (kind == OWNER_PUBLISH || kind == OWNER_ECHO || kind == OWNER_ESP || kind == OWNER_IKE)
		sock_unlist(np->sock, fd);
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

int natproxy_init(struct natproxy *np, const struct natproxy_setup *s, struct inspect *inspect)
{
	static const struct nat_limits none;
	np->shell = s->shell;
	np->sock = s->sock;
	np->link = s->link;
	np->arena = s->arena;
	np->view = s->view;
	np->drops = s->drops;
	np->inspect = inspect;
	np->generation = s->generation;
	np->config.shards = s->shards;
	np->config.sockets_max =
		s->sockets_max < NATPROXY_FD_MAX ? s->sockets_max : NATPROXY_FD_MAX;
	np->config.echo_allowed = s->echo_allowed;
	snprintf(np->name, sizeof(np->name), "%s", s->name ? s->name : "natproxy");
	struct hash_key keys[2];
	memcpy(keys, s->entropy, sizeof(keys));
	np->key = keys[0];
	nat_init(&np->nat, &none, &keys[1]);
	portpick_init(&np->ports, &keys[1], &s->ports);
	pinhole_init(&np->pinholes, &keys[1]);
	esp_init(&np->esp.table, &keys[1]);
	ike_init(&np->ike.table, &keys[1]);
	dns_init(np, &keys[1]);
	dns_host_domain(np, s->domain);
	const int error = configure_read(np, s->hub);
	if (error)
		return error;
	forward_configure(np, s->hub->nat);
	dns_configure(np, s->hub);
	return 0;
}

static void tell_uplink(struct natproxy *np)
{
	Nl__UplinkState m = NL__UPLINK_STATE__INIT;
	m.has_up = m.has_echo = m.has_dns = m.has_esp = true;
	m.up = !(np->access.loop && np->access.loop_guard);
	m.echo = np->config.echo_allowed;
	m.esp = esp_socket_serves(np);
	m.dns = np->dns.upstream_count > 0;
	np->shell.uplink_state(np->shell.context, &m);
}

void natproxy_start(struct natproxy *np)
{
	np->started = true;
	np->shell.alg_edge(np->shell.context, np->generation);
	tell_uplink(np);
	forward_open(np);
}

int natproxy_configure(struct natproxy *np, const Nl__Hub *hub)
{
	const bool before = np->config.enabled;
	const int error = configure_read(np, hub);
	if (error)
		return error;
	inspect_configure(np);
	inspect_dgram_resume(np);
	expect_configure(np);
	forward_configure(np, hub->nat);
	dns_configure(np, hub);
	if (before && !np->config.enabled) {
		forward_close(np);
		sweep_begin(np, SWEEP_SWITCHED);
	}
	forward_open(np);
	if (np->started)
		tell_uplink(np);
	return 0;
}

uint32_t natproxy_order(struct natproxy *np, const Nl__Order *order)
{
	const Nl__SessionsEnd *m =
		order->what_case == NL__ORDER__WHAT_SESSIONS_END ? order->sessions_end : NULL;
	if (!m)
		return 0;
	if (!m->has_all || !m->all)
		return sweep_numbers(np, m->id, m->n_id < ORDER_NUMBERS ? m->n_id : ORDER_NUMBERS);
	sweep_begin(np, SWEEP_ORDERED);
	return np->nat.live;
}

void natproxy_drain(struct natproxy *np)
{
	np->draining = true;
	publish_stop(np);
}

void natproxy_publish_due(struct natproxy *np, uint64_t at_ns)
{
	if (!np->publish_due_ns || at_ns < np->publish_due_ns)
		np->publish_due_ns = at_ns;
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
	case OWNER_PINHOLE: derive_ready(np, o.index); return;
	case OWNER_RESERVE: reserve_ready(np, o.index); return;
	case OWNER_ECHO: raw_ready(np, &np->echo.raw); return;
	case OWNER_ESP: raw_ready(np, &np->esp.raw); return;
	case OWNER_IKE: ike_port_ready(np); return;
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
	inspect_dgram_turn(np);
	burst_flush(np);
	work_round(np, WORK_OWED);
	bool more = sweep_turn(np);
	more |= work_round(np, WORK_UPLOAD);
	more |= work_round(np, WORK_DOWNLOAD);
	more |= echo_turn(np);
	more |= esp_socket_turn(np);
	more |= ike_port_turn(np);
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
	at = np->publish_due_ns ? sooner(at, np->publish_due_ns) : at;
	return np->address_due_ns ? sooner(at, np->address_due_ns) : at;
}

void natproxy_end_flow(struct natproxy *np, struct flow *f, const char *why)
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
	/* what is left is due still: a timeout that was made shorter ends many at once */
	for (int n = 0; n < EXPIRED_A_TURN && (ref = nat_expired(&np->nat, np->now_ns)); n++) {
		struct flow *f = flow_live(np, nat_session(&np->nat, ref)->flow);
		if (f->kind == FLOW_TCP)
			natproxy_end_flow(np, f, "idle");
		else
			dgram_ended(np, f, ref, "idle");
	}
	if (np->address_due_ns && np->address_due_ns <= np->now_ns) {
		np->address_due_ns = 0;
		sweep_begin(np, SWEEP_ADDRESS);
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
			natproxy_end_flow(np, f, "the guest is gone");
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

/* Whether an address that was the host's is not among its new ones. */
static bool has_lost(const struct access *before, const Nl__HostNetwork *m)
{
	for (uint32_t i = 0; i < before->own_count; i++) {
		size_t k = 0;
		while (k < m->n_own && m->own[k]->ip_be != before->own_ip_be[i])
			k++;
		if (k == m->n_own)
			return true;
	}
	return false;
}

static void take_addresses(struct natproxy *np, const Nl__HostNetwork *m)
{
	struct access *a = &np->access;
	if (has_lost(a, m) && !np->address_due_ns)
		np->address_due_ns = np->now_ns + address_grace_ns;
	a->own_count = 0;
	for (size_t i = 0; i < m->n_own && a->own_count < ACCESS_OWN_MAX; i++)
		a->own_ip_be[a->own_count++] = m->own[i]->ip_be;
	a->own_partial = (m->has_partial && m->partial) || m->n_own > ACCESS_OWN_MAX;
}

static void take_loop(struct natproxy *np, const Nl__HostNetwork *m)
{
	struct access *a = &np->access;
	const bool before = a->loop;
	a->loop = m->has_loop && m->loop;
	if (!a->loop_guard || a->loop == before)
		return;
	if (!a->loop)
		natproxy_diagnostic(np, "loop: it is gone. Sessions are taken again.");
	else
		natproxy_diagnostic(np, "%s",
			m->loop_why && *m->loop_why
				? m->loop_why
				: "loop: this hub's gateway is also this host's default "
				  "gateway (seed 3.7.4). Refusing sessions.");
}

int natproxy_on_host_network(struct natproxy *np, const Nl__HostNetwork *m, struct chan_in *in)
{
	take_addresses(np, m);
	take_loop(np, m);
	if (!np->started)
		return 0;
	if (np->has_devices)
		sweep_begin(np, SWEEP_DEVICE);
	forward_moved(np);
	tell_uplink(np);
	return 0;
}

int natproxy_on_edge_renewed(struct natproxy *np, const Nl__EdgeRenewed *m, struct chan_in *in)
{
	np->generation = m->generation;
	natproxy_alg_lost(np);
	np->shell.alg_edge(np->shell.context, np->generation);
	inspect_dgram_resume(np);
	return 0;
}
