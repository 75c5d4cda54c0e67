/*
 * Theory of operation.
 *
 *   forward ─ EACCES ─▶ grant_ask ─SocketWanted─▶ supervisor ─SocketGrant─▶ sock_adopt ─▶ forward
 *                                                                     └─ why not ──────▶ forward
 *
 * A question names the port by what it is, not by its place in the table: the configuration may
 * have changed before the answer comes, and then the answer is to a question that nobody asks any
 * more. It is asked again whenever the port is tried again, so nothing waits for a lost answer.
 */
#include "grant.h"

#include <errno.h>
#include <string.h>

#include "chan.h"
#include "echo.h"
#include "esp_socket.h"
#include "forward.h"
#include "ike_port.h"
#include "lowport.h"
#include "source.h"

enum { ERRNO_MAX = 4095 };

bool grant_helps(const struct publish *p, int error)
{
	return error == -EACCES && p->listen.port < GRANT_PORTS_END;
}

void grant_ask(struct natproxy *np, const struct publish *p)
{
	Nl__SocketWanted m = NL__SOCKET_WANTED__INIT;
	Nl__SocketName name = NL__SOCKET_NAME__INIT;
	char device[NATPROXY_DEVICE_BYTES];
	name.has_what = name.has_udp = name.has_ip_be = name.has_port = true;
	name.what = NL__SOCKET_NAME__WHAT__PORT;
	name.udp = p->udp;
	name.ip_be = p->listen.ip_be;
	name.port = p->listen.port;
	memcpy(device, p->outlet.device, sizeof(device));
	name.device = *device ? device : NULL;
	m.name = &name;
	np->shell.socket_wanted(np->shell.context, &m);
}

static bool is_named(const struct publish *p, const Nl__SocketName *name)
{
	return p->used && p->udp == (name->has_udp && name->udp) &&
	       p->listen.ip_be == name->ip_be && p->listen.port == name->port &&
	       strcmp(p->outlet.device, name->device ? name->device : "") == 0;
}

/* The port that an answer is about and that still lacks a socket; NULL: there is none any more. */
static struct publish *wanting(struct natproxy *np, const Nl__SocketName *name)
{
	for (uint32_t i = 0; i < np->publishes; i++)
		if (is_named(&np->publish[i], name) && np->publish[i].fd < 0)
			return &np->publish[i];
	return NULL;
}

static int take_port(struct natproxy *np, struct publish *p, struct chan_in *in)
{
	const struct sock_place at = {p->listen, source_device(&p->outlet)};
	const int error = sock_adopt(np->sock, in->fds[0], &at, p->udp);
	if (error == -EPROTO)
		return error;
	if (error) {
		forward_cannot(np, p, error, NULL);
		return 0;
	}
	const int fd = in->fds[0];
	in->fds[0] = -1;
	forward_take(np, p, fd);
	return 0;
}

int natproxy_on_socket_grant(struct natproxy *np, const Nl__SocketGrant *m, struct chan_in *in)
{
	const Nl__SocketName *name = m->name;
	const bool refused = m->has_error && m->error;
	if (name && name->what == NL__SOCKET_NAME__WHAT__RESERVED)
		return lowport_granted(np, m, in);
	if (!name || in->nfds != !refused || (refused && m->error > ERRNO_MAX))
		return -EPROTO;
	if (name->what == NL__SOCKET_NAME__WHAT__ECHO)
		return refused ? -EPROTO : echo_take(np, name, in);
	if (name->what == NL__SOCKET_NAME__WHAT__ESP)
		return refused ? 0 : esp_socket_take(np, in);
	if (name->what == NL__SOCKET_NAME__WHAT__IKE)
		return refused ? 0 : ike_port_take(np, name, in);
	struct publish *p = name->what == NL__SOCKET_NAME__WHAT__PORT ? wanting(np, name) : NULL;
	if (!p || !forward_serves(np))
		return 0;
	if (!refused)
		return take_port(np, p, in);
	forward_cannot(np, p, -(int)m->error, m->why);
	return 0;
}
