/* Tables as text for people, JSON, CSV. Rows may hold anything; what is printed is printable ASCII.
 */
#ifndef NATLOCK_CTL_RENDER_H
#define NATLOCK_CTL_RENDER_H

#include <stdint.h>

#include "columns.h"
#include "rows.h"
#include "verbs.h"

struct render {
	FILE *out, *summary; /* "3 sessions shown." goes to summary */
	enum format format;
	const char *hub;  /* as asked for, or NULL */
	uint64_t wall_ms; /* now, for the JSON */
};

/* "3 sessions shown." */
void render_summary(const struct render *r, const struct verb *verb, size_t count);
/* One table in the format asked for, but FORMAT_CISCO (cisco.h). FORMAT_CONNTRACK only for the NAT table. */
void render_rows(const struct render *r, const struct verb *verb, const struct rows *rows);
/* The same, where the columns are not those of the verb's topic. */
void render_table(const struct render *r, const struct verb *verb, const struct column *columns,
	const struct rows *rows);
/* The same; for people and in JSON a second table behind it, of the verb's topic. */
void render_with_totals(const struct render *r, const struct verb *verb,
	const struct column *columns, const struct rows *rows, const struct rows *totals);
/* Rows as columns of text under their titles. */
void render_columns(FILE *out, const struct column *columns, const struct rows *rows, bool wide);
/*
 * Rows with a line for each field that is given; other formats as render_rows. verb->value: the
 * fields meant ("name leases pool"), NULL for all.
 */
void render_records(const struct render *r, const struct verb *verb, const struct rows *rows);
/* Whether all is well, in a word, and what the gateway has to say besides. */
void render_health(const struct render *r, const struct verb *verb, const struct rows *status);
/* Rows of EVENTS, a line each as in the security log; JSON a line each; first: CSV's titles. */
void render_events(const struct render *r, const struct rows *rows, bool first);
/* A configuration: YAML as it is, JSON as the value of "config". */
void render_config(const struct render *r, const struct verb *verb, const char *text);
/* status: the gateway, its processes, its hubs. */
void render_status(const struct render *r, const struct rows *status, const struct rows *processes,
	const struct rows *hubs);
/* A text answer: as it is with control characters taken out, or as JSON. */
void render_text(const struct render *r, const struct verb *verb, const char *text);

#endif
