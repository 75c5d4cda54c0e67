/*
 * IKE that keeps its source port (Cisco's chapter: "ip nat service list N IKE preserve-port"): sessions from a guest's
 * port 500 to a peer's, of the guests and peers on alg.ipsec.preserve_port_list, leave by one socket at port 500 that
 * the supervisor opened. Whose a message is that comes there, its cookie says (ike.h).
 */
#ifndef NATLOCK_NATPROXY_IKE_PORT_H
#define NATLOCK_NATPROXY_IKE_PORT_H

#include "natproxy.h"

/* The supervisor's socket, whose descriptor is taken out of *in: 0, or -EPROTO: it is not that. */
int ike_port_take(struct natproxy *np, const Nl__SocketName *name, struct chan_in *in);
/* Whether a session that begins is to leave by it. */
bool ike_port_wanted(
	const struct natproxy *np, const struct flow *f, const struct sock_address *far);
/* Sends a message of such a session; what it borrowed stays the caller's. */
void ike_port_send(struct natproxy *np, struct flow *f, struct sock_datagram *message, bool whole);
/* Such a session ends. */
void ike_port_ended(struct natproxy *np, const struct nat_session *s);
/* The socket is ready. */
void ike_port_ready(struct natproxy *np);
/* Takes a batch of messages; true when more may be waiting. */
bool ike_port_turn(struct natproxy *np);

#endif
