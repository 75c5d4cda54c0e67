/* A growing list of unpacked messages, bounded by ROWS_MAX. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	case NL__TOPIC__CALLS: return &nl__call_row__descriptor;
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

void rows_keep(struct rows *rows, bool (*keep)(const ProtobufCMessage *row, const void *wanted),
	const void *wanted)
{
	size_t kept = 0;

	for (size_t i = 0; i < rows->count; i++) {
		if (keep(rows->row[i], wanted))
			rows->row[kept++] = rows->row[i];
		else
			protobuf_c_message_free_unpacked(rows->row[i], NULL);
	}
	rows->count = kept;
}

/* The pointer that a field of this type and name is; NULL without one. */
static const void *pointer_of(
	const ProtobufCMessage *row, const char *name, ProtobufCType type, const void *descriptor)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(row->descriptor, name);
	const void *pointer = NULL;

	if (field != NULL && field->type == type && field->label != PROTOBUF_C_LABEL_REPEATED &&
		field->descriptor == descriptor)
		memcpy(&pointer, (const uint8_t *)row + field->offset, sizeof(pointer));
	return pointer;
}

const char *rows_text(const ProtobufCMessage *row, const char *field)
{
	return pointer_of(row, field, PROTOBUF_C_TYPE_STRING, NULL);
}

const Nl__Address *rows_address(const ProtobufCMessage *row, const char *field)
{
	return pointer_of(row, field, PROTOBUF_C_TYPE_MESSAGE, &nl__address__descriptor);
}

bool rows_number(const ProtobufCMessage *row, const char *name, uint64_t *number)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(row->descriptor, name);
	protobuf_c_boolean has = 0;
	uint32_t narrow;

	*number = 0;
	if (field == NULL || field->label == PROTOBUF_C_LABEL_REPEATED ||
		(field->type != PROTOBUF_C_TYPE_UINT64 && field->type != PROTOBUF_C_TYPE_UINT32 &&
			field->type != PROTOBUF_C_TYPE_BOOL))
		return false;
	memcpy(&has, (const uint8_t *)row + field->quantifier_offset, sizeof(has));
	memcpy(&narrow, (const uint8_t *)row + field->offset, sizeof(narrow));
	*number = narrow;
	if (field->type == PROTOBUF_C_TYPE_UINT64)
		memcpy(number, (const uint8_t *)row + field->offset, sizeof(*number));
	return has;
}
