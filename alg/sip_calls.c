/*
 * Every flow's calls: theory of operation.
 *
 *   bucket of (flow, caller, Call-ID, caller's tag) ──▶ call ──▶ 16 places ──▶ opening ◀── bucket of (flow, token)
 *
 * Each call is in two lists that are ordered by use, that of all flows and its own flow's, and of each there are two: calls
 * without openings and calls with. Of the first any may be forgotten: it only knows who said what, and a dialog that goes on
 * is taken up again by its next request. Of the others only one that was silent for SIP_SILENT_MS may: natproxy keeps its
 * pinholes for as long as they are used. So room is found, or not, by a look at two heads.
 *
 * Tags, branches and Call-IDs are kept as keyed hashes: nobody can choose one that hits another, nor fill a bucket.
 * References count from 1; 0 is none. What was never taken is not looked at, and need not be zeroed.
 */
#include "sip_calls.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((SIP_CALLS & (SIP_CALLS - 1)) == 0 && (SIP_OPENINGS & (SIP_OPENINGS - 1)) == 0,
	"buckets are counted by a mask");

enum { ALL, OWN };

void sip_calls_init(struct sip_calls *t, const struct hash_key *key)
{
	memset(t, 0, offsetof(struct sip_calls, call));
	t->key = *key;
}

static uint64_t hash_of(const struct sip_calls *t, struct text bytes)
{
	return hash_sip(&t->key, bytes.p, text_left(&bytes));
}

uint32_t sip_calls_tag(const struct sip_calls *t, struct text tag)
{
	const uint32_t hash = (uint32_t)hash_of(t, tag);
	return hash ? hash : 1;
}

uint64_t sip_calls_branch(const struct sip_calls *t, struct text branch)
{
	return hash_of(t, branch);
}

static uint64_t key_of(const struct sip_calls *t, uint16_t flow, enum alg_direction caller,
	struct text call_id, struct text tag)
{
	const uint64_t parts[] = {
		hash_of(t, call_id), hash_of(t, tag), (uint64_t)caller << 16 | flow};
	return hash_sip(&t->key, parts, sizeof(parts));
}

static struct sip_flow *flow_of(struct sip_calls *t, uint16_t id)
{
	if (id >= SIP_FLOWS)
		abort();
	return &t->flow[id];
}

static uint16_t ref_of(const struct sip_calls *t, const struct sip_call *c)
{
	return (uint16_t)(c - t->call);
}

/* ---- lists ---- */

static struct sip_list *list_of(struct sip_calls *t, const struct sip_call *c, int which)
{
	return which == ALL ? &t->list[c->busy] : &flow_of(t, c->flow)->list[c->busy];
}

static void append(struct sip_calls *t, struct sip_call *c, int which)
{
	struct sip_list *list = list_of(t, c, which);
	c->link[which] = (struct sip_link){.before = list->newest};
	if (list->newest)
		t->call[list->newest].link[which].after = ref_of(t, c);
	else
		list->oldest = ref_of(t, c);
	list->newest = ref_of(t, c);
}

static void take_out(struct sip_calls *t, struct sip_call *c, int which)
{
	struct sip_list *list = list_of(t, c, which);
	const struct sip_link link = c->link[which];
	if (link.before)
		t->call[link.before].link[which].after = link.after;
	else
		list->oldest = link.after;
	if (link.after)
		t->call[link.after].link[which].before = link.before;
	else
		list->newest = link.before;
}

/* To the end of its lists, which are other ones if it has openings now and had none, or the other way. */
static void move(struct sip_calls *t, struct sip_call *c, bool busy)
{
	take_out(t, c, ALL);
	take_out(t, c, OWN);
	c->busy = busy;
	append(t, c, ALL);
	append(t, c, OWN);
}

/* ---- guests ---- */

static uint16_t *guest_bucket(struct sip_calls *t, uint32_t ip_be)
{
	return &t->guest_bucket[hash_sip(&t->key, &ip_be, sizeof(ip_be)) % SIP_FLOWS];
}

