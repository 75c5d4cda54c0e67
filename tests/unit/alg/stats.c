/* stats.c: the configuration as people read it, and counters that outlive its changes. */
#include <criterion/criterion.h>

#include "stats.h"

static struct stats stats;
static char process[] = "alg";

/* FTP with these ports and lists; nothing else. */
static void configure(bool enable, size_t ports, size_t lists)
{
	static uint32_t port[64];
	static Nl__AlgList list[64];
	static Nl__AlgList *pointer[64];
	Nl__Alg alg = NL__ALG__INIT;
	Nl__AlgSwitch ftp = NL__ALG_SWITCH__INIT;

	for (uint32_t i = 0; i < 64; i++) {
		nl__alg_list__init(&list[i]);
		port[i] = 21 + i * 1000;
		list[i].guests = 10 + i;
		list[i].peers = i % 2 ? 20 : 0;
		list[i].mode = NL__ALG_SWITCH__MODE__observe;
		pointer[i] = &list[i];
	}
	ftp.has_enable = 1;
	ftp.enable = enable;
	ftp.mode = NL__ALG_SWITCH__MODE__fix;
	ftp.strict = 1;
	ftp.n_ports = ports;
	ftp.ports = port;
	ftp.n_lists = lists;
	ftp.lists = pointer;
	alg.ftp = &ftp;
	stats_configure(&stats, &alg);
}

Test(stats, a_row_says_how_it_is_switched)
{
	Nl__AlgRow row;

	configure(true, 2, 2);
	stats_row(&stats.alg[ALGS_FTP], process, &row);
	cr_expect_str_eq(row.alg, "ftp");
	cr_expect_str_eq(row.process, "alg");
	cr_expect_str_eq(row.mode, "fix");
	cr_expect_str_eq(row.ports, "21 1021");
	cr_expect_str_eq(row.lists, "10 observe, 11>20 observe");
	cr_expect(row.has_enabled && row.enabled && row.has_strict && row.strict);
	stats_row(&stats.alg[ALGS_DNS], process, &row);
	cr_expect(!row.enabled && !row.strict && !strcmp(row.mode, "off") && !row.ports[0]);
}

Test(stats, counters_go_on_when_it_is_switched)
{
	Nl__AlgRow row;

	configure(true, 1, 0);
	stats.alg[ALGS_FTP].flows = 7;
	stats.alg[ALGS_FTP].used = 3;
	stats.alg[ALGS_FTP].open = 2;
	configure(false, 1, 0);
	stats_row(&stats.alg[ALGS_FTP], process, &row);
	cr_expect(
		row.has_flows && row.flows == 7 && row.used == 3 && row.open == 2 && !row.enabled);
	cr_expect_str_eq(row.lists, "");
	stats_configure(&stats, NULL);
	stats_row(&stats.alg[ALGS_FTP], process, &row);
	cr_expect(row.flows == 7 && !row.enabled);
}

/* A configuration is checked elsewhere; here nothing runs over whatever it says. */
Test(stats, more_than_fits_is_cut_off)
{
	Nl__AlgRow row;

	configure(true, 64, 64);
	stats_row(&stats.alg[ALGS_FTP], process, &row);
	cr_expect_eq(strlen(row.ports), STATS_TEXT_BYTES - 1);
	cr_expect_eq(strlen(row.lists), STATS_TEXT_BYTES - 1);
}
