/*
 * Theory of operation. The day is the local one, as the operator's calendar and the seed's have it.
 * A disk that takes nothing costs lines, never service: they are counted. A line is one write, so
 * lines of one file never mix.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "places.h"
#include "seclog.h"

static void local_time(uint64_t wall_ms, struct tm *tm)
{
	time_t seconds = (time_t)(wall_ms / 1000);

	localtime_r(&seconds, tm);
}

/* Text for a quoted field: quotes and backslashes escaped. */
static void quote(char *out, size_t cap, const char *text)
{
	size_t n = 0;

	for (; *text && n + 2 < cap; text++) {
		if (*text == '"' || *text == '\\')
			out[n++] = '\\';
		out[n++] = *text;
	}
	out[n] = '\0';
}

void seclog_clean(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

size_t seclog_format(char *out, size_t cap, Nl__Log__Style style, const char *hub, uint64_t wall_ms,
	const char *text)
{
	char stamp[32], plain[SECLOG_LINE + 1], quoted[SECLOG_LINE];
	struct tm tm;
	int n = 0;

	local_time(wall_ms, &tm);
	strftime(stamp, sizeof(stamp),
		style == NL__LOG__STYLE__securenat ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%dT%H:%M:%S",
		&tm);
	snprintf(plain, sizeof(plain), "%s", text);
	seclog_clean(plain);
	quote(quoted, sizeof(quoted), plain);
	switch (style) {
	case NL__LOG__STYLE__json:
		n = snprintf(out, cap, "{\"time\":\"%s.%03u\",\"hub\":\"%s\",\"text\":\"%s\"}\n",
			stamp, (unsigned int)(wall_ms % 1000), hub, quoted);
		break;
	case NL__LOG__STYLE__logfmt:
		n = snprintf(out, cap, "time=%s.%03u hub=%s text=\"%s\"\n", stamp,
			(unsigned int)(wall_ms % 1000), hub, quoted);
		break;
	case NL__LOG__STYLE__securenat:
	case _NL__LOG__STYLE_IS_INT_SIZE:
		n = snprintf(
			out, cap, "%s.%03u %s\n", stamp, (unsigned int)(wall_ms % 1000), plain);
		break;
	}
	if (n < 0 || (size_t)n < cap)
		return n < 0 ? 0 : (size_t)n;
	out[cap - 2] = '\n';
	return cap - 1;
}

int seclog_open(struct seclog *log, const char *folder, const char *hub, Nl__Log__Style style)
{
	int n, error;

	memset(log, 0, sizeof(*log));
	log->fd = -1;
	log->style = style;
	snprintf(log->hub, sizeof(log->hub), "%s", hub);
	if (!folder || !folder[0])
		return 0;
	n = snprintf(log->folder, sizeof(log->folder), "%s/security_log/%s", folder, hub);
	if (n >= (int)sizeof(log->folder))
		error = -ENAMETOOLONG;
	else
		error = places_make(log->folder, 0750, geteuid(), getegid());
	if (error < 0)
		log->folder[0] = '\0';
	return error;
}

static void rotate(struct seclog *log, int day)
{
	char path[300];

	if (log->fd >= 0)
		close(log->fd);
	snprintf(path, sizeof(path), "%s/sec_%08d.log", log->folder, day);
	log->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	log->day = day;
}

void seclog_write(struct seclog *log, uint64_t wall_ms, const char *text)
{
	char line[2 * SECLOG_LINE];
	struct tm tm;
	size_t n;
	int day;

	if (!log->folder[0])
		return;
	local_time(wall_ms, &tm);
	day = (tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday;
	if (log->fd < 0 || day != log->day)
		rotate(log, day);
	n = seclog_format(line, sizeof(line), log->style, log->hub, wall_ms, text);
	if (log->fd < 0 || write(log->fd, line, n) != (ssize_t)n)
		log->lost++;
}

void seclog_close(struct seclog *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
}

bool seclog_quota_take(struct seclog_quota *q, uint64_t now_ms, size_t bytes, uint64_t *lost)
{
	uint64_t earned = (now_ms - q->at_ms) * SECLOG_BYTES_A_SECOND / 1000;
	uint64_t wanted = bytes + SECLOG_STAMP_BYTES;

	if (earned) {
		q->used = q->used > earned ? q->used - earned : 0;
		q->at_ms = now_ms;
	}
	if (q->used + wanted > SECLOG_BURST_BYTES) {
		*lost = ++q->lost;
		return false;
	}
	q->used += wanted;
	*lost = q->lost;
	q->lost = 0;
	return true;
}

bool seclog_write_of(struct seclog *log, struct seclog_quota *q, const char *process,
	uint64_t now_ms, uint64_t wall_ms, const char *text)
{
	char line[160];
	uint64_t lost;

	if (!seclog_quota_take(q, now_ms, strlen(text), &lost))
		return false;
	if (lost) {
		snprintf(line, sizeof(line),
			"SecureNAT: %llu log lines of the process %s were lost: it wrote too many.",
			(unsigned long long)lost, process);
		seclog_write(log, wall_ms, line);
	}
	seclog_write(log, wall_ms, text);
	return true;
}
