/*
 * Criterion prints an assertion that fails in a .fini and goes on to call the test passed. Linked into every test program, this
 * makes it a failure: teardowns are where many tests look whether all is given back.
 */
#include <criterion/criterion.h>
#include <criterion/hooks.h>

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
	if (stats->asserts_failed && !stats->tests_failed)
		stats->tests_failed = 1;
}
