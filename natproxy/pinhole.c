/*
 * Theory of operation. Entries live in one array with a free list; pinhole_index.c finds them. A
 * guest that asks gets an entry in the small table of its account, with its count and a token bucket;
 * that outlives the guest's flows, so that reconnecting does not refill the bucket, and is recycled
 * once it would be full again anyway.
 *
 *   open ─▶ latent ──arm──▶ armed ──a session of guest and peer──▶ used
 *             │ keep: life     ▲ │ keep, arm: life begins anew       │
 *             │ begins anew,   │ │                                   │
 *             ▼ to a bound     └─┼────── arm for another peer ───────┘
 *           over ◀──────────── time
 *
 * The first who speaks to a port that is open to whoever does is its peer for good: armed again for
 * whoever speaks first, which is what a repeated answer does, it stays that one's. One that stands
 * (a registered port) keeps its time when it is used, and is used again.
 *
 * An entry that is watched lets nobody in: a connection that the guest makes, or that comes by a port
 * which the operator opened, is only known by it for what it is to be read as.
 */

#include "pinhole.h"

#include <stdio.h>

#include "pinhole_index.h"

enum { SECOND_NS = 1000000000, MS_NS = 1000000, PRIVILEGED = 1024 };

void pinhole_init(struct pinholes *p, const struct hash_key *key)
{
	p->key = *key;
}

static struct pinhole_guests *guests_of(struct pinholes *p, enum algs_id alg)
{
	return &p->guests[pinhole_rule(alg)->account];
}

static const struct pinhole_share *share_of(enum algs_id alg)
{
	return pinhole_share((enum pinhole_account)pinhole_rule(alg)->account);
}

static struct pinhole_guest *guest_of(struct pinholes *p, const struct pinhole *e)
{
	return &guests_of(p, (enum algs_id)e->alg)->guest[e->guest_ref];
}

static uint32_t *guest_head(const struct pinholes *p, struct pinhole_guests *all, uint32_t ip_be)
{
	return &all->bucket[hash_sip(&p->key, &ip_be, sizeof(ip_be)) & (PINHOLE_GUEST_BUCKETS - 1)];
}

static void guest_refill(
	struct pinhole_guest *g, const struct pinhole_share *share, uint64_t now_ns)
{
	const uint64_t earned = (now_ns - g->refilled_ns) / (SECOND_NS / share->rate);
	if (!earned)
		return;
	g->tokens = g->tokens + earned > share->rate ? share->rate : g->tokens + (uint32_t)earned;
	g->refilled_ns = now_ns;
}

/* An entry that holds nothing and would have a full bucket: forgetting it changes nothing. */
static uint32_t guest_recycle(const struct pinholes *p, struct pinhole_guests *all, uint64_t now_ns)
{
	for (uint32_t ref = 1; ref <= all->fresh; ref++) {
		const struct pinhole_guest *g = &all->guest[ref];
		if (g->places || now_ns - g->refilled_ns < SECOND_NS)
			continue;
		uint32_t *at = guest_head(p, all, g->ip_be);
		while (*at != ref)
			at = &all->guest[*at].next;
		*at = g->next;
		return ref;
	}
	return 0;
}

static uint32_t guest_get(
	struct pinholes *p, const struct pinhole_request *r, uint64_t now_ns)
{
	struct pinhole_guests *all = guests_of(p, r->alg);
	uint32_t *head = guest_head(p, all, r->guest_ip_be), ref = *head;
	while (ref && all->guest[ref].ip_be != r->guest_ip_be)
		ref = all->guest[ref].next;
	if (ref)
		return ref;
	ref = all->fresh < PINHOLE_GUESTS ? ++all->fresh : guest_recycle(p, all, now_ns);
	if (!ref)
		return 0;
	all->guest[ref] = (struct pinhole_guest){.ip_be = r->guest_ip_be,
		.next = *head,
		.tokens = share_of(r->alg)->rate,
		.refilled_ns = now_ns};
	*head = ref;
	return ref;
}

/* What of so many is not for a flow that `came` from outside: it is left to those that the guest begins. */
static uint32_t kept_of(uint32_t many, enum algs_id alg, bool came)
{
	const uint32_t part = pinhole_rule(alg)->kept;
	return came && part ? many / part : 0;
}

/* Whether one more wish is not too fast; it costs a token. */
static bool guest_charge(struct pinhole_guest *g, enum algs_id alg, bool came, uint64_t now_ns)
{
	const struct pinhole_share *share = share_of(alg);
	guest_refill(g, share, now_ns);
	if (g->tokens <= kept_of(share->rate, alg, came))
		return false;
	g->tokens--;
	return true;
}

