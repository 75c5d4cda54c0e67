/*
 * Every flow's calls: theory of operation.
 *
 *   bucket of (flow, caller, reference) ──▶ call ──▶ 16 places ──▶ opening ◀── buckets of (flow, token),
 *   link: place of the call, and how many were before it ──▶           (guest, port of the guest), (guest, outside port)
 *
 * All chains are single and short: what may be in them is bounded, and keyed hashes spread it, so that nobody can choose what meets. But
 * calls may name the same port of their guest (a listener for all): then that chain is as long as the guest has openings, and what is old
 * is found at its end, some microseconds an opening.
 * Ports are in the bucket of their pair. References count from 1; 0 is none. What was never taken is not looked at, and need not be zeroed.
 * A link says which call it was, so one that came late leads nowhere.
 */
#include "h323_calls.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(H323_CALLS < 1 << 12, "a link has 12 bits for the place");

enum { BY_TOKEN, BY_GUEST, BY_OUTSIDE, CHAINS, LINK_BITS = 12 };

void h323_calls_init(struct h323_calls *t, const struct hash_key *key)
{
	memset(t, 0, offsetof(struct h323_calls, guest));
	t->key = *key;
}

static struct h323_flow *flow_of(struct h323_calls *t, uint16_t id)
{
	if (id >= H323_FLOWS)
		abort();
	return &t->flow[id];
}

static uint32_t hash_of(const struct h323_calls *t, uint32_t what, uint32_t whose, uint32_t which)
{
	const uint32_t parts[] = {what, whose, which};
	return (uint32_t)hash_sip(&t->key, parts, sizeof(parts));
}

/* ---- guests: where their place is noted, or would be ---- */

static uint16_t *guest_link(struct h323_calls *t, uint32_t ip_be)
{
	uint16_t *link = &t->guest_bucket[hash_of(t, CHAINS, ip_be, 0) % H323_FLOWS];
	while (*link && t->guest[*link].ip_be != ip_be)
		link = &t->guest[*link].chain;
	return link;
}

/* There are no more guests with calls than flows. */
static uint16_t guest_get(struct h323_calls *t, uint32_t ip_be)
{
	uint16_t *link = guest_link(t, ip_be);
	if (!*link) {
		*link = t->free_guest ? t->free_guest : ++t->fresh_guest;
		if (t->free_guest)
			t->free_guest = t->guest[*link].chain;
		t->guest[*link] = (struct h323_guest){.ip_be = ip_be};
	}
	return *link;
}

/* Forgets one that has no calls. */
static void guest_give(struct h323_calls *t, uint16_t ref)
{
	struct h323_guest *g = &t->guest[ref];
	if (g->calls[ALG_GUEST] || g->calls[ALG_OUTSIDE])
		return;
	*guest_link(t, g->ip_be) = g->chain;
	g->chain = t->free_guest;
	t->free_guest = ref;
}

/* ---- shares ---- */

/* Who began it. Watches, the gatekeeper's part of a registration, come of what the guest asked. */
static enum alg_direction began(const struct h323_call *c)
{
	return c->caller == ALG_OUTSIDE && c->reference < H323_REFERENCES ? ALG_OUTSIDE : ALG_GUEST;
}

/* Whether who has `mine` of the `all` that are in use may have one more of these. */
static bool has_share(const uint16_t mine[2], const uint16_t all[2], enum alg_direction whose,
	unsigned int most, unsigned int coming)
{
	const unsigned int left = most - all[ALG_GUEST] - all[ALG_OUTSIDE];
	const unsigned int of_these = whose == ALG_OUTSIDE ? coming - all[ALG_OUTSIDE] : left;
	return mine[whose] < left && mine[whose] < of_these;
}

static void count(uint16_t mine[2], uint16_t all[2], enum alg_direction whose, int more)
{
	mine[whose] = (uint16_t)(mine[whose] + more);
	all[whose] = (uint16_t)(all[whose] + more);
}

