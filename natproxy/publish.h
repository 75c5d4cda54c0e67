/* What comes in by the ports of forward.h: connections from outside, answered by the guest or not
 * yet, and datagrams. */
#ifndef NATLOCK_NATPROXY_PUBLISH_H
#define NATLOCK_NATPROXY_PUBLISH_H

#include "natproxy.h"

/* No more connections; datagram sockets stay with their flows. */
void publish_stop(struct natproxy *np);
/* The socket of entry i is ready. */
void publish_ready(struct natproxy *np, uint32_t i);
/* Whether one more connection of this peer, just accepted, may be announced to this guest, by an open port that has so many;
 * otherwise it was counted. */
bool publish_admits(struct natproxy *np, const struct sock_address *guest,
	const struct sock_address *peer, uint16_t rule, uint32_t sessions);
/* Announces an accepted connection, whose descriptor is owned already, to the guest. Takes the
 * descriptor. `rule`: place of the published port + 1, 0 for a pinhole's; `by`: what that says of it. */
void publish_announce(struct natproxy *np, int fd, const struct sock_address *guest,
	const struct sock_address *peer, uint16_t rule, const struct derived *by);
/* What expectations said of those that wait is no more. */
void publish_forget_derived(struct natproxy *np);
/* Asks netstack for a UDP flow of this guest endpoint, to which `peer` has sent something: the name
 * under which it was asked, not 0. No answer may come. */
uint32_t publish_ask(
	struct natproxy *np, const struct sock_address *guest, const struct sock_address *peer);
/* Lets a UDP flow whose guest endpoint is published use the published socket: true if so. */
bool publish_attach(struct natproxy *np, struct flow *f);
void publish_detach(struct natproxy *np, struct flow *f);
/* Gives up on what the guest did not answer, when np->publish_due_ns has come. */
void publish_timeout(struct natproxy *np);

#endif
