/* The guest's side of segmentation, written from the standards and not from the code under test. See cut.h. */
#include <criterion/criterion.h>
#include <string.h>

#include "cut.h"
#include "world.h"

enum { IP = 14, L4 = 34, FIN_PSH = 0x09 };

static void put(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

void cut_finish(uint8_t *frame, uint32_t len, const struct wire_vnet *v)
{
	uint16_t sum;
	cr_assert(v->csum_start + v->csum_offset + 2u <= len);
	sum = sum16(frame + v->csum_start, len - v->csum_start, 0);
	put(frame + v->csum_start + v->csum_offset, sum ? sum : 0xffff);
}

static uint32_t pseudo(const uint8_t *ip, uint32_t length)
{
	return get(ip + 12) + get(ip + 14) + get(ip + 16) + get(ip + 18) + ip[9] + length;
}

static void cut_tcp(uint8_t *one, uint32_t at, bool last)
{
	uint32_t seq = (get(one + L4 + 4) << 16 | get(one + L4 + 6)) + at;
	put(one + L4 + 4, seq >> 16);
	put(one + L4 + 6, seq);
	if (!last)
		one[L4 + 13] &= (uint8_t)~FIN_PSH;
}

uint32_t cut_next(
	const uint8_t *frame, uint32_t len, const struct wire_vnet *v, uint32_t index, uint8_t *one)
{
	const uint32_t header = v->hdr_len, at = index * v->gso_size;
	const bool udp = v->gso_type == WIRE_GSO_UDP;
	const uint32_t field = L4 + (udp ? 6 : 16);
	uint32_t n;
	cr_assert(v->gso_size && len > header + v->gso_size);
	cr_assert(udp || v->gso_type == WIRE_GSO_TCP4);
	cr_assert(v->flags & WIRE_VNET_NEEDS_CSUM);
	cr_assert_eq(v->csum_start + v->csum_offset, (int)field);
	if (at >= len - header)
		return 0;
	n = len - header - at < v->gso_size ? len - header - at : v->gso_size;
	memcpy(one, frame, header);
	memcpy(one + header, frame + header + at, n);
	put(one + IP + 2, header - IP + n);
	put(one + IP + 10, 0);
	put(one + IP + 10, sum16(one + IP, 20, 0));
	if (udp)
		put(one + L4 + 4, header - L4 + n);
	else
		cut_tcp(one, at, at + n == len - header);
	put(one + field, 0);
	put(one + field, sum16(one + L4, header - L4 + n, pseudo(one + IP, header - L4 + n)));
	return header + n;
}
