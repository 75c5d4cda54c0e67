/* The heap of timers against a plain array. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "expiry.h"

enum { IDS = 64 };

static struct expiry heap(void)
{
	struct expiry e;
	expiry_init(&e, calloc(1, expiry_bytes(IDS)), IDS);
	return e;
}

static uint64_t earliest(const uint64_t *model)
{
	uint64_t min = UINT64_MAX;
	for (int i = 0; i < IDS; i++)
		min = model[i] < min ? model[i] : min;
	return min;
}

Test(expiry, agrees_with_a_plain_array)
{
	struct expiry e = heap();
	uint64_t model[IDS];
	uint32_t seed = 1, id;
	memset(model, 0xff, sizeof(model));
	for (int step = 0; step < 100000; step++) {
		seed = seed * 1664525 + 1013904223;
		uint32_t which = seed >> 8 & (IDS - 1);
		switch (seed >> 28) {
		case 0:
		case 1:
			expiry_clear(&e, which);
			model[which] = UINT64_MAX;
			break;
		case 2:
			if (expiry_pop(&e, (seed >> 14) & 1023, &id)) {
				cr_assert_eq(model[id], earliest(model));
				cr_assert_leq(model[id], (seed >> 14) & 1023);
				model[id] = UINT64_MAX;
			} else {
				cr_assert_gt(earliest(model), (seed >> 14) & 1023);
			}
			break;
		default: model[which] = (seed >> 14) & 1023; expiry_set(&e, which, model[which]);
		}
		cr_assert_eq(expiry_next(&e), earliest(model), "step %d", step);
	}
	free(e.slot);
}

Test(expiry, is_empty_at_first_and_pops_nothing_early)
{
	struct expiry e = heap();
	uint32_t id;
	cr_expect_eq(expiry_next(&e), UINT64_MAX);
	cr_expect_not(expiry_pop(&e, UINT64_MAX - 1, &id));
	expiry_set(&e, 3, 100);
	cr_expect_not(expiry_pop(&e, 99, &id));
	cr_expect(expiry_pop(&e, 100, &id) && id == 3);
	cr_expect_not(expiry_pop(&e, UINT64_MAX - 1, &id));
	free(e.slot);
}
