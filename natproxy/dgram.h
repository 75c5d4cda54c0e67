/* UDP, echo and ESP: one socket for a guest's endpoint, whoever it talks to, or one that flows share. */
#ifndef NATLOCK_NATPROXY_DGRAM_H
#define NATLOCK_NATPROXY_DGRAM_H

#include "natproxy.h"

/* Payload that a DGRAM_DATA carries: the sum of its segments. */
uint32_t dgram_bytes(const struct ring_desc *d);
/*
 * Passes on what the socket's error queue holds, in bounded portions: how many there were. What this
 * computer itself says that a path takes stays in the flow.
 */
int dgram_errors(struct natproxy *np, struct flow *f);
/* The same of a raw socket: each to the flow of this kind whose identifier or SPI it quotes. */
void dgram_raw_errors(struct natproxy *np, const struct shared_socket *raw, enum flow_kind kind);
/* Passes on one error about what this flow sent, or counts it. */
void dgram_failed(struct natproxy *np, struct flow *f, struct sock_error *e);
/*
 * The kernel did not take this message for the reason `error`: counted, and said to the guest where
 * it is more than a lack of room.
 */
void dgram_refused(struct natproxy *np, struct flow *f, const struct sock_datagram *d, int error);
/* Ends session `ref` of a datagram flow; the last one takes the flow with it. `why` goes to the log. */
void dgram_ended(struct natproxy *np, struct flow *f, uint32_t ref, const char *why);

/* A datagram that was under inspection. */
struct dgram_leaving {
	uint8_t *bytes; /* only read */
	uint32_t n;
	uint8_t ttl, tos;
	bool whole; /* routers must not cut it (DF) */
};
/* Sends it to the far end of session `ref`; a question to the gateway goes to the DNS redirect. */
void dgram_leave(struct natproxy *np, struct flow *f, uint32_t ref, const struct dgram_leaving *d);

#endif
