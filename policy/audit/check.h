/* The lines of an audit: one a check. Pure but for the heap, which grows the list. */
#ifndef NATLOCK_AUDIT_CHECK_H
#define NATLOCK_AUDIT_CHECK_H

#include "found.h"

enum check_result { CHECK_OK, CHECK_DRIFT, CHECK_UNKNOWN };

enum { CHECK_WHAT = 32, CHECK_TEXT = 160 };

struct check {
	char process[FOUND_NAME];
	pid_t pid; /* 0: of no process of the gateway (a probe) */
	char what[CHECK_WHAT];
	char declared[CHECK_TEXT], found[CHECK_TEXT];
	enum check_result result;
	const char *needs; /* CHECK_UNKNOWN: what would be needed to know */
};

struct checks { /* zeroed = empty */
	struct check *item;
	unsigned int count, room;
	unsigned int results[CHECK_UNKNOWN + 1];
};

/*
 * Adds a line about f and returns it, for check_found. Without memory the process ends: an audit
 * with a line missing is none.
 */
struct check *check_add(
	struct checks *list, const struct found *f, const char *what, const char *declared);
/* How it is: printf form. */
void check_found(struct checks *list, struct check *c, bool as_declared, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Why the kernel did not say: the errno, positive. */
void check_unknown(struct checks *list, struct check *c, int error);
void check_free(struct checks *list);

#endif
