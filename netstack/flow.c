/*
 * Theory of operation: static array, chained hash with a secret key, free list in last-in-first-out order so that an
 * idle gateway touches few pages. Every flow in use is on exactly one doubly linked list: half-open or open of its
 * guest, or the global one of TIME-WAIT; lists give "oldest" for recycling and "all of this guest" for its end.
 */
#include <errno.h>
#include <string.h>

#include "state.h"

uint32_t flow_id_of(const struct stack *s, const struct flow *f)
{
	return flow_id((uint32_t)(f - s->flows.flow), f->generation);
}

struct guest *flow_guest(struct stack *s, const struct flow *f)
{
	return guest_at(s, f->guest);
}

static uint32_t *flow_bucket(struct stack *s, const struct flow_key *key)
{
	return &s->flows.bucket[hash_sip(&s->key, key, sizeof(*key)) % FLOW_BUCKETS];
}

struct flow *flow_find(struct stack *s, const struct flow_key *key)
{
	for (uint32_t i = *flow_bucket(s, key); i; i = s->flows.flow[i - 1].hash_next)
		if (memcmp(&s->flows.flow[i - 1].key, key, sizeof(*key)) == 0)
			return &s->flows.flow[i - 1];
	return NULL;
}

int flow_of_id(struct stack *s, uint32_t id, struct flow **f)
{
	struct flow *candidate;
	*f = NULL;
	if (flow_index(id) >= s->flows.touched)
		return -EPROTO;
	candidate = &s->flows.flow[flow_index(id)];
	if (candidate->used && candidate->hashed && candidate->generation == flow_generation(id))
		*f = candidate;
	return 0;
}

static struct flow_list *flow_list_of(struct stack *s, struct flow *f)
{
	struct guest *g = flow_guest(s, f);
	if (f->list == FLOW_TIME_WAIT)
		return &s->flows.time_wait;
	if (f->list == FLOW_HALF_OPEN)
		return f->inward ? &g->calls : &g->half_open;
	return &g->flows;
}

/* What the guest is charged with: connections in TIME-WAIT are no sessions, but keep its entry alive. */
static uint32_t *flow_session_count(struct guest *g, const struct flow *f)
{
	if (f->list == FLOW_TIME_WAIT)
		return &g->time_wait;
	if (f->key.kind == FLOW_TCP)
		return f->inward ? &g->tcp_inward : &g->tcp;
	return f->key.kind == FLOW_ECHO ? &g->echo : &g->udp;
}

static void flow_unlist(struct stack *s, struct flow *f)
{
	struct flow_list *l;
	if (f->list == FLOW_NOWHERE)
		return;
	l = flow_list_of(s, f);
	*(f->list_prev ? &s->flows.flow[f->list_prev - 1].list_next : &l->head) = f->list_next;
	*(f->list_next ? &s->flows.flow[f->list_next - 1].list_prev : &l->tail) = f->list_prev;
	l->count--;
	(*flow_session_count(flow_guest(s, f), f))--;
	f->list = FLOW_NOWHERE;
}

void flow_move(struct stack *s, struct flow *f, enum flow_where where)
{
	struct flow_list *l;
	uint32_t self = (uint32_t)(f - s->flows.flow) + 1;
	flow_unlist(s, f);
	f->list = (uint8_t)where;
	if (where == FLOW_NOWHERE)
		return;
	l = flow_list_of(s, f);
	f->list_prev = l->tail;
	f->list_next = 0;
	*(l->tail ? &s->flows.flow[l->tail - 1].list_next : &l->head) = self;
	l->tail = self;
	l->count++;
	(*flow_session_count(flow_guest(s, f), f))++;
}

static bool flow_limit_reached(const struct stack *s, const struct guest *g, uint32_t kind)
{
	const struct stack_config *c = &s->config;
	uint32_t limit = kind == FLOW_TCP ? c->tcp_per_guest : c->udp_per_guest;
	uint32_t held = kind == FLOW_TCP ? g->tcp : g->udp;
	if (kind == FLOW_ECHO) {
		limit = c->echo_per_guest;
		held = g->echo;
	}
	return limit && held >= limit;
}

