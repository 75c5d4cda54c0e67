/* What a message becomes by the edits of an answer, which must ascend and stay within it. */
#ifndef NATLOCK_TESTS_ALG_EDITS_H
#define NATLOCK_TESTS_ALG_EDITS_H

#include <criterion/criterion.h>
#include <string.h>

#include "alg.h"

/* Into out, which has this room, with a NUL behind it: how many bytes it is long. */
static inline size_t edits_apply(
	const struct alg_answer *a, const void *message, size_t n, void *out, size_t room)
{
	const uint8_t *in = (const uint8_t *)message;
	uint8_t *to = (uint8_t *)out;
	size_t at = 0, length = 0;
	for (unsigned int i = 0; i < a->edit_count; i++) {
		const struct alg_edit *e = &a->edit[i];
		cr_assert(e->at >= at && (size_t)e->at + e->old_bytes <= n, "edits overlap");
		cr_assert_lt(length + (e->at - at) + e->bytes, room);
		memcpy(to + length, in + at, e->at - at);
		length += e->at - at;
		memcpy(to + length, e->text, e->bytes);
		length += e->bytes;
		at = e->at + e->old_bytes;
	}
	cr_assert_lt(length + (n - at), room);
	memcpy(to + length, in + at, n - at);
	length += n - at;
	to[length] = '\0';
	return length;
}

#endif
