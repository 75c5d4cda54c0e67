/* SipHash-2-4 against the vectors of its authors' paper and reference code (key 00..0f, input 00,
 * 01, 02 …). */
#include <criterion/criterion.h>

#include "hash.h"

static const struct hash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

Test(hash, vectors_of_the_authors)
{
	static const struct {
		size_t n;
		uint64_t want;
	} vectors[] = {
		{0, 0x726fdb47dd0e0e31},
		{1, 0x74f839c593dc67fd},
		{7, 0xab0200f58b01d137},
		{8, 0x93f5f5799a932462},
		{15, 0xa129ca6149be45e5}, /* the paper's appendix A */
		{63, 0x958a324ceb064572},
	};
	uint8_t input[64];

	for (int i = 0; i < 64; i++)
		input[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		cr_assert_eq(hash_sip(&key, input, vectors[i].n), vectors[i].want, "length %zu",
			vectors[i].n);
}

Test(hash, key_length_and_place_matter)
{
	const struct hash_key other = {key.k0 ^ 1, key.k1};
	const char text[] = "\0abcdefgh";

	cr_assert_neq(hash_sip(&key, text, 8), hash_sip(&other, text, 8));
	cr_assert_neq(
		hash_sip(&key, text, 0), hash_sip(&key, text, 1), "a zero byte is not nothing");
	cr_assert_eq(
		hash_sip(&key, "abcdefgh", 8), hash_sip(&key, text + 1, 8), "alignment does not");
}
