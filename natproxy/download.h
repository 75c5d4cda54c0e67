/* Outside to guest: bytes are read into own buffers, as far as netstack's credit goes, and lent by
 * reference. */
#ifndef NATLOCK_NATPROXY_DOWNLOAD_H
#define NATLOCK_NATPROXY_DOWNLOAD_H

#include "natproxy.h"

/* Reads once; true when more can be read at once. */
bool download_turn(struct natproxy *np, struct flow *f);
/* Netstack grants credit up to an absolute offset; never less than before. */
void download_credit(struct natproxy *np, struct flow *f, uint64_t offset);
/* Netstack gave own buffers back. -EPROTO: it did not have them. */
int download_returned(struct natproxy *np, const struct ring_desc *d);
/* Capacity of own small buffers that this flow may still take: an eighth of the arena, or its fair
 * share under pressure. */
uint32_t download_share(const struct natproxy *np, const struct flow *f);
/* Lends a buffer to netstack on the flow's account. */
void download_lend(struct natproxy *np, struct flow *f, uint32_t id);
/*
 * Lends the guest a copy of these bytes, which are the next of its stream, in small buffers as far as credit, slots and
 * the flow's share go: how many went. Where slots or buffers were short the flow is put to work again.
 */
uint32_t download_copy(struct natproxy *np, struct flow *f, const uint8_t *bytes, uint32_t n);
/* Everything before the far end's FIN is with netstack: passes the FIN on. */
void download_finish(struct natproxy *np, struct flow *f);

#endif
