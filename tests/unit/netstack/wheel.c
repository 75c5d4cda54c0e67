/* The timer wheel against the obvious: a sorted list of deadlines. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "wheel.h"

enum { TIMERS = 500 };
#define TICK (UINT64_C(1) << WHEEL_TICK_SHIFT)

Test(wheel, nothing_armed_nothing_due)
{
	struct wheel w;
	wheel_init(&w, 12345 * TICK);
	cr_assert_eq(wheel_next_ns(&w), UINT64_MAX);
	cr_assert_null(wheel_pop(&w, 99999 * TICK));
}

Test(wheel, fires_at_its_tick_not_before)
{
	static const uint64_t after[] = {
		1, 2, 63, 64, 65, 4095, 4096, 4097, 262143, 262144, 300000, 16000000};
	for (unsigned int i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		for (uint64_t start = 1000; start < 1000000000; start = start * 7 + 13) {
			struct wheel w;
			struct wheel_timer t = {0};
			uint64_t now = start, next;
			wheel_init(&w, start * TICK);
			wheel_arm(&w, &t, (start + after[i]) * TICK);
			for (unsigned int steps = 0;
				(next = wheel_next_ns(&w) / TICK) < start + after[i]; steps++) {
				cr_assert_geq(next, now);
				cr_assert_lt(steps, 10);
				now = next;
				cr_assert_null(wheel_pop(&w, now * TICK));
			}
			cr_assert_eq(next, start + after[i]);
			cr_assert_eq(wheel_pop(&w, next * TICK), &t);
			cr_assert_not(wheel_armed(&t));
			cr_assert_eq(wheel_next_ns(&w), UINT64_MAX);
		}
	}
}

Test(wheel, partial_ticks_round_up)
{
	struct wheel w;
	struct wheel_timer t = {0};
	wheel_init(&w, 0);
	wheel_arm(&w, &t, 5 * TICK + 1);
	cr_assert_null(wheel_pop(&w, 5 * TICK + 1));
	cr_assert_eq(wheel_pop(&w, 6 * TICK), &t);
}

Test(wheel, past_and_disarmed)
{
	struct wheel w;
	struct wheel_timer t = {0};
	wheel_init(&w, 100 * TICK);
	wheel_arm(&w, &t, 3 * TICK);
	cr_assert_leq(wheel_next_ns(&w), 100 * TICK);
	wheel_disarm(&w, &t);
	wheel_disarm(&w, &t);
	cr_assert_null(wheel_pop(&w, 200 * TICK));
	wheel_arm(&w, &t, 5000 * TICK);
	wheel_arm(&w, &t, 300 * TICK);
	cr_assert_eq(wheel_pop(&w, 300 * TICK), &t);
	cr_assert_null(wheel_pop(&w, 6000 * TICK));
}

Test(wheel, beyond_its_reach_it_fires_early_for_the_owner_to_arm_again)
{
	struct wheel w;
	struct wheel_timer t = {0};
	wheel_init(&w, 0);
	wheel_arm(&w, &t, (UINT64_C(1) << 30) * TICK);
	cr_assert_lt(wheel_next_ns(&w), (UINT64_C(1) << 30) * TICK);
	cr_assert_eq(wheel_pop(&w, (UINT64_C(1) << 30) * TICK), &t);
}

Test(wheel, random_against_a_list)
{
	static struct wheel_timer t[TIMERS];
	static uint64_t due[TIMERS];
	struct wheel w;
	uint64_t now = 777777;
	struct wheel_timer *fired;
	srand(3);
	wheel_init(&w, now * TICK);
	for (unsigned int round = 0; round < 20000; round++) {
		unsigned int i = (unsigned int)rand() % TIMERS;
		if (rand() % 4) {
			due[i] = now + 1 + (uint64_t)rand() % (1u << (1 + rand() % 22));
			wheel_arm(&w, &t[i], due[i] * TICK);
		} else {
			wheel_disarm(&w, &t[i]);
			due[i] = 0;
		}
		now += (uint64_t)rand() % (rand() % 50 ? 20 : 5000);
		while ((fired = wheel_pop(&w, now * TICK))) {
			cr_assert(due[fired - t] && due[fired - t] <= now);
			due[fired - t] = 0;
		}
		if (round % 100 == 0)
			for (unsigned int k = 0; k < TIMERS; k++)
				cr_assert(!due[k] || due[k] > now, "timer %u did not fire", k);
	}
}
