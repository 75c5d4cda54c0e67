/* One answer for all who ask, every shard gets its part, and without the key nobody can tell. */
#include <arpa/inet.h>
#include <criterion/criterion.h>

#include "shard.h"
#include "topology.h"

static const struct hash_key key = {1, 2}, other = {1, 3};

Test(shard, nobodys_address_and_one_shard)
{
	for (unsigned int shards = 1; shards <= SHARD_MAX; shards++)
		cr_assert_eq(shard_of(&key, 0, shards), 0);
	for (uint32_t i = 1; i < 1000; i++)
		cr_assert_eq(shard_of(&key, htonl(0xc0a81e00 + i), 1), 0);
}

Test(shard, guests_are_divided_evenly)
{
	for (unsigned int shards = 2; shards <= SHARD_MAX; shards++) {
		unsigned int guests[SHARD_MAX] = {0}, moved = 0;

		for (uint32_t i = 1; i <= 4096; i++) {
			unsigned int shard = shard_of(&key, htonl(0xc0a80000 + i), shards);

			cr_assert_lt(shard, shards);
			guests[shard]++;
			moved += shard_of(&other, htonl(0xc0a80000 + i), shards) != shard;
		}
		for (unsigned int shard = 0; shard < shards; shard++) {
			cr_assert_gt(guests[shard] * shards, 4096 * 8 / 10);
			cr_assert_lt(guests[shard] * shards, 4096 * 12 / 10);
		}
		cr_assert_gt(moved, 4096 / 3, "another key divides them another way");
	}
}
