/* The application-level gateways as C constants, generated from algs.def. Pure. */
#ifndef NATLOCK_IPC_ALGS_H
#define NATLOCK_IPC_ALGS_H

#include <stdbool.h>
#include <stdint.h>

enum algs_id {
#define ALG(ID, name) ALGS_##ID,
#include "algs.def"
	ALGS_COUNT
};

enum algs_transport { ALGS_TCP = 1, ALGS_UDP = 2 };
enum {
	ALGS_PORTS = 16,	 /* of one ALG */
	ALGS_SEGMENT_MIN = 1024, /* lowest segment_max: what is no message passes in pieces of this */
};

const char *algs_name(enum algs_id id);
/* The ALG of this name, -1 for none. name may be NULL. */
int algs_find(const char *name);
/* How many services an ALG has: 1 unless each port of its list has a meaning of its own. */
unsigned int algs_services(enum algs_id id);
/* The service of the port at this place of the ALG's list, -1 when it is not offered by this transport. */
int algs_service(enum algs_id id, unsigned int place, enum algs_transport transport);
/* Whether an ALG has this service by this transport: any number; derived ones are meant too. */
bool algs_offers(enum algs_id id, uint32_t service, enum algs_transport transport);

#endif
