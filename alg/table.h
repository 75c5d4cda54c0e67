/* The protocols that alg knows, one row each. Pure. */
#ifndef NATLOCK_ALG_TABLE_H
#define NATLOCK_ALG_TABLE_H

#include "alg.h"

enum {
	TABLE_ROWS = 0 /* a row for each service of every ALG */
#define SERVICE(ID, transports) +1
#define DERIVED(ID, transports) +1
#include "algs.def"
};

extern const struct alg_protocol *const table_rows[TABLE_ROWS];

/* The row that parses this service of an ALG over TCP (stream) or UDP, -1 for none. Any service. */
int table_find(enum algs_id alg, uint32_t service, bool stream);

#endif
