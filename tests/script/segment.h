/*
 * A frame of TCP or ICMP over IPv4 as numbers, and as bytes. Numbers are in host order and absolute.
 */
#ifndef NATLOCK_TESTS_SCRIPT_SEGMENT_H
#define NATLOCK_TESTS_SCRIPT_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

enum {
	FLAG_FIN = 1,
	FLAG_SYN = 2,
	FLAG_RST = 4,
	FLAG_PSH = 8,
	FLAG_ACK = 16,
	FLAG_URG = 32,
	FLAG_ECE = 64,
	FLAG_CWR = 128
};

enum { SEGMENT_FRAME_MAX = 66000, SEGMENT_OPTIONS_MAX = 40 };

struct segment {
	uint8_t protocol; /* 6 or 1 */
	uint8_t ecn;	  /* the low two bits of the type of service */
	uint32_t source_ip, target_ip;
	uint16_t source, target;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window, urgent;
	uint8_t options[SEGMENT_OPTIONS_MAX];
	uint8_t option_bytes;
	const uint8_t *payload;
	uint32_t payload_bytes;
	/* built wrongly on purpose */
	bool bad_checksum;
	uint8_t offset; /* data offset in words, 0: the right one */
	/* ICMP: the fields above but the addresses are those of the quoted segment */
	uint8_t type, code;
	uint16_t mtu;
	uint32_t quoted_source_ip, quoted_target_ip;
};

extern const uint8_t SEGMENT_GUEST_MAC[6], SEGMENT_GATEWAY_MAC[6];

/* One's complement sum over bytes in pairs, folded and inverted; seed: a sum of pairs to begin with. */
uint16_t segment_sum(const uint8_t *bytes, uint32_t n, uint32_t seed);
/* Sum of the pseudo-header of the IPv4 header at ip, for l4_bytes of transport. */
uint32_t segment_pseudo(const uint8_t *ip, uint32_t l4_bytes);
/* A frame from the guest to the gateway. Returns its length, at most SEGMENT_FRAME_MAX. */
uint32_t segment_build(uint8_t *frame, const struct segment *s);
/*
 * A frame for the guest, which must be right in every length, checksum and address of the link. payload points into
 * the frame. Returns NULL, or what is wrong.
 */
const char *segment_parse(const uint8_t *frame, uint32_t bytes, struct segment *s);
/* Who is asked for: the frame is an ARP request of the gateway. The answer in its place, of 42 bytes. */
bool segment_arp_answer(uint8_t *frame, uint32_t bytes);

#endif
