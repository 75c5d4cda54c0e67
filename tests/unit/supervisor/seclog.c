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
