/*
 * Messages in a stream (RFC 1006 6): packets of a version, an octet that is 0, their length in two octets, and the message. Pure.
 */
#ifndef NATLOCK_ALG_TPKT_H
#define NATLOCK_ALG_TPKT_H

#include <stddef.h>
#include <stdint.h>

enum { TPKT_HEADER_BYTES = 4, TPKT_BYTES_MAX = 65535, TPKT_NONE = TPKT_BYTES_MAX + 1 };

/* Length of the first packet in p[0..n), header and all, n > 0; 0: more octets are needed; TPKT_NONE: it is none. Decides by the
 * first octet that is wrong. */
size_t tpkt_frame(const uint8_t *p, size_t n);

#endif
