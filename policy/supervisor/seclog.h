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

enum {
	SECLOG_LINE = 1024,
	SECLOG_BURST_BYTES = 64 << 20,	  /* what one process may write at once */
	SECLOG_BYTES_A_SECOND = 64 << 10, /* and for ever: 5.3 GiB a day */
	SECLOG_STAMP_BYTES = 80,	  /* counted for what a line has beside its text */
};

/* A process's share of the log, so that one in a stranger's hands cannot fill the disk in minutes. Zeroed: full. */
struct seclog_quota {
	uint64_t used, at_ms;
	uint64_t lost; /* lines, since the last that was taken */
};

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

/* Replaces what is no printable ASCII by '?': a process in a stranger's hands may send line ends or worse. Pure. */
void seclog_clean(char *text);
/* The line as it goes to the file, with its newline. `text` is cleaned. Pure but for the time zone. Returns its
 * length. */
size_t seclog_format(char *out, size_t cap, Nl__Log__Style style, const char *hub, uint64_t wall_ms,
	const char *text);

/*
 * Writes a line of a process as far as its share goes; now_ms is monotonic. Lines that were refused before it are said
 * in a line of their own. False: this one was refused.
 */
bool seclog_write_of(struct seclog *log, struct seclog_quota *q, const char *process,
	uint64_t now_ms, uint64_t wall_ms, const char *text);
/*
 * Whether a process may write so many bytes of text now. true: *lost is how many lines were refused since the last one
 * taken; false: *lost counts this one too. Pure.
 */
bool seclog_quota_take(struct seclog_quota *q, uint64_t now_ms, size_t bytes, uint64_t *lost);

#endif
