/* A growing list of unpacked messages, bounded by ROWS_MAX. */
#include <errno.h>
#include <stdlib.h>

#include "rows.h"

const ProtobufCMessageDescriptor *rows_type(Nl__Topic topic)
{
	switch (topic) {
	case NL__TOPIC__STATUS: return &nl__status_row__descriptor;
	case NL__TOPIC__PROCESSES: return &nl__process_row__descriptor;
	case NL__TOPIC__SESSIONS: return &nl__session_row__descriptor;
	case NL__TOPIC__NAT: return &nl__nat_row__descriptor;
	case NL__TOPIC__DHCP: return &nl__dhcp_row__descriptor;
	case NL__TOPIC__EXPECTATIONS: return &nl__expectation_row__descriptor;
	case NL__TOPIC__DROPS: return &nl__drop_row__descriptor;
	case NL__TOPIC__HUBS: return &nl__hub_row__descriptor;
	case NL__TOPIC__ALG_STATS: return &nl__alg_row__descriptor;
	case NL__TOPIC__EVENTS: return &nl__event_row__descriptor;
	case NL__TOPIC__FORWARDS: return &nl__forward_row__descriptor;
	case _NL__TOPIC_IS_INT_SIZE: break;
	}
	return NULL;
}

void rows_init(struct rows *rows, Nl__Topic topic)
{
	*rows = (struct rows){.type = rows_type(topic)};
}

int rows_add(struct rows *rows, const void *packed, size_t bytes)
{
	ProtobufCMessage *message;

	if (rows->count == ROWS_MAX)
		return -ENOSPC;
	if (rows->count == rows->capacity) {
		size_t capacity = rows->capacity > 0 ? 2 * rows->capacity : 256;
		ProtobufCMessage **grown = reallocarray(rows->row, capacity, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		rows->row = grown;
		rows->capacity = capacity;
	}
	message = protobuf_c_message_unpack(rows->type, NULL, bytes, packed);
	if (message == NULL)
		return -EPROTO;
	rows->row[rows->count++] = message;
	return 0;
}

void rows_free(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		protobuf_c_message_free_unpacked(rows->row[i], NULL);
	free(rows->row);
	*rows = (struct rows){.type = rows->type};
}
