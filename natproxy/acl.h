/*
 * Access lists: which addresses pass. Pure. The longest prefix that holds an address decides;
 * permit where both have it, deny where none does, as in config.proto. A list is asked once for
 * each new session, never for a packet.
 */
#ifndef NATLOCK_NATPROXY_ACL_H
#define NATLOCK_NATPROXY_ACL_H

#include <stdbool.h>
#include <stdint.h>

#include "config.pb-c.h"

enum { ACL_PREFIXES = 512 };

struct acl_prefix {
	uint32_t ip, mask; /* host order, ip within mask */
	bool permit;
};

struct acl {
	uint32_t number; /* 0: no list, everything passes */
	uint32_t count;
	struct acl_prefix prefix[ACL_PREFIXES]; /* longest first, permit before deny */
};

/* No prefix yet: a list that denies everything; number 0 lets everything pass. */
void acl_init(struct acl *a, uint32_t number);
/* One prefix more, 0 to 32 bits long; bits of the address behind them are ignored. 0, -EINVAL for
 * a longer one, or -ENOSPC for more than ACL_PREFIXES. */
int acl_add(struct acl *a, uint32_t ip_be, uint32_t prefix, bool permit);
/* The list of this number; 0: everything passes. One that is not there denies everything. */
void acl_read(struct acl *a, Nl__AccessList *const *lists, size_t count, uint32_t number);
bool acl_permits(const struct acl *a, uint32_t ip_be);
/* Whether a list that is there (number not 0) permits either of the two ends. */
bool acl_names(const struct acl *a, uint32_t guest_ip_be, uint32_t far_ip_be);

#endif
