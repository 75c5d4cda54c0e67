/*
 * NetBIOS names and addresses. A name is labels, the first of which holds 16 bytes as 32 letters, the
 * rest is its scope:
 *
 *   name = *(length 1..63, bytes) (0 | 11 and 14 bits of offset)       at most 255 bytes in all
 *
 * A pointer leads to before the place where these labels began, and there are at most POINTERS of
 * them: no loop, and no long way through many names.
 */
#include "netbios.h"

#include <string.h>

#include "maps.h"

enum {
	POINTERS = 4,
	NAME_MAX_BYTES = 255,
	LABEL_MAX_BYTES = 63,
	LABEL_POINTER = 0xc0,
	ENCODED_BYTES = 32,
};

static const uint64_t fnv_start = 0xcbf29ce484222325, fnv_prime = 0x100000001b3;

static void hash_byte(struct netbios_name *name, uint8_t c)
{
	if (c >= 'a' && c <= 'z')
		c = (uint8_t)(c - 'a' + 'A');
	name->hash = (name->hash ^ c) * fnv_prime;
}

/* A label with its length byte. */
static void take_label(struct netbios_name *name, const uint8_t *label, bool first)
{
	bool encoded = label[0] == ENCODED_BYTES;
	hash_byte(name, label[0]);
	for (size_t i = 1; i <= label[0]; i++) {
		hash_byte(name, label[i]);
		encoded = encoded && label[i] >= 'A' && label[i] <= 'P';
	}
	if (first)
		name->encoded = encoded;
}

size_t netbios_name(const uint8_t *p, size_t n, size_t first, size_t at, struct netbios_name *name)
{
	size_t end = 0, began = at, bytes = 0;
	unsigned int pointers = 0;
	*name = (struct netbios_name){.hash = fnv_start};
	while (at < n && p[at]) {
		if (p[at] >= LABEL_POINTER) {
			if (n - at < 2 || pointers++ == POINTERS)
				return 0;
			end = end ? end : at + 2;
			at = netbios_u16(p + at) & 0x3fff;
			if (at < first || at >= began)
				return 0;
			began = at;
			continue;
		}
		const size_t label = (size_t)p[at] + 1;
		if (p[at] > LABEL_MAX_BYTES || label > n - at || bytes + label >= NAME_MAX_BYTES)
			return 0;
		take_label(name, p + at, !bytes);
		bytes += label;
		at += label;
	}
	if (at >= n)
		return 0;
	return end ? end : at + 1;
}

bool netbios_address(const struct alg_flow *f, enum alg_direction from, bool own, uint32_t ip_be,
	uint32_t *translated_be)
{
	const bool known = f->outside_ip_be != 0;
	if (known && from == ALG_GUEST && ip_be == f->guest_ip_be)
		*translated_be = f->outside_ip_be;
	else if (known && from == ALG_OUTSIDE && own && ip_be == f->outside_ip_be)
		*translated_be = f->guest_ip_be;
	else if (from == ALG_GUEST ? !maps_outside(f, ip_be, translated_be)
				   : !maps_inside(f, ip_be, translated_be))
		return false;
	return *translated_be != ip_be;
}

/* False: there are too many edits. */
static bool replace(struct alg_answer *a, size_t at, const void *with, uint32_t bytes)
{
	struct alg_edit *e = alg_edit_add(a, at, bytes);
	if (!e)
		return false;
	memcpy(e->text, with, bytes);
	e->bytes = bytes;
	return true;
}

bool netbios_edit_address(const struct alg_flow *f, enum alg_direction from, bool own,
	const uint8_t *p, size_t at, struct alg_answer *a)
{
	uint32_t ip_be, other_be;
	memcpy(&ip_be, p + at, sizeof(ip_be));
	return !netbios_address(f, from, own, ip_be, &other_be) ||
	       replace(a, at, &other_be, sizeof(other_be));
}

void netbios_edit_endpoint(const struct alg_flow *f, enum alg_direction from, const uint8_t *p,
	size_t at, struct alg_answer *a)
{
	const bool outward = from == ALG_GUEST;
	const uint16_t port = netbios_u16(p + at + sizeof(uint32_t));
	const uint16_t own_port = outward ? f->guest_port : f->outside_port;
	const uint16_t other_port = outward ? f->outside_port : f->guest_port;
	const uint32_t own_ip_be = outward ? f->guest_ip_be : f->outside_ip_be;
	netbios_edit_address(f, from, port == own_port, p, at, a);
	if (!f->outside_ip_be || memcmp(p + at, &own_ip_be, sizeof(own_ip_be)) != 0 ||
		port != own_port || port == other_port)
		return;
	const uint8_t with[] = {(uint8_t)(other_port >> 8), (uint8_t)other_port};
	replace(a, at + sizeof(uint32_t), with, sizeof(with));
}
