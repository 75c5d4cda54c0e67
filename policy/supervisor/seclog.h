/*
 * The files of a hub's security log (seed 3.7.8): FOLDER/security_log/HUB/sec_YYYYMMDD.log, one a day of local time. What a line looks
 * like is seclog_line.h's, which lines there are hublog.h's.
 */
#ifndef NATLOCK_SUPERVISOR_SECLOG_H
#define NATLOCK_SUPERVISOR_SECLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.pb-c.h"
#include "seclog_line.h"

enum {
	SECLOG_BURST_BYTES = 64 << 20,	  /* what one process may write at once */
	SECLOG_BYTES_A_SECOND = 64 << 10, /* and for ever: 5.3 GiB a day */
	SECLOG_STAMP_BYTES = 80,	  /* counted for what a line has beside its event */
	SECLOG_FILES = 4096, /* of a folder that are looked at when old days are deleted */
};

/* A process's share of the log, so that one in a stranger's hands cannot fill the disk in minutes. Zeroed: full. */
struct seclog_quota {
	uint64_t used, at_ms;
	uint64_t lost; /* lines, since the last that was taken */
};

/* What a place did not take and nobody was told of yet. Zeroed: nothing. */
struct seclog_loss {
	uint64_t lines;
	int why;	  /* the last time: -errno */
	uint64_t said_ms; /* wall clock of the line about the one before */
};

struct seclog {
	char folder[256]; /* empty: no log is kept */
	Nl__Log__Style style;
	uint32_t keep_days;	 /* 0: for ever */
	int folder_fd;		 /* -1: not there yet, looked for with the file */
	int fd;			 /* the day's file, -1 */
	int day;		 /* YYYYMMDD of fd */
	int error;		 /* why the last line was not written, -errno; 0: it was */
	bool torn; /* the file ends in the middle of a line that could not be taken back */
	struct seclog_loss loss; /* what the disk did not take */
	uint64_t retry_ms;	 /* wall clock: when file and folder are looked for again */
};

/*
 * Opens a hub's log below `folder` (NULL or empty: none). 0 or -errno: the folder cannot be made, and is asked for again as lines come
 * (-ENAMETOOLONG: it is not). Syscalls: mkdir openat
 */
int seclog_open(struct seclog *log, const char *folder, const char *hub, Nl__Log__Style style);
/*
 * Writes one record into the file of its day. False: the disk did not take it, log->error says why and log->loss counts. A day that
 * was left by the clock, forwards or back, is opened again when the clock is there again; a file or folder that was deleted is
 * made again within a second. Syscalls: openat write ftruncate fstat mkdir close
 */
bool seclog_write(struct seclog *log, uint64_t wall_ms, const struct seclog_record *r);
/* Deletes the files of days more than keep_days before `day`: entries of the folder named as ours, never what a link points to.
 * Returns how many. Syscalls: openat getdents64 unlinkat close */
unsigned int seclog_expire(struct seclog *log, int day);
void seclog_close(struct seclog *log);

/* One line more was not taken. Pure, like the next. */
void seclog_loss_count(struct seclog_loss *loss, int why);
/* Whether it is time to say so, once a second at most: a place may take every other line. *told is the loss, then forgotten. */
bool seclog_loss_due(struct seclog_loss *loss, uint64_t wall_ms, struct seclog_loss *told);

/*
 * Whether a process may write a record of so many bytes now (monotonic clock). true: *lost is how many lines were refused since the
 * last one taken; false: *lost counts this one too. Pure.
 */
bool seclog_quota_take(struct seclog_quota *q, uint64_t now_ms, size_t bytes, uint64_t *lost);

#endif
