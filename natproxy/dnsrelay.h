/* The DNS redirect's UDP side: questions to the gateway's port 53, each with a socket of its own.
 */
#ifndef NATLOCK_NATPROXY_DNSRELAY_H
#define NATLOCK_NATPROXY_DNSRELAY_H

#include "natproxy.h"

/* A guest asks. Takes the payload. */
void dnsrelay_query(struct natproxy *np, struct flow *f, const struct ring_desc *d);
/* The socket of question `ref` is ready. */
void dnsrelay_ready(struct natproxy *np, uint32_t ref);
/* Asks the next resolver where one was silent for too long. */
void dnsrelay_timeout(struct natproxy *np);

#endif