/* Ports from the one that is asked for on; 0: more than there may be. */
static uint32_t ports_of(const struct pinhole_request *r, const struct pinhole_rule *rule)
{
	const uint32_t pairs = r->pairs ? r->pairs : 1;
	if (r->kind != PINHOLE_UDP_PAIR)
		return pairs == 1;
	return pairs <= rule->pairs ? 2 * pairs : 0;
}

/* What only the guest's gatekeeper gets in by may be one of those. */
static bool is_served(const struct pinhole_request *r, const struct pinhole_rule *rule)
{
	return r->kind == PINHOLE_TCP_SERVICE && rule->serve_port == r->guest_port;
}

static bool is_any_denied(const struct pinhole_request *r, uint32_t ports)
{
	for (uint32_t i = 0; i < ports; i++)
		if (pinhole_port_denied(r->guest_port + i, pinhole_is_datagram(r->kind)))
			return true;
	return false;
}

/* Nothing comes in by it: the port is the far end's. */
static enum pinhole_refusal judge_watch(const struct pinhole_request *r)
{
	const bool sound =
		!r->guest_port && r->peer_port >= PRIVILEGED && r->peer_port <= UINT16_MAX;
	if (!r->inspect)
		return PINHOLE_NOT_INSPECTED;
	return sound && ports_of(r, pinhole_rule(r->alg)) ? PINHOLE_GRANTED : PINHOLE_BAD_PORT;
}

/* A connection is read only as a service that the same ALG has, and what comes again and again as one that is called. */
static enum pinhole_refusal judge_service(
	const struct pinhole_request *r, const struct pinhole_rule *rule)
{
	const bool called = r->inspect && r->service < algs_services(r->alg);
	if (r->kind == PINHOLE_TCP_SERVICE && !called)
		return PINHOLE_NOT_INSPECTED;
	if (!r->inspect)
		return PINHOLE_GRANTED;
	return rule->inspects && !pinhole_is_datagram(r->kind) &&
			       algs_offers(r->alg, r->service, ALGS_TCP)
		       ? PINHOLE_GRANTED
		       : PINHOLE_NOT_INSPECTED;
}

static enum pinhole_refusal judge_port(
	const struct pinhole_request *r, const struct pinhole_rule *rule)
{
	const uint32_t ports = ports_of(r, rule);
	/* who speaks from no such port itself has none to wait at */
	const bool low = r->guest_port < PRIVILEGED && r->control_port >= PRIVILEGED;
	if (r->kind == PINHOLE_TCP_WATCH)
		return judge_watch(r);
	if (!ports)
		return PINHOLE_TOO_MANY_PAIRS;
	if (low || r->guest_port < rule->port_first || r->peer_port ||
		(is_any_denied(r, 1) && !is_served(r, rule)))
		return PINHOLE_BAD_PORT;
	if (r->kind == PINHOLE_UDP_PAIR && r->guest_port & 1)
		return PINHOLE_ODD_PAIR;
	if (is_any_denied(r, ports) && !is_served(r, rule))
		return PINHOLE_BAD_PORT;
	if (rule->own_port && r->guest_port != r->control_port)
		return PINHOLE_NOT_OWN_PORT;
	return r->open && !r->listed ? PINHOLE_OPEN_PORT : PINHOLE_GRANTED;
}

/* Whether the far end may name who is to come by this kind. */
static bool may_name(const struct pinhole_rule *rule, uint32_t kind)
{
	return rule->named & 1U << kind;
}

static enum pinhole_refusal judge_peer(
	const struct pinhole_peer *peer, const struct pinhole_rule *rule, uint32_t kind)
{
	if (!peer->named || peer->ip_be == peer->control_ip_be)
		return PINHOLE_GRANTED;
	if (!peer->ip_be)
		return !rule->latch || peer->latch ? PINHOLE_GRANTED : PINHOLE_NO_LATCH;
	if (!may_name(rule, kind))
		return PINHOLE_BAD_PEER;
	return peer->outside ? PINHOLE_GRANTED : PINHOLE_INSIDE_PEER;
}

/* Whether who speaks first is meant. */
static bool is_latch(const struct pinhole_peer *peer, const struct pinhole_rule *rule)
{
	return rule->latch && peer->named && !peer->ip_be && peer->control_ip_be;
}

