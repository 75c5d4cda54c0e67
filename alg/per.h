/*
 * Reads aligned PER (ITU-T X.691) as far as H.323 needs it: bits, whole numbers, lengths, and types that lie in octets of their
 * own. Pure.
 *
 * Errors stick: after one every call returns 0 and moves nothing. Nothing outside p[0..n) is read, and within an open type
 * nothing outside of it. Fragments (X.691 10.9.3.8: 16K and more of anything) are an error.
 */
#ifndef NATLOCK_ALG_PER_H
#define NATLOCK_ALG_PER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct per {
	const uint8_t *p;
	size_t at, end; /* bits from p */
	size_t began; /* where what was read or passed over last begins; of a whole number, behind its padding and length */
	bool failed;
};

/* n is below 2^60. */
void per_begin(struct per *r, const uint8_t *p, size_t n);
/* That many bits, at most 32, as a number. */
uint32_t per_bits(struct per *r, unsigned int bits);
/* Passes over so many bits. */
void per_skip(struct per *r, uint64_t bits);
/* A bit that was passed over. */
bool per_bit_at(const struct per *r, size_t at);
/* To the next octet. */
void per_align(struct per *r);
/* A constrained whole number less its lower bound: 0..range (10.5.7). */
uint32_t per_range(struct per *r, uint32_t range);
/* A length in full (10.9.3.5 to 7), below 16384. */
uint32_t per_length(struct per *r);
/* A normally small number (10.6), and a normally small length (10.9.3.4). */
uint32_t per_small(struct per *r);
uint32_t per_small_length(struct per *r);
/* From here on only the next n octets are there, until per_leave with what per_enter returned: it goes behind them, whether they
 * were read or not. The reader is aligned. */
size_t per_enter(struct per *r, uint32_t n);
void per_leave(struct per *r, size_t outer);

#endif
