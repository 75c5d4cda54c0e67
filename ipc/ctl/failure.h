/*
 * Why natlockctl could not do what it was asked: what happened, why, the next command. The
 * supervisor's failures (operator.proto, Failure) and natlockctl's own have the same shape and exit
 * codes.
 */
#ifndef NATLOCK_CTL_FAILURE_H
#define NATLOCK_CTL_FAILURE_H

#include <stdbool.h>
#include <stdio.h>

/* Exit codes of docs/operator.md. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 3,
	CTL_NO_MATCH = 4,
	CTL_REFUSED = 5,
	CTL_CONFIG = 6,
	CTL_DRIFT = 7,
	CTL_TIMED_OUT = 8,
};

struct failure {
	enum ctl_exit exit_code;
	char code[16]; /* "E0701": 07 = natlockctl itself; the other groups are the supervisor's */
	char message[512], cause[512], fix[512]; /* cause and fix may be empty */
};

/* Fills the failure (message in printf form, cause and fix as they are or NULL); returns the exit
 * code. */
int failure(struct failure *f, enum ctl_exit exit_code, const char *code, const char *cause,
	const char *fix, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Three lines for a person, or one JSON object {"error":{code,message,cause,fix}}. Content may be
 * hostile. */
void failure_print(FILE *out, const struct failure *f, bool json);

#endif