/* ---- calls ---- */

static uint16_t *call_link(
	struct h323_calls *t, uint16_t flow, enum alg_direction caller, uint16_t reference)
{
	const uint32_t whose = (uint32_t)caller << 16 | flow;
	uint16_t *link = &t->call_bucket[hash_of(t, CHAINS + 1, whose, reference) % H323_CALLS];
	for (; *link; link = &t->call[*link].chain) {
		const struct h323_call *c = &t->call[*link];
		if (c->flow == flow && c->caller == caller && c->reference == reference)
			break;
	}
	return link;
}

struct h323_call *h323_calls_find(struct h323_calls *t, const struct alg_flow *f,
	enum alg_direction caller, uint16_t reference)
{
	const uint16_t ref = *call_link(t, f->id, caller, reference);
	return ref ? &t->call[ref] : NULL;
}

static bool has_room(
	struct h323_calls *t, const struct alg_flow *f, const struct h323_call *would_be)
{
	static const uint16_t none[2];
	const uint16_t guest = *guest_link(t, f->guest_ip_be);
	return flow_of(t, f->id)->calls < H323_FLOW_CALLS &&
	       has_share(guest ? t->guest[guest].calls : none, t->calls, began(would_be),
		       H323_CALLS, H323_COMING_CALLS);
}

struct h323_call *h323_calls_take(struct h323_calls *t, const struct alg_flow *f,
	enum alg_direction caller, uint16_t reference)
{
	struct h323_flow *flow = flow_of(t, f->id);
	uint16_t *link = call_link(t, f->id, caller, reference);
	const struct h323_call new = {.flow = f->id,
		.reference = reference,
		.caller = (uint8_t)caller,
		.next = flow->first,
		.seen_ms = f->now_ms};
	if (*link || !has_room(t, f, &new))
		return *link ? &t->call[*link] : NULL;
	const uint16_t ref = t->free_call ? t->free_call : ++t->fresh_call;
	struct h323_call *c = &t->call[ref];
	if (t->free_call)
		t->free_call = c->chain;
	*c = new;
	c->link = ++t->begun << LINK_BITS | ref;
	c->guest = guest_get(t, f->guest_ip_be);
	count(t->guest[c->guest].calls, t->calls, began(c), 1);
	*link = flow->first = ref;
	flow->calls++;
	return c;
}

struct h323_call *h323_calls_linked(struct h323_calls *t, const struct alg_flow *f)
{
	const uint16_t ref = f->link & ((1U << LINK_BITS) - 1);
	if (!ref || ref > t->fresh_call)
		return NULL;
	struct h323_call *c = &t->call[ref];
	return c->link == f->link && t->guest[c->guest].ip_be == f->guest_ip_be ? c : NULL;
}

/* Takes it from its signalling's flow: there nobody finds it any more. */
static void leave_flow(struct h323_calls *t, struct h323_call *c)
{
	struct h323_flow *flow = flow_of(t, c->flow);
	const uint16_t ref = (uint16_t)(c - t->call);
	uint16_t *link = &flow->first;
	*call_link(t, c->flow, (enum alg_direction)c->caller, c->reference) = c->chain;
	while (*link != ref)
		link = &t->call[*link].next;
	*link = c->next;
	flow->calls--;
	c->flow = H323_NO_FLOW;
}

void h323_calls_drop(struct h323_calls *t, struct h323_call *c)
{
	for (int place = 0; place < H323_CALL_OPENINGS; place++)
		if (c->opening[place])
			h323_calls_close(t, c, place);
	if (c->flow != H323_NO_FLOW)
		leave_flow(t, c);
	count(t->guest[c->guest].calls, t->calls, began(c), -1);
	guest_give(t, c->guest);
	c->link = 0;
	c->chain = t->free_call;
	t->free_call = (uint16_t)(c - t->call);
}

/* ---- openings ---- */

