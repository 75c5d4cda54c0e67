/*
 * Memory that goes back to what it was: a target makes its state once, as large as it may be, and every input begins
 * from the same state at the price of the pages that the input before it wrote.
 *
 *   rewind_alloc ... rewind_keep          once: zeroed memory to set up, then the state that counts
 *   rewind_back                           before each input
 *
 * The kept state is a file in memory, mapped privately: the kernel copies a page when it is written and forgets the
 * copies when it is told to. Included by one file of a target.
 */
#ifndef NATLOCK_TESTS_FUZZ_REWIND_H
#define NATLOCK_TESTS_FUZZ_REWIND_H

#include <sanitizer/asan_interface.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { REWIND_BYTES = 512 << 20, REWIND_ALIGN = 4096 }; /* untouched pages cost nothing */

static struct {
	uint8_t *base;
	size_t used;
	int fd;
} rewind_state;

static inline void rewind_map(int how)
{
	uint8_t *at = mmap(
		rewind_state.base, REWIND_BYTES, PROT_READ | PROT_WRITE, how, rewind_state.fd, 0);
	if (at == MAP_FAILED)
		abort();
	rewind_state.base = at;
}

/* Zeroed, aligned to a page, for the life of the process; what lies behind it may not be touched. */
static inline void *rewind_alloc(size_t bytes)
{
	const size_t room = (bytes + 2 * REWIND_ALIGN - 1) / REWIND_ALIGN * REWIND_ALIGN;
	uint8_t *p;
	if (!rewind_state.base) {
		rewind_state.fd = memfd_create("rewind", MFD_CLOEXEC);
		if (rewind_state.fd < 0 || ftruncate(rewind_state.fd, REWIND_BYTES) < 0)
			abort();
		rewind_map(MAP_SHARED);
	}
	if (room > REWIND_BYTES - rewind_state.used)
		abort();
	p = rewind_state.base + rewind_state.used;
	rewind_state.used += room;
	__asan_poison_memory_region(p + bytes, room - bytes);
	return p;
}

/* What was written until now is what rewind_back goes back to. */
static inline void rewind_keep(void)
{
	rewind_map(MAP_PRIVATE | MAP_FIXED);
}

static inline void rewind_back(void)
{
	if (madvise(rewind_state.base, rewind_state.used, MADV_DONTNEED))
		abort();
}

#endif
