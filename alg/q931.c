/*
 *   message = 8  2 reference(2)  type  *element          reference: the flag is its highest bit
 *   element = octet of 128 and up                        of one octet
 *           | 126 length(2) 5 octets                     user-user: once, ASN.1 (H.225.0 7.2.2.31)
 *           | octet length octets
 *
 * Elements must fill the message exactly. What they say is nobody's business here, but of the user-user element.
 */
#include "q931.h"

enum {
	DISCRIMINATOR = 8,
	REFERENCE_BYTES = 2,
	HEADER_BYTES = 5,
	REFERENCE_FLAG = 0x8000,
	SINGLE_OCTET = 0x80,
	USER_USER = 0x7e,
	USER_ASN1 = 5,
};

static uint16_t read_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* The element at p[0..n), n > 0: how long it is, 0 where it is not whole. */
static size_t element_bytes(const uint8_t *p, size_t n)
{
	if (p[0] & SINGLE_OCTET)
		return 1;
	const size_t header = p[0] == USER_USER ? 3 : 2;
	if (n < header)
		return 0;
	const size_t bytes = header + (header == 3 ? read_u16(p + 1) : p[1]);
	return bytes > n ? 0 : bytes;
}

static bool take_user(struct q931 *m, const uint8_t *p, size_t bytes)
{
	if (m->user || bytes < 4 || p[3] != USER_ASN1)
		return false;
	m->user = p + 4;
	m->user_bytes = bytes - 4;
	return true;
}

bool q931_read(const uint8_t *p, size_t n, struct q931 *m)
{
	if (n < HEADER_BYTES || p[0] != DISCRIMINATOR || p[1] != REFERENCE_BYTES)
		return false;
	const uint16_t reference = read_u16(p + 2);
	*m = (struct q931){.reference = reference & (uint16_t)~REFERENCE_FLAG,
		.answers = reference & REFERENCE_FLAG,
		.type = p[4]};
	for (size_t at = HEADER_BYTES, bytes; at < n; at += bytes) {
		bytes = element_bytes(p + at, n - at);
		if (!bytes || (p[at] == USER_USER && !take_user(m, p + at, bytes)))
			return false;
	}
	return true;
}
