/* Expected to fail: nothing in it does but what its teardown asserts (tests/lib/teardown.c). */
#include <criterion/criterion.h>

static void gives_nothing_back(void)
{
	cr_assert_fail("in a teardown");
}

Test(teardown, its_assertions_count, .fini = gives_nothing_back)
{
}
