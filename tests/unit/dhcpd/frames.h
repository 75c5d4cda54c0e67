/* Client frames for the DHCP tests, byte by byte and independent of codec.c; and a reader of
 * answers. */
#ifndef NATLOCK_TESTS_DHCPD_FRAMES_H
#define NATLOCK_TESTS_DHCPD_FRAMES_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

struct frame {
	uint8_t b[2048];
	size_t n; /* so far; options follow */
};

static inline uint16_t frame_sum(uint32_t s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static inline void frame_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void frame_option(struct frame *f, uint8_t code, const void *value, size_t n)
{
	f->b[f->n++] = code;
	f->b[f->n++] = (uint8_t)n;
	memcpy(f->b + f->n, value, n);
	f->n += n;
}

static inline void frame_ip(struct frame *f, uint8_t code, const char *ip)
{
	uint32_t be = inet_addr(ip);
	frame_option(f, code, &be, 4);
}

/* A message of station 02:..:number with its type; xid = number. */
static inline struct frame frame_new(uint8_t type, uint32_t number)
{
	struct frame f = {.n = 14 + 20 + 8 + 240};
	uint8_t mac[6] = {
		2, 0, 0, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
	uint32_t xid = htonl(number);
	uint8_t *d = f.b + 42;
	memset(f.b, 0xff, 6);
	memcpy(f.b + 6, mac, 6);
	f.b[12] = 8;
	memcpy(d, "\1\1\6", 3);
	memcpy(d + 4, &xid, 4);
	memcpy(d + 28, mac, 6);
	memcpy(d + 236, "\143\202\123\143", 4);
	frame_option(&f, 53, &type, 1);
	return f;
}

/* Checksums again, after a change. */
static inline void frame_seal(struct frame *f)
{
	uint8_t *ip = f->b + 14, *udp = ip + 20;
	size_t udp_bytes = f->n - 34;
	frame_u16(ip + 10, 0);
	frame_u16(ip + 10, frame_sum(0, ip, 20));
	frame_u16(udp + 6, 0);
	uint32_t s = 17 + (uint32_t)udp_bytes;
	for (int i = 12; i < 20; i += 2)
		s += (uint32_t)ip[i] << 8 | ip[i + 1];
	uint16_t sum = frame_sum(s, udp, udp_bytes);
	frame_u16(udp + 6, sum ? sum : 0xffff);
}

/* Ends the options and writes the headers. */
static inline void frame_end(struct frame *f)
{
	uint8_t *ip = f->b + 14, *udp = ip + 20;
	f->b[f->n++] = 255;
	memcpy(ip, "\105\0", 2);
	frame_u16(ip + 2, (uint16_t)(f->n - 14));
	ip[8] = 64;
	ip[9] = 17;
	memset(ip + 16, 0xff, 4);
	frame_u16(udp, 68);
	frame_u16(udp + 2, 67);
	frame_u16(udp + 4, (uint16_t)(f->n - 34));
	frame_seal(f);
}

/* An answer, taken apart; the headers are checked on the way. */
struct answer {
	uint8_t type;
	uint32_t xid, to_ip_be, ciaddr_be, yiaddr_be, giaddr_be;
	uint16_t to_port, ip_bytes;
	const uint8_t *to_mac, *from_mac;
	const uint8_t *option[256]; /* at its length byte; NULL = absent */
	unsigned int last_option;
	uint8_t overload;
};

static inline void answer_options(struct answer *a, const uint8_t *p, const uint8_t *end)
{
	while (p < end && *p != 255) {
		if (*p == 0) {
			p++;
			continue;
		}
		cr_assert(p + 2 <= end && p + 2 + p[1] <= end, "option runs over");
		cr_assert_null(a->option[p[0]], "option %u twice", p[0]);
		a->option[p[0]] = p + 1;
		a->last_option = p[0];
		p += 2 + p[1];
	}
	cr_assert(p < end, "no end mark");
}

static inline struct answer answer_of(const uint8_t *b, size_t n)
{
	struct answer a = {0};
	const uint8_t *ip = b + 14, *udp = ip + 20, *d = udp + 8;
	cr_assert(n >= 342 && n <= 1514 && b[12] == 8 && b[13] == 0 && ip[0] == 0x45);
	a.ip_bytes = (uint16_t)(ip[2] << 8 | ip[3]);
	cr_assert_eq(a.ip_bytes, n - 14);
	cr_assert_eq(frame_sum(0, ip, 20), 0, "IP checksum");
	uint32_t s = 17 + a.ip_bytes - 20u;
	for (int i = 12; i < 20; i += 2)
		s += (uint32_t)ip[i] << 8 | ip[i + 1];
	cr_assert_eq(frame_sum(s, udp, n - 34), 0, "UDP checksum");
	cr_assert(udp[0] == 0 && udp[1] == 67 && d[0] == 2);
	a.to_mac = b;
	a.from_mac = b + 6;
	a.to_port = (uint16_t)(udp[2] << 8 | udp[3]);
	memcpy(&a.to_ip_be, ip + 16, 4);
	memcpy(&a.xid, d + 4, 4);
	a.xid = ntohl(a.xid);
	memcpy(&a.ciaddr_be, d + 12, 4);
	memcpy(&a.yiaddr_be, d + 16, 4);
	memcpy(&a.giaddr_be, d + 24, 4);
	answer_options(&a, d + 240, b + n);
	if (a.option[52]) {
		a.overload = a.option[52][1];
		if (a.overload & 1)
			answer_options(&a, d + 108, d + 236);
		if (a.overload & 2)
			answer_options(&a, d + 44, d + 108);
	}
	cr_assert(a.option[53] && a.option[53][0] == 1);
	a.type = a.option[53][1];
	return a;
}

static inline uint32_t answer_u32(const struct answer *a, uint8_t code)
{
	uint32_t v;
	cr_assert(a->option[code] && a->option[code][0] == 4, "option %u", code);
	memcpy(&v, a->option[code] + 1, 4);
	return ntohl(v);
}

#endif