static bool flow_is_full(const struct pinholes *p, const struct pinhole_request *r)
{
	const struct pinhole_rule *rule = pinhole_rule(r->alg);
	const struct pinhole_flow *f = pinhole_index_flow(p, r->flow);
	return f && (f->pending >= rule->pending || f->total >= rule->total ||
			    (r->kind == PINHOLE_TCP_WATCH && f->watches >= rule->watches));
}

/* Who is named, or is meant where nobody is. */
static uint32_t peer_of(const struct pinhole_peer *peer, const struct pinhole_rule *rule)
{
	const bool other = peer->named && peer->ip_be != peer->control_ip_be;
	if (other && (peer->ip_be || is_latch(peer, rule)))
		return peer->ip_be;
	return peer->control_real_ip_be ? peer->control_real_ip_be : peer->control_ip_be;
}

/* What it has of what only a watched entry needs. */
static void set_watch(struct pinhole *e, const struct pinhole_request *r)
{
	e->watched = r->listed || r->kind == PINHOLE_TCP_WATCH;
	e->seen.port = (uint16_t)r->peer_port;
	if (r->listed)
		e->seen.ip_be = peer_of(&r->peer, pinhole_rule(r->alg));
	else
		e->seen.ip_be =
			r->peer.named && r->peer.ip_be ? r->peer.ip_be : r->peer.control_ip_be;
}

static bool port_is_full(const struct pinholes *p, const struct pinhole_request *r)
{
	const uint32_t ports = ports_of(r, pinhole_rule(r->alg));
	struct pinhole watch = {.guest = {r->guest_ip_be, (uint16_t)r->guest_port}};
	set_watch(&watch, r);
	if (watch.watched)
		return pinhole_index_watching(p, &watch) >= PINHOLE_SAME_MAX;
	for (uint32_t i = 0; pinhole_is_datagram(r->kind) && i < ports; i += 2)
		if (pinhole_index_same(p, r->guest_ip_be, (uint16_t)(r->guest_port + i)) >=
			PINHOLE_SAME_MAX)
			return true;
	return false;
}

/* As for all that guests share: a guest may have as many as it leaves free for others. */
static enum pinhole_refusal judge_share(
	const struct pinholes *p, const struct pinhole_request *r, const struct pinhole_guest *g)
{
	const uint32_t left = PINHOLE_HUB_MAX - p->places;
	const uint32_t more = r->pairs ? r->pairs : 1, all = g->places + more;
	const uint32_t share = share_of(r->alg)->most, most = left < share ? left : share;
	if (more > left)
		return PINHOLE_HUB_QUOTA;
	return all > most - kept_of(most, r->alg, r->came) ? PINHOLE_GUEST_QUOTA : PINHOLE_GRANTED;
}

static enum pinhole_refusal judge(
	const struct pinholes *p, const struct pinhole_request *r, const struct pinhole_guest *g)
{
	const struct pinhole_rule *rule = pinhole_rule(r->alg);
	if (r->kind >= PINHOLE_KINDS || !(rule->kinds & 1U << r->kind))
		return PINHOLE_BAD_KIND;
	if (r->kind == PINHOLE_TCP_SERVICE && !r->forward)
		return PINHOLE_NO_FORWARD;
	const enum pinhole_refusal port = judge_port(r, rule);
	if (port != PINHOLE_GRANTED)
		return port;
	const enum pinhole_refusal service = judge_service(r, rule);
	if (service != PINHOLE_GRANTED)
		return service;
	const enum pinhole_refusal peer = judge_peer(&r->peer, rule, r->kind);
	if (peer != PINHOLE_GRANTED)
		return peer;
	if (!r->token)
		return PINHOLE_BAD_TOKEN;
	if (pinhole_find(p, r->flow, r->token))
		return PINHOLE_TOKEN_USED;
	if (flow_is_full(p, r))
		return PINHOLE_FLOW_QUOTA;
	if (port_is_full(p, r))
		return PINHOLE_PORT_QUOTA;
	return judge_share(p, r, g);
}

/* Counts what is refused, and costs the guest a token. *guest is set when it is granted. */
static enum pinhole_refusal judge_and_charge(
	struct pinholes *p, const struct pinhole_request *r, uint64_t now_ns, uint32_t *guest)
{
	enum pinhole_refusal why = PINHOLE_GUEST_QUOTA;
	*guest = guest_get(p, r, now_ns);
	struct pinhole_guest *g = &guests_of(p, r->alg)->guest[*guest];
	if (*guest)
		why = guest_charge(g, r->alg, r->came, now_ns) ? judge(p, r, g) : PINHOLE_TOO_FAST;
	p->count[r->alg].refused += why != PINHOLE_GRANTED;
	p->count[r->alg].granted += why == PINHOLE_GRANTED;
	return why;
}