/* 0: it has no calls. */
static uint16_t guest_find(struct sip_calls *t, uint32_t ip_be)
{
	uint16_t ref = *guest_bucket(t, ip_be);
	while (ref && t->guest[ref].ip_be != ip_be)
		ref = t->guest[ref].chain;
	return ref;
}

/* There are no more guests with calls than flows. */
static uint16_t guest_take(struct sip_calls *t, uint32_t ip_be)
{
	uint16_t *bucket = guest_bucket(t, ip_be), ref = guest_find(t, ip_be);
	if (ref)
		return ref;
	ref = t->free_guest ? t->free_guest : ++t->fresh_guest;
	if (t->free_guest)
		t->free_guest = t->guest[ref].chain;
	t->guest[ref] = (struct sip_guest){.ip_be = ip_be, .chain = *bucket};
	*bucket = ref;
	return ref;
}

static void guest_give(struct sip_calls *t, uint16_t ref)
{
	struct sip_guest *g = &t->guest[ref];
	uint16_t *link = guest_bucket(t, g->ip_be);
	if (--g->calls)
		return;
	while (*link != ref)
		link = &t->guest[*link].chain;
	*link = g->chain;
	g->chain = t->free_guest;
	t->free_guest = ref;
}

/* ---- calls ---- */

static uint16_t *call_bucket(struct sip_calls *t, uint64_t key)
{
	return &t->call_bucket[key & (SIP_CALLS - 1)];
}

static struct sip_call *find(struct sip_calls *t, const struct alg_flow *f, uint64_t key)
{
	uint16_t ref = *call_bucket(t, key);
	while (ref && (t->call[ref].key != key || t->call[ref].flow != f->id))
		ref = t->call[ref].chain;
	if (!ref)
		return NULL;
	struct sip_call *c = &t->call[ref];
	c->seen_ms = f->now_ms;
	move(t, c, c->busy);
	return c;
}

struct sip_call *sip_calls_find(struct sip_calls *t, const struct alg_flow *f,
	enum alg_direction caller, struct text call_id, struct text tag)
{
	return find(t, f, key_of(t, f->id, caller, call_id, tag));
}

/* The call of these lists that may be forgotten for another one, 0: none. */
static uint16_t spare(const struct sip_calls *t, const struct sip_list list[2], uint64_t now_ms)
{
	const uint16_t busy = list[true].oldest;
	if (list[false].oldest)
		return list[false].oldest;
	return busy && now_ms - t->call[busy].seen_ms > SIP_SILENT_MS ? busy : 0;
}

/* Makes room for a call of this flow; false: there is none. */
static bool make_room(struct sip_calls *t, const struct alg_flow *f)
{
	const uint16_t calls = t->guest[guest_find(t, f->guest_ip_be)].calls;
	if (calls < SIP_CALLS - t->calls)
		return true;
	const uint16_t old = spare(t, calls ? flow_of(t, f->id)->list : t->list, f->now_ms);
	if (old)
		sip_calls_drop(t, &t->call[old]);
	return old;
}

struct sip_call *sip_calls_take(struct sip_calls *t, const struct alg_flow *f,
	enum alg_direction caller, struct text call_id, struct text tag)
{
	const uint64_t key = key_of(t, f->id, caller, call_id, tag);
	struct sip_flow *flow = flow_of(t, f->id);
	struct sip_call *c = find(t, f, key);
	if (c || !make_room(t, f))
		return c;
	const uint16_t ref = t->free_call ? t->free_call : ++t->fresh_call;
	c = &t->call[ref];
	if (t->free_call)
		t->free_call = c->chain;
	*c = (struct sip_call){.key = key, .seen_ms = f->now_ms, .flow = f->id};
	c->caller = (uint8_t)caller;
	c->chain = *call_bucket(t, key);
	*call_bucket(t, key) = ref;
	if (!flow->calls++)
		flow->guest = guest_take(t, f->guest_ip_be);
	t->guest[flow->guest].calls++;
	t->calls++;
	append(t, c, ALL);
	append(t, c, OWN);
	return c;
}

