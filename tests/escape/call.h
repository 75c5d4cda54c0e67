/* One system call as injected code would make it: a number, six arguments, and the bytes that they
 * point to. */
#ifndef NATLOCK_ESCAPE_CALL_H
#define NATLOCK_ESCAPE_CALL_H

#include <stddef.h>
#include <stdint.h>

enum { CALL_IMAGE = 4096, CALL_ARGUMENTS = 6 };

enum call_entry {
	CALL_SYSCALL, /* the 64-bit entry; x32 numbers go here too */
	CALL_INT80,   /* the 32-bit entry: other numbers, arguments of 32 bits */
};

struct call {
	enum call_entry entry;
	long number;
	uint64_t argument[CALL_ARGUMENTS];
	uint64_t base; /* where in the process the image will lie */
	size_t used;
	unsigned char image[CALL_IMAGE];
};

/* Adds bytes to the image, aligned to 16; returns the address that they will have in the process.
 * Aborts when the image is full: what we inject is ours. */
uint64_t call_put(struct call *c, const void *bytes, size_t count);

/* The same with zero bytes: room for an answer. */
uint64_t call_room(struct call *c, size_t count);

#endif
