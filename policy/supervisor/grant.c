/*
 * Theory of operation.
 *
 *   before the drop   socket ─▶ device ─▶ bind ─▶ listen, to learn whether somebody does already
 *                     ─▶ silent: shutdown(SHUT_RD) takes a listener back to a bound socket
 *   SocketWanted      is the port this natproxy's, and kept? ─▶ SocketGrant: a copy, made to listen there
 *   afterwards        gone from the configuration ─▶ silent; gone from the file too ─▶ closed
 *
 * A socket gives no power but over its port: its file remembers who opened it only for netlink. So
 * that packet filters and the fence see natproxy's uid and not root's, it is opened as that uid
 * (identity_socket). What is opened here would stay with natlock beyond its need if it were not closed
 * with the configuration; what is not in the file at the start cannot be had later, because then
 * nobody here may open it.
 *
 * A UDP socket cannot be stopped from receiving. One that is silent has the smallest queue, which
 * is emptied before the socket is handed over.
 */
#include "grant.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "change.h"
#include "conf.h"
#include "crew.h"
#include "files.h"
#include "shard.h"
#include "super_dispatch.h"
#include "supervisor.h"

enum { BACKLOG = 128, DRAIN_MAX = 64, STATIC_PROTOCOLS = 2 };

const char *grant_device(const Nl__Nat *nat, const char *vrf)
{
	const char *name = vrf ? vrf : nat->vrf;
	size_t i;

	for (i = 0; name && i < nat->n_vrfs; i++)
		if (nat->vrfs[i]->name && strcmp(nat->vrfs[i]->name, name) == 0)
			return nat->vrfs[i]->device ? nat->vrfs[i]->device : "";
	return "";
}

static void fill(struct grant_port *out, const Nl__Nat *nat, const char *vrf, uint32_t ip_be,
	uint32_t port, uint32_t guest_ip_be)
{
	*out = (struct grant_port){
		.ip_be = ip_be, .port = (uint16_t)port, .guest_ip_be = guest_ip_be};
	snprintf(out->device, sizeof(out->device), "%s", grant_device(nat, vrf));
}

static size_t static_ports(
	const Nl__Nat *nat, const Nl__Static *s, uint32_t end, struct grant_port *out, size_t cap)
{
	size_t count = 0, i;
	unsigned int udp;

	for (i = 0; i < s->n_ports; i++)
		for (udp = 0; udp < STATIC_PROTOCOLS && s->ports[i] && s->ports[i] < end; udp++) {
			if (count == cap)
				return count;
			fill(&out[count], nat, s->vrf, s->outside->be, s->ports[i], s->inside->be);
			out[count++].udp = udp;
		}
	return count;
}

size_t grant_ports(const Nl__Nat *nat, uint32_t end, struct grant_port *out, size_t cap)
{
	size_t count = 0, i;

	for (i = 0; i < nat->n_publish && count < cap; i++) {
		const Nl__Publish *p = nat->publish[i];

		if (!p->listen->port || p->listen->port >= end)
			continue;
		fill(&out[count], nat, p->vrf, p->listen->ip_be, p->listen->port, p->to->ip_be);
		out[count++].udp = p->proto == NL__PUBLISH__PROTO__udp;
	}
	for (i = 0; i < nat->n_static_; i++)
		count += static_ports(nat, nat->static_[i], end, out + count, cap - count);
	return count;
}

static bool is_same(const struct grant_port *a, const struct grant_port *b)
{
	return a->udp == b->udp && a->ip_be == b->ip_be && a->port == b->port &&
	       strcmp(a->device, b->device) == 0;
}

static struct grant *find(struct supervisor *s, unsigned int hub, const struct grant_port *port)
{
	unsigned int i;

	for (i = 0; i < s->grants.count; i++)
		if (s->grants.entry[i].hub == hub && is_same(&s->grants.entry[i].at, port))
			return &s->grants.entry[i];
	return NULL;
}

/* Whether a configuration opens this port; *guest_ip_be is then whose it is. */
static bool opens(const Nl__Hub *conf, const struct grant_port *port, uint32_t *guest_ip_be)
{
	static struct grant_port all[CONF_SOCKETS_MAX]; /* too large for a stack */
	size_t count, i;

	if (!conf)
		return false;
	count = grant_ports(conf->nat, GRANT_PORTS_END, all, CONF_SOCKETS_MAX);
	for (i = 0; i < count && !is_same(&all[i], port); i++)
		;
	if (i < count && guest_ip_be)
		*guest_ip_be = all[i].guest_ip_be;
	return i < count;
}

