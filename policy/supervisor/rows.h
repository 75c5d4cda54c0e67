/* Tables that the supervisor answers itself: status, processes, hubs. */
#ifndef NATLOCK_SUPERVISOR_ROWS_H
#define NATLOCK_SUPERVISOR_ROWS_H

#include <protobuf-c/protobuf-c.h>

#include "operator.pb-c.h"

struct supervisor;

enum { ROWS_MAX = 128 };

struct rows {
	ProtobufCBinaryData row[ROWS_MAX]; /* packed; allocated */
	size_t count;
};

/* Packs all rows of STATUS, PROCESSES or HUBS; other topics have none. */
void rows_make(struct rows *rows, struct supervisor *s, Nl__Topic topic);
void rows_free(struct rows *rows);

#endif
