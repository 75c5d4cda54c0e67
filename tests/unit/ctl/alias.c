/* alias.c: what people know from elsewhere, in our words; each of them is a command we have. */
#include <criterion/criterion.h>
#include <errno.h>

#include "alias.h"
#include "support.h"

/* What the words mean, joined by blanks, or the reason why they mean nothing. */
static const char *meaning(const char *typed, enum format *format)
{
	static struct phrase phrase;
	static char text[PHRASE_TEXT];
	const char *words[16];
	char copy[256], why[PHRASE_WHY], *save;
	size_t count = 0;

	memset(&phrase, 0, sizeof(phrase));
	*format = FORMAT_TABLE;
	snprintf(copy, sizeof(copy), "%s", typed);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		words[count++] = w;
	text[0] = '\0';
	if (alias_expand(&phrase, words, count, format, why) != 0)
		return strcpy(text, why);
	for (size_t i = 0; i < phrase.count; i++)
		strcat(strcat(text, i > 0 ? " " : ""), phrase.word[i]);
	return text;
}

Test(alias, words_of_vpncmd_and_cisco)
{
	static const struct {
		const char *typed, *means;
		enum format format;
	} cases[] = {
		{"SecureNatEnable", "hub enable", FORMAT_TABLE},
		{"securenatDISABLE", "hub disable", FORMAT_TABLE},
		{"SecureNatStatusGet", "nat status", FORMAT_TABLE},
		{"SecureNatHostGet", "hub show", FORMAT_TABLE},
		{"SecureNatHostSet /IP:10.1.0.1 /MASK:255.255.0.0",
			"hub set host.address=10.1.0.1 host.netmask=255.255.0.0", FORMAT_TABLE},
		{"NatSet /MTU:1400 /LOG:no", "nat set mtu=1400 log=false", FORMAT_TABLE},
		{"nattable src=10.0.0.1", "nat table src=10.0.0.1", FORMAT_TABLE},
		{"DhcpSet /GW:none", "dhcp set gateway=none", FORMAT_TABLE},
		{"SessionDisconnect tap:x", "session kick tap:x", FORMAT_TABLE},
		{"LogFileGet", "log follow", FORMAT_TABLE},
		{"show ip nat translations", "nat table", FORMAT_CISCO},
		{"SHOW IP NAT TRANSLATIONS VERBOSE", "nat table", FORMAT_WIDE},
		{"show ip nat translations proto=tcp", "nat table proto=tcp", FORMAT_CISCO},
		{"show ip nat statistics", "nat status", FORMAT_CISCO},
		{"clear ip nat translation *", "nat flush *", FORMAT_TABLE},
		{"clear ip nat translation inside 10.0.0.5", "nat flush src=10.0.0.5",
			FORMAT_TABLE},
		{"clear ip nat translation inside 203.0.113.7 10.0.0.5",
			"nat flush outside=203.0.113.7 src=10.0.0.5", FORMAT_TABLE},
		{"ip nat inside source static 10.0.0.5 203.0.113.7",
			"nat static add 10.0.0.5 203.0.113.7", FORMAT_TABLE},
		{"ip nat inside source static 10.0.0.5 203.0.113.7 vrf Blue",
			"nat static add 10.0.0.5 203.0.113.7 vrf Blue", FORMAT_TABLE},
		{"no ip nat inside source static 10.0.0.5 203.0.113.7",
			"nat static del 10.0.0.5 203.0.113.7", FORMAT_TABLE},
		{"show ip dhcp binding", "dhcp table", FORMAT_TABLE},
		{"nat table x", "nat table x", FORMAT_TABLE},
		{"clear ip nat", "clear ip nat", FORMAT_TABLE},
		{"NatSet /X:1",
			"unknown argument \"/X:1\". It takes /MTU /TCPTIMEOUT /UDPTIMEOUT "
			"/LOG",
			FORMAT_TABLE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum format format;

		cr_expect_str_eq(meaning(cases[i].typed, &format), cases[i].means);
		cr_expect_eq(format, cases[i].format, "%s", cases[i].typed);
	}
}

Test(alias, each_means_a_command_that_there_is)
{
	for (size_t i = 0; i < alias_count; i++) {
		const char *words[8], *meant;
		char copy[128], *save;
		size_t count = 0, used;

		snprintf(copy, sizeof(copy), "%s", aliases[i].means);
		for (char *w = strtok_r(copy, " ", &save); w != NULL;
			w = strtok_r(NULL, " ", &save))
			words[count++] = w;
		cr_expect_not_null(verb_find(words, count, &used, &meant), "%s", aliases[i].means);
	}
}

Test(alias, too_many_words)
{
	const char *words[PHRASE_WORDS + 1], *one[1];
	static char longer[PHRASE_TEXT + 1];
	static struct phrase phrase;
	char why[PHRASE_WHY];
	enum format format;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = "x";
	cr_expect_eq(alias_expand(&phrase, words, PHRASE_WORDS + 1, &format, why), -ENOSPC);
	memset(&phrase, 0, sizeof(phrase));
	memset(longer, 'x', sizeof(longer) - 1);
	one[0] = longer;
	cr_expect_eq(alias_expand(&phrase, one, 1, &format, why), -ENOSPC);
}
