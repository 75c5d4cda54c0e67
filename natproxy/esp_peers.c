/*
 * Theory of operation. Guests and peers are arrays with a free list and a high-water mark, found by keyed hash.
 *
 * Peers without tunnels are remembered for the keys that were exchanged with them, which comes before a tunnel. They are
 * listed by age, for the hub and for the guest that exchanged keys with them last, and give way to what has tunnels.
 */
#include "esp_peers.h"

enum { IDLE_ALL, IDLE_GUEST };

static uint32_t *guest_head(struct esp *e, uint32_t ip_be)
{
	return &e->guest_bucket[hash_sip(&e->key, &ip_be, sizeof(ip_be)) & (ESP_GUEST_BUCKETS - 1)];
}

uint32_t esp_guest_find(struct esp *e, uint32_t ip_be)
{
	uint32_t ref = *guest_head(e, ip_be);
	while (ref && e->guest[ref].ip_be != ip_be)
		ref = e->guest[ref].bucket_next;
	return ref;
}

/* There is room: one for each tunnel and each peer. */
uint32_t esp_guest_get(struct esp *e, uint32_t ip_be)
{
	uint32_t ref = esp_guest_find(e, ip_be);
	if (ref)
		return ref;
	ref = e->guest_free ? e->guest_free : ++e->guest_fresh;
	if (e->guest_free)
		e->guest_free = e->guest[ref].bucket_next;
	uint32_t *head = guest_head(e, ip_be);
	e->guest[ref] = (struct esp_guest){.ip_be = ip_be, .bucket_next = *head};
	*head = ref;
	return ref;
}

void esp_guest_put(struct esp *e, uint32_t ref)
{
	struct esp_guest *g = &e->guest[ref];
	if (g->tunnels || g->idle_peers)
		return;
	uint32_t *at = guest_head(e, g->ip_be);
	while (*at != ref)
		at = &e->guest[*at].bucket_next;
	*at = g->bucket_next;
	g->bucket_next = e->guest_free;
	e->guest_free = ref;
}

static uint32_t *peer_head(struct esp *e, const struct esp_way *way)
{
	const uint32_t words[2] = {way->peer_ip_be, way->outside_ip_be};
	return &e->peer_bucket[hash_sip(&e->key, words, sizeof(words)) & (ESP_PEER_BUCKETS - 1)];
}

uint32_t esp_peer_find(struct esp *e, const struct esp_way *way)
{
	uint32_t ref = *peer_head(e, way);
	while (ref && !esp_same_way(&e->peer[ref].way, way))
		ref = e->peer[ref].bucket_next;
	return ref;
}

static void idle_link(struct esp *e, struct esp_list *list, uint32_t ref, int which)
{
	struct esp_links *links = &e->peer[ref].idle[which];
	*links = (struct esp_links){.prev = list->last};
	if (list->last)
		e->peer[list->last].idle[which].next = ref;
	else
		list->first = ref;
	list->last = ref;
}

static void idle_unlink(struct esp *e, struct esp_list *list, uint32_t ref, int which)
{
	const struct esp_links *links = &e->peer[ref].idle[which];
	if (links->next)
		e->peer[links->next].idle[which].prev = links->prev;
	else
		list->last = links->prev;
	if (links->prev)
		e->peer[links->prev].idle[which].next = links->next;
	else
		list->first = links->next;
}

/* A peer without tunnels gets one, or goes, or is heard again. */
void esp_peer_busy(struct esp *e, uint32_t ref)
{
	const uint32_t guest = esp_guest_find(e, e->peer[ref].exchange[0].guest_ip_be);
	idle_unlink(e, &e->idle, ref, IDLE_ALL);
	idle_unlink(e, &e->guest[guest].idle, ref, IDLE_GUEST);
	e->guest[guest].idle_peers--;
	esp_guest_put(e, guest);
}

void esp_peer_forget(struct esp *e, uint32_t ref)
{
	struct esp_peer *p = &e->peer[ref];
	uint32_t *at = peer_head(e, &p->way);
	while (*at != ref)
		at = &e->peer[*at].bucket_next;
	*at = p->bucket_next;
	p->bucket_next = e->peer_free;
	e->peer_free = ref;
}

static void idle_forget(struct esp *e, uint32_t ref)
{
	esp_peer_busy(e, ref);
	esp_peer_forget(e, ref);
}

void esp_peer_idle(struct esp *e, uint32_t ref)
{
	const uint32_t guest = esp_guest_get(e, e->peer[ref].exchange[0].guest_ip_be);
	struct esp_guest *g = &e->guest[guest];
	idle_link(e, &e->idle, ref, IDLE_ALL);
	idle_link(e, &g->idle, ref, IDLE_GUEST);
	if (++g->idle_peers > ESP_KEYS_PER_GUEST)
		idle_forget(e, g->idle.first);
}

/* A new one, that neither has a tunnel nor is listed; ESP_NONE when all have tunnels. */
uint32_t esp_peer_take(struct esp *e, const struct esp_way *way)
{
	if (!e->peer_free && e->peer_fresh == ESP_PEERS && e->idle.first)
		idle_forget(e, e->idle.first);
	uint32_t ref = e->peer_free;
	if (ref)
		e->peer_free = e->peer[ref].bucket_next;
	else if (e->peer_fresh < ESP_PEERS)
		ref = ++e->peer_fresh;
	else
		return ESP_NONE;
	uint32_t *head = peer_head(e, way);
	e->peer[ref] = (struct esp_peer){.way = *way, .bucket_next = *head};
	*head = ref;
	return ref;
}