enum pinhole_refusal pinhole_pretend(
	struct pinholes *p, const struct pinhole_request *r, uint64_t now_ns)
{
	uint32_t guest;
	return judge_and_charge(p, r, now_ns, &guest);
}

static uint32_t places_of(const struct pinhole *e)
{
	return (pinhole_ports(e) + 1) / 2;
}

/* There is one: each takes a place at least. */
static uint32_t entry_take(struct pinholes *p)
{
	const uint32_t ref = p->free;
	if (!ref)
		return ++p->fresh;
	p->free = p->entry[ref].free_next;
	return ref;
}

static uint64_t life_ns(const struct pinhole_rule *rule, uint32_t kind, uint32_t asked_ms)
{
	const bool long_lived = kind == PINHOLE_TCP_SERVICE || kind == PINHOLE_TCP_WATCH;
	const uint32_t most_ms = long_lived ? rule->serve_ms : rule->life_ms;
	const uint32_t ms = !asked_ms ? rule->life_ms : asked_ms < most_ms ? asked_ms : most_ms;
	return (uint64_t)ms * MS_NS;
}

/* So long one may wait for somebody to agree. */
static uint64_t keep_ns(const struct pinhole_rule *rule)
{
	return (uint64_t)rule->keep_ms * MS_NS;
}

/* Nobody may come in by one that is latent, so it does not wait longer than one that is kept. */
static uint64_t first_ns(const struct pinhole_rule *rule, const struct pinhole_request *r)
{
	const uint64_t life = life_ns(rule, r->kind, r->life_ms);
	return r->latent && rule->keep_ms && life > keep_ns(rule) ? keep_ns(rule) : life;
}

/* A service that has a port of its own is asked for again and again; what is derived from it, once. */
static bool is_standing(const struct pinhole_request *r)
{
	return r->kind == PINHOLE_TCP_SERVICE ||
	       (r->kind == PINHOLE_TCP_WATCH && r->service < algs_services(r->alg));
}

enum pinhole_refusal pinhole_open(
	struct pinholes *p, const struct pinhole_request *r, uint64_t now_ns, uint32_t *out)
{
	const struct pinhole_rule *rule = pinhole_rule(r->alg);
	uint32_t guest;
	const enum pinhole_refusal why = judge_and_charge(p, r, now_ns, &guest);
	if (why != PINHOLE_GRANTED)
		return why;
	const uint32_t ref = entry_take(p);
	p->entry[ref] = (struct pinhole){.flow = r->flow,
		.token = r->token,
		.number = ++p->last_number,
		.alg = (uint8_t)r->alg,
		.kind = (uint8_t)r->kind,
		.pairs = (uint8_t)(ports_of(r, rule) / 2),
		.latent = r->latent,
		.latch = is_latch(&r->peer, rule),
		.came = r->came,
		.stands = is_standing(r),
		.inspect = r->inspect,
		.service = (uint8_t)r->service,
		.link = r->link,
		.guest = {r->guest_ip_be, (uint16_t)r->guest_port},
		.peer_ip_be = peer_of(&r->peer, rule),
		.fd = -1,
		.expires_ns = now_ns + first_ns(rule, r),
		.life_ns = life_ns(rule, r->kind, r->life_ms),
		.keep_ns = now_ns + keep_ns(rule),
		.guest_ref = guest};
	set_watch(&p->entry[ref], r);
	pinhole_index_add(p, ref);
	guest_of(p, &p->entry[ref])->places += places_of(&p->entry[ref]);
	p->places += places_of(&p->entry[ref]);
	p->live++;
	*out = ref;
	return PINHOLE_GRANTED;
}

void pinhole_take_back(struct pinholes *p, uint32_t ref)
{
	struct pinhole_count *count = &p->count[p->entry[ref].alg];
	count->granted--;
	count->refused++;
	pinhole_close(p, ref);
}

void pinhole_close(struct pinholes *p, uint32_t ref)
{
	struct pinhole *e = &p->entry[ref];
	pinhole_index_remove(p, ref);
	guest_of(p, e)->places -= places_of(e);
	p->places -= places_of(e);
	p->live--;
	*e = (struct pinhole){.fd = -1, .free_next = p->free};
	p->free = ref;
}

