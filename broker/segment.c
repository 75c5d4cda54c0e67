/*
 * Theory of operation
 *
 *     super-frame   [eth ip tcp][ payload ........................ ]
 *     cut           [eth ip tcp][ step ]  [eth ip tcp][ step ]  [eth ip tcp][ rest ]
 *                    ▲ rewritten in s->header  ▲ points into the super-frame
 *
 * What changes from segment to segment (Linux's own segmentation does the same): IPv4 total length,
 * identification and header checksum, or IPv6 payload length; TCP sequence number, FIN and PSH only
 * on the last, CWR only on the first (RFC 3168 6.1.2), UDP length; the transport checksum, computed
 * afresh. The IP headers are read where the frame says they are, not where the vnet header does:
 * the latter decides only where a lone checksum goes.
 *
 * Pieces may have odd lengths, and RFC 1071's sum is one of 16-bit words: a piece that starts at an
 * odd offset has its own sum byte-swapped before it is added (RFC 1071 2 (B)).
 */
#include "segment.h"

#include <errno.h>
#include <string.h>

#include "vnet.h"

enum {
	SEGMENT_IP4_MIN = 20,
	SEGMENT_IP6_HEADER = 40,
	SEGMENT_TCP_MIN = 20,
	SEGMENT_UDP_HEADER = 8,
	SEGMENT_TCP_CHECKSUM = 16,
	SEGMENT_UDP_CHECKSUM = 6,
	SEGMENT_ETHERTYPE_TAG = 0x8100,
	SEGMENT_ETHERTYPE_IP6 = 0x86dd,
	TCP_FIN = 0x01,
	TCP_PSH = 0x08,
	TCP_CWR = 0x80,
};

struct segment_sum {
	uint32_t sum;
	bool odd;
};

static uint16_t segment_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void segment_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void segment_put32(uint8_t *p, uint32_t v)
{
	segment_put16(p, v >> 16);
	segment_put16(p + 2, v);
}

/* Pieces that hold bytes [at, at + n) of a frame; returns how many. */
static int segment_slice(const struct frame *f, uint32_t at, uint32_t n, struct iovec *out)
{
	int count = 0;
	for (int i = 0; i < f->pieces && n; i++) {
		uint32_t length = (uint32_t)f->piece[i].iov_len;
		uint32_t use;
		if (at >= length) {
			at -= length;
			continue;
		}
		use = length - at < n ? length - at : n;
		out[count++] = (struct iovec){(uint8_t *)f->piece[i].iov_base + at, use};
		n -= use;
		at = 0;
	}
	return count;
}

static void segment_sum_add(struct segment_sum *t, const void *bytes, size_t n)
{
	uint32_t part = wire_sum(0, bytes, n);
	part = (part & 0xffff) + (part >> 16);
	part = (part & 0xffff) + (part >> 16);
	t->sum += t->odd ? (part >> 8 | (part & 0xff) << 8) : part;
	t->odd ^= n & 1;
}

static uint16_t segment_sum_fold(const struct segment_sum *t)
{
	uint16_t field = wire_fold(t->sum);
	return field ? field : 0xffff;
}

/* Copies the first n bytes of the frame; false when it has fewer or they are more than any header.
 */
static bool segment_copy_headers(struct segment *s, uint32_t n)
{
	struct iovec piece[FRAME_PIECES];
	uint32_t at = 0;
	int pieces;
	if (n > SEGMENT_HEADER_MAX || n > s->frame->bytes)
		return false;
	pieces = segment_slice(s->frame, 0, n, piece);
	for (int i = 0; i < pieces; i++) {
		memcpy(s->original + at, piece[i].iov_base, piece[i].iov_len);
		at += (uint32_t)piece[i].iov_len;
	}
	s->headers = n;
	return true;
}

/* Finds the IP header and from it the transport header and protocol. At least 64 bytes or the whole
 * frame are copied. */
static bool segment_parse_network(struct segment *s)
{
	const uint8_t *h = s->original;
	uint16_t type = segment_get16(h + 12);
	s->network = ETH_HEADER_BYTES;
	if (type == SEGMENT_ETHERTYPE_TAG) {
		type = segment_get16(h + 16);
		s->network += FRAME_TAG_BYTES;
	}
	h += s->network;
	s->ip6 = type == SEGMENT_ETHERTYPE_IP6;
	if (s->ip6) {
		s->protocol = h[6];
		s->transport = s->network + SEGMENT_IP6_HEADER;
		return h[0] >> 4 == 6;
	}
	s->protocol = h[9];
	s->identification = segment_get16(h + 4);
	s->transport = s->network + (h[0] & 15) * 4u;
	return type == ETHERTYPE_IP4 && h[0] >> 4 == 4 && (h[0] & 15) * 4 >= SEGMENT_IP4_MIN;
}

static bool segment_gso_fits(const struct segment *s)
{
	switch (vnet_gso(&s->frame->vnet)) {
	case VNET_GSO_TCP4: return !s->ip6 && s->protocol == IP_PROTO_TCP;
	case VNET_GSO_TCP6: return s->ip6 && s->protocol == IP_PROTO_TCP;
	case VNET_GSO_UDP:
		return s->protocol == IP_PROTO_UDP && s->frame->vnet.csum_start == s->transport;
	default: return false;
	}
}

/* Length of the transport header, 0 when it is malformed. All of it is copied if the frame has it.
 */
