/*
 * Theory of operation. Entries live in one array with a free list; a bucket chain by control flow
 * finds those of a flow, and one by inside endpoint those for datagrams: both ports of a pair have
 * the same bucket, that of the even one, and so few may lead there that the chain is short. A guest that asks gets an entry in a small table with its count and a
 * token bucket; the entry outlives the guest's flows, so that reconnecting does not refill the
 * bucket, and is recycled once it would be full again anyway. The soonest end is remembered
 * (closing may leave it too early, never too late); only when it has come is the array scanned.
 */

#include "pinhole.h"

enum { SECOND_NS = 1000000000, MS_NS = 1000000, PRIVILEGED = 1024 };

void pinhole_init(struct pinholes *p, const struct hash_key *key)
{
	p->key = *key;
}

static uint32_t *flow_head(struct pinholes *p, uint32_t flow)
{
	return &p->flow_bucket[hash_sip(&p->key, &flow, sizeof(flow)) & (PINHOLE_FLOW_BUCKETS - 1)];
}

static uint32_t flow_first(const struct pinholes *p, uint32_t flow)
{
	return p->flow_bucket[hash_sip(&p->key, &flow, sizeof(flow)) & (PINHOLE_FLOW_BUCKETS - 1)];
}

static uint32_t *guest_head(struct pinholes *p, uint32_t ip_be)
{
	return &p->guest_bucket[hash_sip(&p->key, &ip_be, sizeof(ip_be)) &
				(PINHOLE_GUEST_BUCKETS - 1)];
}

static void guest_refill(struct pinhole_guest *g, uint64_t now_ns)
{
	const uint64_t earned = (now_ns - g->refilled_ns) / (SECOND_NS / PINHOLE_RATE);
	if (!earned)
		return;
	g->tokens = g->tokens + earned > PINHOLE_RATE ? PINHOLE_RATE : g->tokens + (uint32_t)earned;
	g->refilled_ns = now_ns;
}

/* An entry that holds nothing and would have a full bucket: forgetting it changes nothing. */
static uint32_t guest_recycle(struct pinholes *p, uint64_t now_ns)
{
	for (uint32_t ref = 1; ref <= p->guest_fresh; ref++) {
		const struct pinhole_guest *g = &p->guest[ref];
		if (g->open || now_ns - g->refilled_ns < SECOND_NS)
			continue;
		uint32_t *at = guest_head(p, g->ip_be);
		while (*at != ref)
			at = &p->guest[*at].next;
		*at = g->next;
		return ref;
	}
	return 0;
}

static uint32_t guest_get(struct pinholes *p, uint32_t ip_be, uint64_t now_ns)
{
	uint32_t ref = *guest_head(p, ip_be);
	while (ref && p->guest[ref].ip_be != ip_be)
		ref = p->guest[ref].next;
	if (ref)
		return ref;
	ref = p->guest_fresh < PINHOLE_GUESTS ? ++p->guest_fresh : guest_recycle(p, now_ns);
	if (!ref)
		return 0;
	uint32_t *head = guest_head(p, ip_be);
	p->guest[ref] = (struct pinhole_guest){
		.ip_be = ip_be, .next = *head, .tokens = PINHOLE_RATE, .refilled_ns = now_ns};
	*head = ref;
	return ref;
}

static uint32_t port_hash(const struct pinholes *p, uint32_t ip_be, uint16_t port)
{
	const uint32_t words[2] = {ip_be, port & 0xfffeU};
	return (uint32_t)hash_sip(&p->key, words, sizeof(words)) & (PINHOLE_PORT_BUCKETS - 1);
}

static enum pinhole_refusal judge_port(
	const struct pinhole_request *r, const struct pinhole_rule *rule)
{
	const bool pair = r->kind == PINHOLE_UDP_PAIR;
	/* who speaks from no such port itself has none to wait at */
	const bool low = r->guest_port < PRIVILEGED && r->control_port >= PRIVILEGED;
	if (low || r->guest_port < rule->port_first || pinhole_port_denied(r->guest_port))
		return PINHOLE_BAD_PORT;
	if (pair && r->guest_port & 1)
		return PINHOLE_ODD_PAIR;
	if (pair && pinhole_port_denied(r->guest_port + 1))
		return PINHOLE_BAD_PORT;
	if (rule->own_port && r->guest_port != r->control_port)
		return PINHOLE_NOT_OWN_PORT;
	return r->open ? PINHOLE_OPEN_PORT : PINHOLE_GRANTED;
}

static bool flow_is_full(const struct pinholes *p, uint32_t flow, const struct pinhole_rule *rule)
{
	uint32_t pending = 0, total = 0;
	for (uint32_t ref = flow_first(p, flow); ref; ref = p->entry[ref].flow_next) {
		total += p->entry[ref].flow == flow;
		pending += p->entry[ref].flow == flow && !p->entry[ref].used;
	}
	return pending >= rule->pending || total >= rule->total;
}

