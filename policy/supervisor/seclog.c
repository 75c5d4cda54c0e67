/*
 * Theory of operation. The day is the local one, as the operator's calendar and the seed's have it, and that of the line: a clock
 * set back writes into the earlier day's file again. A record is one write, so lines of one file never mix.
 *
 * A disk that takes nothing costs lines, never service: they are counted. What a full disk took of a record is taken back, so the
 * file ends with a line end whatever happens next. Files are looked for by name below a folder that stays open, so a
 * link put in their place is refused (O_NOFOLLOW) and nothing outside of it is ever touched. Once a second a line asks whether
 * file and folder are still there: both are made anew when somebody has deleted them.
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

static int open_folder(struct seclog *log)
{
	int error = places_make(log->folder, 0750, geteuid(), getegid());

	if (error < 0)
		return error;
	if (log->folder_fd >= 0)
		close(log->folder_fd);
	log->folder_fd = open(log->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return log->folder_fd < 0 ? -errno : 0;
}

int seclog_open(struct seclog *log, const char *folder, const char *hub, Nl__Log__Style style)
{
	int n;

	*log = (struct seclog){.style = style, .folder_fd = -1, .fd = -1};
	if (!folder || !folder[0])
		return 0;
	n = snprintf(log->folder, sizeof(log->folder), "%s/security_log/%s", folder, hub);
	if (n >= (int)sizeof(log->folder)) {
		log->folder[0] = '\0';
		return -ENAMETOOLONG;
	}
	log->error = open_folder(log);
	return log->error;
}

/* YYYYMMDD of a name that is one of ours, 0 of any other. */
static int day_of_name(const char *name)
{
	char again[NAME_BYTES];
	int day = strncmp(name, "sec_", 4) == 0 ? (int)strtol(name + 4, NULL, 10) : 0;

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

static int open_file(const struct seclog *log, int day)
{
	char name[NAME_BYTES];
	int fd;

	snprintf(name, sizeof(name), "sec_%08d.log", day);
	fd = openat(log->folder_fd, name,
		O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	return fd < 0 ? -errno : fd;
}

static void open_day(struct seclog *log, int day)
{
	int fd = log->folder_fd < 0 ? -ENOENT : open_file(log, day);

	close_day(log);
	if (fd == -ENOENT) /* there is no such folder, or not any more */
		fd = open_folder(log);
	if (fd == 0)
		fd = open_file(log, day);
	log->error = fd < 0 ? fd : 0;
	log->fd = fd < 0 ? -1 : fd;
	log->day = day;
	log->torn = false;
	if (log->keep_days)
		seclog_expire(log, day);
}

/* Once a second: what could not be opened is not asked for with every line. */
static bool is_due(struct seclog *log, uint64_t wall_ms)
{
	if (log->retry_ms > wall_ms && log->retry_ms - wall_ms <= RETRY_MS)
		return false;
	log->retry_ms = wall_ms + RETRY_MS;
	return true;
}

static bool is_deleted(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink == 0;
}

/* The last bytes of the file, which are ours alone. */
static bool take_back(int fd, ssize_t bytes)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size >= bytes && ftruncate(fd, st.st_size - bytes) == 0;
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
	log->torn = n > 0 && !take_back(log->fd, n);
	return n < 0 ? -errno : -ENOSPC;
}

bool seclog_write(struct seclog *log, uint64_t wall_ms, const struct seclog_record *r)
{
	const int day = seclog_day(wall_ms);
	bool due;

	if (!log->folder[0])
		return true;
	due = is_due(log, wall_ms);
	if (log->fd >= 0 ? day != log->day || (due && is_deleted(log->fd)) : due)
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
