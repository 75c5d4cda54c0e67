/* Bytes that are a function of (seed, offset): each end of a stream makes and checks any part of it without the rest. */
#ifndef NATLOCK_TESTS_SIM_PATTERN_H
#define NATLOCK_TESTS_SIM_PATTERN_H

#include <stddef.h>
#include <stdint.h>

void pattern_fill(uint64_t seed, uint64_t at, uint8_t *out, size_t n);
/* How many of the bytes are not what they should be. */
size_t pattern_wrong(uint64_t seed, uint64_t at, const uint8_t *bytes, size_t n);

#endif
