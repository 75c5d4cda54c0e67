/* Back-off: doubles, and never leaves its bounds. */
#include <criterion/criterion.h>

#include "watch.h"

Test(watch, backoff)
{
	cr_assert_eq(watch_backoff_ms(100, 10000, 1), 100);
	cr_assert_eq(watch_backoff_ms(100, 10000, 2), 200);
	cr_assert_eq(watch_backoff_ms(100, 10000, 5), 1600);
	cr_assert_eq(watch_backoff_ms(100, 10000, 8), 10000);
	cr_assert_eq(watch_backoff_ms(100, 10000, UINT32_MAX), 10000);
	cr_assert_eq(watch_backoff_ms(0, 0, 3), 0);
	cr_assert_eq(watch_backoff_ms(100, UINT64_MAX, 10), 51200);
}