/* Where the opening's place is noted in one of its chains. */
static uint16_t *opening_link(struct h323_calls *t, int chain, uint32_t whose, uint32_t which)
{
	return &t->bucket[chain][hash_of(t, (uint32_t)chain, whose, which) % H323_OPENINGS];
}

static uint16_t *link_of(struct h323_calls *t, const struct h323_opening *o, int chain)
{
	const uint32_t guest_ip_be = t->guest[t->call[o->call].guest].ip_be;
	switch (chain) {
	case BY_TOKEN: return opening_link(t, chain, o->flow, o->token);
	case BY_GUEST: return opening_link(t, chain, guest_ip_be, o->guest_port / 2);
	default: return opening_link(t, chain, guest_ip_be, o->outside_port / 2);
	}
}

static void chain_in(struct h323_calls *t, struct h323_opening *o, int chain)
{
	uint16_t *link = link_of(t, o, chain);
	o->chain[chain] = *link;
	*link = (uint16_t)(o - t->opening);
}

static void chain_out(struct h323_calls *t, const struct h323_opening *o, int chain)
{
	uint16_t *link = link_of(t, o, chain);
	while (*link != (uint16_t)(o - t->opening))
		link = &t->opening[*link].chain[chain];
	*link = o->chain[chain];
}

static int free_place(const struct h323_call *c)
{
	for (int place = 0; place < H323_CALL_OPENINGS; place++)
		if (!c->opening[place])
			return place;
	return -1;
}

int h323_calls_open(struct h323_calls *t, struct h323_call *c, const struct alg_flow *f,
	enum alg_direction from)
{
	struct h323_flow *flow = flow_of(t, f->id);
	const struct h323_guest *g = &t->guest[c->guest];
	const int place = free_place(c);
	if (place < 0 ||
		!has_share(g->openings, t->openings, began(c), H323_OPENINGS, H323_COMING_OPENINGS))
		return -1;
	const uint16_t ref = t->free_opening ? t->free_opening : ++t->fresh_opening;
	struct h323_opening *o = &t->opening[ref];
	if (t->free_opening)
		t->free_opening = o->chain[BY_TOKEN];
	flow->token += flow->token == UINT32_MAX ? 2 : 1;
	*o = (struct h323_opening){.token = flow->token,
		.call = (uint16_t)(c - t->call),
		.flow = f->id,
		.from = (uint8_t)from,
		.pending = true};
	chain_in(t, o, BY_TOKEN);
	count(t->guest[c->guest].openings, t->openings, began(c), 1);
	c->opening[place] = ref;
	return place;
}

static bool has_ports(const struct h323_opening *o)
{
	return !o->pending && o->kind != ALG_TCP_WATCH;
}

void h323_calls_granted(struct h323_calls *t, struct h323_opening *o, const struct alg_grant *grant)
{
	o->pending = false;
	o->outside_ip_be = grant->outside_ip_be;
	o->outside_port = grant->outside_port;
	if (!has_ports(o))
		return;
	chain_in(t, o, BY_GUEST);
	chain_in(t, o, BY_OUTSIDE);
}

struct h323_opening *h323_calls_opening(struct h323_calls *t, const struct h323_call *c, int place)
{
	return c->opening[place] ? &t->opening[c->opening[place]] : NULL;
}

void h323_calls_close(struct h323_calls *t, struct h323_call *c, int place)
{
	const uint16_t ref = c->opening[place], mask = (uint16_t) ~(1u << place);
	struct h323_opening *o = &t->opening[ref];
	chain_out(t, o, BY_TOKEN);
	if (has_ports(o)) {
		chain_out(t, o, BY_GUEST);
		chain_out(t, o, BY_OUTSIDE);
	}
	o->chain[BY_TOKEN] = t->free_opening;
	t->free_opening = ref;
	count(t->guest[c->guest].openings, t->openings, began(c), -1);
	c->opening[place] = 0;
	c->kept &= mask;
	for (int i = 0; i < H323_CHANNELS; i++)
		c->channel[i].openings &= mask;
}

