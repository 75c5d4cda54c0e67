/*
 * The security log of a hub (seed 3.7.8): FOLDER/security_log/HUB/sec_YYYYMMDD.log, one file a day
 * of local time, each line `YYYY-MM-DD HH:MM:SS.mmm TEXT`. Styles json and logfmt carry the same
 * text as a field.
 */
#ifndef NATLOCK_SUPERVISOR_SECLOG_H
#define NATLOCK_SUPERVISOR_SECLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.pb-c.h"

enum { SECLOG_LINE = 1024 };

struct seclog {
	char folder[256]; /* empty: no log is kept */
	Nl__Log__Style style;
	char hub[64];
	int fd;	       /* today's file, -1 */
	int day;       /* YYYYMMDD of fd */
	uint64_t lost; /* lines that the disk did not take */
};

/*
 * Opens a hub's log below `folder` (NULL or empty: none). 0 or -errno when the folder cannot be
 * made; then nothing is logged. Syscalls: mkdirat openat
 */
int seclog_open(struct seclog *log, const char *folder, const char *hub, Nl__Log__Style style);
/* Writes one line; wall_ms is milliseconds since the epoch. Rotates by day. Syscalls: openat write
 * close */
void seclog_write(struct seclog *log, uint64_t wall_ms, const char *text);
void seclog_close(struct seclog *log);

/* The line as it goes to the file, with its newline. Pure but for the time zone. Returns its
 * length. */
size_t seclog_format(char *out, size_t cap, Nl__Log__Style style, const char *hub, uint64_t wall_ms,
	const char *text);

#endif
