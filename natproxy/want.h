/*
 * Which flows alg is to see, by which parser and under which rules, as the configuration says. Pure.
 *
 * A flow is wanted by the ALG that lists its port: the far end's where the guest began, else the one
 * that the far end came to. The place of the port in that list names the parser (ipc/algs.def). The
 * ALG's first list that has both guest and peer decides the mode, else the ALG's own does.
 */
#ifndef NATLOCK_NATPROXY_WANT_H
#define NATLOCK_NATPROXY_WANT_H

#include <stdbool.h>
#include <stdint.h>

#include "acl.h"
#include "algs.h"
#include "config.pb-c.h"

enum { WANT_PORTS = 65536, WANT_LISTS = 4 };

struct want { /* what a flow gets */
	enum algs_id alg;
	uint8_t service;
	bool observe; /* nothing is changed: what would be is said */
	bool strict;  /* what is not the protocol ends the flow */
	bool lenient; /* never: the far end of another flow named it, and may have named anything */
	bool derived; /* an expectation said so, and with it this: */
	uint32_t link;
};

struct want_list {
	struct acl guests, peers;
	uint8_t mode; /* Nl__AlgSwitch__Mode */
};

struct want_alg {
	bool active; /* some flow may be inspected */
	bool fixes;  /* and changed */
	bool strict;
	uint8_t mode;
	uint8_t lists;
	struct want_list list[WANT_LISTS];
};

struct want_port { /* one that some ALG lists */
	uint16_t port;
	uint8_t alg, place;
};

struct wants {
	uint8_t tcp[WANT_PORTS / 8], udp[WANT_PORTS / 8]; /* bits of ports that some ALG wants */
	uint32_t ports;
	struct want_port port[ALGS_COUNT * ALGS_PORTS];
	struct want_alg alg[ALGS_COUNT];
};

/*
 * Takes the configuration over. What makes no sense is passed over: the supervisor has checked it.
 * DNS wants nothing where no address is mapped: there is nothing that it could change. `alg` may be
 * NULL: no ALG wants anything.
 */
void want_configure(struct wants *w, const Nl__Alg *alg, const Nl__Nat *nat);

/* Whether some ALG lists this port: one test of a bit, so that other flows cost nothing. */
static inline bool want_lists(const struct wants *w, enum algs_transport transport, uint16_t port)
{
	const uint8_t *bits = transport == ALGS_TCP ? w->tcp : w->udp;
	return bits[port / 8] >> port % 8 & 1;
}

/* What a flow by this port gets; false: nobody wants it, or its mode is off. */
bool want_flow(const struct wants *w, enum algs_transport transport, uint16_t port,
	uint32_t guest_ip_be, uint32_t peer_ip_be, struct want *out);
/* The same of a connection that an expectation of this ALG said to be one of a service of it. */
bool want_derived(const struct wants *w, const struct want *said, uint32_t guest_ip_be,
	uint32_t peer_ip_be, struct want *out);

#endif
