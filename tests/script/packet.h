/*
 * A packet line of a script: what is sent, or what is expected. Sequence numbers are relative, as in the script.
 *
 *     FLAGS START:END(BYTES) [ack N | ack all | ack all short N] [win SPAN] [urg SPAN] [<OPTIONS>] [forged] [bad checksum] [offset N]
 *     [START:END(BYTES)] icmp unreachable frag_needed mtu N
 *
 * FLAGS are F S R P . U E W, "-" for none; before them [ect0] [ect1] [ce], else the packet is not ECN-capable.
 * BYTES may be K*N: K segments of N bytes each, of which only the last has PSH and FIN. In an expectation a missing
 * window or urgent pointer is not looked at, missing options mean none, <...> any; NOPs do not count.
 */
#ifndef NATLOCK_TESTS_SCRIPT_PACKET_H
#define NATLOCK_TESTS_SCRIPT_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "scan.h"

enum { PACKET_OPTIONS_MAX = 12, PACKET_BLOCKS_MAX = 4, PACKET_HEX_MAX = 40 };

enum option_kind {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2,
	OPTION_SCALE = 3,
	OPTION_SACK_OK = 4,
	OPTION_SACK = 5,
	OPTION_TS = 8,
	OPTION_HEX = 256, /* these very bytes */
};

struct packet_block {
	uint32_t start, end;
};

struct packet_option {
	uint16_t kind;
	struct span value, echo; /* of mss, wscale, TS */
	struct packet_block block[PACKET_BLOCKS_MAX];
	uint8_t hex[PACKET_HEX_MAX];
	uint8_t n; /* blocks, or bytes of hex */
};

struct packet {
	uint8_t flags, ecn;
	uint32_t start, end;
	uint32_t count, bytes; /* segments, and payload of each */
	bool has_ack, has_window;
	bool ack_all; /* whatever the stack sent, but for the last `ack` bytes */
	uint32_t ack;
	struct span window, urgent;
	bool any_options;
	unsigned int options;
	struct packet_option option[PACKET_OPTIONS_MAX];
	bool forged; /* payload that differs from the stream's */
	bool bad_checksum;
	uint8_t offset;
	bool icmp;
	uint8_t type, code;
	struct span mtu;
};

/* NULL, or what cannot be read. */
const char *packet_read(struct scan *s, struct packet *p);
/* "<mss 1460,sackOK>": only the options. */
const char *packet_read_options(struct scan *s, struct packet *p);
/* "1:11(10)" or "1:21(2*10)". */
const char *packet_read_range(struct scan *s, struct packet *p);

#endif
