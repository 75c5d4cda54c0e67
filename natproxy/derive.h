/*
 * Connections that expectations are about: those that come in by a listener of one, and those that one watches for. What the
 * expectation said of them they get: inspection by a service of the same ALG, under the operator's rules of today.
 */
#ifndef NATLOCK_NATPROXY_DERIVE_H
#define NATLOCK_NATPROXY_DERIVE_H

#include "natproxy.h"

/* Somebody knocks at the listener of door `ref`. */
void derive_ready(struct natproxy *np, uint32_t ref);
/* Whether a connection that came by an expectation is to be inspected, and how. */
bool derive_wanted(struct natproxy *np, const struct derived *by, const struct nat_session *s,
	struct want *out);
/* The same of one that came or went by itself: whether it is one that an expectation watches for, which is used then. O(1), and next
 * to nothing where there is none. */
bool derive_met(struct natproxy *np, const struct nat_session *s, struct want *out);
/* A connection that came by an expectation is over, or was none of the guest's. */
void derive_left(struct natproxy *np, const struct derived *by);

#endif
