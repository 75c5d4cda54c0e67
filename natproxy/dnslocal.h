/*
 * What the gateway answers of its own knowledge: leased hosts by HOSTNAME and HOSTNAME.DOMAIN, their
 * addresses in reverse, and `gateway`, which is natlock. The reverse names of the hub's subnet are
 * nobody else's business: they never go upstream (RFC 6303, RFC 6761 6.1). Pure; times are wall clock.
 */
#ifndef NATLOCK_NATPROXY_DNSLOCAL_H
#define NATLOCK_NATPROXY_DNSLOCAL_H

#include "dnsmsg.h"
#include "hostnames.h"

enum {
	DNSLOCAL_TTL = 30,	   /* s: leases come and go */
	DNSLOCAL_DOMAIN_MAX = 180, /* bytes on the wire */
	DNSLOCAL_BYTES = 640,	   /* longest answer */
};

struct dnslocal {
	bool enabled;
	bool own_domain; /* nobody outside knows the domain: what is not known here is not known */
	uint32_t gateway_ip_be, netmask_be;
	uint8_t domain_bytes; /* 0: none */
	uint8_t domain[DNSLOCAL_DOMAIN_MAX];
	struct hostnames hosts;
};

/*
 * domain: text, NULL or empty for none; one that is no domain name counts as none. chosen: it stands
 * in natlock's configuration and is not this computer's. A chosen home.arpa or internal, or one below
 * them, is natlock's own (RFC 8375; ICANN board resolution 2024.07.29.06).
 */
void dnslocal_configure(struct dnslocal *l, bool enabled, const char *domain, bool chosen);
/*
 * The answer to q in out, which has room for DNSLOCAL_BYTES; its length, 0 when upstream is to be
 * asked. `query` is what q was read from.
 */
size_t dnslocal_answer(const struct dnslocal *l, const struct dnsmsg_question *q,
	const uint8_t *query, uint64_t now_ms, uint8_t *out);

#endif
