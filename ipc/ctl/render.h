/* Tables as text for people, JSON, CSV. Rows may hold anything; what is printed is printable ASCII.
 */
#ifndef NATLOCK_CTL_RENDER_H
#define NATLOCK_CTL_RENDER_H

#include <stdint.h>

#include "rows.h"
#include "verbs.h"

struct render {
	FILE *out, *summary; /* "3 sessions shown." goes to summary */
	enum format format;
	const char *hub;  /* as asked for, or NULL */
	uint64_t wall_ms; /* now, for the JSON */
};

/* One table in the format asked for. FORMAT_CISCO only for the NAT table. */
void render_rows(const struct render *r, const struct verb *verb, const struct rows *rows);
/* status: the gateway, its processes, its hubs. */
void render_status(const struct render *r, const struct rows *status, const struct rows *processes,
	const struct rows *hubs);
/* A text answer: as it is with control characters taken out, or as JSON. */
void render_text(const struct render *r, const struct verb *verb, const char *text);

#endif
