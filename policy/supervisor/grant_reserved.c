/*
 * Theory of operation. Ports are taken from the top down, as rresvport(3) does, each once: a port
 * of one address is not taken again for another, so that what is left to this computer is easy to
 * see. A socket is bound while nobody else has its port, and lets others join afterwards
 * (SO_REUSEADDR): connections that natproxy accepted by it must not keep it from listening again.
 */
#include "grant_reserved.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shard.h"
#include "super_dispatch.h"
#include "supervisor.h"

/* Only where the ALG fixes something: it takes ports for nothing else (natproxy/lowport.c). */
static bool is_wanted(const struct hub *hub)
{
	const Nl__Alg *alg = hub->conf->alg;
	const Nl__AlgSwitch *rcmd = alg->rcmd;
	bool fixes = rcmd->mode == NL__ALG_SWITCH__MODE__fix;
	size_t i;

	for (i = 0; i < rcmd->n_lists; i++)
		fixes |= rcmd->lists[i]->mode == NL__ALG_SWITCH__MODE__fix;
	return rcmd->enable && fixes && alg->rcmd_sockets > 0;
}

/* A socket at this address and port; -1 and errno. */
static int open_at(struct supervisor *s, unsigned int worker, const struct grant_reserved *g,
	unsigned int port)
{
	const struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_addr.s_addr = g->ip_be,
		.sin_port = htons((uint16_t)port)};
	const int on = 1;
	int fd = identity_socket(&s->identity, worker, AF_INET,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	int error;

	if (fd < 0) {
		errno = -fd;
		return -1;
	}
	if ((!g->device[0] || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, g->device,
				      (socklen_t)strlen(g->device)) == 0) &&
		setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) == 0 &&
		bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* One at the next port that is free. */
static void open_one(struct supervisor *s, unsigned int worker, struct grant_reserved *g)
{
	struct grant_reserveds *all = &s->reserved;

	g->fd = -1;
	while (g->fd < 0 && all->next >= GRANT_RESERVED_FIRST && all->count < GRANT_RESERVED_MAX) {
		g->fd = open_at(s, worker, g, all->next);
		if (g->fd < 0 && errno != EADDRINUSE) {
			all->error = errno;
			return;
		}
		all->next--;
	}
	if (g->fd < 0)
		all->left_out++;
	else
		all->entry[all->count++] = *g;
}

static void open_address(
	struct supervisor *s, const struct worker *w, uint32_t ip_be, const char *device)
{
	struct grant_reserved g = {.hub = w->hub->index, .shard = w->shard, .ip_be = ip_be};
	unsigned int i;

	snprintf(g.device, sizeof(g.device), "%s", device);
	for (i = 0; i < w->hub->conf->alg->rcmd_sockets && i < GRANT_RESERVED_EACH; i++)
		open_one(s, hub_worker_number(w), &g);
}

static void open_worker(struct supervisor *s, const struct worker *w)
{
	const struct hub *hub = w->hub;
	const Nl__Nat *nat = hub->conf->nat;
	size_t i;

	open_address(s, w, 0, grant_device(nat, NULL));
	for (i = 0; i < nat->n_static_; i++) {
		const Nl__Static *fixed = nat->static_[i];

		if (shard_of(&hub->shard_key, fixed->inside->be, hub->shards) == w->shard)
			open_address(s, w, fixed->outside->be, grant_device(nat, fixed->vrf));
	}
}

void grant_reserved_open(struct supervisor *s)
{
	struct grant_reserveds *all = &s->reserved;
	unsigned int h, i;

	all->next = GRANT_RESERVED_LAST;
	for (h = 0; h < s->hubs; h++)
		for (i = 0; i < s->hub[h].workers && is_wanted(&s->hub[h]); i++)
			if (s->hub[h].worker[i].id == ACTOR_NATPROXY)
				open_worker(s, &s->hub[h].worker[i]);
	if (all->left_out > 0)
		supervisor_note(s,
			"%u reserved ports for rsh and rlogin are left out: natlock keeps at most "
			"%d, of those from %d to %d that are free. Lower alg.rcmd_sockets",
			all->left_out, GRANT_RESERVED_MAX, GRANT_RESERVED_FIRST,
			GRANT_RESERVED_LAST);
}

static bool is_of(const struct grant_reserved *g, const struct worker *w)
{
	return g->hub == w->hub->index && g->shard == w->shard;
}

/* Those of one address, from entry i on; how many. */
static unsigned int tell_address(struct worker *w, unsigned int i)
{
	const struct grant_reserveds *all = &w->hub->super->reserved;
	const struct grant_reserved *g = &all->entry[i];
	Nl__SocketGrant m = NL__SOCKET_GRANT__INIT;
	Nl__SocketName name = NL__SOCKET_NAME__INIT;
	int fds[GRANT_RESERVED_EACH];
	unsigned int n = 0;

	while (i + n < all->count && n < GRANT_RESERVED_EACH && is_of(&g[n], w) &&
		g[n].ip_be == g->ip_be && strcmp(g[n].device, g->device) == 0) {
		fds[n] = g[n].fd;
		n++;
	}
	name.has_what = name.has_ip_be = true;
	name.what = NL__SOCKET_NAME__WHAT__RESERVED;
	name.ip_be = g->ip_be;
	name.device = g->device[0] ? (char *)(uintptr_t)g->device : NULL;
	m.name = &name;
	natproxy_send_socket_grant(&w->chan, &m, fds, (int)n);
	return n;
}

static void tell_why(struct worker *w)
{
	const struct supervisor *s = w->hub->super;
	Nl__SocketGrant m = NL__SOCKET_GRANT__INIT;
	Nl__SocketName name = NL__SOCKET_NAME__INIT;
	char why[200] =
		"rcmd was off or only observed, or alg.rcmd_sockets was 0, when natlock started. "
		"Restart natlock";

	if (s->reserved.error == EACCES)
		snprintf(why, sizeof(why), "only root may open them. Start natlock as root%s",
			s->identity.privileged ? " with CAP_NET_BIND_SERVICE" : "");
	else if (s->reserved.error)
		snprintf(why, sizeof(why), "opening one failed when natlock started: %s",
			strerror(s->reserved.error));
	else if (s->reserved.left_out > 0)
		snprintf(why, sizeof(why),
			"none was free when natlock started. See who has them: ss -tan; then "
			"restart natlock");
	name.has_what = m.has_error = true;
	name.what = NL__SOCKET_NAME__WHAT__RESERVED;
	m.name = &name;
	m.error = (uint32_t)(s->reserved.error ? s->reserved.error : ENOENT);
	m.why = why;
	natproxy_send_socket_grant(&w->chan, &m, NULL, 0);
}

void grant_reserved_tell(struct worker *natproxy)
{
	const struct grant_reserveds *all = &natproxy->hub->super->reserved;
	unsigned int i = 0, told = 0;

	while (i < all->count && is_wanted(natproxy->hub)) {
		const unsigned int n =
			is_of(&all->entry[i], natproxy) ? tell_address(natproxy, i) : 0;

		told += n;
		i += n ? n : 1;
	}
	if (!told)
		tell_why(natproxy);
}

void grant_reserved_close(struct supervisor *s)
{
	while (s->reserved.count > 0)
		close(s->reserved.entry[--s->reserved.count].fd);
}
