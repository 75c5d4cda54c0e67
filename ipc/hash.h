/* SipHash-2-4 (Aumasson, Bernstein): keyed hash for flow tables, ISNs, port choice. Pure. */
#ifndef NATLOCK_IPC_HASH_H
#define NATLOCK_IPC_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t k0, k1;
};
uint64_t hash_sip(const struct hash_key *key, const void *bytes, size_t n);

#endif
