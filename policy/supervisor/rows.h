/* Tables that the supervisor answers itself: status, processes, and with the workers' help hubs. */
#ifndef NATLOCK_SUPERVISOR_ROWS_H
#define NATLOCK_SUPERVISOR_ROWS_H

#include <protobuf-c/protobuf-c.h>

#include "operator.pb-c.h"

#include "topology.h"

struct supervisor;
struct hub;

/* Every process of sixteen hubs with eight shards each. */
enum { ROWS_MAX = 512 };

struct rows {
	ProtobufCBinaryData row[ROWS_MAX]; /* packed; allocated */
	size_t count;
};

/* Packs all rows of STATUS or PROCESSES; other topics have none. */
void rows_make(struct rows *rows, struct supervisor *s, Nl__Topic topic);
/* Packs the row of one hub. `counted` is what its workers said (rows_count); what is missing there comes from
 * what the supervisor knows itself, or stays absent. */
void rows_hub(struct rows *rows, const struct supervisor *s, const struct hub *hub,
	const Nl__HubRow *counted);
/* Adds to `counted` what a worker says of its hub: a packed HubRow, of which only the numbers are taken that
 * are this worker's to say; what each shard counts is added up. Any bytes. */
void rows_count(Nl__HubRow *counted, enum actor_id from, const ProtobufCBinaryData *row);
void rows_free(struct rows *rows);

#endif
