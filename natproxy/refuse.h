/* Sessions that the configuration or the host does not let happen: counted among the drops, and
 * said. */
#ifndef NATLOCK_NATPROXY_REFUSE_H
#define NATLOCK_NATPROXY_REFUSE_H

#include "natproxy.h"

/* Counts it, and says it in the security log (sessionlog_refused). `remote` is the real far end. */
void refuse_session(struct natproxy *np, enum refusal why, enum nat_protocol protocol,
	const struct sock_address *guest, const struct sock_address *remote);
/* Whether no session may begin between these, whoever wants it: nat.new_sessions or a list forbids
 * it; then it was said. No list is asked about the gateway, which is not outside. */
bool refuse_new(struct natproxy *np, enum nat_protocol protocol,
	const struct sock_address *guest, const struct sock_address *remote);
/*
 * Whether a socket could not be had because of where it was to stand: its device or its own
 * outside address is not there. Then it was said; the guest is to hear that the network cannot be
 * reached. `error` is sock.h's.
 */
bool refuse_unplaced(struct natproxy *np, enum nat_protocol protocol,
	const struct sock_address *guest, const struct sock_address *remote, int error);

#endif
