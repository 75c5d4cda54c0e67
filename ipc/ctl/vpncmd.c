/*
 *   SecureNatHostSet /IP:10.1.0.1 /MASK:none      ▶ host.address=10.1.0.1
 *   NatSet /TCPTIMEOUT:1800 /LOG:no               ▶ tcp_timeout=1800s log=false
 *   DhcpSet /START:A /END:B /DNS:C /DNS2:none     ▶ range=A-B dns=C
 *
 * One row of the table is one argument. Values of two arguments that are one value with us (a
 * range, the name servers) are kept until all arguments have been seen.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "reflect.h"
#include "vpncmd.h"

enum kind {
	AS_IT_IS,
	KEEP_IF_NONE, /* "none": as it was before */
	MAC_OR_KEEP,
	SECONDS,
	YES_NO,
	ROUTES,
	START, /* of the range; these four: with their pair */
	END,
	FIRST_DNS,
	SECOND_DNS,
	KINDS
};

struct argument {
	const char *command, *key, *ours;
	enum kind kind;
};

static const struct argument arguments[] = {
	{"SecureNatHostSet", "MAC", "host.mac", MAC_OR_KEEP},
	{"SecureNatHostSet", "IP", "host.address", KEEP_IF_NONE},
	{"SecureNatHostSet", "MASK", "host.netmask", KEEP_IF_NONE},
	{"NatSet", "MTU", "mtu", AS_IT_IS},
	{"NatSet", "TCPTIMEOUT", "tcp_timeout", SECONDS},
	{"NatSet", "UDPTIMEOUT", "udp_timeout", SECONDS},
	{"NatSet", "LOG", "log", YES_NO},
	{"DhcpSet", "START", "range", START},
	{"DhcpSet", "END", "range", END},
	{"DhcpSet", "MASK", "netmask", AS_IT_IS},
	{"DhcpSet", "EXPIRE", "lease", SECONDS},
	{"DhcpSet", "GW", "gateway", AS_IT_IS},
	{"DhcpSet", "DNS", "dns", FIRST_DNS},
	{"DhcpSet", "DNS2", "dns", SECOND_DNS},
	{"DhcpSet", "DOMAIN", "domain", AS_IT_IS},
	{"DhcpSet", "LOG", "log", YES_NO},
	{"DhcpSet", "PUSHROUTE", "push_routes", ROUTES},
};
enum { ARGUMENTS = sizeof(arguments) / sizeof(arguments[0]) };

struct translation {
	struct phrase *phrase;
	const char *kept[KINDS]; /* START to SECOND_DNS, once seen */
	char *why;
};

static int fail_value(
	struct translation *t, const struct argument *a, const char *value, const char *help)
{
	char shown[64];

	snprintf(t->why, PHRASE_WHY, "/%s: \"%s\" is not %s", a->key,
		reflect_printable(shown, sizeof(shown), value), help);
	return -EINVAL;
}

static int add(struct translation *t, const char *key, const char *value, const char *unit)
{
	return phrase_add(t->phrase, "%s=%s%s", key, value, unit) ? 0 : -ENOSPC;
}

static int add_seconds(struct translation *t, const struct argument *a, const char *value)
{
	if (value[0] == '\0' || strspn(value, "0123456789") != strlen(value))
		return fail_value(t, a, value, "a number of seconds");
	return add(t, a->ours, value, "s");
}

static int add_yes_no(struct translation *t, const struct argument *a, const char *value)
{
	if (strcasecmp(value, "yes") == 0)
		return add(t, a->ours, "true", "");
	if (strcasecmp(value, "no") == 0)
		return add(t, a->ours, "false", "");
	return fail_value(t, a, value, "yes or no");
}

/* vpncmd takes 00AC01234567 as well. */
static int add_mac(struct translation *t, const struct argument *a, const char *value)
{
	char mac[6 * 3 + 1];

	if (strlen(value) != 12)
		return add(t, a->ours, value, "");
	for (size_t i = 0; i < 6; i++)
		snprintf(mac + 3 * i, 4, "%.2s%s", value + 2 * i, i < 5 ? ":" : "");
	return add(t, a->ours, mac, "");
}

/* The length of a contiguous mask, or -1. */
static int prefix_of(const char *mask)
{
	uint32_t be, ones;

	if (inet_pton(AF_INET, mask, &be) != 1)
		return -1;
	ones = ntohl(be);
	if ((~ones & (~ones + 1)) != 0)
		return -1;
	return __builtin_popcount(ones);
}