static void live_anew(struct pinholes *p, uint32_t ref, uint64_t now_ns)
{
	if (!p->entry[ref].used || p->entry[ref].stands)
		pinhole_index_ends(p, ref, now_ns + p->entry[ref].life_ns);
}

/* Another peer takes the place of the one that there is: whether it is another. */
static bool replace(struct pinhole *e, const struct pinhole_peer *peer)
{
	const struct pinhole_rule *rule = pinhole_rule((enum algs_id)e->alg);
	const bool latch = is_latch(peer, rule);
	const uint32_t ip_be = peer_of(peer, rule);
	if (!may_name(rule, e->kind) || e->watched || !peer->named || (latch && e->latch) ||
		(!latch && !e->latch && ip_be == e->peer_ip_be))
		return false;
	e->latch = latch;
	e->peer_ip_be = ip_be;
	return true;
}

static bool is_replaced(struct pinhole e, const struct pinhole_peer *peer)
{
	return replace(&e, peer);
}

enum pinhole_refusal pinhole_arm(struct pinholes *p, uint32_t ref, const struct pinhole_peer *peer,
	uint64_t now_ns, bool *news)
{
	struct pinhole *e = &p->entry[ref];
	const struct pinhole_rule *rule = pinhole_rule((enum algs_id)e->alg);
	const enum pinhole_refusal why = judge_peer(peer, rule, e->kind);
	*news = false;
	if (why != PINHOLE_GRANTED)
		return why;
	if (!e->latent && !may_name(rule, e->kind))
		return PINHOLE_GRANTED;
	/* the first time is paid for by the wish */
	if (!e->latent && is_replaced(*e, peer) &&
		!guest_charge(guest_of(p, e), (enum algs_id)e->alg, e->came, now_ns))
		return PINHOLE_TOO_FAST;
	const bool other = replace(e, peer);
	*news = other || e->latent;
	if (other)
		pinhole_index_used(p, ref, false);
	e->latent = false;
	live_anew(p, ref, now_ns);
	return PINHOLE_GRANTED;
}

/* A life that is no shorter than what it may wait: it had all of that from the first, so that to keep it is nothing new. */
static bool waits_longest(const struct pinhole *e)
{
	return e->life_ns >= keep_ns(pinhole_rule((enum algs_id)e->alg));
}

enum pinhole_refusal pinhole_keep(struct pinholes *p, uint32_t ref, uint64_t now_ns)
{
	struct pinhole *e = &p->entry[ref];
	if (!pinhole_rule((enum algs_id)e->alg)->keep_ms)
		return PINHOLE_NOT_KEPT;
	if (!e->latent || now_ns + e->life_ns <= e->keep_ns) {
		live_anew(p, ref, now_ns);
		return PINHOLE_GRANTED;
	}
	if (e->expires_ns >= e->keep_ns)
		return waits_longest(e) ? PINHOLE_GRANTED : PINHOLE_KEPT_ENOUGH;
	pinhole_index_ends(p, ref, e->keep_ns);
	return PINHOLE_GRANTED;
}

static bool is_open_to(const struct pinhole *e, uint32_t peer_ip_be, bool came)
{
	return !e->latent &&
	       (e->peer_ip_be == peer_ip_be || (came && e->latch && !e->peer_ip_be));
}

bool pinhole_admit(struct pinholes *p, uint32_t ref, uint32_t peer_ip_be, bool *first)
{
	struct pinhole *e = &p->entry[ref];
	if (!is_open_to(e, peer_ip_be, true))
		return false;
	if (!e->stands) {
		*first = true;
		return !e->used && pinhole_use(p, ref, peer_ip_be, true);
	}
	if (e->connections == PINHOLE_CONNECTIONS)
		return false;
	e->connections++;
	*first = pinhole_meet(p, ref);
	return true;
}

void pinhole_left(struct pinholes *p, uint32_t ref, uint32_t number)
{
	struct pinhole *e = &p->entry[ref];
	if (e->number == number && e->connections)
		e->connections--;
}

bool pinhole_meet(struct pinholes *p, uint32_t ref)
{
	struct pinhole *e = &p->entry[ref];
	const bool first = !e->met;
	pinhole_index_used(p, ref, true);
	e->met = true;
	p->count[e->alg].used += first;
	return first;
}

