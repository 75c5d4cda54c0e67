/* Theory of operation: see shard.h. The upper half of the hash, scaled: no division a frame. */
#include "shard.h"

unsigned int shard_of(const struct hash_key *key, uint32_t guest_ip_be, unsigned int shards)
{
	if (shards <= 1 || guest_ip_be == 0)
		return 0;
	return (unsigned int)((hash_sip(key, &guest_ip_be, sizeof(guest_ip_be)) >> 32) * shards >>
			      32);
}