static struct flow *flow_take(struct stack *s)
{
	struct flow_table *t = &s->flows;
	struct flow *f;
	if (!t->free_head && t->touched == STACK_FLOWS_MAX && t->time_wait.head)
		tcp_forget(s, &t->flow[t->time_wait.head - 1]);
	if (t->free_head) {
		f = &t->flow[t->free_head - 1];
		t->free_head = f->hash_next;
		return f;
	}
	return t->touched < STACK_FLOWS_MAX ? &t->flow[t->touched++] : NULL;
}

static struct flow *flow_begin(
	struct stack *s, const struct flow_key *key, struct guest *g, bool inward)
{
	uint32_t *bucket;
	struct flow *f = flow_take(s);
	if (!f) {
		drop_count(s->drops, DROP_FLOW_TABLE);
		return NULL;
	}
	bucket = flow_bucket(s, key);
	*f = (struct flow){.key = *key,
		.generation = f->generation ? f->generation : 1, /* no flow has id 0 */
		.guest = guest_index(s, g),
		.hash_next = *bucket,
		.used = true,
		.inward = inward,
		.hashed = true};
	*bucket = (uint32_t)(f - s->flows.flow) + 1;
	s->flows.used++;
	flow_move(s, f, FLOW_OPEN);
	return f;
}

struct flow *flow_open(struct stack *s, const struct flow_key *key, struct guest *g)
{
	if (!flow_limit_reached(s, g, key->kind))
		return flow_begin(s, key, g, false);
	drop_count(s->drops, DROP_FLOW_LIMIT);
	return NULL;
}

struct flow *flow_open_inward(struct stack *s, const struct flow_key *key, struct guest *g)
{
	const uint64_t limit = (uint64_t)s->config.tcp_per_guest * 5 / 2;
	if (!limit || g->tcp_inward < limit)
		return flow_begin(s, key, g, true);
	drop_count(s->drops, DROP_FLOW_LIMIT);
	return NULL;
}

void flow_end(struct stack *s, struct flow *f)
{
	uint32_t *link = flow_bucket(s, &f->key);
	if (!f->hashed)
		return;
	while (*link != (uint32_t)(f - s->flows.flow) + 1)
		link = &s->flows.flow[*link - 1].hash_next;
	*link = f->hash_next;
	f->hashed = false;
	flow_move(s, f, FLOW_NOWHERE);
	flow_settle(s, f);
}

void flow_owe(struct stack *s, struct flow *f, unsigned int owed)
{
	struct flow_table *t = &s->flows;
	uint32_t self = (uint32_t)(f - t->flow) + 1;
	f->owed |= (uint8_t)owed;
	if (f->ready)
		return;
	f->ready = true;
	f->ready_next = 0;
	*(t->ready_tail ? &t->flow[t->ready_tail - 1].ready_next : &t->ready_head) = self;
	t->ready_tail = self;
}

struct flow *flow_next_ready(struct stack *s)
{
	struct flow_table *t = &s->flows;
	struct flow *f;
	if (!t->ready_head)
		return NULL;
	f = &t->flow[t->ready_head - 1];
	t->ready_head = f->ready_next;
	if (!t->ready_head)
		t->ready_tail = 0;
	f->ready = false;
	return f;
}

void flow_forget_id(struct flow *f)
{
	f->told = false;
	f->generation++;
}

void flow_settle(struct stack *s, struct flow *f)
{
	if (!f->used || f->hashed || f->ready || f->owed)
		return;
	f->used = false;
	f->generation++;
	f->hash_next = s->flows.free_head;
	s->flows.free_head = (uint32_t)(f - s->flows.flow) + 1;
	s->flows.used--;
}

void flow_guest_found(struct stack *s, struct guest *g)
{
	for (uint32_t i = g->calls.head; i; i = s->flows.flow[i - 1].list_next)
		if (s->flows.flow[i - 1].tcp.state == TCP_SYN_SENT)
			tcp_syn_due(s, &s->flows.flow[i - 1]);
}
