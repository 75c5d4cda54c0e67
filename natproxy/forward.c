/*
 * Theory of operation.
 *
 *   configuration ─compare─▶ publish[] ─open─▶ socket ─▶ publish.c
 *                                   ├─ below 1024: the supervisor is asked for it (grant.c)
 *                                   └─ cannot: said once, tried again every two seconds,
 *                                      and at once when the host's addresses change
 *
 * An entry is known by all that is configured of it; one of which anything changed is another
 * entry. Its place is its name for sessions, so those of a place that is given up forget it.
 */
#include "forward.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "configure.h"
#include "grant.h"
#include "log.h"
#include "portlog.h"
#include "source.h"

enum { IP_TEXT = 16, PRIVILEGED = 1024, PORT_BASE = 8000 };
static const uint64_t retry_ns = 2000000000;

static const char *protocol_name(const struct publish *p)
{
	return p->udp ? "udp" : "tcp";
}

static void say_failure(struct natproxy *np, const struct publish *p, int error, const char *why)
{
	char ip[IP_TEXT];
	const char *protocol = protocol_name(p);
	log_ip(ip, p->listen.ip_be);
	if (why)
		natproxy_diagnostic(
			np, "cannot listen on %s:%u/%s: %s", ip, p->listen.port, protocol, why);
	else if (error == -EADDRINUSE)
		natproxy_diagnostic(np,
			"cannot listen on %s:%u/%s: in use. Choose another port or see who has it: "
			"ss -tulnp",
			ip, p->listen.port, protocol);
	else if (error == -EACCES && p->listen.port < PRIVILEGED)
		natproxy_diagnostic(np,
			"port %u needs privilege (net.ipv4.ip_unprivileged_port_start=1024). Use "
			"--publish %u:%u.",
			p->listen.port, PORT_BASE + (unsigned int)p->listen.port, p->to.port);
	else if (error == -EADDRNOTAVAIL)
		natproxy_diagnostic(np,
			"cannot listen on %s:%u/%s: not an address of this host. Choose one that "
			"is.",
			ip, p->listen.port, protocol);
	else if (error == -ENODEV)
		natproxy_diagnostic(np,
			"cannot listen on %s:%u/%s: device %s of vrf %s is not there. It is opened "
			"when it "
			"appears: ip link show %s",
			ip, p->listen.port, protocol, p->outlet.device, p->outlet.vrf,
			p->outlet.device);
	else if (error == -EMFILE)
		natproxy_diagnostic(np,
			"cannot listen on %s:%u/%s: out of file descriptors (%u). Raise "
			"LimitNOFILE.",
			ip, p->listen.port, protocol, np->config.sockets_max);
	else
		natproxy_diagnostic(np,
			"cannot listen on %s:%u/%s: error %d. Choose another port or address.", ip,
			p->listen.port, protocol, -error);
}

static int open_socket(struct natproxy *np, const struct publish *p)
{
	const struct sock_place at = {p->listen, source_device(&p->outlet)};
	if (!natproxy_fd_room(np, true))
		return -EMFILE;
	return p->udp ? sock_udp(np->sock, &at) : sock_tcp_listen(np->sock, &at, false);
}

void forward_take(struct natproxy *np, struct publish *p, int fd)
{
	char ip[IP_TEXT];
	if (!natproxy_own(np, fd, OWNER_PUBLISH, (uint32_t)(p - np->publish)))
		return;
	if (p->error)
		natproxy_diagnostic(np, "listening on %s:%u/%s now", log_ip(ip, p->listen.ip_be),
			p->listen.port, protocol_name(p));
	p->fd = fd;
	p->error = 0;
	sock_watch(np->sock, fd, SOCK_READ);
	portlog_opened(np, p);
}

void forward_cannot(struct natproxy *np, struct publish *p, int error, const char *why)
{
	if (error != p->error)
		say_failure(np, p, error, why);
	p->error = error;
}

static void open_one(struct natproxy *np, struct publish *p)
{
	const int fd = open_socket(np, p);
	if (fd >= 0) {
		forward_take(np, p, fd);
		return;
	}
	p->retry_ns = np->now_ns + retry_ns;
	natproxy_publish_due(np, p->retry_ns);
	if (grant_helps(p, fd))
		grant_ask(np, p);
	else
		forward_cannot(np, p, fd, NULL);
}

bool forward_serves(const struct natproxy *np)
{
	return np->started && np->config.enabled && !np->draining;
}

void forward_open(struct natproxy *np)
{
	for (uint32_t i = 0; i < np->publishes && forward_serves(np); i++)
		if (np->publish[i].used && np->publish[i].fd < 0)
			open_one(np, &np->publish[i]);
}

static void close_one(struct natproxy *np, struct publish *p, const char *why)
{
	struct flow *f = p->attached ? flow_live(np, p->flow) : NULL;
	if (f)
		natproxy_end_flow(np, f, why); /* gives the socket back */
	if (p->fd >= 0) {
		portlog_closed(np, p);
		natproxy_close_fd(np, p->fd, false);
	}
	p->fd = -1;
	p->error = 0;
	p->token = 0;
}

