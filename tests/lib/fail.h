/*
 * Memory that runs out on purpose: an operation is run with its first allocation refused, with its second, and so on until
 * none is; then the same with all from the n-th on refused.
 *
 * fail.c takes the place of the C library's allocator, so that libraries are refused memory too. What the operation took
 * and did not give back, or gave back twice, ends the test; freed memory is overwritten. Not for a build with sanitizers, whose
 * own allocator cannot be replaced.
 */
#ifndef NATLOCK_TESTS_LIB_FAIL_H
#define NATLOCK_TESTS_LIB_FAIL_H

#include <stdbool.h>

enum {
	FAIL_MOST = 100000
}; /* allocations of one operation: more is taken for a loop without end */

/*
 * `once` does the operation, checks what must hold whether it succeeded or not (fail_require: Criterion's own
 * assertions allocate), frees what it got, and says whether it did all that it is for; it must when nothing was refused.
 * Returns how many allocations the operation makes.
 */
unsigned int fail_each(bool (*once)(void));
/* Ends the test with a word about what does not hold. */
void fail_require(bool ok, const char *what);
/* Inside of `once`: what the operation holds now it holds for good. */
void fail_keep(void);
/* Inside of `once`: nothing is refused or counted, for what the test itself does. */
void fail_pause(bool on);

#endif
