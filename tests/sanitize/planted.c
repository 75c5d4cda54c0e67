/*
 * A worker with a fault, to see that it is seen: linked with --wrap=confine_filter into alg. The
 * fault comes after the lock, where a report has only what policy/sanitizer.policy allows.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"

enum planted { HEAP, STATIC, UNDEFINED };

static char memory[8];

/* Not known to the compiler. */
static volatile int eight = 8;

static void commit(enum planted fault)
{
	volatile char *heap = malloc((size_t)eight);

	switch (fault) {
	case HEAP: heap[eight] = 1; break;
	case STATIC: memset(memory, 1, (size_t)eight + 1); break;
	case UNDEFINED: eight = 1 << (eight * 8); break;
	}
	free((void *)(uintptr_t)heap);
}

int __real_confine_filter(const struct sock_filter *filter, size_t count);
int __wrap_confine_filter(const struct sock_filter *filter, size_t count);
int __wrap_confine_filter(const struct sock_filter *filter, size_t count)
{
	int error = __real_confine_filter(filter, count);

	commit(PLANTED);
	return error;
}
