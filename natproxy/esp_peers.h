/*
 * Guests and peers of esp.h: where they are kept. Pure, O(1). References are 1 and up, ESP_NONE for nothing; entry 0 of
 * both arrays is always empty.
 */
#ifndef NATLOCK_NATPROXY_ESP_PEERS_H
#define NATLOCK_NATPROXY_ESP_PEERS_H

#include "esp.h"

static inline bool esp_same_way(const struct esp_way *a, const struct esp_way *b)
{
	return a->peer_ip_be == b->peer_ip_be && a->outside_ip_be == b->outside_ip_be;
}

uint32_t esp_guest_find(struct esp *e, uint32_t ip_be);
/* Also a new one; there is room, one for each tunnel and each peer. */
uint32_t esp_guest_get(struct esp *e, uint32_t ip_be);
/* It may be that it has nothing any more: then it goes. */
void esp_guest_put(struct esp *e, uint32_t ref);

uint32_t esp_peer_find(struct esp *e, const struct esp_way *way);
/* A new one, that neither has a tunnel nor is listed; ESP_NONE when all have tunnels. */
uint32_t esp_peer_take(struct esp *e, const struct esp_way *way);
/* It has no tunnel and is not listed: it goes. */
void esp_peer_forget(struct esp *e, uint32_t ref);
/* It has no tunnel (any more), but keys were exchanged with it: listed as the one heard last. */
void esp_peer_idle(struct esp *e, uint32_t ref);
/* It was listed: it gets a tunnel, or goes, or is heard again. */
void esp_peer_busy(struct esp *e, uint32_t ref);

#endif
