/* Frames for tests of alg/replay: IPv4 with TCP or UDP, of link type RAW unless a header goes before. */
#ifndef NATLOCK_TESTS_ALG_FRAMES_H
#define NATLOCK_TESTS_ALG_FRAMES_H

#include <arpa/inet.h>
#include <string.h>

#include "packet.h"
#include "wire/wire.h"

enum { FRAME_RAW = 101, FRAME_IP = 20, FRAME_TCP = 20, FRAME_UDP = 8 };

struct frame {
	uint8_t bytes[70000];
	size_t size;
};

struct ends {
	const char *src;
	uint16_t src_port;
	const char *dst;
	uint16_t dst_port;
};

static inline void frame_ip(
	struct frame *f, const struct ends *ends, uint8_t protocol, size_t transport)
{
	struct wire_out w = wire_out(f->bytes, sizeof(f->bytes));
	wire_put(&w, "\x45\0", 2);
	wire_put_u16(&w, (uint16_t)(FRAME_IP + transport));
	wire_put(&w, "\x12\x34\x40\0\x40", 5);
	wire_put_u8(&w, protocol);
	wire_put_u16(&w, 0);
	const uint32_t src = inet_addr(ends->src), dst = inet_addr(ends->dst);
	wire_put(&w, &src, 4);
	wire_put(&w, &dst, 4);
	f->size = FRAME_IP + transport;
}

static inline void frame_tcp(struct frame *f, const struct ends *ends, uint32_t seq, uint32_t ack,
	uint8_t flags, const void *payload, size_t n)
{
	frame_ip(f, ends, 6, FRAME_TCP + n);
	struct wire_out w = wire_out(f->bytes + FRAME_IP, sizeof(f->bytes) - FRAME_IP);
	wire_put_u16(&w, ends->src_port);
	wire_put_u16(&w, ends->dst_port);
	wire_put_u32(&w, seq);
	wire_put_u32(&w, ack);
	wire_put_u8(&w, 5 << 4);
	wire_put_u8(&w, flags);
	wire_put_u16(&w, 512);
	wire_put_u32(&w, 0);
	wire_put(&w, payload, n);
}

static inline void frame_udp(
	struct frame *f, const struct ends *ends, const void *payload, size_t n)
{
	frame_ip(f, ends, 17, FRAME_UDP + n);
	struct wire_out w = wire_out(f->bytes + FRAME_IP, sizeof(f->bytes) - FRAME_IP);
	wire_put_u16(&w, ends->src_port);
	wire_put_u16(&w, ends->dst_port);
	wire_put_u16(&w, (uint16_t)(FRAME_UDP + n));
	wire_put_u16(&w, 0xffff);
	wire_put(&w, payload, n);
}

/* Whether the check sums of a frame of link type RAW are right. */
static inline bool frame_sums_fit(const uint8_t *frame, const struct packet *p)
{
	const uint8_t *ip = frame + p->ip_at, *transport = frame + p->transport_at;
	const uint16_t bytes = (uint16_t)((ip[2] << 8 | ip[3]) - (int)(p->transport_at - p->ip_at));
	return wire_fold(wire_sum(0, ip, p->transport_at - p->ip_at)) == 0 &&
	       wire_fold(wire_sum(
		       wire_pseudo_sum(p->src_ip_be, p->dst_ip_be, p->stream ? 6 : 17, bytes),
		       transport, bytes)) == 0;
}

#endif
