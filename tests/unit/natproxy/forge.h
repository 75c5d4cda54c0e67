/* ICMP errors as a router would send them, over loopback. */
#ifndef NATLOCK_TESTS_NATPROXY_FORGE_H
#define NATLOCK_TESTS_NATPROXY_FORGE_H

#include <stddef.h>
#include <stdint.h>

/* Host unreachable, to 127.0.0.1, about a packet from there to `to_be` of this IP protocol that began with these bytes
 * (at most 64) behind its IP header. Needs a raw socket. */
void forge_unreachable(uint32_t to_be, uint8_t protocol, const void *quoted, size_t n);

#endif
