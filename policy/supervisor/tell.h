/*
 * What the supervisor tells the workers of a hub: Boot, what must be known before Start, and what
 * changes later. The answers come in by crew.c.
 */
#ifndef NATLOCK_SUPERVISOR_TELL_H
#define NATLOCK_SUPERVISOR_TELL_H

#include "hub.h"

/* A stored lease as a message, which points into it. Pure. */
void tell_lease(const struct store_lease *l, Nl__Lease *m);
/* Boot with everything that comes along. 0, or negative when it could not be sent. */
int tell_boot(struct worker *w);
/* What a worker must know before Start: leases, resolvers, the host's network, ports. */
void tell_first(struct worker *w);
/* 0, or negative when it could not be sent. */
int tell_start(struct worker *w);
/* A running worker is to finish. */
void tell_drain(struct worker *w);
/* Asks a worker for a slice of a table. 0, or negative when it is not running. */
int tell_dump(struct worker *w, Nl__Topic topic, uint64_t cursor, uint32_t request);

/* The worker's part of its hub's configuration, which has changed. 0, or negative when it is not running (its Boot will
 * have it). */
int tell_configure(struct worker *w);
/* Something that the operator wants done. 0, or negative when it is not running. */
int tell_order(struct worker *w, const Nl__Order *order, uint32_t request);

/* To natproxy, when what they say has changed and it is there to hear. */
void tell_resolvers(struct hub *hub);
void tell_host_network(struct hub *hub);
/* To the broker: a port, with a copy of its descriptor. 0, -EAGAIN when the broker is not there to
 * hear (it is told before Start). */
int tell_port(struct hub *hub, unsigned int number);
/* To the running broker: it shall give up a port, and says so by PortClosed. 0, or negative when it is not there. */
int tell_detach(struct hub *hub, unsigned int port);
/* To the running broker: netstack and natproxy of a shard are gone. It answers by EdgeCleared. */
void tell_lost(struct hub *hub, unsigned int shard);
/* EdgeRenewed goes to those whose peers are replaced while they go on: the broker of dhcpd and of a
 * netstack, natproxy of its alg. */
void tell_renewed(const struct worker *who);

#endif
