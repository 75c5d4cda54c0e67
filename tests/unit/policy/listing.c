/* policy/listing.c: numbers beside names, and a bound. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "listing.h"

static const char text[] = "actor natproxy # the owner of sockets\n"
			   "boot\nopenat * # boot: early\n"
			   "run\nreadv fd in SOCK, CH_SUPER # sock_read: bytes\n"
			   "mmap prot in READ|WRITE # pool_grow: more\n"
			   "rare\nclose fd in SOCK # sock_close: end: of all\n";

Test(listing, shows_what_is_compared)
{
	struct policy_error error;
	static struct policy policy;
	char out[2048];
	cr_assert_eq(policy_parse(text, &policy, &error), 0);
	cr_assert_eq(listing_write(&policy, 61, out, sizeof(out)), 0);
	cr_expect(strstr(out, "natproxy: the owner of sockets\n"), "%s", out);
	cr_expect(strstr(out, "3 system calls in 3 rules (2 run, 1 rare), 61 instructions"), "%s",
		out);
	cr_expect(strstr(out, "[16-65535, 3]  # sock_read: bytes\n"), "%s", out);
	cr_expect(strstr(out, "[no bit of 0xfffffffffffffffc]"), "%s", out);
	cr_expect(strstr(out, "boot  openat"), "%s", out);
}

Test(listing, too_little_room)
{
	struct policy_error error;
	static struct policy policy;
	char out[64];
	cr_assert_eq(policy_parse(text, &policy, &error), 0);
	cr_expect_eq(listing_write(&policy, 61, out, sizeof(out)), -ENOSPC);
	cr_expect_lt(strlen(out), sizeof(out));
}
