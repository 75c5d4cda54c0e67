/*
 * Theory of operation: a chained hash table over a static array, keyed by SipHash so that a guest that
 * invents addresses cannot build one long chain. Entries are recycled when they hold neither flows nor
 * fragments, the longest silent of a handful of candidates first: exact order is not worth a list.
 */
#include <string.h>

#include "state.h"

enum { GUEST_CANDIDATES = 16 };

static const uint64_t GUEST_CONTEST_NS = 300 * NS_PER_MS;
static const uint64_t GUEST_CONTEST_AGAIN_NS = 5 * NS_PER_S;

struct guest *guest_at(struct stack *s, uint16_t index)
{
	return &s->guests.entry[index];
}

uint16_t guest_index(const struct stack *s, const struct guest *g)
{
	return (uint16_t)(g - s->guests.entry);
}

bool guest_idle(const struct guest *g)
{
	return !g->half_open.count && !g->calls.count && !g->flows.count && !g->time_wait &&
	       !g->fragments;
}

static uint16_t *guest_bucket(struct stack *s, uint32_t ip_be)
{
	return &s->guests.bucket[hash_sip(&s->key, &ip_be, sizeof(ip_be)) % GUEST_BUCKETS];
}

struct guest *guest_find(struct stack *s, uint32_t ip_be)
{
	for (uint16_t i = *guest_bucket(s, ip_be); i; i = s->guests.entry[i - 1].hash_next)
		if (s->guests.entry[i - 1].ip_be == ip_be)
			return &s->guests.entry[i - 1];
	return NULL;
}

static void guest_unlink(struct stack *s, struct guest *g)
{
	uint16_t *link = guest_bucket(s, g->ip_be);
	while (*link != guest_index(s, g) + 1)
		link = &s->guests.entry[*link - 1].hash_next;
	*link = g->hash_next;
}

static struct guest *guest_victim(struct stack *s)
{
	struct guest_table *t = &s->guests;
	struct guest *best = NULL;
	uint32_t candidates = 0;
	for (uint32_t i = 0; i < GUEST_MAX && candidates < GUEST_CANDIDATES; i++) {
		struct guest *g = &t->entry[t->sweep++ % GUEST_MAX];
		if (!guest_idle(g))
			continue;
		candidates++;
		if (!best || g->seen_ns < best->seen_ns)
			best = g;
	}
	if (best)
		guest_unlink(s, best);
	return best;
}

struct guest *guest_need(struct stack *s, uint32_t ip_be)
{
	struct guest *g = guest_find(s, ip_be);
	uint16_t *bucket;
	if (g)
		return g;
	g = s->guests.used < GUEST_MAX ? &s->guests.entry[s->guests.used++] : guest_victim(s);
	if (!g)
		return NULL;
	bucket = guest_bucket(s, ip_be);
	*g = (struct guest){.ip_be = ip_be, .hash_next = *bucket};
	*bucket = (uint16_t)(guest_index(s, g) + 1);
	return g;
}

static void guest_bind(struct stack *s, struct guest *g, const uint8_t mac[6], uint32_t port)
{
	memcpy(g->mac, mac, 6);
	g->port = port;
	g->known = true;
	g->contested = false;
	g->seen_ns = s->now_ns;
}

/* Somebody else uses the address: true when the old station has had its chance and is silent. */
static bool guest_contest(struct stack *s, struct guest *g)
{
	bool silent = g->seen_ns <= g->contest_ns;
	uint64_t waited = s->now_ns - g->contest_ns;
	if (g->contested && silent && waited >= GUEST_CONTEST_NS)
		return true;
	if (!g->contested || waited >= GUEST_CONTEST_AGAIN_NS) {
		g->contested = true;
		g->contest_ns = s->now_ns;
		arp_ask(s, g);
	}
	return false;
}

struct guest *guest_learn(struct stack *s, uint32_t ip_be, const uint8_t mac[6], uint32_t port)
{
	struct guest *g = guest_need(s, ip_be);
	if (!g)
		return NULL;
	if (g->known && memcmp(g->mac, mac, 6) != 0) {
		if (!guest_contest(s, g)) {
			drop_count(s->drops, DROP_ARP_SPOOF);
			return NULL;
		}
	} else if (g->known) {
		g->port = port;
		g->seen_ns = s->now_ns;
		return g;
	}
	guest_bind(s, g, mac, port);
	flow_guest_found(s, g);
	park_guest_found(s, g);
	return g;
}

/* Takes one token of a bucket that fills at per_s and holds burst. */
static bool guest_token(struct stack *s, uint64_t *empty_ns, uint64_t per_s, uint64_t burst)
{
	const uint64_t one = NS_PER_S / per_s, full = one * burst;
	if (s->now_ns - *empty_ns > full)
		*empty_ns = s->now_ns - full;
	if (s->now_ns - *empty_ns < one) {
		drop_count(s->drops, DROP_RATE_LIMIT);
		return false;
	}
	*empty_ns += one;
	return true;
}

bool guest_may_answer(struct stack *s, struct guest *g)
{
	return guest_token(s, &g->tokens_ns, GUEST_ERRORS_PER_S, GUEST_ERRORS_BURST);
}

bool guest_may_hear(struct stack *s, struct guest *g)
{
	return guest_token(s, &g->passed_ns, GUEST_PASSED_PER_S, GUEST_PASSED_BURST);
}

bool guest_may_tell(struct stack *s, struct guest *g)
{
	return guest_token(s, &g->told_ns, GUEST_TOLD_PER_S, GUEST_TOLD_BURST);
}
