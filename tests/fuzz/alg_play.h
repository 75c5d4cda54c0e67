/*
 * A parser behind stream.c, for every ALG's fuzz target. The first byte says who serves, whether wishes are granted, which transport
 * (where there are two), and how a stream is cut; then come {direction and length, bytes}. A stream is played record by record and
 * again with each cut in two where the bytes decide, for one first byte in eight the first 64 bytes at every place: output, wishes and
 * acts must be the same. What a wish may be is checked as natproxy would.
 */
#ifndef NATLOCK_TESTS_ALG_PLAY_H
#define NATLOCK_TESTS_ALG_PLAY_H

#include "protocols.h"

enum { ALG_PLAY_SERVES = 1, ALG_PLAY_REFUSE = 2, ALG_PLAY_DATAGRAMS = 4, ALG_PLAY_RESERVED = 8 };

/* The length of a record is in the upper 7 bits of its first byte; that of a datagram counts 8 bytes, but of H.323's, whose end is told by nothing
 * else, is exact, and its lower 8 bits are a second byte. */
/* Always 0. Flow: guest 192.168.30.10 (with ALG_PLAY_RESERVED at port 1022), outside 203.0.113.7, peer 198.51.100.9; static: 192.168.30.50 is 203.0.113.50. */
int alg_play(const struct alg_protocol *protocol, const uint8_t *data, size_t size);

#endif
