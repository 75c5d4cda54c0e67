/*
 * A raw socket that root opened and that many flows share: what pings (echo.h) and ESP (esp_socket.h) have in common.
 * It belongs to no address and no device.
 */
#ifndef NATLOCK_NATPROXY_RAW_H
#define NATLOCK_NATPROXY_RAW_H

#include "natproxy.h"

enum {
	RAW_IP_BYTES = 20,   /* before what comes; the filters let no options in */
	RAW_IP_FIRST = 0x45, /* version 4, 20 bytes */
};

/* How the owner of a raw socket tells its flows apart. */
struct raw_owner {
	enum owner_kind owner;
	enum flow_kind kind;
	uint8_t protocol; /* of IP */
	uint32_t
		header_bytes; /* of what comes: so many go into the slot's header, the rest into its buffers */
	/*
	 * The flow that a message is for, NULL: of nobody, or not whole; then it was counted. From here on the message is as
	 * gather_raw takes it.
	 */
	struct flow *(*recognise)(
		struct natproxy *np, struct sock_datagram *d, struct datagram_slot *slot);
};

/* The supervisor's socket, whose descriptor is taken out of *in: 0, or -EPROTO: it is not that, or there is one. */
int raw_take(struct natproxy *np, struct shared_socket *raw, const struct raw_owner *owner,
	struct chan_in *in);
/* What is sent next may be cut on its way, or not, as this flow has it. */
void raw_fragmenting(struct natproxy *np, struct shared_socket *raw, const struct flow *f);
/* The socket of a flow that has `raw`. */
static inline struct shared_socket *raw_of(struct natproxy *np, const struct flow *f)
{
	return f->kind == FLOW_ESP ? &np->esp.raw : &np->echo.raw;
}
/* The socket is ready. */
void raw_ready(struct natproxy *np, struct shared_socket *raw);
/* Takes a batch of messages; true when more may be waiting. */
bool raw_turn(struct natproxy *np, struct shared_socket *raw, const struct raw_owner *owner);

#endif
