/*
 * Shards: a hub's netstack, natproxy and alg may be there several times, each set serving its own
 * guests. Which one is a keyed hash of the guest's address, the same in the broker, which steers
 * frames by it, and in the supervisor, which hands out what belongs to one guest. Pure.
 *
 * Everything about a guest happens in one shard: all its flows, fragments, ICMP errors, mappings,
 * quotas, expectations. The key is secret, so that guests cannot choose addresses that meet in one
 * shard (docs/decisions/0009).
 */
#ifndef NATLOCK_IPC_SHARD_H
#define NATLOCK_IPC_SHARD_H

#include <stdint.h>

#include "hash.h"

/* 0..shards - 1; address 0, nobody's, is served by shard 0. shards: 1..SHARD_MAX. */
unsigned int shard_of(const struct hash_key *key, uint32_t guest_ip_be, unsigned int shards);

#endif