void forward_close(struct natproxy *np)
{
	for (uint32_t i = 0; i < np->publishes; i++)
		if (np->publish[i].used)
			close_one(np, &np->publish[i], "its published port was closed");
}

/* The place is somebody else's from now on. */
static void forget(struct natproxy *np, struct publish *p)
{
	const uint16_t rule = (uint16_t)(p - np->publish + 1);
	for (uint32_t ref = NAT_NONE; p->sessions && (ref = nat_next(&np->nat, ref));)
		if (nat_session(&np->nat, ref)->rule == rule) {
			nat_session(&np->nat, ref)->rule = 0;
			p->sessions--;
		}
	for (uint32_t i = 0; i < NATPROXY_INCOMING; i++)
		if (np->incoming[i].rule == rule)
			np->incoming[i].rule = 0;
	*p = (struct publish){.fd = -1};
}

static bool is_same(const struct publish *a, const struct publish *b)
{
	return a->used && a->udp == b->udp && a->fixed == b->fixed &&
	       a->listen.ip_be == b->listen.ip_be && a->listen.port == b->listen.port &&
	       a->to.ip_be == b->to.ip_be && a->to.port == b->to.port &&
	       strcmp(a->outlet.vrf, b->outlet.vrf) == 0 &&
	       strcmp(a->outlet.device, b->outlet.device) == 0;
}

static struct publish *find(struct natproxy *np, const struct publish *wanted)
{
	for (uint32_t i = 0; i < np->publishes; i++)
		if (is_same(&np->publish[i], wanted))
			return &np->publish[i];
	return NULL;
}

static bool add(struct natproxy *np, const struct publish *wanted)
{
	uint32_t i = 0;
	while (i < np->publishes && np->publish[i].used)
		i++;
	if (i == NATPROXY_PUBLISH)
		return false;
	np->publishes += i == np->publishes;
	np->publish[i] = *wanted;
	np->publish[i].kept = true;
	return true;
}

void forward_configure(struct natproxy *np, const Nl__Nat *nat)
{
	struct publish wanted;
	bool room = true;
	for (size_t i = 0; configure_publish(nat, i, &wanted); i++) {
		struct publish *p = find(np, &wanted);
		if (p)
			p->kept = true;
	}
	for (uint32_t i = 0; i < np->publishes; i++) {
		struct publish *p = &np->publish[i];
		if (p->used && !p->kept) {
			close_one(np, p, "its published port is not in the configuration any more");
			forget(np, p);
		}
	}
	for (size_t i = 0; configure_publish(nat, i, &wanted); i++)
		if (!find(np, &wanted))
			room = add(np, &wanted) && room;
	for (uint32_t i = 0; i < np->publishes; i++)
		np->publish[i].kept = false;
	if (!room)
		natproxy_diagnostic(np,
			"nat.publish and the ports of nat.static are more than %d: the last ones "
			"are left out. "
			"Name fewer.",
			NATPROXY_PUBLISH);
}

void forward_moved(struct natproxy *np)
{
	for (uint32_t i = 0; np->has_devices && i < np->publishes; i++) {
		struct publish *p = &np->publish[i];
		if (p->used && p->fd >= 0 && *p->outlet.device && sock_stranded(np->sock, p->fd))
			close_one(np, p, "its device is gone");
	}
	forward_open(np);
}

void forward_timeout(struct natproxy *np)
{
	for (uint32_t i = 0; i < np->publishes && forward_serves(np); i++) {
		struct publish *p = &np->publish[i];
		if (!p->used || p->fd >= 0)
			continue;
		if (p->retry_ns <= np->now_ns)
			open_one(np, p);
		else
			natproxy_publish_due(np, p->retry_ns);
	}
}

static bool has_address(const struct natproxy *np, uint32_t ip_be)
{
	return !ip_be || np->access.own_partial || access_is_local(&np->access, ip_be);
}

const char *forward_state(
	const struct natproxy *np, const struct publish *p, char *text, size_t cap)
{
	if (p->fd >= 0)
		snprintf(text, cap, "%s",
			has_address(np, p->listen.ip_be) ? "listening" : "waiting for address");
	else if (!p->error)
		snprintf(text, cap, "off");
	else if (p->error == -EADDRNOTAVAIL)
		snprintf(text, cap, "waiting for address");
	else if (p->error == -ENODEV)
		snprintf(text, cap, "waiting for device %s", p->outlet.device);
	else if (p->error == -EADDRINUSE)
		snprintf(text, cap, "cannot: in use");
	else if (p->error == -EACCES)
		snprintf(text, cap, "cannot: needs privilege");
	else if (p->error == -EPERM)
		snprintf(text, cap, "cannot: needs a restart of natlock");
	else
		snprintf(text, cap, "cannot: error %d", -p->error);
	return text;
}

void forward_count(struct natproxy *np, uint16_t rule, int by)
{
	if (rule)
		np->publish[rule - 1].sessions += (uint32_t)by;
}
