/*
 * What NetBIOS over TCP/UDP's three services share (RFC 1001, RFC 1002): names as they stand in a
 * message, addresses and endpoints that are to be read differently on the other side. Pure.
 */
#ifndef NATLOCK_ALG_NETBIOS_H
#define NATLOCK_ALG_NETBIOS_H

#include "alg.h"

struct netbios_name {
	bool encoded; /* its first label is 16 bytes as 32 letters (RFC 1001 14.1): a NetBIOS name */
	uint64_t hash; /* of all labels, wherever they stand and in whatever case */
};

static inline uint16_t netbios_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/*
 * Reads the name at p[at..n) (RFC 1002 4.1). Its pointers lead to `first` or behind it, and only
 * backwards; with first = n there may be none. The place behind it, 0 where there is no whole name.
 */
size_t netbios_name(const uint8_t *p, size_t n, size_t first, size_t at, struct netbios_name *name);

/*
 * The guest's own address as the peer sees it, a mapped one's outside address; in what comes from
 * outside the reverse, the guest's own only where `own` says that its outside address means it and nobody
 * else behind it. False: the other side may read it as it is.
 */
bool netbios_address(const struct alg_flow *f, enum alg_direction from, bool own, uint32_t ip_be,
	uint32_t *translated_be);

/* Translates the address at p[at..at + 4). False: there are too many edits. */
bool netbios_edit_address(const struct alg_flow *f, enum alg_direction from, bool own,
	const uint8_t *p, size_t at, struct alg_answer *a);

/*
 * Translates the address and port at p[at..at + 6). The port is changed only where both are the
 * flow's own; in what comes from outside, both must be for the address to be taken for the guest's.
 */
void netbios_edit_endpoint(const struct alg_flow *f, enum alg_direction from, const uint8_t *p,
	size_t at, struct alg_answer *a);

#endif
