/* Sessions of a flow: table entries, the seed's log lines (3.7.8), refusals. */
#ifndef NATLOCK_NATPROXY_SESSION_H
#define NATLOCK_NATPROXY_SESSION_H

#include "natproxy.h"

/* What sessions of a flow are of. */
enum nat_protocol session_protocol(const struct flow *f);
/*
 * Opens a session for this flow with a far endpoint and logs it; `connecting` as in nat.h. Returns
 * the reference, or NAT_NONE when a limit forbids it (counted and said).
 */
uint32_t session_open(
	struct natproxy *np, struct flow *f, const struct sock_address *remote, bool connecting);
/* The same for one that its far end begins: by the published port of this rule (place + 1), or 0
 * where filtering let it in. It counts apart from those that the guest begins. */
uint32_t session_open_incoming(
	struct natproxy *np, struct flow *f, const struct sock_address *remote, uint16_t rule);
/* The connection of a TCP session was made: it runs. */
void session_connected(struct natproxy *np, struct flow *f);
/* It was not. */
void session_failed(struct natproxy *np, struct flow *f, const char *why);
/* Bytes went through. */
void session_count(struct natproxy *np, uint32_t ref, uint64_t to_guest, uint64_t from_guest);
/* A datagram came from outside: counted, and the session is young again if
 * nat.udp_inbound_refresh. */
void session_arrived(struct natproxy *np, uint32_t ref, uint64_t bytes);
/* One direction of a TCP session ended. */
void session_closing(struct natproxy *np, struct flow *f);
void session_close(struct natproxy *np, struct flow *f, uint32_t ref, const char *why);
void session_close_all(struct natproxy *np, struct flow *f, const char *why);

#endif
