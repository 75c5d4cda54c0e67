/*
 * Software segmentation against an independent computation: the frames are made flat, each checksum
 * is verified as a receiver would (the sum over everything, checksum included, is 0xffff), and the
 * payload put together again must be the original.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "segment.h"
#include "vnet.h"

enum kind { TCP4, TCP6, UDP4, UDP6 };

static uint32_t seed = 1;
static uint8_t super[66000], flat[66000], rebuilt[66000];
static struct segment s;

static uint32_t roll(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* RFC 1071 by the letter, on big-endian words. */
static uint32_t plain_sum(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

struct shape {
	enum kind kind;
	uint32_t network, transport, headers, bytes;
	uint8_t protocol;
	bool ip6;
};

/* A super-frame with random contents: optional tag, IP and TCP options. */
static struct shape make(enum kind kind, bool tag, uint32_t options, uint32_t payload)
{
	struct shape h = {
		.kind = kind, .network = tag ? 18 : 14, .ip6 = kind == TCP6 || kind == UDP6};
	uint8_t *p = super;
	bool tcp = kind == TCP4 || kind == TCP6;
	for (size_t i = 0; i < sizeof super; i++)
		super[i] = (uint8_t)roll(256);
	h.protocol = tcp ? 6 : 17;
	if (tag)
		memcpy(p + 12, (uint8_t[]){0x81, 0, 0, 7}, 4);
	memcpy(p + h.network - 2, h.ip6 ? (uint8_t[]){0x86, 0xdd} : (uint8_t[]){8, 0}, 2);
	p += h.network;
	if (h.ip6) {
		p[0] = 0x60;
		p[6] = h.protocol;
		h.transport = h.network + 40;
	} else {
		p[0] = (uint8_t)(0x45 + (options & 3));
		p[9] = h.protocol;
		h.transport = h.network + 20 + (options & 3) * 4;
	}
	h.headers = h.transport + 8;
	if (tcp) {
		super[h.transport + 12] = (uint8_t)((5 + options) << 4);
		h.headers = h.transport + 20 + options * 4;
	}
	h.bytes = h.headers + payload;
	return h;
}

/* The frame in one to five pieces, cut anywhere behind the headers (odd lengths included) or even
 * inside them. */
static struct frame in_pieces(uint32_t bytes, uint32_t from)
{
	struct frame f = {.bytes = bytes, .pieces = (int)(1 + roll(5))};
	uint32_t at = 0;
	for (int i = 0; i < f.pieces; i++) {
		uint32_t left = bytes - at, take = left;
		if (i < f.pieces - 1)
			take = i == 0 && from < left ? from + roll(left - from) : roll(left + 1);
		f.piece[i] = (struct iovec){super + at, take};
		at += take;
	}
	return f;
}

static uint32_t flatten(const struct frame *f)
{
	uint32_t at = 0;
	for (int i = 0; i < f->pieces; i++) {
		memcpy(flat + at, f->piece[i].iov_base, f->piece[i].iov_len);
		at += (uint32_t)f->piece[i].iov_len;
	}
	cr_assert_eq(at, f->bytes);
	return at;
}

/* Whether the flat frame's checksums are what a receiver wants. */
static void check_sums(const struct shape *h, uint32_t bytes)
{
	const uint8_t *ip = flat + h->network, *l4 = flat + h->transport;
	uint32_t length = bytes - h->transport, sum = h->protocol + length;
	if (h->ip6) {
		cr_assert_eq(be16(ip + 4), length);
		sum = plain_sum(sum, ip + 8, 32);
	} else {
		cr_assert_eq(be16(ip + 2), bytes - h->network);
		cr_assert_eq(plain_sum(0, ip, h->transport - h->network), 0xffff, "IPv4 header");
		sum = plain_sum(sum, ip + 12, 8);
	}
	cr_assert_eq(plain_sum(sum, l4, length), 0xffff, "transport checksum");
	if (h->protocol == 17)
		cr_assert_neq(be16(l4 + 6), 0, "zero would mean no checksum");
}

static uint32_t be32(const uint8_t *p)
{
	return be16(p) << 16 | be16(p + 2);
}

/* What changes from segment to segment, and what must not. */
static void check_fields(
	const struct shape *h, uint32_t index, uint32_t at, bool last, uint32_t bytes)
{
	const uint8_t *a = super + h->transport, *b = flat + h->transport;
	cr_assert_eq(memcmp(super, flat, h->network), 0, "Ethernet header");
	if (!h->ip6)
		cr_assert_eq(be16(flat + h->network + 4),
			(be16(super + h->network + 4) + index) & 0xffff);
	cr_assert_eq(memcmp(a, b, 4), 0, "ports");
	if (h->protocol == 17) {
		cr_assert_eq(be16(b + 4), bytes - h->transport);
		return;
	}
	cr_assert_eq(be32(b + 4), be32(a + 4) + at);
	cr_assert_eq(memcmp(a + 8, b + 8, 5), 0, "acknowledgment and offset");
	cr_assert_eq(b[13] & 0x09, last ? a[13] & 0x09 : 0, "FIN and PSH");
	cr_assert_eq(b[13] & 0x80, index == 0 ? a[13] & 0x80 : 0, "CWR");
	cr_assert_eq(b[13] & 0x76, a[13] & 0x76);
	cr_assert_eq(memcmp(a + 14, b + 14, 2), 0, "window");
	cr_assert_eq(memcmp(a + 18, b + 18, h->headers - h->transport - 18), 0,
		"urgent pointer and options");
}

static void cut_and_check(
	enum kind kind, bool tag, uint32_t options, uint32_t payload, uint16_t step)
{
	static const uint8_t types[] = {VNET_GSO_TCP4, VNET_GSO_TCP6, VNET_GSO_UDP, VNET_GSO_UDP};
	struct shape h = make(kind, tag, options, payload);
	struct frame f = in_pieces(h.bytes, roll(2) ? h.headers : 0), out;
	uint32_t at = 0, count = 0, expected = payload ? (payload + step - 1) / step : 1;
	f.vnet = (struct wire_vnet){.flags = 1,
		.gso_type = types[kind],
		.gso_size = step,
		.csum_start = (uint16_t)h.transport};
	memcpy(rebuilt, super, sizeof super);
	cr_assert_eq(segment_open(&s, &f), 0);
	while (segment_next(&s, &out)) {
		uint32_t n = flatten(&out), here = n - h.headers;
		bool last = at + here == payload;
		cr_assert(here == step || last);
		cr_assert_eq(memcmp(&out.vnet, &(struct wire_vnet){0}, sizeof out.vnet), 0);
		check_sums(&h, n);
		check_fields(&h, count, at, last, n);
		cr_assert_eq(memcmp(flat + h.headers, super + h.headers + at, here), 0);
		at += here;
		count++;
	}
	cr_assert_eq(at, payload);
	cr_assert_eq(count, expected);
	cr_assert_eq(memcmp(super, rebuilt, sizeof super), 0, "the original is not written to");
}

Test(segment, random_super_frames_of_every_kind)
{
	for (int i = 0; i < 400; i++) {
		uint32_t payload = roll(4) ? roll(65000) : roll(3000);
		cut_and_check((enum kind)(i % 4), roll(2), roll(11), payload,
			(uint16_t)(48 + roll(3000)));
	}
}

Test(segment, edges_of_the_segment_size)
{
	for (int kind = 0; kind < 4; kind++)
		for (uint32_t payload = 0; payload < 301; payload++)
			cut_and_check((enum kind)kind, false, 0, payload, 100);
	cut_and_check(TCP4, true, 10, 65000, 65000);
	cut_and_check(TCP4, true, 10, 65000, 64999);
	cut_and_check(TCP4, false, 3, SEGMENTS_MAX, 1);
}

Test(segment, lone_checksums_at_any_place)
{
	for (int i = 0; i < 2000; i++) {
		uint32_t start = 14 + roll(80), offset = 2 * roll(20),
			 bytes = start + offset + 2 + roll(2000), n, sum;
		struct frame f, out;
		for (uint32_t k = 0; k < bytes; k++)
			super[k] = (uint8_t)roll(256);
		f = in_pieces(bytes, 0);
		f.vnet = (struct wire_vnet){
			.flags = 1, .csum_start = (uint16_t)start, .csum_offset = (uint16_t)offset};
		sum = plain_sum(0, super + start, bytes - start);
		cr_assert_eq(segment_open(&s, &f), 0);
		cr_assert(segment_next(&s, &out));
		n = flatten(&out);
		cr_assert_eq(n, bytes);
		sum = ~sum & 0xffff;
		cr_assert_eq(be16(flat + start + offset), sum ? sum : 0xffff);
		flat[start + offset] = super[start + offset];
		flat[start + offset + 1] = super[start + offset + 1];
		cr_assert_eq(memcmp(flat, super, bytes), 0, "nothing else changed");
		cr_assert_not(segment_next(&s, &out));
	}
}

Test(segment, refuses_what_does_not_fit_together)
{
	struct frame f;
	struct shape h = make(TCP4, false, 0, 5000);
#define REFUSED(TYPE, SIZE, BYTES)                                                                 \
	f = (struct frame){.piece = {{super, BYTES}}, .pieces = 1, .bytes = BYTES};                \
	f.vnet = (struct wire_vnet){.flags = 1, .gso_type = TYPE, .gso_size = SIZE};               \
	cr_assert_eq(segment_open(&s, &f), -EINVAL)
	REFUSED(VNET_GSO_TCP6, 1448, h.bytes);
	REFUSED(VNET_GSO_UDP, 1448, h.bytes);
	REFUSED(VNET_GSO_TCP4, 3, h.bytes); /* 1667 segments: work multiplied */
	for (uint32_t n = 14; n < h.headers; n++) {
		REFUSED(VNET_GSO_TCP4, 1448, n);
	}
	super[h.transport + 12] = 0x40;
	REFUSED(VNET_GSO_TCP4, 1448, h.bytes);
	super[h.transport + 12] = 0xf0;
	REFUSED(VNET_GSO_TCP4, 1448, h.headers + 39);
	super[h.transport + 12] = 0x50;
	super[14] = 0x44;
	REFUSED(VNET_GSO_TCP4, 1448, h.bytes);
	super[14] = 0x65;
	REFUSED(VNET_GSO_TCP4, 1448, h.bytes);
	super[14] = 0x45;
	super[12] = 0x12;
	REFUSED(VNET_GSO_TCP4, 1448, h.bytes);
	h = make(UDP4, false, 0, 5000);
	REFUSED(VNET_GSO_TCP4, 1448, h.bytes);
	REFUSED(VNET_GSO_UDP, 1448, h.bytes); /* the checksum is said to be elsewhere */
	f.vnet.csum_start = (uint16_t)h.transport;
	cr_assert_eq(segment_open(&s, &f), 0);
	f.vnet = (struct wire_vnet){.flags = 1, .csum_start = 200, .csum_offset = 16};
	cr_assert_eq(segment_open(&s, &f), -EINVAL, "a checksum field beyond any header");
}
