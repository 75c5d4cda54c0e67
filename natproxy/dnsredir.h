/*
 * DNS redirect (seed 3.7.4): a guest's question to the gateway goes to the host's resolvers and the
 * answer seems to come from the gateway. This file knows questions in flight, resolvers that work,
 * and as much of RFC 1035 as is needed to drop what is no question. Pure; the sockets are
 * dnsrelay.c's.
 */
#ifndef NATLOCK_NATPROXY_DNSREDIR_H
#define NATLOCK_NATPROXY_DNSREDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DNSREDIR_RESOLVERS = 8,
	DNSREDIR_QUERIES = 512,	     /* in flight */
	DNSREDIR_GUEST_QUERIES = 64, /* of one guest, once half are in use */
	DNSREDIR_QUERY_BYTES = 1500,
	DNSREDIR_TRY_MS = 2000, /* silence after which the next resolver is asked */
	DNSREDIR_NONE = 0,	/* references are 1..DNSREDIR_QUERIES */
};

struct dnsredir_query {
	bool used;
	uint8_t resolver, tried; /* index; how many have been asked */
	uint16_t guest_id, wire_id;
	uint16_t length;
	uint32_t flow, guest_ip_be, next;
	int fd;
	uint64_t deadline_ns;
};

struct dnsredir {
	uint32_t resolver_count, preferred;
	uint32_t resolver_ip_be[DNSREDIR_RESOLVERS];
	uint32_t live, fresh, free;
	uint64_t soonest_ns;
	struct dnsredir_query query[DNSREDIR_QUERIES + 1];
	uint8_t bytes[DNSREDIR_QUERIES + 1][DNSREDIR_QUERY_BYTES];
};

/* New resolvers, in order of preference; those beyond DNSREDIR_RESOLVERS are ignored. */
void dnsredir_resolvers(struct dnsredir *d, const uint32_t *ip_be, size_t count);

/* Whether these bytes are one well-formed DNS question (header, QR clear, first question whole).
 * Any input. */
bool dnsredir_is_query(const uint8_t *bytes, size_t n);

/*
 * Notes a question; wire_id is what it will carry outside. The reference, or DNSREDIR_NONE when too
 * many are in flight. `bytes` passed dnsredir_is_query and are at most DNSREDIR_QUERY_BYTES.
 */
uint32_t dnsredir_open(struct dnsredir *d, uint32_t flow, uint32_t guest_ip_be,
	const uint8_t *bytes, size_t n, uint16_t wire_id);
/* Starts a try: the resolver to ask now. */
uint32_t dnsredir_ask(struct dnsredir *d, uint32_t ref, uint64_t now_ns);
/* The resolver was silent or of no use: whether there is another to ask. */
bool dnsredir_next_resolver(struct dnsredir *d, uint32_t ref);
void dnsredir_close(struct dnsredir *d, uint32_t ref);

enum dnsredir_reply { DNSREDIR_FOREIGN, DNSREDIR_USELESS, DNSREDIR_ANSWER };
/*
 * Judges a reply: not ours (wrong id, not an answer, another question), ours but SERVFAIL or
 * REFUSED, or an answer, in which case its id is put back to the guest's.
 */
enum dnsredir_reply dnsredir_reply(
	const struct dnsredir *d, uint32_t ref, uint8_t *bytes, size_t n);
/* Makes the SERVFAIL for a question in out (n bytes of room, the question's length): its length. */
size_t dnsredir_servfail(const uint8_t *query, size_t n, uint8_t *out);

/* A question whose resolver was silent for too long, or DNSREDIR_NONE; and when the next will be.
 */
uint32_t dnsredir_expired(struct dnsredir *d, uint64_t now_ns);
uint64_t dnsredir_deadline(const struct dnsredir *d);

#endif
