/* The session list (seed 3.7.7): the gateway's own session and one for each port, as rows for
 * natlockctl. Pure. */
#ifndef NATLOCK_BROKER_SESSION_H
#define NATLOCK_BROKER_SESSION_H

#include <stdint.h>

#include "bridge.h"
#include "operator.pb-c.h"

enum { SESSION_NAME_BYTES = 64 };

/* "SID-SECURENAT-1", frames counted from the hub's side. The row points at constants only. */
void session_gateway(Nl__SessionRow *row, const struct bridge *b, uint64_t created_ms);
/* "SID-<NAME>-<number>". `text` holds the name as long as the row lives; `kind` is a constant of
 * the caller. */
void session_port(Nl__SessionRow *row, const struct bridge *b, unsigned int slot, const char *name,
	char *kind, uint64_t created_ms, char text[SESSION_NAME_BYTES]);

#endif
