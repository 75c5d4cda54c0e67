/* Theory of operation: see hostnames.h. One pool of hosts, two indices with chains. What has expired
 * is out of force at once and leaves when its place or its name is wanted. */
#include "hostnames.h"

#include <string.h>

void hostnames_init(struct hostnames *h, const struct hash_key *key)
{
	h->key = *key;
}

void hostnames_clear(struct hostnames *h)
{
	const struct hash_key key = h->key;
	memset(h, 0, sizeof(*h));
	h->key = key;
}

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What a guest could answer for in the place of somebody else: this computer, the gateway, and what
 * hosts look for without being told (proxies, tunnels). */
static bool is_taken(const char *name)
{
	static const char *const taken[] = {"localhost", "wpad", "isatap", "gateway"};
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (strcmp(name, taken[i]) == 0)
			return true;
	return false;
}

bool hostnames_label(const char *claimed, char out[HOSTNAMES_LABEL])
{
	size_t n = 0;
	bool letters = false;
	for (; claimed[n] && claimed[n] != '.'; n++) {
		char c = claimed[n];
		if (n == HOSTNAMES_LABEL - 1)
			return false;
		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 'a' - 'A');
		if (!is_letter(c) && !is_digit(c) && c != '-')
			return false;
		letters |= is_letter(c);
		out[n] = c;
	}
	out[n] = '\0';
	return letters && out[0] != '-' && out[n - 1] != '-' && !is_taken(out);
}

static uint32_t bucket_of(const struct hostnames *h, const void *bytes, size_t n)
{
	return (uint32_t)hash_sip(&h->key, bytes, n) & (HOSTNAMES_BUCKETS - 1);
}

/* The host of this name, in force or not. */
static uint32_t find_name(const struct hostnames *h, const uint8_t *name, size_t n)
{
	uint32_t i;
	if (!n || n >= HOSTNAMES_LABEL)
		return HOSTNAMES_NONE;
	i = h->by_name[bucket_of(h, name, n)];
	while (i && (strlen(h->host[i].name) != n || memcmp(h->host[i].name, name, n) != 0))
		i = h->host[i].next_name;
	return i;
}

static uint32_t find_ip(const struct hostnames *h, uint32_t ip_be)
{
	uint32_t i = h->by_ip[bucket_of(h, &ip_be, sizeof(ip_be))];
	while (i && h->host[i].ip_be != ip_be)
		i = h->host[i].next_ip;
	return i;
}

static void forget(struct hostnames *h, uint32_t i)
{
	struct hostnames_host *host = &h->host[i];
	uint32_t *at = &h->by_name[bucket_of(h, host->name, strlen(host->name))];
	while (*at != i)
		at = &h->host[*at].next_name;
	*at = host->next_name;
	at = &h->by_ip[bucket_of(h, &host->ip_be, sizeof(host->ip_be))];
	while (*at != i)
		at = &h->host[*at].next_ip;
	*at = host->next_ip;
	*host = (struct hostnames_host){.next_name = h->free};
	h->free = i;
	h->count--;
}

static void forget_expired(struct hostnames *h, uint64_t now_ms)
{
	for (uint32_t i = 1; i <= h->fresh; i++)
		if (h->host[i].used && h->host[i].expires_ms <= now_ms)
			forget(h, i);
}

static void add(struct hostnames *h, uint32_t ip_be, const char *name, uint64_t expires_ms)
{
	uint32_t *by_name = &h->by_name[bucket_of(h, name, strlen(name))];
	uint32_t *by_ip = &h->by_ip[bucket_of(h, &ip_be, sizeof(ip_be))];
	const uint32_t i = h->free ? h->free : ++h->fresh;
	struct hostnames_host *host = &h->host[i];
	if (h->free)
		h->free = host->next_name;
	*host = (struct hostnames_host){.ip_be = ip_be,
		.expires_ms = expires_ms,
		.next_name = *by_name,
		.next_ip = *by_ip,
		.used = true};
	memcpy(host->name, name, strlen(name));
	*by_name = *by_ip = i;
	h->count++;
}

bool hostnames_set(
	struct hostnames *h, uint32_t ip_be, const char *name, uint64_t expires_ms, uint64_t now_ms)
{
	const size_t n = strlen(name);
	if (!n || n >= HOSTNAMES_LABEL)
		return false;
	const uint32_t mine = find_ip(h, ip_be);
	if (mine && h->host[mine].expires_ms == hostnames_for_ever)
		return strcmp(h->host[mine].name, name) == 0;
	if (mine)
		forget(h, mine);
	const uint32_t holder = find_name(h, (const uint8_t *)name, n);
	if (holder && h->host[holder].expires_ms > now_ms)
		return false;
	if (holder)
		forget(h, holder);
	if (h->count == HOSTNAMES_MAX)
		forget_expired(h, now_ms);
	if (h->count == HOSTNAMES_MAX)
		return false;
	add(h, ip_be, name, expires_ms);
	return true;
}

void hostnames_remove(struct hostnames *h, uint32_t ip_be)
{
	const uint32_t i = find_ip(h, ip_be);
	if (i && h->host[i].expires_ms != hostnames_for_ever)
		forget(h, i);
}

static uint32_t in_force(const struct hostnames *h, uint32_t i, uint64_t now_ms)
{
	return i && h->host[i].expires_ms > now_ms ? i : HOSTNAMES_NONE;
}

uint32_t hostnames_by_name(
	const struct hostnames *h, const uint8_t *name, size_t n, uint64_t now_ms)
{
	return in_force(h, find_name(h, name, n), now_ms);
}

uint32_t hostnames_by_ip(const struct hostnames *h, uint32_t ip_be, uint64_t now_ms)
{
	return in_force(h, find_ip(h, ip_be), now_ms);
}
