/*
 * Which host has which name: the supervisor decides it from the leases, natproxy answers by it. A
 * name is one label of letters, digits and '-' (RFC 1123 2.1), in lower case. Guests choose their own,
 * so a name belongs to who had it first, for as long as the lease is in force. Pure; times are wall
 * clock.
 */
#ifndef NATLOCK_IPC_HOSTNAMES_H
#define NATLOCK_IPC_HOSTNAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash.h"

enum {
	HOSTNAMES_MAX = 4096,
	HOSTNAMES_BUCKETS = 4096, /* power of two */
	HOSTNAMES_LABEL = 64,	  /* with its NUL */
	HOSTNAMES_NONE = 0,	  /* hosts are 1..HOSTNAMES_MAX */
};
static const uint64_t hostnames_for_ever = UINT64_MAX;

struct hostnames_host {
	char name[HOSTNAMES_LABEL];
	uint32_t ip_be;
	uint64_t expires_ms;
	uint32_t next_name, next_ip; /* next_name: of the free list too */
	bool used;
};

struct hostnames {
	struct hash_key key;
	uint32_t count, fresh, free;
	uint32_t by_name[HOSTNAMES_BUCKETS], by_ip[HOSTNAMES_BUCKETS];
	struct hostnames_host host[HOSTNAMES_MAX + 1];
};

/* `h` is zeroed. */
void hostnames_init(struct hostnames *h, const struct hash_key *key);
void hostnames_clear(struct hostnames *h);
/*
 * The label by which a host that calls itself `claimed` may be known: what comes before the first
 * dot, in lower case. False: it is no host name, only digits, or one that means something else to
 * those who ask for it ("localhost", "wpad", "isatap", "gateway").
 */
bool hostnames_label(const char *claimed, char out[HOSTNAMES_LABEL]);
/*
 * Gives an address a name made by hostnames_label; an older name of the address goes. False: the name
 * is somebody else's, the address has a name for ever, or the table is full.
 */
bool hostnames_set(struct hostnames *h, uint32_t ip_be, const char *name, uint64_t expires_ms,
	uint64_t now_ms);
/* The address has no name any more, unless for ever. */
void hostnames_remove(struct hostnames *h, uint32_t ip_be);
/* Those in force at now_ms: the host, or HOSTNAMES_NONE. `n` bytes of `name` are compared in lower
 * case. */
uint32_t hostnames_by_name(
	const struct hostnames *h, const uint8_t *name, size_t n, uint64_t now_ms);
uint32_t hostnames_by_ip(const struct hostnames *h, uint32_t ip_be, uint64_t now_ms);

#endif
