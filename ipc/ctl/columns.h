/* How a table's rows become columns of text: one list a topic, read by render.c. */
#ifndef NATLOCK_CTL_COLUMNS_H
#define NATLOCK_CTL_COLUMNS_H

#include <stdbool.h>
#include <stdint.h>

#include "operator.pb-c.h"

enum cell {
	CELL_PLAIN,   /* as its type prints */
	CELL_CLOCK,   /* wall-clock ms as local 03:01:38; wide: with the date */
	CELL_MOMENT,  /* wall-clock ms as in the security log */
	CELL_SPAN,    /* ms as 12s, 3m05s, 2h11m, 4d3h */
	CELL_SECONDS, /* ms as 1.2 */
	CELL_BYTES,   /* 512, 9.1K, 1.2M */
	CELL_BYTES_2, /* field/second, both as bytes */
	CELL_PLAIN_2, /* field/second, both as numbers */
	CELL_CALLS,   /* field, then how many system calls the second says */
};

/* When a column is shown: FILLED where some row has something there, or wide. */
enum column_when { COLUMN_ALWAYS, COLUMN_WIDE, COLUMN_FILLED };

struct column {
	const char *title; /* NULL ends a list */
	const char *field, *second;
	enum cell cell;
	enum column_when when;
};

enum { CELL_BYTES_MAX = 160, CELL_NARROW = 40 };

/* The columns of a topic's table; an empty list for STATUS, which has a form of its own. */
const struct column *columns_of(Nl__Topic topic);
/* The columns of ALG_STATS that tell how an application-level gateway is switched. */
const struct column *columns_alg_settings(void);
/* The text of one cell, printable ASCII, at most CELL_NARROW bytes unless wide; "-" when there is
 * nothing. */
const char *column_text(
	const struct column *column, const ProtobufCMessage *row, bool wide, char *out);
/* 12s, 3m05s, 2h11m, 4d3h into out (24 bytes). */
const char *column_span(uint64_t ms, char *out);

#endif
