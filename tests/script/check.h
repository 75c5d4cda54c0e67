/*
 * Packets of a script and segments of the wire, both ways. The numbers of a connection say what relative means.
 */
#ifndef NATLOCK_TESTS_SCRIPT_CHECK_H
#define NATLOCK_TESTS_SCRIPT_CHECK_H

#include <stddef.h>

#include "packet.h"
#include "segment.h"

struct numbers {
	uint32_t guest_isn;
	uint32_t stack_isn; /* 0 until the stack's SYN was seen: then its numbers are absolute */
	uint32_t stack_end; /* after the last byte of the stack's that was seen, absolute */
	uint32_t stack_ts;  /* the stack's first timestamp; the guest's are absolute */
	bool ts_known;
};

/* Segment number `piece` of the packet, from the guest; payload is left out. */
void check_form(const struct packet *p, uint32_t piece, const struct numbers *n, struct segment *s);
/* NULL when the segment from the stack is number `piece` of the packet, else what differs. */
const char *check_segment(
	const struct packet *p, uint32_t piece, const struct numbers *n, const struct segment *got);
/* The segment as a line of a script would say it. */
void check_text(const struct numbers *n, const struct segment *got, char *out, size_t bytes);
/* The value of an option of one, two or four bytes. */
bool check_option(const struct segment *s, enum option_kind kind, uint32_t *value);

#endif
