/* The owner's free lists: classes, reserve, order, and that the owner's own mistakes abort. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>

#include "arena.h"

static struct arena a;
static uint8_t memory[1];

static void setup(void)
{
	arena_init(&a, ARENA_BROKER, memory);
}

TestSuite(arena, .init = setup);

Test(arena, every_buffer_once_and_data_leaves_the_reserve)
{
	static bool seen[ARENA_MAX_IDS];
	uint32_t id, taken = 0;

	while ((id = arena_take(&a, BUF_SMALL, false))) {
		cr_assert_eq(buf_arena(id), ARENA_BROKER);
		cr_assert_lt(buf_index(id), ARENA_SMALL_COUNT);
		cr_assert_not(seen[buf_index(id)]);
		seen[buf_index(id)] = true;
		taken++;
	}
	cr_assert_eq(taken, ARENA_SMALL_COUNT - ARENA_RESERVED);
	for (int i = 0; i < ARENA_RESERVED; i++)
		cr_assert_neq(arena_take(&a, BUF_SMALL, true), 0);
	cr_assert_eq(arena_take(&a, BUF_SMALL, true), 0);
	cr_assert_neq(arena_take(&a, BUF_LARGE, false), 0, "the classes are apart");
	cr_assert_eq(arena_used_percent(&a, BUF_SMALL), 100);
	cr_assert_eq(arena_used_percent(&a, BUF_LARGE), 0);
}

Test(arena, the_last_given_back_is_taken_first)
{
	uint32_t first = arena_take(&a, BUF_LARGE, false),
		 second = arena_take(&a, BUF_LARGE, false);

	cr_assert_eq(buf_index(first), ARENA_SMALL_COUNT, "from the low end");
	arena_untake(&a, second);
	arena_untake(&a, first);
	cr_assert_eq(arena_take(&a, BUF_LARGE, false), first);
}

Test(arena, lent_comes_back_by_its_borrower_only)
{
	uint32_t id = arena_take(&a, BUF_SMALL, false);

	arena_lend(&a, id, 0);
	cr_assert_eq(arena_return(&a, id, 1), -EPROTO);
	cr_assert_eq(arena_return(&a, id, 0), 0);
	cr_assert_eq(arena_return(&a, id, 0), -EPROTO);
	cr_assert_eq(a.free_count[BUF_SMALL], ARENA_SMALL_COUNT);
}

Test(arena, reclaim_takes_back_what_one_borrower_had)
{
	for (int i = 0; i < 10; i++)
		arena_lend(&a, arena_take(&a, BUF_SMALL, false), i % 2);
	cr_assert_neq(arena_take(&a, BUF_SMALL, false), 0);
	cr_assert_eq(arena_reclaim(&a, 1), 5);
	cr_assert_eq(arena_reclaim(&a, 1), 0);
	cr_assert_eq(a.free_count[BUF_SMALL], ARENA_SMALL_COUNT - 6);
}

Test(arena, geometry_covers_the_arena_without_gap)
{
	uint32_t end = 0;

	for (uint32_t i = 0; i < ARENA_MAX_IDS; i++) {
		cr_assert_eq(buf_offset(i), end);
		end += buf_bytes(i);
	}
	cr_assert_eq(end, ARENA_BYTES);
}

Test(arena, segments_at_the_edges)
{
	uint32_t set = 1u << ARENA_BROKER, last = buf_id(ARENA_BROKER, ARENA_MAX_IDS - 1);

	cr_assert(buf_seg_ok(ARENA_BYTES - ARENA_LARGE_BYTES, ARENA_LARGE_BYTES, last, set));
	cr_assert(buf_seg_ok(ARENA_BYTES, 0, last, set), "an empty segment at the very end");
	cr_assert_not(buf_seg_ok(ARENA_BYTES, 1, last, set));
	cr_assert_not(buf_seg_ok(0, 1, last, set));
	cr_assert_not(buf_seg_ok(ARENA_BYTES - 1, 1, last, 0), "no arena allowed");
	cr_assert_not(buf_seg_ok(0, 0, 0, UINT32_MAX));
	cr_assert_not(buf_seg_ok(0, 0, UINT32_MAX, UINT32_MAX));
}

Test(arena, untaking_a_free_buffer_aborts, .signal = SIGABRT)
{
	arena_untake(&a, buf_id(ARENA_BROKER, 3));
}

Test(arena, lending_twice_aborts, .signal = SIGABRT)
{
	uint32_t id = arena_take(&a, BUF_SMALL, false);

	arena_lend(&a, id, 0);
	arena_lend(&a, id, 0);
}

Test(arena, a_buffer_of_another_arena_aborts, .signal = SIGABRT)
{
	arena_take(&a, BUF_SMALL, false);
	arena_untake(&a, buf_id(ARENA_NATPROXY, 0));
}
