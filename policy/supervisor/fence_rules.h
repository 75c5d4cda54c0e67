/*
 * The fence around natproxy: which packets of its uids the kernel drops, whatever natproxy has
 * become. The same as natproxy's own rule for guests (natproxy/access.h), said once more where
 * natproxy cannot change it. The table as `nft list table` prints it, with the reasons:
 * docs/policy.md. Pure but for the allocator.
 */
#ifndef NATLOCK_SUPERVISOR_FENCE_RULES_H
#define NATLOCK_SUPERVISOR_FENCE_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "identity.h"

enum { FENCE_TABLE = 32, FENCE_SERVICES = 48 };

struct fence_plan {
	char table[FENCE_TABLE];
	uint32_t first_uid, last_uid; /* as the host sees them: all that workers may have */
	uint32_t host_allowed
		[IDENTITY_PRIVATE]; /* natproxies of hubs with nat.host_loopback: allow */
	unsigned int allowed;
	/* alg.rcmd.ports that are not reserved ones themselves */
	uint16_t service[FENCE_SERVICES];
	unsigned int services;
	uint32_t esp_allowed[IDENTITY_PRIVATE]; /* natproxies of hubs with alg.ipsec.esp */
	unsigned int esps;
};

/* "natlock-61185": two gateways with the same uids cannot both have their table. */
void fence_table_name(char out[FENCE_TABLE], uint32_t first_uid);

/* Writes the messages that make the table: bytes, or 0 where there is no memory. out:
 * RULESET_BYTES. */
size_t fence_rules(const struct fence_plan *plan, void *out, size_t cap);

#endif
