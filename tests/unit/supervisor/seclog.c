/* The files of the security log: one a day, old ones deleted, full and unwritable disks survived. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <sched.h>

#include "files.h"
#include "seclog.h"

enum { WALL_S = 1354808692, DAY_S = 86400 }; /* 2012-12-06 15:44:52 UTC */
static char folder[] = "/tmp/natlock-test-XXXXXX";
static struct seclog sink;

static void set_up(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(seclog_open(&sink, folder, "VPN", NL__LOG__STYLE__securenat), 0);
}

static void tear_down(void)
{
	char command[64];

	seclog_close(&sink);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}
TestSuite(seclog, .init = set_up, .fini = tear_down);

static bool say(int64_t seconds, const char *text)
{
	static struct seclog_record r;

	r.bytes = (size_t)snprintf(r.text, sizeof(r.text), "%s\n", text);
	return seclog_write(&sink, (uint64_t)(WALL_S + seconds) * 1000, &r);
}

static const char *path_of(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/security_log/VPN/%s", folder, name);
	return path;
}

static const char *text_of(const char *name)
{
	static char text[512];

	cr_assert_geq(files_read(path_of(name), text, sizeof(text)), 0, "%s", name);
	return text;
}

static void make(const char *name)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	close(fd);
}

static bool there(const char *name)
{
	struct stat st;

	return lstat(path_of(name), &st) == 0;
}

Test(seclog, one_file_a_day)
{
	say(0, "one");
	say(DAY_S, "two");
	cr_assert_str_eq(text_of("sec_20121206.log"), "one\n");
	cr_assert_str_eq(text_of("sec_20121207.log"), "two\n");
}

Test(seclog, midnight_is_the_local_one)
{
	setenv("TZ", "JST-9", 1);
	tzset();
	say(0, "next day in Tokyo");
	cr_assert(there("sec_20121207.log"));
	cr_assert_not(there("sec_20121206.log"));
}

Test(seclog, a_clock_that_is_set_back_goes_on_in_the_earlier_file)
{
	say(0, "one");
	say(DAY_S, "two");
	say(60, "back");
	say(DAY_S + 60, "forth");
	cr_assert_str_eq(text_of("sec_20121206.log"), "one\nback\n");
	cr_assert_str_eq(text_of("sec_20121207.log"), "two\nforth\n");
}

Test(seclog, old_days_are_deleted_and_nothing_else)
{
	static const char *const stay[] = {"sec_20121130.log", "sec_20121201.log",
		"sec_20991231.log", "sec_20120101.log.gz", "sec_2012010.log", "sec_020120101.log",
		"xsec_20120101.log", "sec_-0120101.log", "notes"};

	for (size_t i = 0; i < sizeof(stay) / sizeof(stay[0]); i++)
		make(stay[i]);
	make("sec_20121129.log");
	make("sec_19990101.log");
	sink.keep_days = 6;
	say(0, "today");
	for (size_t i = 0; i < sizeof(stay) / sizeof(stay[0]); i++)
		cr_assert(there(stay[i]), "%s", stay[i]);
	cr_assert_not(there("sec_20121129.log"));
	cr_assert_not(there("sec_19990101.log"));
	say(2 * DAY_S, "two days later");
	cr_assert_not(there("sec_20121130.log"));
	cr_assert_not(there("sec_20121201.log"));
	cr_assert(there("sec_20121206.log"));
}

Test(seclog, zero_keeps_all)
{
	make("sec_19990101.log");
	say(0, "today");
	cr_assert(there("sec_19990101.log"));
}