void sip_calls_drop(struct sip_calls *t, struct sip_call *c)
{
	struct sip_flow *flow = flow_of(t, c->flow);
	const uint16_t ref = ref_of(t, c);
	for (int place = 0; place < SIP_CALL_OPENINGS; place++)
		if (c->opening[place])
			sip_calls_close(t, c, place);
	uint16_t *link = call_bucket(t, c->key);
	while (*link != ref)
		link = &t->call[*link].chain;
	*link = c->chain;
	take_out(t, c, ALL);
	take_out(t, c, OWN);
	flow->calls--;
	t->calls--;
	guest_give(t, flow->guest);
	c->chain = t->free_call;
	t->free_call = ref;
}

/* ---- openings ---- */

static uint16_t *token_bucket(struct sip_calls *t, uint16_t flow, uint32_t token)
{
	return &t->token_bucket[(token * 2654435761u + flow * 40503u) & (SIP_OPENINGS - 1)];
}

static int free_place(const struct sip_call *c)
{
	for (int place = 0; place < SIP_CALL_OPENINGS; place++)
		if (!c->opening[place])
			return place;
	return -1;
}

int sip_calls_open(struct sip_calls *t, struct sip_call *c)
{
	struct sip_flow *flow = flow_of(t, c->flow);
	struct sip_guest *g = &t->guest[flow->guest];
	const int place = free_place(c);
	if (place < 0 || g->openings >= SIP_OPENINGS - t->openings)
		return -1;
	const uint16_t ref = t->free_opening ? t->free_opening : ++t->fresh_opening;
	struct sip_opening *o = &t->opening[ref];
	if (t->free_opening)
		t->free_opening = o->chain;
	flow->token += flow->token == UINT32_MAX ? 2 : 1;
	uint16_t *bucket = token_bucket(t, c->flow, flow->token);
	*o = (struct sip_opening){.token = flow->token, .call = ref_of(t, c), .chain = *bucket};
	*bucket = ref;
	g->openings++;
	t->openings++;
	c->opening[place] = ref;
	if (!c->busy)
		move(t, c, true);
	return place;
}

struct sip_opening *sip_calls_opening(struct sip_calls *t, const struct sip_call *c, int place)
{
	return &t->opening[c->opening[place]];
}

static bool has_openings(const struct sip_call *c)
{
	uint16_t any = 0;
	for (int place = 0; place < SIP_CALL_OPENINGS; place++)
		any |= c->opening[place];
	return any;
}

void sip_calls_close(struct sip_calls *t, struct sip_call *c, int place)
{
	const uint16_t ref = c->opening[place], mask = (uint16_t) ~(1u << place);
	struct sip_opening *o = &t->opening[ref];
	uint16_t *link = token_bucket(t, c->flow, o->token);
	while (*link != ref)
		link = &t->opening[*link].chain;
	*link = o->chain;
	o->chain = t->free_opening;
	t->free_opening = ref;
	t->guest[flow_of(t, c->flow)->guest].openings--;
	t->openings--;
	c->opening[place] = 0;
	for (int i = 0; i < SIP_CALL_FORKS; i++)
		c->fork[i].active &= mask;
	for (int i = 0; i < SIP_CALL_REQUESTS; i++)
		c->request[i].openings &= mask;
	if (!has_openings(c))
		move(t, c, false);
}

struct sip_call *sip_calls_of_token(
	struct sip_calls *t, const struct alg_flow *f, uint32_t token, int *place)
{
	uint16_t ref = *token_bucket(t, f->id, token);
	while (ref &&
		(t->opening[ref].token != token || t->call[t->opening[ref].call].flow != f->id))
		ref = t->opening[ref].chain;
	if (!ref)
		return NULL;
	struct sip_call *c = &t->call[t->opening[ref].call];
	for (*place = 0; c->opening[*place] != ref;)
		++*place;
	return c;
}

void sip_calls_end(struct sip_calls *t, const struct alg_flow *f)
{
	struct sip_flow *flow = flow_of(t, f->id);
	for (int busy = 0; busy < 2; busy++)
		while (flow->list[busy].oldest)
			sip_calls_drop(t, &t->call[flow->list[busy].oldest]);
	*flow = (struct sip_flow){0};
}
