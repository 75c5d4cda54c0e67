/*
 * Theory of operation. A shelf is searched from end to end: 64 keys lie in twelve cache lines, and
 * the search runs once a session and once an address of an answer. Keys and names lie apart, so that
 * it does not walk over text.
 */
#include "dnsnames.h"

#include <stdbool.h>
#include <string.h>

void dnsnames_init(struct dnsnames *n, const struct hash_key *key)
{
	n->hash = *key;
}

static uint32_t shelf_of(const struct dnsnames *n, uint32_t guest_ip_be)
{
	return (uint32_t)hash_sip(&n->hash, &guest_ip_be, sizeof(guest_ip_be)) &
	       (DNSNAMES_SHELVES - 1);
}

static bool is_plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

/* "www.example.org" of its wire format; false when it has other characters or is the root. */
static bool to_text(const uint8_t *name, size_t bytes, char out[DNSNAMES_BYTES])
{
	size_t at = 0, used = 0;
	while (at < bytes && name[at]) {
		const uint8_t label = name[at++];
		if (label > bytes - at || used + label + 2 > DNSNAMES_BYTES)
			return false;
		if (used)
			out[used++] = '.';
		for (uint8_t i = 0; i < label; i++, at++) {
			if (!is_plain(name[at]))
				return false;
			out[used++] = (char)name[at];
		}
	}
	out[used] = '\0';
	return used > 0;
}

/* Where the pair stands, else the place that has been untouched for longest. */
static uint32_t place_for(const struct dnsnames_shelf *s, uint32_t guest_ip_be, uint32_t ip_be)
{
	uint32_t oldest = 0;
	for (uint32_t i = 0; i < DNSNAMES_SHELF; i++) {
		if (s->key[i].used && s->key[i].guest_ip_be == guest_ip_be &&
			s->key[i].ip_be == ip_be)
			return i;
		if (s->key[i].used < s->key[oldest].used)
			oldest = i;
	}
	return oldest;
}

void dnsnames_note(
	struct dnsnames *n, uint32_t guest_ip_be, uint32_t ip_be, const uint8_t *name, size_t bytes)
{
	char text[DNSNAMES_BYTES];
	if (!to_text(name, bytes, text))
		return;
	struct dnsnames_shelf *s = &n->shelf[shelf_of(n, guest_ip_be)];
	const uint32_t i = place_for(s, guest_ip_be, ip_be);
	if (s->count == UINT32_MAX) /* ages have run out: the shelf begins anew */
		memset(s, 0, sizeof(*s));
	s->key[i] = (struct dnsnames_key){guest_ip_be, ip_be, ++s->count};
	memcpy(s->name[i], text, strlen(text) + 1);
}

const char *dnsnames_of(const struct dnsnames *n, uint32_t guest_ip_be, uint32_t ip_be)
{
	const struct dnsnames_shelf *s = &n->shelf[shelf_of(n, guest_ip_be)];
	const uint32_t i = place_for(s, guest_ip_be, ip_be);
	const struct dnsnames_key *k = &s->key[i];
	return k->used && k->guest_ip_be == guest_ip_be && k->ip_be == ip_be ? s->name[i] : NULL;
}
