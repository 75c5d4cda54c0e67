/*
 * ESP (RFC 4303) over one raw socket that the supervisor opened: its flows, each of one guest's SPI towards one peer,
 * and whose a packet is that came. Guests of a device (VRF) are not served by it: it belongs to none.
 */
#ifndef NATLOCK_NATPROXY_ESP_SOCKET_H
#define NATLOCK_NATPROXY_ESP_SOCKET_H

#include "natproxy.h"

/* The supervisor's socket, whose descriptor is taken out of *in: 0, or -EPROTO: it is not that. */
int esp_socket_take(struct natproxy *np, struct chan_in *in);
/* Whether ESP can be had: alg.ipsec.esp is on, and the socket came. */
bool esp_socket_serves(const struct natproxy *np);

/*
 * A new flow of kind ESP: its peer and SPI from *pair, both unknown to nobody but netstack. 0; -ENOENT when it would be
 * an answer to nothing (any more); -EPROTO when it cannot be a flow.
 */
int esp_socket_begin(struct natproxy *np, struct flow *f, const struct ring_pair *pair);
/* The flow gets its tunnel and the shared socket: 0, -ENODEV where a device would be needed, -ENOBUFS when there are too many. */
int esp_socket_open(struct natproxy *np, struct flow *f);
/* Whether a packet may leave now; else it is counted: ESP is off by now, or another guest waits for this peer's answer. */
bool esp_socket_sends(struct natproxy *np, const struct flow *f);
/* The flow gives its tunnel back. */
void esp_socket_close(struct natproxy *np, struct flow *f);

/* The flow that an ICMP error is about, by the SPI that it quotes; NULL: of none. */
struct flow *esp_socket_quoted(struct natproxy *np, const struct sock_error *e);
/* A message went between a guest and an outside endpoint, either way: was it keys (IKE) that a tunnel may follow? */
void esp_socket_spoke(struct natproxy *np, const struct flow *f, const struct sock_address *far);
/* Takes a batch of packets; true when more may be waiting. */
bool esp_socket_turn(struct natproxy *np);

#endif
