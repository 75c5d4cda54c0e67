/* Transport addresses in messages of H.323: six octets in place, address and port. Pure. */
#ifndef NATLOCK_ALG_H323_ADDRESS_H
#define NATLOCK_ALG_H323_ADDRESS_H

#include "h323_talk.h"

enum { H323_ADDRESS_BYTES = 6 };

struct h323_address {
	uint32_t ip_be;
	uint16_t port;
};

struct h323_address h323_address_of(const struct h323_talk *t, const struct h323_mark *m);
/* Whether it is the guest's, and the guest says so. */
bool h323_address_own(const struct h323_talk *t, const struct h323_mark *m);
/* Whether anybody can send from there (RFC 6890). */
bool h323_address_sends(uint32_t ip_be);
/* Whether the far end's word leads the guest to somebody outside, at a port that a watch may be for. */
bool h323_address_leads_out(const struct h323_talk *t, const struct h323_mark *m);
/* Whether the operator gave the guest an outside address for itself (nat.static): then it is called at its own ports. */
bool h323_address_static(const struct alg_flow *f);
/* Writes another one in its place. */
void h323_address_write(
	struct h323_talk *t, const struct h323_mark *m, uint32_t ip_be, uint16_t port);
/*
 * Writes what the far end, or the guest, can reach: of the guest's own address the outside one, with the port of the opening that holds
 * the port, of the flow if it is the flow's own, else the same; of an outside address that has been written so before the guest's. And
 * those of nat.static, both ways. transports: what kind of port it is, as a set of enum algs_transport.
 */
void h323_address_translate(struct h323_talk *t, const struct h323_mark *m, uint8_t transports);

#endif
