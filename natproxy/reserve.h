/*
 * Outside sockets of guest endpoints that have a door for datagrams (pinhole.h) but no flow. The
 * endpoint's flow takes its socket over when it begins, whoever speaks first, and that is its
 * mapping from then on; while the door stays it gives it back when it ends.
 */
#ifndef NATLOCK_NATPROXY_RESERVE_H
#define NATLOCK_NATPROXY_RESERVE_H

#include "natproxy.h"

/*
 * Sees to it that each port of a door has an outside one: that of the guest's flow or of an earlier
 * door, or a new socket. Sets e->outside.port; of pairs the first, which is even, with the
 * others behind it.
 * PINHOLE_GRANTED, or why not: then nothing has changed.
 */
enum pinhole_refusal reserve_open(struct natproxy *np, struct pinhole *e);
/* A door to this endpoint is no more: closes the socket if it was the last one, and has netstack end a
 * flow that waits for its first datagram in vain. */
void reserve_settle(struct natproxy *np, const struct sock_address *guest);
/* Gives a flow without a socket the one of its endpoint: true if there is one. */
bool reserve_attach(struct natproxy *np, struct flow *f);
/* The flow is over; true: its socket stays for the doors that lead to it. */
bool reserve_keep(struct natproxy *np, struct flow *f);
/* The socket of entry i is ready. */
void reserve_ready(struct natproxy *np, uint32_t i);
/* Asks netstack again for flows that did not come, when np->publish_due_ns has come. */
void reserve_timeout(struct natproxy *np);

#endif
