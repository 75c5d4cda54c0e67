/*
 * What a person needs when something does not work: what happened, why, and what to do about it.
 * The same three sentences go to standard error ("natlock: message: cause. fix") and to natlockctl
 * (Failure).
 */
#ifndef NATLOCK_SUPERVISOR_TROUBLE_H
#define NATLOCK_SUPERVISOR_TROUBLE_H

#include <stddef.h>

/* Exit codes of docs/operator.md; `run` uses 125..127 as shells and env do. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
	EXIT_NO_MATCH = 4,
	EXIT_REFUSED = 5,
	EXIT_CONFIG = 6,
	EXIT_TIMED_OUT = 8,
	EXIT_GATEWAY = 125,
	EXIT_CANNOT_RUN = 126,
	EXIT_NOT_FOUND = 127,
};

/* Codes by kind, stable for scripts: 01 usage, 02 configuration, 03 privileges, 04 ports, 05
 * operator, 06 workers. */
struct trouble {
	enum exit_code exit_code;
	char code[8]; /* "E0301" */
	char message[320];
	char cause[320];
	char fix[320];
};

/* Fills message (printf form), clears the rest; returns -1 so that a function can return it. */
int trouble(struct trouble *t, enum exit_code exit_code, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Adds why and what to do. Both return -1. */
int trouble_cause(struct trouble *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int trouble_fix(struct trouble *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The whole as one line without a newline. */
const char *trouble_text(const struct trouble *t, char *out, size_t cap);
/* "natlock: " and the line on standard error; returns the exit code. */
int trouble_say(const struct trouble *t);

/* "natlock: " and a line for people on standard error. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
