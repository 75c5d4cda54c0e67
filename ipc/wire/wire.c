/*
 * The Internet checksum. Sums are kept as host-order sums of big-endian 16-bit words, folded to 32
 * bits after every piece, so that pieces can be added in any number and the end result needs no
 * byte swap by the caller.
 */
#include "wire.h"

/* 64 bits down to 32 with end-around carry. */
static uint32_t fold64(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (uint32_t)((sum & 0xffffffff) + (sum >> 32));
}

uint32_t wire_sum(uint32_t sum, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint64_t native = 0, total;

	/* One's complement sums may be taken in any byte order and swapped once (RFC 1071, 2 B). */
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t word;
		memcpy(&word, p, sizeof(word));
		native += word;
		native += native < word;
	}
	native = (native & 0xffffffff) + (native >> 32);
	for (; n >= 2; n -= 2, p += 2) {
		uint16_t word;
		memcpy(&word, p, sizeof(word));
		native += word;
	}
	if (n) {
		uint16_t word = 0;
		memcpy(&word, p, 1);
		native += word;
	}
	total = fold64(native);
	total = (total & 0xffff) + (total >> 16);
	total = (total & 0xffff) + (total >> 16);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	total = __builtin_bswap16((uint16_t)total);
#endif
	return fold64(total + sum);
}

uint16_t wire_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t wire_pseudo_sum(uint32_t src_be, uint32_t dst_be, uint8_t protocol, uint16_t length)
{
	uint32_t sum = wire_sum(0, &src_be, sizeof(src_be));

	sum = wire_sum(sum, &dst_be, sizeof(dst_be));
	return sum + protocol + length;
}
