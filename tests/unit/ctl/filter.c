/* filter.c: words into terms, terms against sessions, and what is no filter. */
#include <criterion/criterion.h>
#include <errno.h>

#include "filter.h"
#include "support.h"

static const struct filter_subject sip = {
	.source = {true, 0xc0a81e0a, 5060},
	.destination = {true, 0xcb007109, 5061},
	.outside = {true, 0x0a630002, 5060},
	.proto = "udp",
	.state = "RUNNING",
	.alg = "sip",
	.host = "voice.example.com",
	.has_age = true,
	.age_ms = 600000,
	.has_idle = true,
	.idle_ms = 1000,
};

static bool matches(const char *words)
{
	struct filter filter = {0};
	char copy[256], why[FILTER_WHY], *save;

	snprintf(copy, sizeof(copy), "%s", words);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		cr_assert_eq(filter_add(&filter, w, why), 0, "%s: %s", words, why);
	return filter_match(&filter, &sip);
}

Test(filter, what_matches)
{
	static const char *const yes[] = {"", "src=192.168.30.10", "src=192.168.30.0/24",
		"src=192.168.30.77/24", "src=0.0.0.0/0", "dst=203.0.113.9", "outside=10.99.0.2",
		"sport=5060", "dport=5061", "dport=5000-6000", "proto=udp", "PROTO=UDP",
		"state=run", "state=RUNNING", "state=est", "state=established", "alg=SIP",
		"host=voice.example.com", "host=*.example.com", "host=*", "older=10m", "idle=1s",
		"idle=0s", "!proto=tcp", "src=192.168.30.10 dport=5061 proto=udp !alg=ftp"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		cr_expect(matches(yes[i]), "%s", yes[i]);
}

Test(filter, what_does_not)
{
	static const char *const no[] = {"src=192.168.30.11", "src=192.168.31.0/24",
		"dst=10.0.0.0/8", "sport=5061", "dport=80", "dport=5062-5063", "proto=tcp",
		"state=clos", "state=runnings", "alg=ftp", "host=example.com", "host=*.example.org",
		"host=*x.voice.example.com", "older=11m", "idle=2s", "!proto=udp", "!idle=0s",
		"src=192.168.30.10 proto=tcp"};

	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		cr_expect_not(matches(no[i]), "%s", no[i]);
}

Test(filter, what_is_not_given_matches_only_what_is_negated)
{
	static const char *const words[] = {"src=0.0.0.0/0", "dst=0.0.0.0/0", "outside=0.0.0.0/0",
		"sport=0-65535", "dport=0-65535", "proto=tcp", "state=est", "alg=sip", "host=*",
		"older=0s", "idle=0s"};
	const struct filter_subject nothing = {0};
	char why[FILTER_WHY], negated[32];

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct filter plain = {0}, not = {0};

		snprintf(negated, sizeof(negated), "!%s", words[i]);
		cr_assert_eq(filter_add(&plain, words[i], why), 0, "%s", why);
		cr_assert_eq(filter_add(&not, negated, why), 0, "%s", why);
		cr_expect_not(filter_match(&plain, &nothing), "%s", words[i]);
		cr_expect(filter_match(&not, &nothing), "%s", words[i]);
	}
}

Test(filter, what_is_none)
{
	static const struct {
		const char *word, *says;
	} cases[] = {
		{"scr=1.2.3.4", "unknown filter \"scr\". Did you mean \"src\"?"},
		{"x", "unknown filter \"x\". Known: src, dst"},
		{"", "unknown filter \"\""},
		{"!", "unknown filter \"\""},
		{"=", "unknown filter \"\""},
		{"\x1b[2J=1", "unknown filter \"?[2J\""},
		{"src", "src: \"\" is not an address"},
		{"src=", "src: \"\" is not an address"},
		{"src=192.168.30", "src: \"192.168.30\" is not an address"},
		{"src=192.168.30.10/33", "src: \"192.168.30.10/33\" is not"},
		{"src=192.168.30.10/", "src: \"192.168.30.10/\" is not"},
		{"src=192.168.30.10/24x", "src: \"192.168.30.10/24x\" is not"},
		{"src=1111111111111111111111111", "src: \"1111111111111111111111111\" is not"},
		{"dport=http", "dport: \"http\" is not a port"},
		{"dport=65536", "dport: \"65536\" is not a port"},
		{"dport=80-70", "dport: \"80-70\" is not a port"},
		{"dport=80-", "dport: \"80-\" is not a port"},
		{"dport=99999999999999999999", "dport: \"99999999999999999999\" is not"},
		{"proto=", "proto: \"\" is not a word"},
		{"older=10", "older: \"10\" is not a time with its unit"},
		{"idle=99999999999999999999d", "idle: \"99999999999999999999d\" is not a time"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter filter = {0};
		char why[FILTER_WHY] = "";

		cr_expect_eq(filter_add(&filter, cases[i].word, why), -EINVAL);
		cr_expect_eq(strncmp(why, cases[i].says, strlen(cases[i].says)), 0, "%s", why);
		cr_expect_eq(filter.count, 0);
	}
}

Test(filter, has_an_end)
{
	struct filter filter = {0};
	char why[FILTER_WHY];

	for (int i = 0; i < FILTER_TERMS_MAX; i++)
		cr_expect_eq(filter_add(&filter, "proto=tcp", why), 0);
	cr_expect_eq(filter_add(&filter, "proto=tcp", why), -ENOSPC);
}