struct h323_call *h323_calls_of_token(
	struct h323_calls *t, const struct alg_flow *f, uint32_t token, int *place)
{
	uint16_t ref = *opening_link(t, BY_TOKEN, f->id, token);
	while (ref && (t->opening[ref].token != token || t->opening[ref].flow != f->id))
		ref = t->opening[ref].chain[BY_TOKEN];
	if (!ref)
		return NULL;
	struct h323_call *c = &t->call[t->opening[ref].call];
	for (*place = 0; c->opening[*place] != ref;)
		++*place;
	return c;
}

/* ---- ports ---- */

static uint8_t transport_of(const struct h323_opening *o)
{
	return o->kind == ALG_UDP_ONE || o->kind == ALG_UDP_PAIR ? ALGS_UDP : ALGS_TCP;
}

static bool is_among(const struct h323_opening *o, uint16_t first, uint16_t port)
{
	return port == first || (o->kind == ALG_UDP_PAIR && port == first + 1);
}

bool h323_calls_holds(const struct h323_opening *o, uint8_t transports, uint16_t guest_port)
{
	return o->kind != ALG_TCP_WATCH && transport_of(o) & transports &&
	       is_among(o, o->guest_port, guest_port);
}

static bool is_of_guest(
	const struct h323_calls *t, const struct h323_opening *o, const struct alg_flow *f)
{
	return t->guest[t->call[o->call].guest].ip_be == f->guest_ip_be;
}

const struct h323_opening *h323_calls_by_guest(
	struct h323_calls *t, const struct alg_flow *f, uint8_t transports, uint16_t guest_port)
{
	uint16_t ref = *opening_link(t, BY_GUEST, f->guest_ip_be, guest_port / 2);
	for (; ref; ref = t->opening[ref].chain[BY_GUEST])
		if (is_of_guest(t, &t->opening[ref], f) &&
			h323_calls_holds(&t->opening[ref], transports, guest_port))
			return &t->opening[ref];
	return NULL;
}

const struct h323_opening *h323_calls_by_outside(struct h323_calls *t, const struct alg_flow *f,
	uint8_t transports, uint32_t outside_ip_be, uint16_t outside_port)
{
	uint16_t ref = *opening_link(t, BY_OUTSIDE, f->guest_ip_be, outside_port / 2);
	for (; ref; ref = t->opening[ref].chain[BY_OUTSIDE]) {
		const struct h323_opening *o = &t->opening[ref];
		if (is_of_guest(t, o, f) && o->outside_ip_be == outside_ip_be &&
			transport_of(o) & transports && is_among(o, o->outside_port, outside_port))
			return o;
	}
	return NULL;
}

/* ---- the end ---- */

static void forget_openings(struct h323_calls *t, struct h323_call *c, uint16_t flow)
{
	for (int place = 0; place < H323_CALL_OPENINGS; place++)
		if (c->opening[place] && t->opening[c->opening[place]].flow == flow)
			h323_calls_close(t, c, place);
}

/* Its calls are over, unless their H.245 connection goes on. */
static void end_signalling(struct h323_calls *t, uint16_t id)
{
	const struct h323_flow *flow = flow_of(t, id);
	while (flow->first) {
		struct h323_call *c = &t->call[flow->first];
		forget_openings(t, c, id);
		if (c->control)
			leave_flow(t, c);
		else
			h323_calls_drop(t, c);
	}
}

void h323_calls_end(struct h323_calls *t, const struct alg_flow *f)
{
	struct h323_call *c = h323_calls_linked(t, f);
	end_signalling(t, f->id);
	if (c)
		forget_openings(t, c, f->id);
	if (c && c->control == f->id + 1) {
		c->control = 0;
		if (c->flow == H323_NO_FLOW)
			h323_calls_drop(t, c);
	}
	*flow_of(t, f->id) = (struct h323_flow){0};
}
