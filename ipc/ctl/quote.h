/*
 * What people type as YAML that can only mean itself: every text gets quotes, a list or mapping is
 * read and written again. So nothing typed can end its value and begin another key. Pure.
 */
#ifndef NATLOCK_CTL_QUOTE_H
#define NATLOCK_CTL_QUOTE_H

#include <stdbool.h>
#include <stddef.h>

enum { QUOTE_WHY = 256 };

struct quote {
	char *out; /* always terminated */
	size_t cap, used;
	bool bad; /* no room, or a byte that is not printable ASCII */
};

/* Starts an empty text in `out`, cap > 0. */
void quote_open(struct quote *q, char *out, size_t cap);
/* Our own text, as it is. */
void quote_raw(struct quote *q, const char *text);
/* "text", with what needs it escaped. */
void quote_text(struct quote *q, const char *text);
/*
 * A value for a key. It is a list or mapping in flow form if it begins with [ or {. Else, for a
 * list (is_list): its elements, separated by commas ("none" or "": none). Else a text. 0, or
 * -EINVAL with `why` (QUOTE_WHY bytes).
 */
int quote_value(struct quote *q, const char *typed, bool is_list, char *why);

#endif
