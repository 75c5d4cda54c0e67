/*
 * Reserved ports (512..1023) for rsh and rlogin: sockets that root opened and bound (SocketGrant),
 * used again and again. A server of theirs hears only clients that come from such a port, and
 * connects only to one; what a guest does from such a port of its own leaves by one of ours where
 * the rcmd ALG is on for it.
 */
#ifndef NATLOCK_NATPROXY_LOWPORT_H
#define NATLOCK_NATPROXY_LOWPORT_H

#include "natproxy.h"

/* Sockets came, or the reason why there are none: 0, or -EPROTO. Takes the descriptors. */
int lowport_granted(struct natproxy *np, const Nl__SocketGrant *m, struct chan_in *in);

/*
 * Whether a connection that a guest begins is to leave by a reserved port: to a service of rcmd, or
 * back to the client of one that the guest serves.
 */
bool lowport_wanted(struct natproxy *np, const struct flow *f);
/*
 * Begins it: the descriptor, which natproxy_close_fd gives back, or -errno. -EADDRNOTAVAIL: there is
 * no port for it, which was said; it may try another.
 */
int lowport_connect(struct natproxy *np, const struct flow *f, const struct sock_address *to,
	const struct sock_age *age);
/* A listener at this address and device; at->port is ignored. As lowport_connect. */
int lowport_listen(struct natproxy *np, const struct sock_place *at);

/*
 * The descriptor is not used any more: true if it is one of these, which is then kept. `reset`: its
 * connection is aborted, as by closing.
 */
bool lowport_rest(struct natproxy *np, int fd, bool reset);

#endif
