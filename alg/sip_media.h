/*
 * What a call needs from its descriptions (RFC 3264): the ports at which the guest says that it receives, these ports and the
 * guest's address replaced by the outside ones, and the addresses from which the far end's media come. Pure and without
 * state: which pinhole belongs to which call is the dialogue's business.
 *
 *   guest's description ── sip_media_demands ──▶ demands ── each gets its grant ──▶ sip_media_edit
 *   far end's           ── sip_media_taken(whose m= a demand is) ──▶ who may come in
 */
#ifndef NATLOCK_ALG_SIP_MEDIA_H
#define NATLOCK_ALG_SIP_MEDIA_H

#include "alg.h"
#include "sdp_media.h"
#include "splice.h"

/* Ports of the guest that must be reachable from outside. */
struct sip_demand {
	enum alg_kind kind;
	uint8_t pairs; /* ALG_UDP_PAIR: 1..ALG_PAIRS; of other kinds 0 */
	uint8_t media; /* bit i: of the i-th m= line of a description; several share it where they name the same port */
	bool rtcp;     /* only RTCP comes here: a=rtcp named a port of its own */
	uint16_t port; /* the guest's, ALG_PORT_MIN or higher; of pairs the first, which is even */
	struct alg_grant
		grant; /* where it is reached from outside: the caller's to fill in, zeros before */
};

struct sip_demands {
	unsigned int count;
	struct sip_demand demand[ALG_WISHES];
};

/*
 * Adds what a description of the guest's asks for, in the order of its m= lines; `d` is zeroed before the first description of
 * a message. A demand that is there already, of this description or one before it, is not added again, but gets the
 * m= line's bit.
 *
 * An m= line asks for nothing where it is rejected (port 0), on hold by 0.0.0.0, received at another address than
 * flow->guest_ip_be, of a carrier that is not known, or a TCP connection that the guest opens. Else it asks for:
 *
 *   RTP       port and the one behind it         ALG_UDP_PAIR, of a range "/n" n pairs
 *             a=rtcp-mux, or an odd port         ALG_UDP_ONE
 *             a=rtcp names another port          ALG_UDP_ONE, and one more for RTCP; not where that is somebody else's address
 *   udptl ... ALG_UDP_ONE
 *   TCP       ALG_TCP_LISTEN
 *
 * false: the description must stay as it is, *why (a constant) says why, and `d` is as it was before: a port of the guest's below
 * ALG_PORT_MIN, ports that overlap those of another demand without being the same, a range that is longer than ALG_PAIRS, at an
 * odd port, with RTCP elsewhere or not of RTP, more demands than ALG_WISHES. true with nothing added is no error.
 */
bool sip_media_demands(const struct sdp_session *s, const struct alg_flow *f, struct sip_demands *d,
	const char **why);

/*
 * The edits of a description of which the demands are among `d`, with their grants. All or nothing: false, and no edit made, where
 * sip_media_demands refused it, where one of its demands has no grant (outside_port 0), or where their grants differ in their
 * address (one c= may be several m= lines').
 *
 *   m=           the outside port of lines received at the guest's address
 *   o= c= a=rtcp the guest's address, which becomes the grants' (without a demand: flow->outside_ip_be; if that is 0, it stays)
 *   a=rtcp       the outside port of RTCP, where it is received at the guest's address
 *   a=candidate  address and port, where both are the guest's and a demand (UDP or TCP as the candidate) leads to the port
 *
 * A description stays byte-identical where no m= line is received at the guest's address but another one is elsewhere: then the
 * guest knows better (STUN, a relay). Where every line is rejected or on hold, o= and c= are edited all the same, so that o=
 * (RFC 3264 8) is the same one throughout a call. A number that stays the same is not edited. The body's length is the caller's
 * (sip_body_lengths).
 */
bool sip_media_edit(struct splice *e, const struct sdp_session *s, const struct alg_flow *f,
	const struct sip_demands *d);

/*
 * Whether the ports of `want` are all among those of `have`, of the same transport: what was granted for `have` serves `want`, which
 * is given its share: want->grant. have->grant need be there only then.
 */
bool sip_media_serves(const struct sip_demand *have, struct sip_demand *want);

/*
 * Whether the far end's description, offer or answer, takes one of these m= lines: it is there and not rejected. *peer_ip_be: from
 * where media come then, the address that the first such line names, for RTCP (`rtcp`) that of a=rtcp. 0: none is taken, or it is on
 * hold by 0.0.0.0 or names no IPv4 address that anybody can send from (a host name, multicast). 0 must never be used as a peer's
 * address, where it means anybody.
 */
bool sip_media_taken(
	const struct sdp_session *theirs, uint8_t media, bool rtcp, uint32_t *peer_ip_be);

#endif
