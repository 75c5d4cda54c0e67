/* The DNS redirect's UDP side: questions to the gateway's port 53, answered from what is known here or by
 * an upstream server. */
#ifndef NATLOCK_NATPROXY_DNSRELAY_H
#define NATLOCK_NATPROXY_DNSRELAY_H

#include "natproxy.h"

/* A guest asks. Takes the payload. */
void dnsrelay_query(struct natproxy *np, struct flow *f, const struct ring_desc *d);
/* The same of one datagram of the caller's bytes. */
void dnsrelay_question(struct natproxy *np, struct flow *f, const uint8_t *bytes, size_t n);
/*
 * What is known here without asking: a local name, or an answer that is kept. `out` has room for
 * DNSCACHE_BYTES; the length, 0 when upstream is to be asked. The addresses in it are noted for the
 * operator.
 */
size_t dnsrelay_known(struct natproxy *np, uint32_t guest_ip_be, const struct dnsmsg_question *q,
	const uint8_t *query, uint8_t *out);
/* The socket of a question in flight is ready. */
void dnsrelay_ready(struct natproxy *np, uint32_t ref);
/* Servers that were silent for too long. */
void dnsrelay_timeout(struct natproxy *np);

#endif