/* A link among the days goes itself; what it points to stays, and today's is not written through. */
Test(seclog, links_are_not_followed)
{
	char target[160];

	snprintf(target, sizeof(target), "%s/precious", folder);
	close(open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	cr_assert_eq(symlink(target, path_of("sec_19990101.log")), 0);
	cr_assert_eq(symlink(target, path_of("sec_20121206.log")), 0);
	sink.keep_days = 1;
	cr_assert_not(say(0, "through the link"));
	cr_assert_eq(sink.error, -ELOOP);
	cr_assert_not(there("sec_19990101.log"));
	cr_assert_eq(access(target, F_OK), 0);
	cr_assert_eq(unlink(path_of("sec_20121206.log")), 0);
	cr_assert_not(say(0, "asked again once a second only"));
	cr_assert(say(1, "here again"));
	cr_assert_eq(sink.loss.lines, 2);
	cr_assert_str_eq(text_of("sec_20121206.log"), "here again\n");
}

Test(seclog, a_folder_is_not_deleted)
{
	cr_assert_eq(mkdir(path_of("sec_19990101.log"), 0700), 0);
	sink.keep_days = 1;
	cr_assert(say(0, "x"));
	cr_assert(there("sec_19990101.log"));
}

/* A file system of one page. */
static void small_disk(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		cr_skip_test("needs a mount namespace");
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	seclog_close(&sink);
	cr_assert_eq(mount("none", folder, "tmpfs", 0, "size=4096,nr_inodes=16"), 0);
	cr_assert_eq(seclog_open(&sink, folder, "VPN", NL__LOG__STYLE__securenat), 0);
}

static void mend_disk(void)
{
	cr_assert_eq(mount("none", folder, "tmpfs", MS_REMOUNT, "size=65536"), 0);
}

Test(seclog, a_full_disk_loses_lines_and_no_more)
{
	static char longest[3001], text[20000];

	small_disk();
	memset(longest, 'x', sizeof(longest) - 1);
	cr_assert(say(0, longest));
	cr_assert_not(say(0, longest), "a part of it fits");
	cr_assert_eq(sink.error, -ENOSPC);
	cr_assert_not(say(0, longest), "no room");
	cr_assert_eq(sink.loss.lines, 2);
	mend_disk();
	cr_assert(say(0, "room"));
	cr_assert_eq(sink.error, 0);
	cr_assert_gt(files_read(path_of("sec_20121206.log"), text, sizeof(text)), 0);
	cr_assert_str_eq(strchr(text, '\n'), "\nroom\n", "nor is a torn line left");
	umount2(folder, MNT_DETACH);
}

Test(seclog, a_torn_line_that_stayed_is_closed)
{
	cr_assert(say(0, "one"));
	sink.torn = true;
	cr_assert(say(0, "two"));
	cr_assert_str_eq(text_of("sec_20121206.log"), "one\n\ntwo\n");
}

static void delete (const char *what)
{
	char command[200];

	snprintf(command, sizeof(command), "rm -r $(realpath %s)", what);
	cr_assert_eq(system(command), 0);
}

Test(seclog, a_file_that_was_deleted_is_made_again)
{
	say(0, "one");
	delete (path_of("sec_20121206.log"));
	cr_assert(say(0, "looked for once a second"));
	cr_assert(say(1, "two"));
	cr_assert_str_eq(text_of("sec_20121206.log"), "two\n");
}

Test(seclog, a_folder_that_was_deleted_is_made_again)
{
	say(0, "one");
	delete (path_of(".."));
	cr_assert(say(1, "two"));
	cr_assert_str_eq(text_of("sec_20121206.log"), "two\n");
	delete (path_of(".."));
	cr_assert(say(DAY_S, "at midnight too"));
	cr_assert_str_eq(text_of("sec_20121207.log"), "at midnight too\n");
}

Test(seclog, a_folder_that_can_be_made_at_last_is_written_to)
{
	char other[64];

	seclog_close(&sink);
	snprintf(other, sizeof(other), "%s/other", folder);
	close(open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	cr_assert_eq(seclog_open(&sink, other, "VPN", NL__LOG__STYLE__securenat), -ENOTDIR);
	cr_assert_not(say(0, "one"));
	cr_assert_eq(unlink(other), 0);
	cr_assert_not(say(0, "asked again once a second only"));
	cr_assert(say(1, "two"));
	cr_assert_eq(sink.loss.lines, 2);
}

Test(seclog_none, no_folder_no_log)
{
	static struct seclog_record r = {2, "x\n"};

	cr_assert_eq(seclog_open(&sink, NULL, "h", NL__LOG__STYLE__securenat), 0);
	cr_assert(seclog_write(&sink, 0, &r));
	cr_assert_eq(sink.fd, -1);
	cr_assert_lt(seclog_open(&sink, "/proc/nowhere", "h", NL__LOG__STYLE__securenat), 0);
	cr_assert_not(seclog_write(&sink, 0, &r));
	cr_assert_eq(sink.fd, -1);
}

Test(seclog_none, a_loss_is_said_once_a_second)
{
	struct seclog_loss loss = {0}, told;

	cr_assert_not(seclog_loss_due(&loss, 5000, &told));
	seclog_loss_count(&loss, -ENOSPC);
	cr_assert(seclog_loss_due(&loss, 5000, &told));
	cr_assert_eq(told.lines, 1);
	cr_assert_eq(told.why, -ENOSPC);
	seclog_loss_count(&loss, -EAGAIN);
	cr_assert_not(seclog_loss_due(&loss, 5999, &told));
	seclog_loss_count(&loss, -EAGAIN);
	cr_assert(seclog_loss_due(&loss, 6000, &told));
	cr_assert_eq(told.lines, 2);
	seclog_loss_count(&loss, -EAGAIN);
	cr_assert(seclog_loss_due(&loss, 100, &told), "the clock was set back");
}

/* The share of one process. */

static uint64_t flood(struct seclog_quota *q, uint64_t now_ms, size_t lines, uint64_t *lost)
{
	uint64_t taken = 0;

	while (lines-- > 0)
		taken += seclog_quota_take(q, now_ms, 1000, lost) ? 1 : 0;
	return taken;
}

Test(seclog_quota, a_flood_is_cut_at_the_burst)
{
	struct seclog_quota q = {0};
	uint64_t lost, fit = SECLOG_BURST_BYTES / 1000;

	cr_assert_eq(flood(&q, 5, fit + 1000, &lost), fit);
	cr_assert_eq(lost, 1000);
	cr_assert_not(seclog_quota_take(&q, 6, 1000, &lost));
	cr_assert_eq(lost, 1001);
}

Test(seclog_quota, time_gives_room_and_the_loss_is_said_once)
{
	struct seclog_quota q = {0};
	uint64_t lost;

	flood(&q, 1, 100000, &lost);
	cr_assert_gt(lost, 0);
	cr_assert(seclog_quota_take(&q, 2001, 1000, &lost));
	cr_assert_gt(lost, 30000);
	cr_assert(seclog_quota_take(&q, 2001, 1000, &lost));
	cr_assert_eq(lost, 0);
	cr_assert_leq(flood(&q, 2001, 1000, &lost), 2 * SECLOG_BYTES_A_SECOND / 1000);
}

Test(seclog_quota, small_steps_of_time_add_up)
{
	struct seclog_quota q = {0};
	uint64_t lost, taken = 0, ms;

	flood(&q, 1, 100000, &lost);
	for (ms = 2; ms <= 10001; ms++)
		taken += seclog_quota_take(&q, ms, 1000, &lost) ? 1 : 0;
	cr_assert_geq(taken, 590);
	cr_assert_leq(taken, 10 * SECLOG_BYTES_A_SECOND / 1000 + 1);
}

Test(seclog_quota, a_busy_gateway_loses_nothing)
{
	struct seclog_quota q = {0};
	uint64_t lost, second;

	for (second = 1; second <= 60; second++)
		cr_assert_eq(flood(&q, second * 1000, 900, &lost), 900,
			"300 connections a second, three events each, for a minute");
}