static bool port_is_full(const struct pinholes *p, const struct pinhole_request *r)
{
	const uint16_t port = (uint16_t)r->guest_port;
	uint32_t n = 0;
	if (r->kind == PINHOLE_TCP_LISTEN)
		return false;
	for (uint32_t ref = p->port_bucket[port_hash(p, r->guest_ip_be, port)]; ref;
		ref = p->entry[ref].port_next)
		n += p->entry[ref].guest.ip_be == r->guest_ip_be &&
		     (p->entry[ref].guest.port | 1) == (port | 1);
	return n >= PINHOLE_SAME_MAX;
}

static enum pinhole_refusal judge(
	const struct pinholes *p, const struct pinhole_request *r, const struct pinhole_guest *g)
{
	const struct pinhole_rule *rule = pinhole_rule(r->alg);
	if (r->kind >= PINHOLE_KINDS || !(rule->kinds & 1U << r->kind))
		return PINHOLE_BAD_KIND;
	const enum pinhole_refusal port = judge_port(r, rule);
	if (port != PINHOLE_GRANTED)
		return port;
	if (r->peer_ip_be && r->peer_ip_be != r->control_peer_ip_be)
		return PINHOLE_BAD_PEER;
	if (!r->token)
		return PINHOLE_BAD_TOKEN;
	if (pinhole_find(p, r->flow, r->token))
		return PINHOLE_TOKEN_USED;
	if (flow_is_full(p, r->flow, rule))
		return PINHOLE_FLOW_QUOTA;
	if (port_is_full(p, r))
		return PINHOLE_PORT_QUOTA;
	if (g->open >= PINHOLE_GUEST_MAX)
		return PINHOLE_GUEST_QUOTA;
	if (!p->free && p->fresh >= PINHOLE_HUB_MAX)
		return PINHOLE_HUB_QUOTA;
	return PINHOLE_GRANTED;
}

