/*
 * An ALG's edits: a diff over a range of bytes that natproxy holds. alg is hostile: a list is
 * checked as a whole before a byte is changed, and a bad one is a lie, not a mistake. Pure.
 */
#ifndef NATLOCK_NATPROXY_EDIT_H
#define NATLOCK_NATPROXY_EDIT_H

#include <stddef.h>
#include <stdint.h>

enum {
	EDIT_MAX = 128,		 /* edits a verdict */
	EDIT_GROWTH_MAX = 16384, /* bytes that one verdict may add */
};

struct edit {
	uint64_t at; /* absolute offset in the stream */
	uint32_t old_bytes;
	const uint8_t *bytes;
	size_t length;
};

/*
 * Checks edits over the range [from, until): at most EDIT_MAX, ascending, not overlapping, inside
 * the range, adding no more than EDIT_GROWTH_MAX in all. Returns 0 with *out_bytes = length of the
 * result, or -EPROTO.
 */
int edit_check(
	const struct edit *edits, size_t count, uint64_t from, uint64_t until, size_t *out_bytes);

/* Writes the edited range to out, which has the room that edit_check computed. `in` holds [from,
 * until). */
void edit_apply(const struct edit *edits, size_t count, uint64_t from, const uint8_t *in,
	size_t in_bytes, uint8_t *out);

#endif
