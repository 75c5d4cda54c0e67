/*
 * Theory of operation: so few that a list in an array is enough. An entry leaves by one of three ways, and gives its
 * buffers back with each: to the guest, by age, or pushed out by a newer one (of the same guest first).
 */
#include <string.h>

#include "state.h"

static const uint64_t PARK_AGAIN_NS = NS_PER_S;

/* Forgets an entry, and natproxy gets its buffers back once the broker has read them. */
static void park_remove(struct stack *s, uint32_t i)
{
	struct park_table *t = &s->park;
	const struct ring_desc *d = &t->entry[i].desc;
	for (unsigned int seg = 0; seg < d->nseg; seg++)
		hold_limbo(s, d->seg[seg].id);
	t->count--;
	memmove(&t->entry[i], &t->entry[i + 1], (t->count - i) * sizeof(t->entry[0]));
}

static void park_give_up(struct stack *s, uint32_t i)
{
	const struct ring_desc *d = &s->park.entry[i].desc;
	uint32_t bytes = 0;
	for (unsigned int seg = 0; seg < d->nseg; seg++)
		bytes += d->seg[seg].len;
	drop_count_many(s->drops, DROP_GUEST_SILENT, ring_run_count(bytes, d->hlen));
	park_remove(s, i);
}

static void park_make_room(struct stack *s, uint32_t guest_ip_be)
{
	const struct park_table *t = &s->park;
	uint32_t own = 0, oldest = 0;
	for (uint32_t i = t->count; i-- > 0;) {
		if (t->entry[i].guest_ip_be != guest_ip_be)
			continue;
		own++;
		oldest = i;
	}
	if (own == PARK_EACH)
		park_give_up(s, oldest);
	else if (t->count == PARK_MAX)
		park_give_up(s, 0);
}

void park_datagram(struct stack *s, struct guest *g, const struct ring_desc *d)
{
	struct park_table *t = &s->park;
	park_make_room(s, g->ip_be);
	if (!t->count)
		t->ask_ns = s->now_ns + PARK_AGAIN_NS;
	t->entry[t->count++] = (struct parked){.desc = *d,
		.guest_ip_be = g->ip_be,
		.until_ns = s->now_ns + PARK_SECONDS * NS_PER_S};
	arp_ask(s, g);
}

void park_guest_found(struct stack *s, const struct guest *g)
{
	struct park_table *t = &s->park;
	struct flow *f;
	for (uint32_t i = 0; i < t->count;) {
		const struct parked *p = &t->entry[i];
		if (p->guest_ip_be != g->ip_be) {
			i++;
			continue;
		}
		if (flow_of_id(s, p->desc.flow, &f) < 0 || !f) {
			park_give_up(s, i);
			continue;
		}
		dgram_download(s, f, &p->desc);
		park_remove(s, i);
	}
}

void park_poll(struct stack *s)
{
	struct park_table *t = &s->park;
	struct guest *g;
	if (s->now_ns < park_next_ns(s))
		return;
	t->ask_ns = s->now_ns + PARK_AGAIN_NS;
	while (t->count && t->entry[0].until_ns <= s->now_ns)
		park_give_up(s, 0);
	for (uint32_t i = 0; i < t->count; i++) {
		g = guest_find(s, t->entry[i].guest_ip_be);
		if (g)
			arp_ask(s, g);
	}
}

uint64_t park_next_ns(const struct stack *s)
{
	return s->park.count ? s->park.ask_ns : UINT64_MAX;
}
