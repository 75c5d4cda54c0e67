/*
 * Theory of operation.
 *
 *   SocketGrant ─▶ resting ─ connect, listen ─▶ busy ─ natproxy_close_fd ─▶ resting
 *
 * What rests may still have bytes or a FIN on their way, which the kernel goes on to deliver; it is
 * taken again when all was acknowledged, longest rest first, or after LINGER_NS anyway. Taking ends
 * what is left of the former connection but not the binding (connect(2): AF_UNSPEC). A connection
 * that is in TIME-WAIT keeps its two endpoints to itself for a minute: the next socket is tried.
 *
 * A resting socket hears nobody: it neither listens nor is watched.
 */
#include "lowport.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "inspect.h"
#include "source.h"
#include "want.h"

enum { RESERVED_FIRST = 512, RESERVED_LAST = 1023, GRANT_FDS = 16, IP_TEXT = 16 };
static const uint64_t linger_ns = 60000000000, say_again_ns = 600000000000;

static bool is_reserved(uint16_t port)
{
	return port >= RESERVED_FIRST && port <= RESERVED_LAST;
}

static int take_one(struct natproxy *np, const Nl__SocketName *name, int fd)
{
	struct lowports *all = &np->lowports;
	struct sock_place at = {{name->ip_be, 0}, name->device};
	if (all->count == NATPROXY_LOWPORTS || fd >= NATPROXY_FD_MAX)
		return -ENOSPC;
	const int error = sock_adopt_bound(np->sock, fd, &at);
	if (error == -ENODEV)
		return error;
	if (error || !is_reserved(at.at.port))
		return -EPROTO;
	struct lowport *p = &all->entry[all->count++];
	*p = (struct lowport){.fd = fd, .at = at.at};
	snprintf(p->device, sizeof(p->device), "%s", name->device ? name->device : "");
	all->highest = fd > all->highest ? fd : all->highest;
	np->sockets_open++;
	return 0;
}

int lowport_granted(struct natproxy *np, const Nl__SocketGrant *m, struct chan_in *in)
{
	struct lowports *all = &np->lowports;
	if (m->has_error && m->error) {
		if (m->why)
			snprintf(all->why, sizeof(all->why), "%s", m->why);
		else
			snprintf(all->why, sizeof(all->why), "error %u", m->error);
		return in->nfds ? -EPROTO : 0;
	}
	if (!in->nfds || in->nfds > GRANT_FDS)
		return -EPROTO;
	for (int i = 0; i < in->nfds; i++) {
		const int error = take_one(np, m->name, in->fds[i]);
		if (error == -EPROTO)
			return error;
		if (!error)
			in->fds[i] = -1;
	}
	return 0;
}

/* A guest that serves rsh connects to the port that its client named, from a reserved one to another. */
static bool is_called_back(struct natproxy *np, const struct flow *f)
{
	return is_reserved(f->remote.port) &&
	       inspect_serves(np, ALGS_RCMD, f->guest.ip_be, f->remote.ip_be);
}

bool lowport_wanted(struct natproxy *np, const struct flow *f)
{
	struct want want;
	if (!is_reserved(f->guest.port))
		return false;
	if (want_lists(&np->wants, ALGS_TCP, f->remote.port) &&
		want_flow(&np->wants, ALGS_TCP, f->remote.port, f->guest.ip_be, f->remote.ip_be,
			&want) &&
		want.alg == ALGS_RCMD && !want.observe)
		return true;
	return is_called_back(np, f);
}

static bool is_at(const struct lowport *p, const struct sock_place *at)
{
	return p->at.ip_be == at->at.ip_be && strcmp(p->device, at->device ? at->device : "") == 0;
}

/* The one that rested longest and has nothing on its way; not one of those tried before. NULL: none. */
static struct lowport *next(struct natproxy *np, const struct sock_place *at, uint64_t tried)
{
	struct lowports *all = &np->lowports;
	struct lowport *best = NULL;
	for (uint32_t i = 0; i < all->count; i++) {
		struct lowport *p = &all->entry[i];
		if (p->busy || tried >> i & 1 || !is_at(p, at) ||
			(best && best->rested_ns <= p->rested_ns))
			continue;
		if (p->rested_ns && np->now_ns - p->rested_ns < linger_ns &&
			sock_unsent(np->sock, p->fd))
			continue;
		best = p;
	}
	return best;
}

/* Why a guest's connection does not leave by a reserved port: now and then, as long as it goes on. */
static void say_none(struct natproxy *np, const struct sock_place *at, bool tried)
{
	struct lowports *all = &np->lowports;
	uint32_t here = 0;
	for (uint32_t i = 0; i < all->count; i++)
		here += is_at(&all->entry[i], at);
	if (all->said_ns && np->now_ns - all->said_ns < say_again_ns)
		return;
	all->said_ns = np->now_ns;
	if (here)
		natproxy_diagnostic(np,
			"alg rcmd: all %u reserved ports are in use%s, so the servers will refuse "
			"this "
			"rsh or rlogin. Raise alg.rcmd_sockets and restart natlock",
			here, tried ? " or waited for by that server" : "");
	else if (all->count)
		natproxy_diagnostic(np,
			"alg rcmd: there are no reserved ports for an address or device that came "
			"after "
			"the start, so servers will refuse rsh and rlogin. Restart natlock");
	else
		natproxy_diagnostic(np,
			"alg rcmd: there are no reserved ports, so servers will refuse rsh and "
			"rlogin "
			"(rexec works): %s",
			*all->why ? all->why : "none were opened when natlock started");
}

/* It is counted while it rests; from now on who uses it does that (natproxy_own). */
static int taken(struct natproxy *np, struct lowport *p, bool listens)
{
	np->sockets_open--;
	p->busy = true;
	p->listens = listens;
	return p->fd;
}

int lowport_connect(struct natproxy *np, const struct flow *f, const struct sock_address *to,
	const struct sock_age *age)
{
	const struct sock_place at = source_of(np, f->guest.ip_be);
	uint64_t tried = 0;
	struct lowport *p;
	while ((p = next(np, &at, tried))) {
		const int error = sock_tcp_connect_by(np->sock, p->fd, to, age);
		if (!error)
			return taken(np, p, false);
		if (error != -EADDRNOTAVAIL && error != -EADDRINUSE)
			return error;
		tried |= 1ULL << (p - np->lowports.entry);
	}
	say_none(np, &at, tried);
	return -EADDRNOTAVAIL;
}

int lowport_listen(struct natproxy *np, const struct sock_place *at)
{
	uint64_t tried = 0;
	struct lowport *p;
	while ((p = next(np, at, tried))) {
		if (sock_tcp_listen_by(np->sock, p->fd) == 0)
			return taken(np, p, true);
		tried |= 1ULL << (p - np->lowports.entry);
	}
	say_none(np, at, tried);
	return -EADDRNOTAVAIL;
}

bool lowport_rest(struct natproxy *np, int fd, bool reset)
{
	struct lowports *all = &np->lowports;
	if (fd > all->highest)
		return false;
	for (uint32_t i = 0; i < all->count; i++) {
		struct lowport *p = &all->entry[i];
		if (p->fd != fd)
			continue;
		np->sockets_open++;
		p->busy = false;
		p->rested_ns = reset || p->listens ? 0 : np->now_ns;
		sock_rest(np->sock, fd, !p->rested_ns);
		return true;
	}
	return false;
}
