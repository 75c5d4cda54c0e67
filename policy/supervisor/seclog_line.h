/*
 * An event as a line of the security log, in each style, and as the datagrams of journald and syslog. Pure but
 * for the time zone.
 *
 * Nothing in an event can forge or break a line: what is no printable ASCII becomes '?' here once more, whoever escaped it before;
 * JSON strings are escaped (RFC 8259 7), logfmt values quoted; long values are cut so that every record fits.
 */
#ifndef NATLOCK_SUPERVISOR_SECLOG_LINE_H
#define NATLOCK_SUPERVISOR_SECLOG_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "config.pb-c.h"
#include "operator.pb-c.h"

enum {
	SECLOG_LINE = 1024,    /* of a text; more is cut */
	SECLOG_VALUE = 256,    /* of any other string */
	SECLOG_RECORD = 32768, /* any event in any style */
};

/* One event, ready to be written. */
struct seclog_record {
	size_t bytes;
	char text[SECLOG_RECORD]; /* not terminated */
};

/* Replaces what is no printable ASCII by '?': a process in a stranger's hands may send line ends or worse. */
void seclog_clean(char *text);
/* The day of local time as YYYYMMDD. */
int seclog_day(uint64_t wall_ms);
/* The day `days` days before a day, both YYYYMMDD. */
int seclog_day_before(int day, uint32_t days);
/*
 * The lines of an event for the file, each with its newline. securenat: `YYYY-MM-DD HH:MM:SS.mmm TEXT` (seed 3.7.8) and, where
 * there is more to say, a second line. json and logfmt: one line with every field the event has; time in RFC 3339.
 */
void seclog_line(struct seclog_record *r, Nl__Log__Style style, const Nl__EventRow *e);
/* The native protocol of systemd's journal: FIELD=value lines; fields of ours begin with NATLOCK_. */
void seclog_journal(struct seclog_record *r, const Nl__EventRow *e);
/* As a program on the same computer writes to /dev/log (RFC 3164 4.1): priority, time, tag, text. */
void seclog_syslog(struct seclog_record *r, Nl__Log__Style style, const Nl__EventRow *e, int pid);

#endif
