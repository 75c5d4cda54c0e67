/*
 * Pings over one raw ICMP socket that the supervisor opened, where the kernel gives natproxy no ping
 * sockets (net.ipv4.ping_group_range). Guests that have an outside address or a device of their own
 * are not served by it: it belongs to no address.
 */
#ifndef NATLOCK_NATPROXY_ECHO_H
#define NATLOCK_NATPROXY_ECHO_H

#include "natproxy.h"

/* The supervisor's socket and the identifiers that its filter lets in. Takes the descriptor out of
 * *in. 0, or -EPROTO: it is not that. */
int echo_take(struct natproxy *np, const Nl__SocketName *name, struct chan_in *in);
/* Whether pings from this place go by the raw socket. */
bool echo_serves(const struct natproxy *np, const struct sock_place *from);
/* Gives the flow an identifier of its own and the shared socket: 0, or -ENOBUFS when all are taken. */
int echo_open(struct natproxy *np, struct flow *f);
/* The flow gives its identifier back. */
void echo_close(struct natproxy *np, struct flow *f);
/* The flow that has this identifier; NULL: nobody. */
struct flow *echo_flow(struct natproxy *np, uint16_t identifier);
/* A request is complete: writes identifier and checksum into its header, which is its first piece. */
void echo_seal(const struct sock_datagram *m, uint16_t identifier);
/* Takes a batch of answers; true when more may be waiting. */
bool echo_turn(struct natproxy *np);

#endif