/* Counts what is refused, and costs the guest a token. *guest is set when it is granted. */
static enum pinhole_refusal judge_and_charge(
	struct pinholes *p, const struct pinhole_request *r, uint64_t now_ns, uint32_t *guest)
{
	enum pinhole_refusal why = PINHOLE_GUEST_QUOTA;
	*guest = guest_get(p, r->guest_ip_be, now_ns);
	struct pinhole_guest *g = &p->guest[*guest];
	if (*guest) {
		guest_refill(g, now_ns);
		why = g->tokens ? judge(p, r, g) : PINHOLE_TOO_FAST;
		g->tokens -= g->tokens > 0;
	}
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

static uint32_t entry_take(struct pinholes *p)
{
	const uint32_t ref = p->free;
	if (!ref)
		return ++p->fresh;
	p->free = p->entry[ref].free_next;
	return ref;
}

static uint64_t life_ns(const struct pinhole_rule *rule, uint32_t asked_ms)
{
	const uint32_t ms = asked_ms && asked_ms < rule->life_ms ? asked_ms : rule->life_ms;
	return (uint64_t)ms * MS_NS;
}

static void note_end(struct pinholes *p, uint64_t at_ns)
{
	if (at_ns < p->soonest_ns)
		p->soonest_ns = at_ns;
}

static void link_entry(struct pinholes *p, uint32_t ref)
{
	struct pinhole *e = &p->entry[ref];
	uint32_t *head = flow_head(p, e->flow);
	e->flow_next = *head;
	*head = ref;
	if (e->kind == PINHOLE_TCP_LISTEN)
		return;
	head = &p->port_bucket[port_hash(p, e->guest.ip_be, e->guest.port)];
	e->port_next = *head;
	*head = ref;
	p->datagram++;
}

static void unlink_entry(struct pinholes *p, uint32_t ref)
{
	const struct pinhole *e = &p->entry[ref];
	uint32_t *at = flow_head(p, e->flow);
	while (*at != ref)
		at = &p->entry[*at].flow_next;
	*at = e->flow_next;
	if (e->kind == PINHOLE_TCP_LISTEN)
		return;
	at = &p->port_bucket[port_hash(p, e->guest.ip_be, e->guest.port)];
	while (*at != ref)
		at = &p->entry[*at].port_next;
	*at = e->port_next;
	p->datagram--;
}

enum pinhole_refusal pinhole_open(
	struct pinholes *p, const struct pinhole_request *r, uint64_t now_ns, uint32_t *out)
{
	uint32_t guest;
	const enum pinhole_refusal why = judge_and_charge(p, r, now_ns, &guest);
	if (why != PINHOLE_GRANTED)
		return why;
	const uint32_t ref = entry_take(p);
	const uint64_t life = life_ns(pinhole_rule(r->alg), r->life_ms);
	p->entry[ref] = (struct pinhole){.flow = r->flow,
		.token = r->token,
		.number = ++p->last_number,
		.alg = (uint8_t)r->alg,
		.kind = (uint8_t)r->kind,
		.latent = r->latent,
		.guest = {r->guest_ip_be, (uint16_t)r->guest_port},
		.peer_ip_be = r->control_peer_ip_be,
		.fd = -1,
		.expires_ns = now_ns + life,
		.life_ns = life,
		.guest_ref = guest};
	link_entry(p, ref);
	if (!p->live)
		p->soonest_ns = UINT64_MAX;
	note_end(p, now_ns + life);
	p->guest[guest].open++;
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
	unlink_entry(p, ref);
	p->guest[e->guest_ref].open--;
	p->live--;
	*e = (struct pinhole){.fd = -1, .free_next = p->free};
	p->free = ref;
}

bool pinhole_arm(struct pinholes *p, uint32_t ref, uint64_t now_ns)
{
	struct pinhole *e = &p->entry[ref];
	if (!e->latent)
		return false;
	e->latent = false;
	e->expires_ns = now_ns + e->life_ns;
	return true; /* it ends later than it would have: soonest_ns is not too late */
}

void pinhole_keep(struct pinholes *p, uint32_t ref, uint64_t now_ns)
{
	struct pinhole *e = &p->entry[ref];
	if (!e->used)
		e->expires_ns = now_ns + e->life_ns;
}

static bool is_open_to(const struct pinhole *e, uint32_t peer_ip_be)
{
	return !e->latent && e->peer_ip_be == peer_ip_be;
}

bool pinhole_admit(struct pinholes *p, uint32_t ref, uint32_t peer_ip_be)
{
	return is_open_to(&p->entry[ref], peer_ip_be) && pinhole_use(p, ref);
}

bool pinhole_use(struct pinholes *p, uint32_t ref)
{
	struct pinhole *e = &p->entry[ref];
	if (e->used)
		return false;
	e->used = true;
	e->expires_ns = UINT64_MAX;
	p->count[e->alg].used++;
	return true;
}

static bool leads_to(const struct pinhole *e, const struct sock_address *guest)
{
	return e->guest.ip_be == guest->ip_be && guest->port >= e->guest.port &&
	       guest->port - e->guest.port < (int)pinhole_ports(e);
}

uint32_t pinhole_at(const struct pinholes *p, const struct sock_address *guest, uint32_t ref)
{
	ref = ref ? p->entry[ref].port_next
		  : p->port_bucket[port_hash(p, guest->ip_be, guest->port)];
	while (ref && !leads_to(&p->entry[ref], guest))
		ref = p->entry[ref].port_next;
	return ref;
}

uint32_t pinhole_admits(
	const struct pinholes *p, const struct sock_address *guest, uint32_t peer_ip_be)
{
	uint32_t ref = PINHOLE_NONE, used = PINHOLE_NONE;
	while ((ref = pinhole_at(p, guest, ref))) {
		if (!is_open_to(&p->entry[ref], peer_ip_be))
			continue;
		if (!p->entry[ref].used)
			return ref;
		used = ref;
	}
	return used;
}

uint32_t pinhole_find(const struct pinholes *p, uint32_t flow, uint32_t token)
{
	uint32_t ref = flow_first(p, flow);
	while (ref && (p->entry[ref].flow != flow || p->entry[ref].token != token))
		ref = p->entry[ref].flow_next;
	return ref;
}

uint32_t pinhole_of_flow(const struct pinholes *p, uint32_t flow)
{
	uint32_t ref = flow_first(p, flow);
	while (ref && p->entry[ref].flow != flow)
		ref = p->entry[ref].flow_next;
	return ref;
}

uint32_t pinhole_expired(struct pinholes *p, uint64_t now_ns)
{
	if (!p->live || now_ns < p->soonest_ns)
		return PINHOLE_NONE;
	uint64_t soonest = UINT64_MAX;
	uint32_t ref = PINHOLE_NONE;
	while ((ref = pinhole_next(p, ref))) {
		if (p->entry[ref].expires_ns <= now_ns)
			return ref;
		if (p->entry[ref].expires_ns < soonest)
			soonest = p->entry[ref].expires_ns;
	}
	p->soonest_ns = soonest;
	return PINHOLE_NONE;
}

uint64_t pinhole_deadline(const struct pinholes *p)
{
	return p->live ? p->soonest_ns : UINT64_MAX;
}

uint32_t pinhole_next(const struct pinholes *p, uint32_t ref)
{
	while (++ref <= p->fresh)
		if (p->entry[ref].expires_ns)
			return ref;
	return PINHOLE_NONE;
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
		[PINHOLE_BAD_PEER] = "peer is not the control connection's peer",
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
	};
	return text[why];
}
