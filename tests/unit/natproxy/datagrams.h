/* UDP sessions under inspection, TFTP's, for the tests of inspect_dgram.c. */
#ifndef NATLOCK_TESTS_NATPROXY_DATAGRAMS_H
#define NATLOCK_TESTS_NATPROXY_DATAGRAMS_H

#include "inspection.h"
#include "scene.h"

enum {
	DATAGRAM_FLOW = 0x20003,
	DATAGRAM_GUEST_PORT = 45123,
	DATAGRAM_NUMBER = 1 << INSPECTION_SLOT_BITS | INSPECTION_STREAMS, /* alg's for the first */
	DATAGRAM_BUDGET_MS = 1000, /* within which alg has to say something */
};

/* What the rig's hub has for `alg`: tftp on this port. */
struct datagram_alg {
	Nl__Alg alg;
	Nl__AlgSwitch tftp;
	uint32_t port;
};

/* Fills it; what returns is for struct rig_options. */
const Nl__Alg *datagram_alg(struct datagram_alg *a, uint16_t port, Nl__AlgSwitch__Mode mode);

/* A far end whose port is TFTP's and a guest's endpoint that has said nothing yet. */
struct scene datagram_begin(Nl__AlgSwitch__Mode mode, bool strict);
/* The same with an ALG that is not strict and changes what it should. */
struct scene datagram_fixing(void);
/* Somebody outside says "hello" to a published port that leads to the guest's port `to`, which is
 * there. */
struct scene datagram_come_in(uint16_t listen_port, uint16_t to, uint16_t alg_port);
/* netstack's part: a guest's port is an endpoint from now on. */
void datagram_endpoint(struct rig *r, uint32_t flow, uint16_t port);

/* A guest's datagrams to the far end, `each` long if they are several. */
void datagram_says(struct scene *s, const void *bytes, size_t n, uint16_t each);
/* A datagram of another endpoint's. */
void datagram_says_as(struct scene *s, uint32_t flow, const void *bytes, size_t n);
/* The far end's. */
void datagram_answers(struct scene *s, const void *bytes, size_t n);
/* The next datagram to the guest: its length. */
size_t datagram_to_guest(struct scene *s, struct ring_desc *d, char *out);

#endif
