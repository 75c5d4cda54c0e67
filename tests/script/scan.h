/*
 * A cursor over one line of a script. Each scan_* skips blanks, then takes what it is asked for or leaves the cursor
 * where it was and returns false.
 */
#ifndef NATLOCK_TESTS_SCRIPT_SCAN_H
#define NATLOCK_TESTS_SCRIPT_SCAN_H

#include <stdbool.h>
#include <stdint.h>

struct scan {
	const char *p;
};

/* What a number has to be: any, or low..high. */
struct span {
	bool any;
	uint32_t low, high;
};
static inline bool span_holds(const struct span *s, uint32_t v)
{
	return s->any || (v >= s->low && v <= s->high);
}

/* Exactly these characters, wherever they end. */
bool scan_mark(struct scan *s, const char *mark);
/* Exactly this word: what follows is no letter, digit or underscore. */
bool scan_word(struct scan *s, const char *word);
/* Any word of [a-z0-9_], at most n - 1 characters. */
bool scan_name(struct scan *s, char *out, unsigned int n);
/* Decimal, up to 2^32 - 1. */
bool scan_number(struct scan *s, uint32_t *out);
/* "5", "5~9" or "*". */
bool scan_span(struct scan *s, struct span *out);
/* Seconds with at most nine decimals, as nanoseconds. */
bool scan_seconds(struct scan *s, uint64_t *ns);
/* Nothing but a comment is left. */
bool scan_end(struct scan *s);

#endif
