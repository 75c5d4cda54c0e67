#include "per.h"

enum {
	OCTET = 8,	    /* bits */
	OCTET_VALUES = 256, /* a range of so many values takes one aligned octet; more take two */
	TWO_OCTETS =
		0xffff, /* the greatest number in them; ranges beyond say how many octets follow */
	SMALL_BITS = 6, /* of a normally small number, and of such a length less 1 */
	LONG_LENGTH = 0x80,
	FRAGMENT = 0x40,
};

void per_begin(struct per *r, const uint8_t *p, size_t n)
{
	*r = (struct per){.p = p, .end = n * OCTET};
}

static bool has(struct per *r, uint64_t bits)
{
	if (bits > r->end - r->at)
		r->failed = true;
	return !r->failed;
}

uint32_t per_bits(struct per *r, unsigned int bits)
{
	uint64_t value = 0;
	if (!has(r, bits))
		return 0;
	unsigned int past = (unsigned int)(r->at % OCTET); /* of the first octet */
	for (unsigned int got = 0; got < past + bits; got += OCTET)
		value = value << OCTET | r->p[(r->at + got) / OCTET];
	r->began = r->at;
	value >>= (OCTET - (past + bits) % OCTET) % OCTET;
	r->at += bits;
	return (uint32_t)(value & ((1ull << bits) - 1));
}

void per_skip(struct per *r, uint64_t bits)
{
	if (!has(r, bits))
		return;
	r->began = r->at;
	r->at += bits;
}

bool per_bit_at(const struct per *r, size_t at)
{
	return r->p[at / OCTET] & LONG_LENGTH >> at % OCTET;
}

void per_align(struct per *r)
{
	per_skip(r, (OCTET - r->at % OCTET) % OCTET);
}

static unsigned int bits_of(uint32_t number)
{
	return number ? 32 - (unsigned int)__builtin_clz(number) : 0;
}

/* A number in octets of its own, of which there are 1..4. */
static uint32_t octets(struct per *r, uint32_t n)
{
	per_align(r);
	if (n < 1 || n > sizeof(uint32_t))
		r->failed = true;
	return r->failed ? 0 : per_bits(r, n * OCTET);
}

uint32_t per_range(struct per *r, uint32_t range)
{
	uint32_t value;
	if (range < OCTET_VALUES - 1)
		value = per_bits(r, bits_of(range));
	else if (range <= TWO_OCTETS)
		value = octets(r, range < OCTET_VALUES ? 1 : 2);
	else
		value = octets(r, per_range(r, (bits_of(range) - 1) / OCTET) + 1);
	if (value > range)
		r->failed = true;
	return r->failed ? 0 : value;
}

uint32_t per_length(struct per *r)
{
	per_align(r);
	uint32_t first = per_bits(r, OCTET);
	if (!(first & LONG_LENGTH))
		return first;
	if (first & FRAGMENT)
		r->failed = true;
	return r->failed ? 0 : (first & ~(uint32_t)LONG_LENGTH) << OCTET | per_bits(r, OCTET);
}

uint32_t per_small(struct per *r)
{
	return per_bits(r, 1) ? octets(r, per_length(r)) : per_bits(r, SMALL_BITS);
}

uint32_t per_small_length(struct per *r)
{
	if (!per_bits(r, 1))
		return r->failed ? 0 : per_bits(r, SMALL_BITS) + 1;
	return per_length(r);
}

size_t per_enter(struct per *r, uint32_t n)
{
	size_t outer = r->end;
	if (has(r, (uint64_t)n * OCTET))
		r->end = r->at + (size_t)n * OCTET;
	return outer;
}

void per_leave(struct per *r, size_t outer)
{
	if (!r->failed)
		r->at = r->end;
	r->end = outer;
}
