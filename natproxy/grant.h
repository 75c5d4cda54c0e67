/*
 * Sockets that only root can open: the supervisor did, before it gave root's power up, and hands
 * them over when asked (SocketGrant). It is trusted with what it opened, not with what arrives
 * here: a socket that is not what its message says is a broken protocol.
 */
#ifndef NATLOCK_NATPROXY_GRANT_H
#define NATLOCK_NATPROXY_GRANT_H

#include "natproxy.h"

/* Ports from here on nobody needs a privilege for, or a privilege that natlock does not use. */
enum { GRANT_PORTS_END = 1024 };

/* Whether the kernel's refusal to open this port is one that the supervisor may have an answer to. */
bool grant_helps(const struct publish *p, int error);
/* Asks for it; natproxy_on_socket_grant hears the answer. */
void grant_ask(struct natproxy *np, const struct publish *p);

#endif
