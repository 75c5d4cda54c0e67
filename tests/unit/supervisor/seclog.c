/* The security log: the seed's form to the byte, one file a day. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "files.h"
#include "seclog.h"

static const char entry[] = "SecureNAT: The TCP session 1 was deleted.";
enum { WALL_S = 1354808692 }; /* 2012-12-06 15:44:52 UTC */

static void utc(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
}
TestSuite(seclog, .init = utc);

Test(seclog, the_seeds_prefix)
{
	char line[256];
	size_t n = seclog_format(
		line, sizeof(line), NL__LOG__STYLE__securenat, "h", WALL_S * 1000ULL + 557, entry);

	cr_assert_str_eq(
		line, "2012-12-06 15:44:52.557 SecureNAT: The TCP session 1 was deleted.\n");
	cr_assert_eq(n, strlen(line));
}

Test(seclog, other_styles_quote)
{
	char line[256];

	seclog_format(
		line, sizeof(line), NL__LOG__STYLE__json, "h", WALL_S * 1000ULL, "a \"b\" \\ c");
	cr_assert_str_eq(line, "{\"time\":\"2012-12-06T15:44:52.000\",\"hub\":\"h\",\"text\":\"a "
			       "\\\"b\\\" \\\\ c\"}\n");
	seclog_format(line, sizeof(line), NL__LOG__STYLE__logfmt, "h", WALL_S * 1000ULL + 1, "x");
	cr_assert_str_eq(line, "time=2012-12-06T15:44:52.001 hub=h text=\"x\"\n");
}

Test(seclog, a_worker_forges_no_line)
{
	char line[256];
	size_t n = seclog_format(line, sizeof(line), NL__LOG__STYLE__securenat, "h", 0,
		"SecureNAT: x\n1970-01-01 00:00:00.000 SecureNAT: y\r\x1b[2J\xc2\x9b\t");

	cr_assert_eq(strchr(line, '\n'), line + n - 1);
	cr_assert_str_eq(line,
		"1970-01-01 00:00:00.000 SecureNAT: x?1970-01-01 00:00:00.000 SecureNAT: "
		"y??[2J???\n");
	seclog_format(line, sizeof(line), NL__LOG__STYLE__json, "h", 0, "a\nb");
	cr_assert_str_eq(
		line, "{\"time\":\"1970-01-01T00:00:00.000\",\"hub\":\"h\",\"text\":\"a?b\"}\n");
}

Test(seclog, a_long_line_is_cut_and_still_a_line)
{
	char line[64], text[300];
	size_t n;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	n = seclog_format(line, sizeof(line), NL__LOG__STYLE__securenat, "h", 0, text);
	cr_assert_eq(n, sizeof(line) - 1);
	cr_assert_eq(line[n - 1], '\n');
}

Test(seclog, one_file_a_day)
{
	char folder[] = "/tmp/natlock-test-XXXXXX", path[128], text[256], command[64];
	struct seclog log;

	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(seclog_open(&log, folder, "VPN", NL__LOG__STYLE__securenat), 0);
	seclog_write(&log, WALL_S * 1000ULL, "one");
	seclog_write(&log, (WALL_S + 86400) * 1000ULL, "two");
	seclog_close(&log);
	snprintf(path, sizeof(path), "%s/security_log/VPN/sec_20121206.log", folder);
	cr_assert_gt(files_read(path, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "2012-12-06 15:44:52.000 one\n");
	snprintf(path, sizeof(path), "%s/security_log/VPN/sec_20121207.log", folder);
	cr_assert_gt(files_read(path, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "2012-12-07 15:44:52.000 two\n");
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}

Test(seclog, no_folder_no_log)
{
	struct seclog log;

	cr_assert_eq(seclog_open(&log, NULL, "h", NL__LOG__STYLE__securenat), 0);
	seclog_write(&log, 0, "lost on purpose");
	cr_assert_eq(log.fd, -1);
	cr_assert_lt(seclog_open(&log, "/proc/nowhere", "h", NL__LOG__STYLE__securenat), 0);
	seclog_write(&log, 0, "x");
	cr_assert_eq(log.fd, -1);
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
	uint64_t lost, fit = SECLOG_BURST_BYTES / (1000 + SECLOG_STAMP_BYTES);

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
	cr_assert_leq(taken, 10 * SECLOG_BYTES_A_SECOND / (1000 + SECLOG_STAMP_BYTES) + 1);
}

Test(seclog_quota, a_busy_gateway_loses_nothing)
{
	struct seclog_quota q = {0};
	uint64_t lost, second;

	for (second = 1; second <= 60; second++)
		cr_assert_eq(flood(&q, second * 1000, 900, &lost), 900,
			"300 connections a second, three lines each, for a minute");
}

Test(seclog_quota, the_log_says_what_it_lost)
{
	char folder[] = "/tmp/natlock-test-XXXXXX", path[128], text[512], command[64];
	struct seclog_quota q = {0};
	struct seclog log;

	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(seclog_open(&log, folder, "VPN", NL__LOG__STYLE__securenat), 0);
	q.used = SECLOG_BURST_BYTES;
	q.at_ms = 1000;
	cr_assert_not(seclog_write_of(&log, &q, "alg", 1000, WALL_S * 1000ULL, "one"));
	cr_assert_not(seclog_write_of(&log, &q, "alg", 1000, WALL_S * 1000ULL, "two"));
	cr_assert(seclog_write_of(&log, &q, "alg", 2000, WALL_S * 1000ULL, "three"));
	seclog_close(&log);
	snprintf(path, sizeof(path), "%s/security_log/VPN/sec_20121206.log", folder);
	cr_assert_gt(files_read(path, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "2012-12-06 15:44:52.000 SecureNAT: 2 log lines of the process alg "
			       "were lost: it wrote "
			       "too many.\n2012-12-06 15:44:52.000 three\n");
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}