/* "NET/MASK/VIA" as {to: NET/24, via: VIA}; appends to a flow list. */
static bool add_route(char *list, size_t cap, const char *route)
{
	char net[INET_ADDRSTRLEN], mask[INET_ADDRSTRLEN], via[INET_ADDRSTRLEN], rest;
	size_t used = strlen(list);
	uint32_t be;

	if (sscanf(route, " %15[0-9.]/%15[0-9.]/%15[0-9.] %c", net, mask, via, &rest) != 3)
		return false;
	if (inet_pton(AF_INET, net, &be) != 1 || inet_pton(AF_INET, via, &be) != 1 ||
		prefix_of(mask) < 0)
		return false;
	return (size_t)snprintf(list + used, cap - used, "%s{to: %s/%d, via: %s}",
		       used > 1 ? ", " : "", net, prefix_of(mask), via) < cap - used;
}

static bool is_none(const char *value)
{
	return value == NULL || value[0] == '\0' || strcasecmp(value, "none") == 0;
}

static int add_routes(struct translation *t, const struct argument *a, const char *value)
{
	char list[2048] = "[", copy[2048], *save;

	if (is_none(value))
		return add(t, a->ours, "[]", "");
	if ((size_t)snprintf(copy, sizeof(copy), "%s", value) >= sizeof(copy))
		return -ENOSPC;
	for (char *route = strtok_r(copy, ",", &save); route != NULL;
		route = strtok_r(NULL, ",", &save))
		if (!add_route(list, sizeof(list) - 1, route))
			return fail_value(t, a, route, "NETWORK/MASK/GATEWAY");
	return add(t, a->ours, strcat(list, "]"), "");
}

static int add_argument(struct translation *t, const struct argument *a, const char *value)
{
	switch (a->kind) {
	case MAC_OR_KEEP:
	case KEEP_IF_NONE:
		if (is_none(value))
			return 0;
		return a->kind == MAC_OR_KEEP ? add_mac(t, a, value) : add(t, a->ours, value, "");
	case SECONDS: return add_seconds(t, a, value);
	case YES_NO: return add_yes_no(t, a, value);
	case ROUTES: return add_routes(t, a, value);
	case START:
	case END:
	case FIRST_DNS:
	case SECOND_DNS: t->kept[a->kind] = value; return 0;
	case AS_IT_IS:
	case KINDS: break;
	}
	return add(t, a->ours, is_none(value) ? "none" : value, "");
}

/* What two arguments say together. */
static int add_pairs(struct translation *t)
{
	const char *start = t->kept[START], *end = t->kept[END], *dns = t->kept[FIRST_DNS],
		   *second = t->kept[SECOND_DNS];

	if ((start == NULL) != (end == NULL)) {
		snprintf(t->why, PHRASE_WHY, "/START and /END go together");
		return -EINVAL;
	}
	if (start != NULL && !phrase_add(t->phrase, "range=%s-%s", start, end))
		return -ENOSPC;
	if (second != NULL && dns == NULL) {
		snprintf(t->why, PHRASE_WHY, "/DNS2 needs /DNS");
		return -EINVAL;
	}
	if (dns == NULL)
		return 0;
	if (is_none(dns) || is_none(second))
		return add(t, "dns", is_none(dns) ? (is_none(second) ? "none" : second) : dns, "");
	return phrase_add(t->phrase, "dns=%s,%s", dns, second) ? 0 : -ENOSPC;
}

static const struct argument *find_argument(const char *command, const char *key, size_t length)
{
	for (size_t i = 0; i < ARGUMENTS; i++)
		if (strcasecmp(arguments[i].command, command) == 0 &&
			strlen(arguments[i].key) == length &&
			strncasecmp(arguments[i].key, key, length) == 0)
			return &arguments[i];
	return NULL;
}

/* "unknown argument ... It takes /MTU /LOG" */
static int fail_argument(const char *command, const char *word, char *why)
{
	char shown[48];
	size_t used = (size_t)snprintf(why, PHRASE_WHY, "unknown argument \"%s\"",
		       reflect_printable(shown, sizeof(shown), word)),
	       before = used;

	for (size_t i = 0; i < ARGUMENTS && used < PHRASE_WHY; i++)
		if (strcasecmp(arguments[i].command, command) == 0)
			used += (size_t)snprintf(why + used, PHRASE_WHY - used, "%s /%s",
				used == before ? ". It takes" : "", arguments[i].key);
	return -EINVAL;
}

int vpncmd_arguments(struct phrase *phrase, const char *command, const char *const *typed,
	size_t count, char *why)
{
	struct translation t = {.phrase = phrase, .why = why};
	int error = 0;

	for (size_t i = 0; i < count && error == 0; i++) {
		const char *key = typed[i] + 1;
		size_t length = strcspn(key, ":");
		const struct argument *a;

		if (typed[i][0] != '/') {
			error = phrase_add(phrase, "%s", typed[i]) ? 0 : -ENOSPC;
			continue;
		}
		a = find_argument(command, key, length);
		if (a == NULL)
			return fail_argument(command, typed[i], why);
		error = add_argument(&t, a, key + length + (key[length] == ':'));
	}
	return error != 0 ? error : add_pairs(&t);
}
