#include "pattern.h"

#include "clock.h"

static uint8_t byte_at(uint64_t seed, uint64_t at, uint64_t *word)
{
	if (at % 8 == 0 || !*word) {
		struct dice d = {seed * UINT64_C(0x100000001b3) + at / 8};
		*word = dice_roll(&d) | 1;
	}
	return (uint8_t)(*word >> at % 8 * 8);
}

void pattern_fill(uint64_t seed, uint64_t at, uint8_t *out, size_t n)
{
	uint64_t word = 0;
	for (size_t i = 0; i < n; i++)
		out[i] = byte_at(seed, at + i, &word);
}

size_t pattern_wrong(uint64_t seed, uint64_t at, const uint8_t *bytes, size_t n)
{
	uint64_t word = 0;
	size_t wrong = 0;
	for (size_t i = 0; i < n; i++)
		wrong += bytes[i] != byte_at(seed, at + i, &word);
	return wrong;
}
