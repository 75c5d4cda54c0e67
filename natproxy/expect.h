/* Expectations with their sockets: what alg asks for, judged by pinhole.h, opened, used, closed, and
 * logged. Those for datagrams have theirs in reserve.h or in the guest's flow; who comes by those for connections: derive.h. */
#ifndef NATLOCK_NATPROXY_EXPECT_H
#define NATLOCK_NATPROXY_EXPECT_H

#include "natproxy.h"

/* Somebody came by door `ref`, or was met by it, for the first time: the log and alg are told. */
void expect_used(struct natproxy *np, uint32_t ref, const struct sock_address *peer);
/* That was all that it was for: it is closed. */
void expect_spent(struct natproxy *np, uint32_t ref);
/* Whether a door lets this peer's datagrams in to the flow's guest endpoint. O(1), and next to
 * nothing where there are no doors. */
bool expect_admits(
	const struct natproxy *np, const struct flow *f, const struct sock_address *peer);
/* A datagram flow has a session with this far end now: doors made for it are used. `came`: it was the
 * far end that spoke. */
void expect_met(struct natproxy *np, struct flow *f, const struct sock_address *peer, bool came);
/* A UDP flow is over: so are the doors that were used and have no other flow. */
void expect_flow_over(struct natproxy *np, const struct flow *f);
/* Closes the doors of a control flow, known by alg's number for it. */
void expect_close_flow(struct natproxy *np, uint32_t flow, const char *why);
/* The configuration changed: no door is open to whoever speaks first where alg.sip_latch is false, and none for calls that are sent on
 * where alg.h323_forward is. */
void expect_configure(struct natproxy *np);
/* Closes the doors whose time is over. */
void expect_timeout(struct natproxy *np);

#endif
