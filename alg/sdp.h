/* Session descriptions (RFC 4566, RFC 2327): a scanner over their lines. Pure; everything points
 * into the description. */
#ifndef NATLOCK_ALG_SDP_H
#define NATLOCK_ALG_SDP_H

#include "text.h"

struct sdp_line {
	uint8_t type; /* 'o' of "o=" */
	struct text value;
};

/* Whether it begins with v= and has nothing but empty lines and those of a letter, = and a value. */
bool sdp_valid(struct text body);
/* Takes the next line that is not empty; false at the end, or where one is no SDP. */
bool sdp_next(struct text *body, struct sdp_line *line);

/* The IPv4 address of an o= or c= line; false: it has none, or it is another line. */
bool sdp_address(const struct sdp_line *line, struct text *span, uint32_t *ip_be);
/* The value of an attribute (a=NAME:value, lower case); false: another line. */
bool sdp_attribute(const struct sdp_line *line, const char *name, struct text *value);
/* Whether it is this attribute and has no value (a=NAME, lower case). */
bool sdp_flag(const struct sdp_line *line, const char *name);
/* Takes what stands before the next space, at least one byte, and the space; false: *t is where it was. */
bool sdp_field(struct text *t, struct text *field);

#endif
