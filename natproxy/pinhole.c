/*
 * Theory of operation. Entries live in one array with a free list; a bucket chain by control flow
 * finds those of a flow. A guest that asks gets an entry in a small table with its count and a
 * token bucket; the entry outlives the guest's flows, so that reconnecting does not refill the
 * bucket, and is recycled once it would be full again anyway. The soonest end is remembered
 * (closing may leave it too early, never too late); only when it has come is the array scanned.
 */
#include <errno.h>
#include <stddef.h>

#include "pinhole.h"

enum { SECOND_NS = 1000000000, MS_NS = 1000000 };

/* Services that a browser-borne attack would like to reach through a helper (NAT Slipstreaming).
 * Inclusive. */
static const struct {
	uint16_t first, last;
} denied_ports[] = {
	{0, 1023},
	{1719, 1720},
	{2049, 2049},
	{3306, 3306},
	{3389, 3389},
	{5060, 5061},
	{5432, 5432},
	{5900, 5900},
	{6000, 6063},
	{6566, 6566},
	{8080, 8080},
	{10080, 10080},
};

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

static bool port_denied(uint32_t port)
{
	if (port > 65535)
		return true;
	for (size_t i = 0; i < sizeof(denied_ports) / sizeof(denied_ports[0]); i++)
		if (port >= denied_ports[i].first && port <= denied_ports[i].last)
			return true;
	return false;
}

static uint32_t flow_pending(const struct pinholes *p, uint32_t flow)
{
	uint32_t n = 0;
	for (uint32_t ref = flow_first(p, flow); ref; ref = p->entry[ref].flow_next)
		n += p->entry[ref].flow == flow && !p->entry[ref].used;
	return n;
}

static enum pinhole_refusal judge(
	const struct pinholes *p, const struct pinhole_request *r, const struct pinhole_guest *g)
{
	if (!r->listen)
		return PINHOLE_BAD_KIND;
	if (port_denied(r->guest_port))
		return PINHOLE_BAD_PORT;
	if (r->peer_ip_be && r->peer_ip_be != r->control_peer_ip_be)
		return PINHOLE_BAD_PEER;
	if (pinhole_find(p, r->flow, r->token))
		return PINHOLE_TOKEN_USED;
	if (flow_pending(p, r->flow) >= PINHOLE_FTP_MAX)
		return PINHOLE_FLOW_QUOTA;
	if (g->open >= PINHOLE_GUEST_MAX)
		return PINHOLE_GUEST_QUOTA;
	if (!p->free && p->fresh >= PINHOLE_HUB_MAX)
		return PINHOLE_HUB_QUOTA;
	return PINHOLE_GRANTED;
}

static uint32_t entry_take(struct pinholes *p)
{
	const uint32_t ref = p->free;
	if (!ref)
		return ++p->fresh;
	p->free = p->entry[ref].free_next;
	return ref;
}

static uint64_t life_ns(uint32_t asked_ms)
{
	if (!asked_ms)
		return (uint64_t)PINHOLE_LIFE_DEFAULT_MS * MS_NS;
	return (uint64_t)(asked_ms < PINHOLE_LIFE_MS ? asked_ms : PINHOLE_LIFE_MS) * MS_NS;
}

enum pinhole_refusal pinhole_open(
	struct pinholes *p, const struct pinhole_request *r, uint64_t now_ns, uint32_t *out)
{
	const uint32_t guest = guest_get(p, r->guest_ip_be, now_ns);
	enum pinhole_refusal why = PINHOLE_GUEST_QUOTA;
	if (guest) {
		guest_refill(&p->guest[guest], now_ns);
		why = p->guest[guest].tokens ? judge(p, r, &p->guest[guest]) : PINHOLE_TOO_FAST;
	}
	if (guest && p->guest[guest].tokens)
		p->guest[guest].tokens--;
	if (why != PINHOLE_GRANTED) {
		p->refused++;
		return why;
	}
	const uint32_t ref = entry_take(p);
	uint32_t *head = flow_head(p, r->flow);
	p->entry[ref] = (struct pinhole){.flow = r->flow,
		.token = r->token,
		.number = ++p->last_number,
		.guest = {r->guest_ip_be, (uint16_t)r->guest_port},
		.peer_ip_be = r->control_peer_ip_be,
		.fd = -1,
		.latent = r->latent,
		.expires_ns = now_ns + life_ns(r->life_ms),
		.guest_ref = guest,
		.flow_next = *head};
	*head = ref;
	if (!p->live || p->entry[ref].expires_ns < p->soonest_ns)
		p->soonest_ns = p->entry[ref].expires_ns;
	p->guest[guest].open++;
	p->live++;
	p->granted++;
	*out = ref;
	return PINHOLE_GRANTED;
}

void pinhole_close(struct pinholes *p, uint32_t ref)
{
	struct pinhole *e = &p->entry[ref];
	uint32_t *at = flow_head(p, e->flow);
	while (*at != ref)
		at = &p->entry[*at].flow_next;
	*at = e->flow_next;
	p->guest[e->guest_ref].open--;
	p->live--;
	*e = (struct pinhole){.fd = -1, .free_next = p->free};
	p->free = ref;
}

void pinhole_arm(struct pinholes *p, uint32_t ref)
{
	p->entry[ref].latent = false;
}

bool pinhole_admit(struct pinholes *p, uint32_t ref, uint32_t peer_ip_be)
{
	struct pinhole *e = &p->entry[ref];
	if (e->latent || e->used || e->peer_ip_be != peer_ip_be)
		return false;
	e->used = true;
	return true;
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
		[PINHOLE_BAD_PEER] = "peer is not the control connection's peer",
		[PINHOLE_FLOW_QUOTA] = "this flow has as many pending as it may",
		[PINHOLE_GUEST_QUOTA] = "this guest has as many as it may",
		[PINHOLE_HUB_QUOTA] = "this hub has as many as it may",
		[PINHOLE_TOO_FAST] = "this guest asks too fast",
		[PINHOLE_TOKEN_USED] = "token already in use",
		[PINHOLE_NO_SOCKET] = "no outside port to be had",
		[PINHOLE_NO_FLOW] = "its session is not under inspection",
	};
	return text[why];
}
