/* The bump allocator, and what protobuf-c does with it when a message wants too much. */
#include <criterion/criterion.h>
#include <string.h>

#include "pool.h"
#include "super.pb-c.h"

static uint8_t memory[8192 + 16];

Test(pool, pieces_are_aligned_apart_and_inside)
{
	struct pool p;
	uint8_t *before = NULL;

	pool_init(&p, memory + 3, 4096);
	for (size_t n = 0; n < 40; n++) {
		uint8_t *at = pool_alloc(&p, n);

		cr_assert_not_null(at);
		cr_assert_eq((uintptr_t)at % 16, 0);
		cr_assert_geq(at, memory + 3);
		cr_assert_leq(at + n, memory + 3 + 4096);
		cr_assert(!before || at >= before);
		before = at + n;
	}
}

Test(pool, full_is_null_and_counted_until_reset)
{
	struct pool p;

	pool_init(&p, memory, 100);
	cr_assert_null(pool_alloc(&p, SIZE_MAX));
	cr_assert_null(pool_alloc(&p, 101));
	cr_assert_not_null(pool_alloc(&p, 100 - ((uintptr_t)memory % 16 ? 16 : 0)));
	cr_assert_null(pool_alloc(&p, 1));
	cr_assert_eq(p.exhausted, 3);
	pool_reset(&p);
	cr_assert_not_null(pool_alloc(&p, 64));
	cr_assert_geq(p.peak, 64);
}

Test(pool, a_block_smaller_than_the_alignment_holds_nothing)
{
	struct pool p;

	pool_init(&p, (uint8_t *)(((uintptr_t)memory + 15) & ~(uintptr_t)15) + 1, 10);
	cr_assert_null(pool_alloc(&p, 1));
}

Test(pool, a_message_of_many_empty_leases_does_not_unpack)
{
	uint8_t record[2000];
	struct pool p;

	/* LeaseRestore.leases, length 0, a thousand times: two bytes each on the wire, a struct
	 * each in memory. */
	for (size_t i = 0; i < sizeof(record); i += 2) {
		record[i] = 1 << 3 | 2;
		record[i + 1] = 0;
	}
	pool_init(&p, memory, sizeof(memory));
	cr_assert_null(nl__lease_restore__unpack(&p.allocator, sizeof(record), record));
	cr_assert_gt(p.exhausted, 0);
	pool_reset(&p);
	cr_assert_not_null(nl__lease_restore__unpack(&p.allocator, 20, record));
}
