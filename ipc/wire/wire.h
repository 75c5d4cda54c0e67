/*
 * Reading and writing network headers: a bounded cursor whose errors stick, and the checksum.
 *
 * A cursor that ran out returns zeros from then on and wire_ok() says so once at the end: parsers read a whole
 * header straight through and check one flag. Values are in host order; _be names stay in network order. Pure.
 */
#ifndef NATLOCK_IPC_WIRE_H
#define NATLOCK_IPC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct wire_in {
	const uint8_t *p, *end;
	bool short_read;
};
/* Nothing may be at NULL, as protobuf-c has an empty field: C knows no sum of NULL and 0. */
static inline struct wire_in wire_in(const void *p, size_t n)
{
	const uint8_t *bytes = (const uint8_t *)p;
	return (struct wire_in){bytes, n ? bytes + n : bytes, false};
}
static inline size_t wire_left(const struct wire_in *w)
{
	return (size_t)(w->end - w->p);
}
static inline bool wire_ok(const struct wire_in *w)
{
	return !w->short_read;
}
/* The next n bytes, or NULL (and the error sticks). */
static inline const uint8_t *wire_bytes(struct wire_in *w, size_t n)
{
	const uint8_t *p = w->p;
	if (n > wire_left(w)) {
		w->short_read = true;
		w->p = w->end;
		return NULL;
	}
	w->p += n;
	return p;
}
static inline uint8_t wire_u8(struct wire_in *w)
{
	const uint8_t *p = wire_bytes(w, 1);
	return p ? p[0] : 0;
}
static inline uint16_t wire_u16(struct wire_in *w)
{
	const uint8_t *p = wire_bytes(w, 2);
	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}
static inline uint32_t wire_u32(struct wire_in *w)
{
	const uint8_t *p = wire_bytes(w, 4);
	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}
static inline uint32_t wire_u32_be(struct wire_in *w) /* as it lies there: an IPv4 address */
{
	uint32_t v = 0;
	const uint8_t *p = wire_bytes(w, 4);
	if (p)
		memcpy(&v, p, 4);
	return v;
}

struct wire_out {
	uint8_t *start, *p, *end;
	bool overflow;
};
static inline struct wire_out wire_out(void *p, size_t n)
{
	return (struct wire_out){(uint8_t *)p, (uint8_t *)p, (uint8_t *)p + n, false};
}
static inline size_t wire_written(const struct wire_out *w)
{
	return (size_t)(w->p - w->start);
}
/* Room for n bytes, or NULL (and the error sticks). */
static inline uint8_t *wire_room(struct wire_out *w, size_t n)
{
	uint8_t *p = w->p;
	if (n > (size_t)(w->end - w->p)) {
		w->overflow = true;
		return NULL;
	}
	w->p += n;
	return p;
}
static inline void wire_put(struct wire_out *w, const void *bytes, size_t n)
{
	uint8_t *p = wire_room(w, n);
	if (p && n)
		memcpy(p, bytes, n);
}
static inline void wire_put_u8(struct wire_out *w, uint8_t v)
{
	wire_put(w, &v, 1);
}
static inline void wire_put_u16(struct wire_out *w, uint16_t v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
	wire_put(w, b, 2);
}
static inline void wire_put_u32(struct wire_out *w, uint32_t v)
{
	uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
	wire_put(w, b, 4);
}

/*
 * Internet checksum (RFC 1071). wire_sum adds bytes to a running 32-bit-folded sum; an odd-length piece may only
 * be the last. wire_fold finishes it (host order value of the field to store big-endian).
 */
uint32_t wire_sum(uint32_t sum, const void *bytes, size_t n);
uint16_t wire_fold(uint32_t sum);
/* Sum of the IPv4 pseudo-header; addresses big-endian, length in bytes. */
uint32_t wire_pseudo_sum(uint32_t src_be, uint32_t dst_be, uint8_t protocol, uint16_t length);

enum {
	ETH_HEADER_BYTES = 14,
	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_ARP_ = 0x0806, /* the name without underscore belongs to <net/ethernet.h> */
	IP_PROTO_ICMP = 1,
	IP_PROTO_TCP = 6,
	IP_PROTO_UDP = 17,
	IP_PROTO_ESP = 50,
};

/* struct virtio_net_hdr as 10 bytes in host order, the same on TAP and AF_PACKET. */
struct wire_vnet {
	uint8_t flags;	  /* 1 = NEEDS_CSUM, 2 = DATA_VALID */
	uint8_t gso_type; /* 0 none, 1 TCPv4, 3 UDP, 4 TCPv6, 5 UDP_L4, | 0x80 ECN */
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};
enum {
	WIRE_VNET_BYTES = 10,
	WIRE_VNET_NEEDS_CSUM = 1,
	WIRE_VNET_DATA_VALID = 2,
	WIRE_GSO_TCP4 = 1,
	WIRE_GSO_UDP = 5,
	WIRE_UDP_CSUM_OFFSET = 6, /* of the checksum in a UDP header */
};
_Static_assert(sizeof(struct wire_vnet) == WIRE_VNET_BYTES, "layout of struct virtio_net_hdr");

#endif