static uint32_t segment_parse_transport(struct segment *s)
{
	const uint8_t *h = s->original + s->transport;
	uint32_t length;
	if (s->protocol == IP_PROTO_UDP)
		return SEGMENT_UDP_HEADER;
	s->sequence = (uint32_t)segment_get16(h + 4) << 16 | segment_get16(h + 6);
	s->tcp_flags = h[13];
	length = (h[12] >> 4) * 4u;
	return length >= SEGMENT_TCP_MIN ? length : 0;
}

static int segment_open_gso(struct segment *s)
{
	const struct frame *f = s->frame;
	uint32_t length, payload;
	if (!segment_copy_headers(s, f->bytes < SEGMENT_HEADER_MAX ? f->bytes : SEGMENT_HEADER_MAX))
		return -EINVAL;
	if (!segment_parse_network(s) || !segment_gso_fits(s))
		return -EINVAL;
	length = segment_parse_transport(s);
	s->headers = s->transport + length;
	if (!length || s->headers > SEGMENT_HEADER_MAX || s->headers > f->bytes)
		return -EINVAL;
	payload = f->bytes - s->headers;
	s->step = f->vnet.gso_size;
	return payload > (uint64_t)s->step * SEGMENTS_MAX ? -EINVAL : 0;
}

int segment_open(struct segment *s, const struct frame *f)
{
	const struct wire_vnet *v = &f->vnet;
	memset(s->original, 0, sizeof s->original);
	s->frame = f;
	s->at = 0;
	s->step = 0;
	s->finished = false;
	if (v->gso_type != VNET_GSO_NONE)
		return segment_open_gso(s);
	s->transport = v->csum_start;
	return segment_copy_headers(s, (uint32_t)v->csum_start + v->csum_offset + 2) ? 0 : -EINVAL;
}

/* The one frame of a cut that only completes a checksum: its field holds the pseudo-header's sum.
 */
static void segment_complete(struct segment *s, struct frame *out)
{
	struct segment_sum t = {0};
	memcpy(s->header, s->original, s->headers);
	segment_sum_add(&t, s->header + s->transport, s->headers - s->transport);
	for (int i = 1; i < out->pieces; i++)
		segment_sum_add(&t, out->piece[i].iov_base, out->piece[i].iov_len);
	segment_put16(s->header + s->headers - 2, segment_sum_fold(&t));
}

static void segment_write_network(struct segment *s, uint32_t bytes)
{
	uint8_t *ip = s->header + s->network;
	if (s->ip6) {
		segment_put16(ip + 4, bytes - s->network - SEGMENT_IP6_HEADER);
		return;
	}
	segment_put16(ip + 2, bytes - s->network);
	segment_put16(ip + 4, s->identification++);
	segment_put16(ip + 10, 0);
	segment_put16(ip + 10, wire_fold(wire_sum(0, ip, s->transport - s->network)));
}

/* Sum of the pseudo-header (RFC 9293 3.1, RFC 8200 8.1) for a transport length. */
static uint32_t segment_pseudo(const struct segment *s, uint32_t length)
{
	const uint8_t *ip = s->header + s->network;
	uint8_t tail[8] = {0, 0, (uint8_t)(length >> 8), (uint8_t)length, 0, 0, 0, s->protocol};
	uint32_t source, destination;
	if (s->ip6)
		return wire_sum(wire_sum(0, ip + 8, 32), tail, sizeof tail);
	memcpy(&source, ip + 12, 4);
	memcpy(&destination, ip + 16, 4);
	return wire_pseudo_sum(source, destination, s->protocol, (uint16_t)length);
}

static void segment_write_transport(struct segment *s, struct frame *out, bool first, bool last)
{
	uint8_t *h = s->header + s->transport;
	uint32_t length = out->bytes - s->transport;
	bool tcp = s->protocol == IP_PROTO_TCP;
	uint8_t *field = h + (tcp ? SEGMENT_TCP_CHECKSUM : SEGMENT_UDP_CHECKSUM);
	struct segment_sum t = {.sum = segment_pseudo(s, length)};
	if (tcp) {
		segment_put32(h + 4, s->sequence + s->at);
		h[13] = s->tcp_flags &
			(uint8_t) ~((last ? 0 : TCP_FIN | TCP_PSH) | (first ? 0 : TCP_CWR));
	} else {
		segment_put16(h + 4, length);
	}
	segment_put16(field, 0);
	segment_sum_add(&t, h, s->headers - s->transport);
	for (int i = 1; i < out->pieces; i++)
		segment_sum_add(&t, out->piece[i].iov_base, out->piece[i].iov_len);
	segment_put16(field, segment_sum_fold(&t));
}

bool segment_next(struct segment *s, struct frame *out)
{
	uint32_t left = s->frame->bytes - s->headers - s->at;
	uint32_t take = s->step && left > s->step ? s->step : left;
	if (s->finished)
		return false;
	s->finished = take == left;
	out->vnet = (struct wire_vnet){0};
	out->piece[0] = (struct iovec){s->header, s->headers};
	out->pieces = 1 + segment_slice(s->frame, s->headers + s->at, take, out->piece + 1);
	out->bytes = s->headers + take;
	if (!s->step) {
		segment_complete(s, out);
		return true;
	}
	memcpy(s->header, s->original, s->headers);
	segment_write_network(s, out->bytes);
	segment_write_transport(s, out, s->at == 0, s->finished);
	s->at += take;
	return true;
}
