/* TCP flows: from TCP_OPEN or an accepted connection to the end of both directions. */
#ifndef NATLOCK_NATPROXY_RELAY_H
#define NATLOCK_NATPROXY_RELAY_H

#include "natproxy.h"

/* The socket is ready (bit set of enum sock_event). */
void relay_ready(struct natproxy *np, struct flow *f, unsigned int events);
/* Gives an accepted connection to a new flow. */
void relay_adopt(struct natproxy *np, struct flow *f, const struct incoming *in);
/* The far end reset, or natproxy ends the connection: RST to the guest. */
void relay_reset(struct natproxy *np, struct flow *f, const char *why);
/* Writing failed: the far end is gone, but bytes it sent before may still be read. */
void relay_write_failed(struct natproxy *np, struct flow *f);
/* Closes the socket once both directions have ended. */
void relay_maybe_done(struct natproxy *np, struct flow *f);

#endif
