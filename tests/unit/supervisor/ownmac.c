/* ownmac.c: an address is chosen once, and found again. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ownmac.h"

static char state[] = "/tmp/natlock-ownmac-XXXXXX", file[64];

static void make(void)
{
	cr_assert_not_null(mkdtemp(state));
	snprintf(file, sizeof(file), "%s/mac-lab", state);
}

static void end(void)
{
	unlink(file);
	rmdir(state);
}

TestSuite(ownmac, .init = make, .fini = end);

static void put(const char *text)
{
	FILE *f = fopen(file, "w");

	fputs(text, f);
	fclose(f);
}

Test(ownmac, is_00_ac_and_random)
{
	uint8_t one[6], two[6];

	ownmac_find(state, "lab", one);
	ownmac_find("", "lab", two);
	cr_expect(one[0] == 0x00 && one[1] == 0xac && two[0] == 0x00 && two[1] == 0xac);
	cr_expect_neq(memcmp(one, two, 6), 0);
}

Test(ownmac, is_found_again)
{
	uint8_t one[6], two[6];

	ownmac_find(state, "lab", one);
	cr_assert_eq(ownmac_keep(state, "lab", one), 0);
	ownmac_find(state, "lab", two);
	cr_expect_eq(memcmp(one, two, 6), 0);
	ownmac_find(state, "other", two);
	cr_expect_neq(memcmp(one, two, 6), 0);
	cr_expect_eq(ownmac_keep("", "lab", one), 0);
	cr_expect_eq(ownmac_keep("/proc/nothing", "lab", one), -ENOENT);
}

Test(ownmac, what_is_not_one_is_replaced)
{
	static const char *const texts[] = {"", "00:AC:01:02:03\n", "00:AC:01:02:03:0g\n",
		"00:AC:01:02:03:04", "00:ac:01:02:03:04\n", "01:00:5E:00:00:01\n",
		"00:AC:01:02:03:04\n\n", "00:AC:-1:02:03:04\n"};
	static const uint8_t kept[6] = {0x00, 0xac, 1, 2, 3, 4};
	uint8_t mac[6];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put(texts[i]);
		ownmac_find(state, "lab", mac);
		cr_expect(mac[0] == 0x00 && mac[1] == 0xac && memcmp(mac, kept, 6) != 0, "%s",
			texts[i]);
	}
	put("00:AC:01:02:03:04\n");
	ownmac_find(state, "lab", mac);
	cr_expect_eq(memcmp(mac, kept, 6), 0);
}
