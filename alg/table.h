/* The protocols that alg knows, one row each, and which are switched on. Pure. */
#ifndef NATLOCK_ALG_TABLE_H
#define NATLOCK_ALG_TABLE_H

#include "alg.h"

enum { TABLE_ROWS = 1, TABLE_PORTS = 16 };

extern const struct alg_protocol *const table_rows[TABLE_ROWS];

/* The operator's settings of one row. */
struct table_switch {
	bool enabled, observe;
	unsigned int port_count;
	uint16_t port[TABLE_PORTS]; /* of the server, host order */
};

/* The row of this name, -1 for none. name may be NULL. */
int table_find(const char *name);
/* Whether the guest is the server: its own port is one of the protocol's and the peer's is not. */
bool table_guest_serves(const struct table_switch *s, uint16_t guest_port, uint16_t peer_port);

#endif
