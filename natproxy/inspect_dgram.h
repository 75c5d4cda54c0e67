/*
 * UDP under inspection: what one guest endpoint and one far endpoint say to each other, which is one
 * session. Datagrams stay datagrams: none is joined, cut or lost on the way.
 */
#ifndef NATLOCK_NATPROXY_INSPECT_DGRAM_H
#define NATLOCK_NATPROXY_INSPECT_DGRAM_H

#include "natproxy.h"

/*
 * A session has just begun: puts it under inspection if the configuration says so and there is room.
 * The flow's socket is there, where it has one.
 */
void inspect_dgram_start(struct natproxy *np, struct flow *f, uint32_t session);

/*
 * alg is back, or its configuration another: the sessions that are wanted and not inspected begin to be, of ALGs that may hold
 * theirs (pinhole_rules.h): a telephone's lasts for as long as it is switched on. Not those that alg gave up itself.
 */
void inspect_dgram_resume(struct natproxy *np);

/* Datagrams that lie one behind the other. */
struct inspect_run {
	const struct iovec *piece;
	uint32_t pieces, bytes;
	uint32_t each; /* bytes of each but the last, 0: it is one datagram */
	struct ring_remote remote; /* TTL and TOS; from outside: its sender as the guest sees it */
	bool whole;		   /* routers must not cut them (DF) */
};
/*
 * What came in a session under inspection. True: it was copied, and leaves when alg has said what is
 * to become of it. False: it is to go on as it is, alg only looks on.
 */
bool inspect_dgram(struct natproxy *np, struct flow *f, uint32_t session, Nl__Direction direction,
	const struct inspect_run *run);

/* The session ends: tells alg, closes its doors, drops what is held. Nothing happens if it was not
 * inspected. */
void inspect_dgram_end(struct natproxy *np, uint32_t session);
/* Once a turn: shows alg what found its channel full. */
void inspect_dgram_turn(struct natproxy *np);

#endif
