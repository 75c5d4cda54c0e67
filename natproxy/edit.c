/*
 * Theory of operation. Checking walks the list once with a cursor that only moves forward; applying
 * repeats the walk and copies: untouched bytes, replacement, skip. TCP is terminated on both sides,
 * so a change of length needs no repair of sequence numbers.
 */
#include <errno.h>
#include <string.h>

#include "edit.h"

int edit_check(
	const struct edit *edits, size_t count, uint64_t from, uint64_t until, size_t *out_bytes)
{
	uint64_t cursor = from, added = 0, removed = 0;
	if (count > EDIT_MAX || until < from)
		return -EPROTO;
	for (size_t i = 0; i < count; i++) {
		const struct edit *e = &edits[i];
		if (e->at < cursor || e->at > until || e->old_bytes > until - e->at)
			return -EPROTO;
		if (e->length > EDIT_GROWTH_MAX)
			return -EPROTO;
		cursor = e->at + e->old_bytes;
		added += e->length;
		removed += e->old_bytes;
	}
	if (added > removed + EDIT_GROWTH_MAX)
		return -EPROTO;
	*out_bytes = (size_t)(until - from + added - removed);
	return 0;
}

void edit_apply(const struct edit *edits, size_t count, uint64_t from, const uint8_t *in,
	size_t in_bytes, uint8_t *out)
{
	size_t done = 0;
	for (size_t i = 0; i < count; i++) {
		const size_t at = (size_t)(edits[i].at - from);
		memcpy(out, in + done, at - done);
		out += at - done;
		if (edits[i].length)
			memcpy(out, edits[i].bytes, edits[i].length);
		out += edits[i].length;
		done = at + edits[i].old_bytes;
	}
	memcpy(out, in + done, in_bytes - done);
}