/* No connections, no more than a few datagrams; the port stays taken. */
static void silence(struct grant *g)
{
	const int least = 0; /* the kernel has a minimum of its own */

	g->in_use = false;
	if (g->fd < 0)
		return;
	if (g->at.udp)
		setsockopt(g->fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
	else
		shutdown(g->fd, SHUT_RD);
}

static int bind_there(int fd, const struct grant_port *at)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = at->ip_be, .sin_port = htons(at->port)};
	const int on = 1;

	if (at->device[0] && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, at->device,
				     (socklen_t)strlen(at->device)) < 0)
		return -errno;
	if (!at->udp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	/* an address may come and go while the port stays ours */
	if (setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0 ||
		bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return !at->udp && listen(fd, BACKLOG) < 0 ? -errno : 0;
}

static void open_one(struct supervisor *s, struct hub *hub, const struct grant_port *at)
{
	const int type = at->udp ? SOCK_DGRAM : SOCK_STREAM;
	struct grant *g = &s->grants.entry[s->grants.count];
	const struct worker *w = hub_worker(
		hub, ACTOR_NATPROXY, shard_of(&hub->shard_key, at->guest_ip_be, hub->shards));

	*g = (struct grant){.hub = hub->index, .at = *at};
	g->fd = identity_socket(&s->identity, hub_worker_number(w), AF_INET,
		type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	g->error = g->fd < 0 ? -g->fd : -bind_there(g->fd, at);
	if (g->error && g->fd >= 0) {
		close(g->fd);
		g->fd = -1;
	}
	if (g->error == EACCES && !s->identity.privileged) /* there is nothing to keep */
		return;
	s->grants.count++;
	silence(g);
}

/* The first port that needs no privilege. */
static uint32_t first_free_port(void)
{
	char text[32];

	if (files_read("/proc/sys/net/ipv4/ip_unprivileged_port_start", text, sizeof(text)) <= 0)
		return GRANT_PORTS_END;
	return (uint32_t)strtoul(text, NULL, 10);
}

void grant_open(struct supervisor *s)
{
	static struct grant_port all[CONF_SOCKETS_MAX];
	uint32_t end = first_free_port();
	unsigned int h;
	size_t count, i;

	if (end > GRANT_PORTS_END)
		end = GRANT_PORTS_END;
	s->grants.end = end;
	for (h = 0; h < s->hubs; h++) {
		count = grant_ports(s->hub[h].conf->nat, end, all, CONF_SOCKETS_MAX);
		for (i = 0; i < count; i++)
			if (s->grants.count == GRANT_MAX)
				s->grants.left_out++;
			else if (!find(s, h, &all[i]))
				open_one(s, &s->hub[h], &all[i]);
	}
	if (s->grants.left_out)
		supervisor_note(s,
			"%u published ports below %d are left out: no more than %d can be kept",
			s->grants.left_out, GRANT_PORTS_END, GRANT_MAX);
}

uint16_t grant_missing(struct hub *hub)
{
	static struct grant_port all[CONF_SOCKETS_MAX];
	const size_t count =
		grant_ports(hub->conf->nat, hub->super->grants.end, all, CONF_SOCKETS_MAX);
	uint16_t least = 0;
	size_t i;

	for (i = 0; i < count; i++)
		if (!find(hub->super, hub->index, &all[i]) && (!least || all[i].port < least))
			least = all[i].port;
	return least;
}

void grant_silence(struct hub *hub)
{
	struct grants *all = &hub->super->grants;
	unsigned int i;

	for (i = 0; i < all->count; i++)
		if (all->entry[i].hub == hub->index && all->entry[i].in_use)
			silence(&all->entry[i]);
}

static bool is_named(struct supervisor *s, const struct grant *g)
{
	const char *name = s->hub[g->hub].conf->name;

	return opens(change_hub(s->config, name), &g->at, NULL) ||
	       opens(change_hub(s->file, name), &g->at, NULL) ||
	       opens(change_hub(s->kept, name), &g->at, NULL);
}

void grant_settle(struct supervisor *s)
{
	struct grants *all = &s->grants;
	unsigned int i = 0;

	while (i < all->count) {
		struct grant *g = &all->entry[i];
		const Nl__Hub *conf = s->hub[g->hub].conf;

		if (!is_named(s, g)) {
			silence(g); /* natproxy may not have closed its copy yet */
			if (g->fd >= 0)
				close(g->fd);
			*g = all->entry[--all->count];
			continue;
		}
		if (g->in_use && (!conf->nat->enable || !opens(conf, &g->at, NULL)))
			silence(g);
		i++;
	}
}

void grant_close(struct supervisor *s)
{
	while (s->grants.count > 0)
		if (s->grants.entry[--s->grants.count].fd >= 0)
			close(s->grants.entry[s->grants.count].fd);
}

/* What came while nobody was there for it is not handed over. */
static void empty(int fd)
{
	char byte;
	int i;

	for (i = 0; i < DRAIN_MAX && recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0; i++)
		;
}

/* The device of that name is not the one that the socket was bound to: it went, or came back as another. */
static bool is_stranded(const struct grant *g)
{
	char device[GRANT_DEVICE] = "";
	socklen_t n = sizeof(device);

	return g->at.device[0] && (getsockopt(g->fd, SOL_SOCKET, SO_BINDTODEVICE, device, &n) < 0 ||
					  strncmp(device, g->at.device, sizeof(device)) != 0);
}

/* Why there is no socket: an errno as natproxy knows it, and in words what to do. 0: there is one. */
static int refusal(const struct supervisor *s, const struct grant *g, char *why, size_t cap)
{
	why[0] = '\0';
	if (!g && !s->identity.privileged)
		return EACCES; /* natproxy knows what an ordinary user can do */
	if (!g) {
		snprintf(why, cap,
			"root's rights are gone, with which ports below %d are opened at the "
			"start. Put it into the configuration (natlockctl --save keeps it too), "
			"then restart natlock",
			GRANT_PORTS_END);
		return EPERM;
	}
	if (g->error == ENODEV || (g->fd >= 0 && is_stranded(g))) {
		snprintf(why, cap,
			"its device %s was not there when natlock started, or is another one now. "
			"Restart natlock: ports below %d are opened at the start",
			g->at.device, GRANT_PORTS_END);
		return EPERM;
	}
	if (g->error == EACCES)
		snprintf(why, cap,
			"root had no CAP_NET_BIND_SERVICE when natlock started. Give it that, or "
			"lower net.ipv4.ip_unprivileged_port_start, then restart natlock");
	else if (g->error)
		snprintf(why, cap,
			"%s when natlock started. See who has it: ss -tulnp; end it, then restart "
			"natlock",
			g->error == EADDRINUSE ? "it was in use" : strerror(g->error));
	return g->error;
}

static void answer(struct worker *w, struct grant *g, Nl__SocketName *name)
{
	Nl__SocketGrant m = NL__SOCKET_GRANT__INIT;
	char why[300];
	int error = refusal(w->hub->super, g, why, sizeof(why));

	/* A full channel queues no descriptor, and to be refused counts as not reading. It asks again. */
	if (!error && w->chan.queue_bytes > 0)
		return;
	m.name = name;
	m.has_error = error != 0;
	m.error = (uint32_t)error;
	m.why = why[0] ? why : NULL;
	if (!error && g->at.udp && !g->in_use)
		empty(g->fd);
	if (natproxy_send_socket_grant(&w->chan, &m, error ? NULL : &g->fd, error ? 0 : 1) == 0 &&
		!error)
		g->in_use = true;
}

int super_on_socket_wanted(struct super_peer *p, const Nl__SocketWanted *m, struct chan_in *in)
{
	struct worker *w = p->w;
	struct hub *hub = w->hub;
	struct grant_port port = {0};
	uint32_t guest_ip_be = 0;

	if (!m->name || m->name->what != NL__SOCKET_NAME__WHAT__PORT ||
		m->name->port >= GRANT_PORTS_END ||
		(m->name->device && strlen(m->name->device) >= GRANT_DEVICE))
		return -EPROTO;
	port.udp = m->name->udp;
	port.ip_be = m->name->ip_be;
	port.port = (uint16_t)m->name->port;
	snprintf(port.device, sizeof(port.device), "%s", m->name->device ? m->name->device : "");
	/* It may have asked before it heard of a change: then its own port is gone as well. */
	if (w->state != WORKER_RUNNING || !opens(hub->conf, &port, &guest_ip_be) ||
		shard_of(&hub->shard_key, guest_ip_be, hub->shards) != w->shard)
		return 0;
	answer(w, find(hub->super, hub->index, &port), m->name);
	return 0;
}
