/*
 * The far end's SPIs of esp.h: to which tunnel each leads, and which of a tunnel's gives way to a further one. Pure, O(1).
 */
#ifndef NATLOCK_NATPROXY_ESP_INBOUND_H
#define NATLOCK_NATPROXY_ESP_INBOUND_H

#include "esp.h"

/* The place of an SPI of this way, or ESP_NONE; and the tunnel that a place is of. */
uint32_t esp_inbound_find(struct esp *e, const struct esp_way *way, uint32_t spi);
uint32_t esp_inbound_tunnel(uint32_t inbound);
/* The place of inbound[i] of a tunnel, and how many it has; those are its first. */
uint32_t esp_inbound_at(const struct esp *e, uint32_t ref, int i);
int esp_inbound_count(const struct esp_tunnel *t);
/* Of two that came loosely: what was heard for longer is less likely forged. */
bool esp_inbound_better(const struct esp_inbound *a, const struct esp_inbound *b);

/* An SPI that leads nowhere leads to this tunnel from now on, if there is a place; the tunnel is paired in any case. */
void esp_inbound_add(struct esp *e, uint32_t ref, uint32_t spi, bool is_loose, uint64_t now_ns);
/* Another packet of it came. */
void esp_inbound_heard(struct esp *e, uint32_t at, uint64_t now_ns);
void esp_inbound_remove(struct esp *e, uint32_t ref, int i);

#endif
