/* Rows of one table as they arrive, unpacked. Bytes of a row are hostile: a confined worker packed
 * them. */
#ifndef NATLOCK_CTL_ROWS_H
#define NATLOCK_CTL_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "operator.pb-c.h"

enum { ROWS_MAX = 262144 };

struct rows {
	const ProtobufCMessageDescriptor *type;
	ProtobufCMessage **row;
	size_t count, capacity;
};

/* The row type of a topic; NULL for a number that is none. */
const ProtobufCMessageDescriptor *rows_type(Nl__Topic topic);
void rows_init(struct rows *rows, Nl__Topic topic);
/* Unpacks one row. 0, -EPROTO (not such a message), -ENOSPC (over ROWS_MAX), -ENOMEM. Any input. */
int rows_add(struct rows *rows, const void *packed, size_t bytes);
void rows_free(struct rows *rows);
/* Takes out (and frees) the rows that `keep` does not want. */
void rows_keep(struct rows *rows, bool (*keep)(const ProtobufCMessage *row, const void *wanted),
	const void *wanted);
/* A text of a row by its field's name; NULL when it has none, or the type no such field. */
const char *rows_text(const ProtobufCMessage *row, const char *field);
/* An address of a row, likewise. */
const Nl__Address *rows_address(const ProtobufCMessage *row, const char *field);
/* A number, a truth, or a moment of a row; false when it is not given. */
bool rows_number(const ProtobufCMessage *row, const char *field, uint64_t *number);

#endif
