/*
 * How expectations are found: by control flow, by flow and token, by inside port, by the connection that they watch for, by
 * the end of their life. Pure. All of it
 * is O(1) but the end, which is O(log n): a trunk has thousands of them in one flow.
 */
#ifndef NATLOCK_NATPROXY_PINHOLE_INDEX_H
#define NATLOCK_NATPROXY_PINHOLE_INDEX_H

#include "pinhole.h"

/* The entry, whose flow, token, kind, guest and expires_ns are set and whose links are 0, can be found from now on; or no more. */
void pinhole_index_add(struct pinholes *p, uint32_t ref);
void pinhole_index_remove(struct pinholes *p, uint32_t ref);
/* Its life ends then; UINT64_MAX: not by time. */
void pinhole_index_ends(struct pinholes *p, uint32_t ref, uint64_t at_ns);
/* It is used from now on, or waits again: the counts of its flow. */
void pinhole_index_used(struct pinholes *p, uint32_t ref, bool used);
/* What a control flow has; NULL: nothing. */
const struct pinhole_flow *pinhole_index_flow(const struct pinholes *p, uint32_t flow);
/* How many entries lead to this port of a guest, or to its neighbour in a pair. */
uint32_t pinhole_index_same(const struct pinholes *p, uint32_t guest_ip_be, uint16_t port);
/* How many entries watch what this one would: its guest, seen and watched are set. */
uint32_t pinhole_index_watching(const struct pinholes *p, const struct pinhole *e);

#endif
