/* policy/blocks.c: every value of a condition is in a block, and no other one. */
#include <criterion/criterion.h>

#include "blocks.h"

static bool in_blocks(const struct blocks *b, uint64_t value)
{
	for (unsigned int i = 0; i < b->count; i++)
		if ((value & b->block[i].mask) == b->block[i].datum)
			return true;
	return false;
}

Test(blocks, ranges_are_exact_at_both_ends)
{
	struct policy_condition c = {
		.argument = {.bits = 32}, .ranges = 2, .range = {{16, 79}, {100, 100}}};
	struct blocks b;

	cr_assert(blocks_of(&c, &b));
	for (uint64_t value = 0; value < 200; value++)
		cr_expect_eq(in_blocks(&b, value), (value >= 16 && value <= 79) || value == 100,
			"%u", (unsigned int)value);
	cr_expect_not(in_blocks(&b, 0xffffffff));
	cr_expect(in_blocks(&b, UINT64_C(0xabcd00000010)), "the kernel reads an int");
	c.argument.bits = 64;
	cr_assert(blocks_of(&c, &b));
	cr_expect_not(in_blocks(&b, UINT64_C(0xabcd00000010)));
}

Test(blocks, subsets)
{
	struct policy_condition c = {
		.argument = {.bits = 32}, .subset = true, .forbidden_bits = 0xfffffffc};
	struct blocks b;

	cr_assert(blocks_of(&c, &b));
	cr_expect(in_blocks(&b, 0) && in_blocks(&b, 3) && !in_blocks(&b, 4));
}

Test(blocks, too_many_are_refused)
{
	struct policy_condition c = {.argument = {.bits = 64}, .ranges = POLICY_RANGES};
	struct blocks b;

	for (unsigned int i = 0; i < POLICY_RANGES; i++)
		c.range[i] = (struct policy_range){1, UINT64_MAX / 2 - 2};
	cr_expect_not(blocks_of(&c, &b));
}
