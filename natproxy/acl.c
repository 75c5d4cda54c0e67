/*
 * Theory of operation. The prefixes lie in the order in which they are to be asked, so the first
 * that holds the address is the longest and ends the walk. A few hundred compares of eight bytes
 * each beside the system calls of a new session are nothing; a tree would be more to get wrong.
 */
#include "acl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum { ADDRESS_BITS = 32 };

void acl_init(struct acl *a, uint32_t number)
{
	a->number = number;
	a->count = 0;
}

/* Whether a comes before b: a longer mask is the greater number. */
static bool is_before(const struct acl_prefix *a, const struct acl_prefix *b)
{
	return a->mask != b->mask ? a->mask > b->mask : a->permit && !b->permit;
}

int acl_add(struct acl *a, uint32_t ip_be, uint32_t prefix, bool permit)
{
	uint32_t at = 0;
	if (prefix > ADDRESS_BITS)
		return -EINVAL;
	if (a->count == ACL_PREFIXES)
		return -ENOSPC;
	const uint32_t mask = prefix ? UINT32_MAX << (ADDRESS_BITS - prefix) : 0;
	const struct acl_prefix p = {ntohl(ip_be) & mask, mask, permit};
	while (at < a->count && is_before(&a->prefix[at], &p))
		at++;
	memmove(&a->prefix[at + 1], &a->prefix[at], (a->count - at) * sizeof(p));
	a->prefix[at] = p;
	a->count++;
	return 0;
}

void acl_read(struct acl *a, Nl__AccessList *const *lists, size_t count, uint32_t number)
{
	acl_init(a, number);
	for (size_t i = 0; number && i < count; i++) {
		const Nl__AccessList *l = lists[i];
		if (l->number != number)
			continue;
		for (size_t k = 0; k < l->n_permit; k++)
			acl_add(a, l->permit[k]->ip_be, l->permit[k]->prefix, true);
		for (size_t k = 0; k < l->n_deny; k++)
			acl_add(a, l->deny[k]->ip_be, l->deny[k]->prefix, false);
	}
}

bool acl_permits(const struct acl *a, uint32_t ip_be)
{
	const uint32_t ip = ntohl(ip_be);
	for (uint32_t i = 0; i < a->count; i++)
		if ((ip & a->prefix[i].mask) == a->prefix[i].ip)
			return a->prefix[i].permit;
	return !a->number;
}

bool acl_names(const struct acl *a, uint32_t guest_ip_be, uint32_t far_ip_be)
{
	return a->number && (acl_permits(a, guest_ip_be) || acl_permits(a, far_ip_be));
}
