/*
 * Theory of operation. The day is the local one, as the operator's calendar and the seed's have it, and that of the line: a clock
 * set back writes into the earlier day's file again. A record is one write, so lines of one file never mix.
 *
 * A disk that takes nothing costs lines, never service: they are counted. A write cut
 * short leaves a torn line; the next one begins with a line end. Files are looked for by name below a folder that stays open, so a
 * link put in their place is refused (O_NOFOLLOW) and nothing outside of it is ever touched.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "places.h"
#include "seclog.h"

enum { RETRY_MS = 1000, SAY_MS = 1000, NAME_BYTES = 24 };

int seclog_open(struct seclog *log, const char *folder, const char *hub, Nl__Log__Style style)
{
	int n, error;

	*log = (struct seclog){.style = style, .folder_fd = -1, .fd = -1};
	if (!folder || !folder[0])
		return 0;
	n = snprintf(log->folder, sizeof(log->folder), "%s/security_log/%s", folder, hub);
	if (n >= (int)sizeof(log->folder))
		error = -ENAMETOOLONG;
	else
		error = places_make(log->folder, 0750, geteuid(), getegid());
	if (error == 0)
		log->folder_fd = open(log->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (error == 0 && log->folder_fd < 0)
		error = -errno;
	if (error < 0)
		log->folder[0] = '\0';
	return error;
}

/* YYYYMMDD of a name that is one of ours, 0 of any other. */
static int day_of_name(const char *name)
{
	char again[NAME_BYTES];
	int day = strncmp(name, "sec_", 4) == 0 ? atoi(name + 4) : 0;

	snprintf(again, sizeof(again), "sec_%08d.log", day);
	return day > 0 && strcmp(again, name) == 0 ? day : 0;
}

unsigned int seclog_expire(struct seclog *log, int day)
{
	const int oldest = seclog_day_before(day, log->keep_days);
	const int fd = openat(log->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	unsigned int looked = 0, deleted = 0;
	const struct dirent *entry;

	if (!folder && fd >= 0)
		close(fd);
	while (folder && looked++ < SECLOG_FILES && (entry = readdir(folder))) {
		int of = day_of_name(entry->d_name);

		if (of && of < oldest && unlinkat(log->folder_fd, entry->d_name, 0) == 0)
			deleted++;
	}
	if (folder)
		closedir(folder);
	return deleted;
}

static void close_day(struct seclog *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
}

static void open_day(struct seclog *log, int day)
{
	char name[NAME_BYTES];

	close_day(log);
	snprintf(name, sizeof(name), "sec_%08d.log", day);
	log->fd = openat(log->folder_fd, name,
		O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	log->error = log->fd < 0 ? -errno : 0;
	log->day = day;
	log->torn = false;
	if (log->keep_days)
		seclog_expire(log, day);
}

/* A file that could not be opened is not asked for with every line. */
static bool may_open(struct seclog *log, uint64_t wall_ms)
{
	if (log->retry_ms > wall_ms && log->retry_ms - wall_ms <= RETRY_MS)
		return false;
	log->retry_ms = wall_ms + RETRY_MS;
	return true;
}

static int write_record(struct seclog *log, const struct seclog_record *r)
{
	ssize_t n;

	if (log->torn && write(log->fd, "\n", 1) != 1)
		return -errno;
	log->torn = false;
	n = write(log->fd, r->text, r->bytes);
	if (n == (ssize_t)r->bytes)
		return 0;
	log->torn = n > 0;
	return n < 0 ? -errno : -ENOSPC;
}

bool seclog_write(struct seclog *log, uint64_t wall_ms, const struct seclog_record *r)
{
	const int day = seclog_day(wall_ms);

	if (!log->folder[0])
		return true;
	if (log->fd >= 0 ? day != log->day : may_open(log, wall_ms))
		open_day(log, day);
	if (log->fd >= 0)
		log->error = write_record(log, r);
	if (log->error) {
		seclog_loss_count(&log->loss, log->error);
		return false;
	}
	return true;
}

void seclog_close(struct seclog *log)
{
	close_day(log);
	if (log->folder_fd >= 0)
		close(log->folder_fd);
	log->folder_fd = -1;
}

bool seclog_quota_take(struct seclog_quota *q, uint64_t now_ms, size_t bytes, uint64_t *lost)
{
	uint64_t earned = (now_ms - q->at_ms) * SECLOG_BYTES_A_SECOND / 1000;

	if (earned) {
		q->used = q->used > earned ? q->used - earned : 0;
		q->at_ms = now_ms;
	}
	if (q->used + bytes > SECLOG_BURST_BYTES) {
		*lost = ++q->lost;
		return false;
	}
	q->used += bytes;
	*lost = q->lost;
	q->lost = 0;
	return true;
}

void seclog_loss_count(struct seclog_loss *loss, int why)
{
	loss->lines++;
	loss->why = why;
}

bool seclog_loss_due(struct seclog_loss *loss, uint64_t wall_ms, struct seclog_loss *told)
{
	if (loss->lines == 0 || (wall_ms >= loss->said_ms && wall_ms - loss->said_ms < SAY_MS))
		return false;
	*told = *loss;
	*loss = (struct seclog_loss){.said_ms = wall_ms};
	return true;
}
