/*
 * Theory of operation. The places of tunnel r are (r - 1) * ESP_INBOUND + 1 and those after it; an SPI is found by keyed
 * hash of the way and its number.
 *
 * Who sends packets with the peer's address and SPIs of his own takes a place with each of them. Those that came loosely
 * (to no opener) and were not heard again ESP_LEAD_MS later go first, what was heard once before what was heard again; an
 * SPI that came to an opener or is settled goes only if it was not heard for ESP_OPENING_MS. So what is in use stays,
 * however many are forged. A forged SPI leads to a guest that drops what it cannot decrypt (RFC 4303 3.4.2).
 */
#include "esp_inbound.h"

#include "esp_peers.h"

static const uint64_t opening_ns = ESP_OPENING_MS * 1000000ULL, lead_ns = ESP_LEAD_MS * 1000000ULL;

static uint32_t *inbound_head(struct esp *e, const struct esp_way *way, uint32_t spi)
{
	const uint32_t words[3] = {way->peer_ip_be, way->outside_ip_be, spi};
	return &e->inbound_bucket[hash_sip(&e->key, words, sizeof(words)) &
				  (ESP_INBOUND_BUCKETS - 1)];
}

uint32_t esp_inbound_tunnel(uint32_t inbound)
{
	return (inbound - 1) / ESP_INBOUND + 1;
}

/* Where inbound[i] of a tunnel is kept. */
uint32_t esp_inbound_at(const struct esp *e, uint32_t ref, int i)
{
	return (ref - 1) * ESP_INBOUND + 1 + e->tunnel[ref].place[i];
}

uint32_t esp_inbound_find(struct esp *e, const struct esp_way *way, uint32_t spi)
{
	uint32_t at = *inbound_head(e, way, spi);
	while (at && (e->inbound[at].spi != spi ||
			     !esp_same_way(&e->tunnel[esp_inbound_tunnel(at)].way, way)))
		at = e->inbound[at].next;
	return at;
}

/* How many the tunnel has; those are its first. */
int esp_inbound_count(const struct esp_tunnel *t)
{
	int count = 0;
	while (count < ESP_INBOUND && t->inbound[count])
		count++;
	return count;
}

/* The order of a tunnel's SPIs: that at `from` comes to `to`, those between make room. */
static void reorder(struct esp_tunnel *t, int from, int to)
{
	const uint32_t spi = t->inbound[from];
	const uint8_t place = t->place[from];
	const int step = from < to ? 1 : -1;
	for (int i = from; i != to; i += step) {
		t->inbound[i] = t->inbound[i + step];
		t->place[i] = t->place[i + step];
	}
	t->inbound[to] = spi;
	t->place[to] = place;
}

void esp_inbound_remove(struct esp *e, uint32_t ref, int i)
{
	struct esp_tunnel *t = &e->tunnel[ref];
	const uint32_t place = esp_inbound_at(e, ref, i);
	uint32_t *at = inbound_head(e, &t->way, t->inbound[i]);
	while (*at != place)
		at = &e->inbound[*at].next;
	*at = e->inbound[place].next;
	t->inbound[i] = 0;
	reorder(t, i, ESP_INBOUND - 1);
}

/* Of two that came loosely: what was heard for longer is less likely forged. */
bool esp_inbound_better(const struct esp_inbound *a, const struct esp_inbound *b)
{
	const uint64_t a_ns = a->heard_ns - a->came_ns, b_ns = b->heard_ns - b->came_ns;
	return a_ns != b_ns ? a_ns > b_ns : a->came_ns > b->came_ns;
}

/* Which of a tunnel's SPIs gives way to a further one; -1: all are in use. */
static int gives_way(const struct esp *e, uint32_t ref, uint64_t now_ns)
{
	int worst = -1;
	for (int i = ESP_INBOUND - 1; i >= 0; i--) {
		const struct esp_inbound *in = &e->inbound[esp_inbound_at(e, ref, i)];
		if (!in->is_settled &&
			(worst < 0 ||
				esp_inbound_better(&e->inbound[esp_inbound_at(e, ref, worst)], in)))
			worst = i;
	}
	if (worst >= 0)
		return worst;
	const uint32_t oldest = esp_inbound_at(e, ref, ESP_INBOUND - 1);
	return now_ns - e->inbound[oldest].heard_ns >= opening_ns ? ESP_INBOUND - 1 : -1;
}

/* An SPI that leads nowhere leads to this tunnel from now on, if there is a place. */
void esp_inbound_add(struct esp *e, uint32_t ref, uint32_t spi, bool is_loose, uint64_t now_ns)
{
	struct esp_tunnel *t = &e->tunnel[ref];
	t->is_paired = true;
	t->opening_until_ns = 0;
	if (t->inbound[ESP_INBOUND - 1]) {
		const int victim = gives_way(e, ref, now_ns);
		if (victim < 0)
			return;
		esp_inbound_remove(e, ref, victim);
	}
	const int i = esp_inbound_count(t);
	const uint32_t place = esp_inbound_at(e, ref, i);
	uint32_t *head = inbound_head(e, &t->way, spi);
	e->inbound[place] = (struct esp_inbound){.spi = spi,
		.next = *head,
		.came_ns = now_ns,
		.heard_ns = now_ns,
		.is_loose = is_loose,
		.is_settled = !is_loose};
	*head = place;
	t->inbound[i] = spi;
	reorder(t, i, 0);
}

void esp_inbound_heard(struct esp *e, uint32_t at, uint64_t now_ns)
{
	struct esp_tunnel *t = &e->tunnel[esp_inbound_tunnel(at)];
	struct esp_inbound *in = &e->inbound[at];
	in->heard_ns = now_ns;
	if (now_ns - in->came_ns >= lead_ns)
		in->is_settled = true;
	int i = 0;
	while (t->inbound[i] != in->spi)
		i++;
	reorder(t, i, 0);
}