bool pinhole_use(struct pinholes *p, uint32_t ref, uint32_t peer_ip_be, bool came)
{
	struct pinhole *e = &p->entry[ref];
	const bool first = !e->met;
	if (came && e->latch && !e->peer_ip_be)
		e->peer_ip_be = peer_ip_be;
	pinhole_index_used(p, ref, true);
	pinhole_index_ends(p, ref, UINT64_MAX);
	e->met = true;
	p->count[e->alg].used += first;
	return first;
}

uint32_t pinhole_admits(const struct pinholes *p, const struct sock_address *guest,
	uint32_t peer_ip_be, bool came)
{
	uint32_t ref = PINHOLE_NONE, used = PINHOLE_NONE;
	while ((ref = pinhole_at(p, guest, ref))) {
		if (!is_open_to(&p->entry[ref], peer_ip_be, came))
			continue;
		if (!p->entry[ref].used)
			return ref;
		used = ref;
	}
	return used;
}

const char *pinhole_refusal_text(enum pinhole_refusal why)
{
	static const char *const text[] = {
		[PINHOLE_GRANTED] = "granted",
		[PINHOLE_BAD_KIND] = "this kind is not offered to this protocol",
		[PINHOLE_BAD_PORT] = "inside port is privileged or a protected service",
		[PINHOLE_ODD_PAIR] = "a pair of ports begins with an even one",
		[PINHOLE_NOT_OWN_PORT] = "inside port is not the flow's own",
		[PINHOLE_OPEN_PORT] = "inside port is open to the outside already",
		[PINHOLE_TOO_MANY_PAIRS] = "more pairs of ports than this protocol has",
		[PINHOLE_INSIDE_PEER] = "peer is no host outside that a guest may talk to",
		[PINHOLE_NO_LATCH] = "nobody in particular is named, and alg.sip_latch is false",
		[PINHOLE_BAD_PEER] = "peer is not the control connection's peer",
		[PINHOLE_NO_FORWARD] = "calls are sent on, and alg.h323_forward is false",
		[PINHOLE_BAD_TOKEN] = "a token is not 0",
		[PINHOLE_FLOW_QUOTA] = "this flow has as many pending as it may",
		[PINHOLE_PORT_QUOTA] = "this inside port has as many as it may",
		[PINHOLE_GUEST_QUOTA] = "this guest has as many as it may",
		[PINHOLE_HUB_QUOTA] = "this hub has as many as it may",
		[PINHOLE_TOO_FAST] = "this guest asks too fast",
		[PINHOLE_TOKEN_USED] = "token already in use",
		[PINHOLE_NO_SOCKET] = "no outside port to be had",
		[PINHOLE_NO_LOW_SOCKET] = "no outside port below 1024 to be had",
		[PINHOLE_NO_PAIR] = "no outside pair of ports to be had",
		[PINHOLE_NO_FLOW] = "its session is not under inspection",
		[PINHOLE_NOT_KEPT] = "this protocol does not keep what nobody agreed to",
		[PINHOLE_KEPT_ENOUGH] = "nobody agreed for as long as it may wait",
		[PINHOLE_NOT_INSPECTED] = "it is no connection that this protocol reads",
	};
	return text[why];
}

void pinhole_refusal_advice(
	char out[PINHOLE_ADVICE_BYTES], enum algs_id alg, enum pinhole_refusal why)
{
	const struct pinhole_rule *rule = pinhole_rule(alg);
	const struct pinhole_share *share = share_of(alg);
	const size_t cap = PINHOLE_ADVICE_BYTES;
	out[0] = '\0';
	if (why == PINHOLE_TOO_FAST)
		snprintf(out, cap,
			" It may ask %u times a second: let it begin fewer at a time, or from "
			"several addresses.",
			share->rate);
	else if (why == PINHOLE_GUEST_QUOTA)
		snprintf(out, cap, " It may have %u: let them be of several addresses.",
			share->most);
	else if (why == PINHOLE_FLOW_QUOTA)
		snprintf(out, cap,
			" It may have %u, %u of them unused: let them be of several connections.",
			rule->total, rule->pending);
	else if (why == PINHOLE_HUB_QUOTA)
		snprintf(out, cap, " Each shard of it may have %d: see hubs.NAME.shards.",
			PINHOLE_HUB_MAX);
	else if (why == PINHOLE_NO_PAIR || why == PINHOLE_NO_SOCKET)
		snprintf(out, cap,
			" Ports of the outside address, or descriptors (LimitNOFILE), may be used "
			"up.");
}
