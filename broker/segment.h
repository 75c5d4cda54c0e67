/*
 * Does in software what a virtio-net header asks for: cuts a super-frame into frames of one segment
 * each and completes checksums. For ports that have no such header (virtual machines). Pure;
 * nothing of the frame is copied but its headers.
 *
 * Knows TCP and UDP over IPv4, and over IPv6 without extension headers; one 802.1Q tag may lie
 * before.
 */
#ifndef NATLOCK_BROKER_SEGMENT_H
#define NATLOCK_BROKER_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

enum {
	SEGMENT_HEADER_MAX = ETH_HEADER_BYTES + FRAME_TAG_BYTES + 60 + 60,
	SEGMENTS_MAX = 1500, /* 65535 bytes at the smallest MSS in use, 48: more is an attempt to
				multiply work */
};

struct segment {
	const struct frame *frame;
	uint32_t network;   /* offset of the IP header */
	uint32_t transport; /* offset of the TCP or UDP header */
	uint32_t headers;   /* length of all headers: offset of the payload */
	uint32_t step;	    /* payload bytes a segment; 0: only a checksum is to be completed */
	uint32_t at;	    /* payload bytes already cut */
	uint32_t identification;
	uint32_t sequence;
	uint8_t tcp_flags;
	uint8_t protocol;
	bool ip6;
	bool finished;
	uint8_t original[SEGMENT_HEADER_MAX];
	uint8_t header[SEGMENT_HEADER_MAX]; /* of the frame given out last */
};

/*
 * Prepares the cut. The frame must outlive the cut; its vnet header passed vnet_ok(). 0, or -EINVAL
 * when headers and vnet header do not fit together.
 */
int segment_open(struct segment *s, const struct frame *f);
/* The next finished frame (vnet header all zero), valid until the next call; false after the last.
 */
bool segment_next(struct segment *s, struct frame *out);

#endif
