/* hostmac.c: drawn once, the same afterwards; what else lies in its place counts as nothing. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostmac.h"

static char folder[64], path[128];

static void open_folder(void)
{
	strcpy(folder, "/tmp/natlock-test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/mac-lab", folder);
}

static void close_folder(void)
{
	unlink(path);
	cr_expect_eq(rmdir(folder), 0);
}

TestSuite(hostmac, .init = open_folder, .fini = close_folder);

Test(hostmac, the_same_after_it_was_kept)
{
	uint8_t first[6], other[6], again[6];

	cr_expect_not(hostmac_find(folder, "lab", first));
	cr_expect(first[0] == 0x00 && first[1] == 0xac);
	cr_expect_not(hostmac_find(folder, "lab", other));
	cr_expect_arr_neq(first, other, 6);
	cr_assert_eq(hostmac_keep(folder, "lab", first), 0);
	cr_expect(hostmac_find(folder, "lab", again));
	cr_expect_arr_eq(first, again, 6);
	cr_expect_not(hostmac_find(folder, "other", again));
}

Test(hostmac, nonsense_is_nothing)
{
	static const char *const rows[] = {"", "00:AC:01:02:03:04", "02:AC:01:02:03:04\n",
		"00:AC:01:02:03:04\n\n", "00:AC:1:2:3:4\n", "00:AC:01:02:03:zz\n"};
	uint8_t mac[6];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		FILE *out = fopen(path, "w");

		fputs(rows[i], out);
		fclose(out);
		cr_expect_not(hostmac_find(folder, "lab", mac), "%s", rows[i]);
		cr_expect(mac[0] == 0x00 && mac[1] == 0xac);
	}
}

Test(hostmac, nowhere_to_keep_it)
{
	uint8_t mac[6];

	cr_expect_not(hostmac_find("", "lab", mac));
	cr_expect_eq(hostmac_keep("", "lab", mac), 0);
	cr_expect_lt(hostmac_keep("/proc/nowhere", "lab", mac), 0);
}
