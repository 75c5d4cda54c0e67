/*
 * The longest row that begins what was typed wins. Its letters are bound to the words that stood
 * for them, its meaning is written with them, and what is left follows as arguments.
 */
#include <errno.h>
#include <string.h>

#include "alias.h"
#include "vpncmd.h"

const struct alias aliases[] = {
	{"SecureNatEnable", "hub enable", FORMAT_TABLE},
	{"SecureNatDisable", "hub disable", FORMAT_TABLE},
	{"SecureNatStatusGet", "nat status", FORMAT_TABLE},
	{"SecureNatHostGet", "hub show", FORMAT_TABLE},
	{"SecureNatHostSet", "hub set", FORMAT_TABLE},
	{"NatEnable", "nat enable", FORMAT_TABLE},
	{"NatDisable", "nat disable", FORMAT_TABLE},
	{"NatGet", "nat get", FORMAT_TABLE},
	{"NatSet", "nat set", FORMAT_TABLE},
	{"NatTable", "nat table", FORMAT_TABLE},
	{"DhcpEnable", "dhcp enable", FORMAT_TABLE},
	{"DhcpDisable", "dhcp disable", FORMAT_TABLE},
	{"DhcpGet", "dhcp get", FORMAT_TABLE},
	{"DhcpSet", "dhcp set", FORMAT_TABLE},
	{"DhcpTable", "dhcp table", FORMAT_TABLE},
	{"HubList", "hub list", FORMAT_TABLE},
	{"SessionList", "session list", FORMAT_TABLE},
	{"SessionDisconnect", "session kick", FORMAT_TABLE},
	{"LogFileGet", "log follow", FORMAT_TABLE},
	{"show ip nat translations", "nat table", FORMAT_CISCO},
	{"show ip nat translations verbose", "nat table", FORMAT_WIDE},
	{"show ip nat statistics", "nat status", FORMAT_CISCO},
	{"clear ip nat translation *", "nat flush *", FORMAT_TABLE},
	{"clear ip nat translation inside L", "nat flush src=L", FORMAT_TABLE},
	{"clear ip nat translation inside G L", "nat flush outside=G src=L", FORMAT_TABLE},
	{"ip nat inside source static L G", "nat static add L G", FORMAT_TABLE},
	{"ip nat inside source static L G vrf V", "nat static add L G vrf V", FORMAT_TABLE},
	{"no ip nat inside source static L G", "nat static del L G", FORMAT_TABLE},
	{"no ip nat inside source static L G vrf V", "nat static del L G vrf V", FORMAT_TABLE},
	{"show platform hardware qfp feature alg statistics", "alg stats", FORMAT_TABLE},
	{"show platform hardware qfp active feature alg statistics", "alg stats", FORMAT_TABLE},
	{"show platform hardware qfp standby feature alg statistics", "alg stats", FORMAT_TABLE},
	{"show ip dhcp binding", "dhcp table", FORMAT_TABLE},
	{"show version", "version", FORMAT_TABLE},
};
const size_t alias_count = sizeof(aliases) / sizeof(aliases[0]);

enum { LETTERS = 26 };

/* The letter that a pattern's word of this length is, or -1. */
static int letter_of(const char *word, size_t length)
{
	return length == 1 && *word >= 'A' && *word <= 'Z' ? *word - 'A' : -1;
}

/* How many of the typed words the pattern takes up, 0 when it does not begin them. */
static size_t match(
	const char *pattern, const char *const *typed, size_t count, const char *bound[LETTERS])
{
	size_t used = 0;

	while (*pattern != '\0') {
		size_t length = strcspn(pattern, " ");
		int letter = letter_of(pattern, length);

		if (used == count)
			return 0;
		if (letter >= 0)
			bound[letter] = typed[used];
		else if (strlen(typed[used]) != length ||
			 strncasecmp(pattern, typed[used], length) != 0)
			return 0;
		used++;
		pattern += length + (pattern[length] == ' ');
	}
	return used;
}

/* The meaning word by word; a letter stands alone or behind '='. */
static bool write_meaning(struct phrase *phrase, const char *means, const char *bound[LETTERS])
{
	while (*means != '\0') {
		size_t length = strcspn(means, " ");
		int letter = letter_of(means + length - 1, 1);
		bool is_letter = letter >= 0 && (length == 1 || means[length - 2] == '=');
		bool added = is_letter ? phrase_add(phrase, "%.*s%s", (int)length - 1, means,
						 bound[letter])
				       : phrase_add(phrase, "%.*s", (int)length, means);

		if (!added)
			return false;
		means += length + (means[length] == ' ');
	}
	return true;
}

static const struct alias *longest(
	const char *const *typed, size_t count, size_t *best, const char *bound[LETTERS])
{
	const struct alias *found = NULL;
	const char *trial[LETTERS];

	*best = 0;
	for (size_t i = 0; i < alias_count; i++) {
		size_t used = match(aliases[i].words, typed, count, trial);

		if (used <= *best)
			continue;
		*best = used;
		found = &aliases[i];
		memcpy(bound, trial, sizeof(trial));
	}
	return found;
}

int alias_expand(struct phrase *phrase, const char *const *typed, size_t count, enum format *format,
	char *why)
{
	const char *bound[LETTERS];
	size_t used;
	const struct alias *alias = longest(typed, count, &used, bound);

	for (size_t i = 0; i < count && alias == NULL; i++)
		if (!phrase_add(phrase, "%s", typed[i]))
			return -ENOSPC;
	if (alias == NULL)
		return 0;
	if (alias->format != FORMAT_TABLE)
		*format = alias->format;
	if (!write_meaning(phrase, alias->means, bound))
		return -ENOSPC;
	return vpncmd_arguments(phrase, typed[0], typed + used, count - used, why);
}
