/*
 * Theory of operation. Sessions live in one array; a free list and a high-water mark hand out
 * references, so pages of a table that was never full are never touched. Four doubly linked lists
 * thread through each session:
 *
 *   exact    bucket of keyed hash (flow, address, port): the session of a datagram
 *   address  bucket of keyed hash (flow, address): did this endpoint ever talk to that host?
 *            Entries of one address are equal for that question, so the first match ends the walk
 *   idle     per protocol, oldest use first: the timeout is constant per protocol, so the head
 *            expires first and neither a heap nor a scan is needed; touches are noted once a second.
 *            One that is held goes to the end again when its turn has come
 *   sibling  sessions of one flow, anchored in the flow
 *   incoming per guest, UDP sessions that a stranger began, oldest use first: who gives way to the next
 *
 * Guests are counted in a second small table that holds an entry only while the guest has sessions.
 */
#include <errno.h>
#include <string.h>

#include "nat.h"

enum { TOUCH_NS = 1000000000 };

void nat_init(struct nat *n, const struct nat_limits *limits, const struct hash_key *key)
{
	n->limits = *limits;
	n->key = *key;
}

static uint32_t hash_of(const struct nat *n, uint32_t flow, uint32_t ip_be, uint32_t port)
{
	const uint32_t words[3] = {flow, ip_be, port};
	return (uint32_t)hash_sip(&n->key, words, sizeof(words)) & (NAT_BUCKETS - 1);
}

static uint32_t exact_bucket(const struct nat *n, const struct nat_session *s)
{
	return hash_of(n, s->flow, s->remote.ip_be, s->remote.port);
}

/* Ports end at 65535, so that an address bucket never asks the same question as an exact one. */
static uint32_t address_bucket(const struct nat *n, const struct nat_session *s)
{
	return hash_of(n, s->flow, s->remote.ip_be, 0x10000);
}

static void exact_link(struct nat *n, uint32_t ref)
{
	struct nat_session *s = &n->session[ref];
	uint32_t *head = &n->exact[exact_bucket(n, s)];
	s->exact_prev = NAT_NONE;
	s->exact_next = *head;
	if (*head)
		n->session[*head].exact_prev = ref;
	*head = ref;
}

static void exact_unlink(struct nat *n, const struct nat_session *s)
{
	if (s->exact_next)
		n->session[s->exact_next].exact_prev = s->exact_prev;
	if (s->exact_prev)
		n->session[s->exact_prev].exact_next = s->exact_next;
	else
		n->exact[exact_bucket(n, s)] = s->exact_next;
}

static void address_link(struct nat *n, uint32_t ref)
{
	struct nat_session *s = &n->session[ref];
	uint32_t *head = &n->address[address_bucket(n, s)];
	s->address_prev = NAT_NONE;
	s->address_next = *head;
	if (*head)
		n->session[*head].address_prev = ref;
	*head = ref;
}

static void address_unlink(struct nat *n, const struct nat_session *s)
{
	if (s->address_next)
		n->session[s->address_next].address_prev = s->address_prev;
	if (s->address_prev)
		n->session[s->address_prev].address_next = s->address_next;
	else
		n->address[address_bucket(n, s)] = s->address_next;
}

static void idle_link(struct nat *n, uint32_t ref)
{
	struct nat_session *s = &n->session[ref];
	struct nat_list *list = &n->idle[s->protocol];
	s->idle_next = NAT_NONE;
	s->idle_prev = list->last;
	if (list->last)
		n->session[list->last].idle_next = ref;
	else
		list->first = ref;
	list->last = ref;
}

static void idle_unlink(struct nat *n, const struct nat_session *s)
{
	struct nat_list *list = &n->idle[s->protocol];
	if (s->idle_next)
		n->session[s->idle_next].idle_prev = s->idle_prev;
	else
		list->last = s->idle_prev;
	if (s->idle_prev)
		n->session[s->idle_prev].idle_next = s->idle_next;
	else
		list->first = s->idle_next;
}

static void sibling_link(struct nat *n, uint32_t ref, uint32_t *head)
{
	struct nat_session *s = &n->session[ref];
	s->sibling_prev = NAT_NONE;
	s->sibling_next = *head;
	if (*head)
		n->session[*head].sibling_prev = ref;
	*head = ref;
}

static void sibling_unlink(struct nat *n, const struct nat_session *s, uint32_t *head)
{
	if (s->sibling_next)
		n->session[s->sibling_next].sibling_prev = s->sibling_prev;
	if (s->sibling_prev)
		n->session[s->sibling_prev].sibling_next = s->sibling_next;
	else
		*head = s->sibling_next;
}

static void incoming_link(struct nat *n, uint32_t ref)
{
	struct nat_session *s = &n->session[ref];
	struct nat_guest *g = &n->guest[s->guest_ref];
	s->incoming_next = NAT_NONE;
	s->incoming_prev = g->incoming.last;
	if (g->incoming.last)
		n->session[g->incoming.last].incoming_next = ref;
	else
		g->incoming.first = ref;
	g->incoming.last = ref;
}

static void incoming_unlink(struct nat *n, const struct nat_session *s)
{
	struct nat_guest *g = &n->guest[s->guest_ref];
	if (s->incoming_next)
		n->session[s->incoming_next].incoming_prev = s->incoming_prev;
	else
		g->incoming.last = s->incoming_prev;
	if (s->incoming_prev)
		n->session[s->incoming_prev].incoming_next = s->incoming_next;
	else
		g->incoming.first = s->incoming_next;
}

/* Where a guest's connections from a peer are counted. */
static void peer_places(
	const struct nat *n, uint32_t guest_ip_be, uint32_t peer_ip_be, uint16_t place[2])
{
	const uint32_t words[2] = {guest_ip_be, peer_ip_be};
	const uint64_t hash = hash_sip(&n->key, words, sizeof(words));
	place[0] = (uint16_t)hash;
	place[1] = (uint16_t)(hash >> 16);
}

static void count_peer(struct nat *n, const struct nat_session *s, int by)
{
	uint16_t place[2];
	peer_places(n, s->guest.ip_be, s->remote.ip_be, place);
	for (int i = 0; i < 2; i++)
		n->peer_count[i][place[i]] = (uint16_t)(n->peer_count[i][place[i]] + by);
}

static uint32_t peer_sessions(const struct nat *n, uint32_t guest_ip_be, uint32_t peer_ip_be)
{
	uint16_t place[2];
	peer_places(n, guest_ip_be, peer_ip_be, place);
	const uint16_t a = n->peer_count[0][place[0]], b = n->peer_count[1][place[1]];
	return a < b ? a : b;
}

static uint32_t guest_place(const struct nat *n, uint32_t ip_be)
{
	return (uint32_t)hash_sip(&n->key, &ip_be, sizeof(ip_be)) & (NAT_GUEST_BUCKETS - 1);
}

static uint32_t guest_find(const struct nat *n, uint32_t ip_be)
{
	uint32_t ref = n->guest_bucket[guest_place(n, ip_be)];
	while (ref && n->guest[ref].ip_be != ip_be)
		ref = n->guest[ref].next;
	return ref;
}

/* The guest's entry, made if it has none; NAT_NONE when there are too many guests. */
static uint32_t guest_get(struct nat *n, uint32_t ip_be)
{
	uint32_t *head = &n->guest_bucket[guest_place(n, ip_be)];
	uint32_t ref = guest_find(n, ip_be);
	if (ref)
		return ref;
	if (n->guest_free) {
		ref = n->guest_free;
		n->guest_free = n->guest[ref].next;
	} else if (n->guest_fresh < NAT_GUESTS) {
		ref = ++n->guest_fresh;
	} else {
		return NAT_NONE;
	}
	n->guest[ref] = (struct nat_guest){.ip_be = ip_be, .next = *head};
	*head = ref;
	return ref;
}

static void guest_put(struct nat *n, uint32_t ref)
{
	struct nat_guest *g = &n->guest[ref];
	for (enum nat_protocol p = 0; p < NAT_PROTOCOLS; p++)
		if (g->sessions[p] || g->incomings[p])
			return;
	uint32_t *at = &n->guest_bucket[guest_place(n, g->ip_be)];
	while (*at != ref)
		at = &n->guest[*at].next;
	*at = g->next;
	g->next = n->guest_free;
	n->guest_free = ref;
}

static uint32_t session_take(struct nat *n)
{
	uint32_t ref = n->free;
	if (ref)
		n->free = n->session[ref].sibling_next;
	else if (n->fresh < NAT_SESSIONS)
		ref = ++n->fresh;
	return ref;
}

/* Incoming connections that a guest may have; 65,535 is what a peer's count holds. */
static uint32_t incoming_limit(const struct nat *n)
{
	const uint64_t limit = (uint64_t)n->limits.sessions[NAT_TCP] * 5 / 2;
	return limit < UINT16_MAX ? (uint32_t)limit : UINT16_MAX;
}

bool nat_admits(const struct nat *n, uint32_t guest_ip_be, uint32_t peer_ip_be, uint32_t of_rule)
{
	const uint32_t guest = guest_find(n, guest_ip_be), limit = incoming_limit(n);
	const uint32_t used = guest ? n->guest[guest].incomings[NAT_TCP] : 0;
	const uint32_t left = used < limit ? limit - used : 0;
	return peer_sessions(n, guest_ip_be, peer_ip_be) < nat_share(left, of_rule);
}

static bool guest_may(const struct nat *n, const struct nat_guest *g, const struct nat_request *r)
{
	if (r->incoming)
		return r->protocol != NAT_TCP || g->incomings[NAT_TCP] < incoming_limit(n);
	if (g->sessions[r->protocol] >= n->limits.sessions[r->protocol])
		return false;
	return !r->connecting || g->connecting < n->limits.connecting;
}

static void incoming_begin(struct nat *n, uint32_t ref)
{
	const struct nat_session *s = &n->session[ref];
	if (s->protocol == NAT_UDP)
		incoming_link(n, ref);
	if (s->protocol != NAT_TCP)
		return;
	count_peer(n, s, 1);
	n->incoming_tcp++;
}

static void incoming_end(struct nat *n, const struct nat_session *s)
{
	if (s->protocol == NAT_UDP)
		incoming_unlink(n, s);
	if (s->protocol != NAT_TCP)
		return;
	count_peer(n, s, -1);
	n->incoming_tcp--;
}

int nat_open(struct nat *n, const struct nat_request *r, uint64_t now_ns, uint64_t wall_ms,
	uint32_t *siblings, uint32_t *out)
{
	const uint32_t guest = guest_get(n, r->guest.ip_be);
	if (!guest)
		return -ENOSPC;
	struct nat_guest *g = &n->guest[guest];
	if (!guest_may(n, g, r)) {
		guest_put(n, guest);
		return -EDQUOT;
	}
	const uint32_t ref = session_take(n);
	if (!ref) {
		guest_put(n, guest);
		return -ENOSPC;
	}
	if (++n->last_number == 0)
		n->last_number = 1;
	n->session[ref] = (struct nat_session){.number = n->last_number,
		.state = r->connecting ? NAT_CONNECTING : NAT_RUNNING,
		.protocol = (uint8_t)r->protocol,
		.incoming = r->incoming,
		.rule = r->rule,
		.flow = r->flow,
		.guest = r->guest,
		.remote = r->remote,
		.created_wall_ms = wall_ms,
		.used_ns = now_ns,
		.aged_ns = now_ns,
		.guest_ref = guest};
	(r->incoming ? g->incomings : g->sessions)[r->protocol]++;
	g->connecting += r->connecting;
	n->live++;
	n->count[r->protocol]++;
	exact_link(n, ref);
	address_link(n, ref);
	idle_link(n, ref);
	sibling_link(n, ref, siblings);
	if (r->incoming)
		incoming_begin(n, ref);
	*out = ref;
	return 0;
}

void nat_close(struct nat *n, uint32_t ref, uint32_t *siblings)
{
	struct nat_session *s = &n->session[ref];
	struct nat_guest *g = &n->guest[s->guest_ref];
	exact_unlink(n, s);
	address_unlink(n, s);
	idle_unlink(n, s);
	sibling_unlink(n, s, siblings);
	if (s->incoming)
		incoming_end(n, s);
	(s->incoming ? g->incomings : g->sessions)[s->protocol]--;
	g->connecting -= s->state == NAT_CONNECTING;
	guest_put(n, s->guest_ref);
	n->live--;
	n->count[s->protocol]--;
	s->state = NAT_FREE;
	s->sibling_next = n->free;
	n->free = ref;
}

void nat_connected(struct nat *n, uint32_t ref, const struct sock_address *outside)
{
	struct nat_session *s = &n->session[ref];
	if (s->state == NAT_CONNECTING) {
		n->guest[s->guest_ref].connecting--;
		s->state = NAT_RUNNING;
	}
	s->outside = *outside;
}

static void age_anew(struct nat *n, uint32_t ref, uint64_t now_ns)
{
	struct nat_session *s = &n->session[ref];
	idle_unlink(n, s);
	s->aged_ns = now_ns;
	idle_link(n, ref);
}

void nat_hold(struct nat *n, uint32_t ref, uint64_t until_ns)
{
	struct nat_session *s = &n->session[ref];
	if (until_ns > s->held_ns)
		s->held_ns = until_ns;
}

void nat_touch(struct nat *n, uint32_t ref, uint64_t now_ns)
{
	struct nat_session *s = &n->session[ref];
	if (now_ns - s->used_ns < TOUCH_NS)
		return;
	s->used_ns = now_ns;
	age_anew(n, ref, now_ns);
	if (s->incoming && s->protocol == NAT_UDP) {
		incoming_unlink(n, s);
		incoming_link(n, ref);
	}
}

uint32_t nat_gives_way(const struct nat *n, uint32_t ref)
{
	const struct nat_guest *g = &n->guest[n->session[ref].guest_ref];
	if (g->incomings[NAT_UDP] <= (n->limits.sessions[NAT_UDP] + 1) / 2)
		return NAT_NONE;
	return g->incoming.first == ref ? NAT_NONE : g->incoming.first;
}

uint32_t nat_find(const struct nat *n, uint32_t flow, const struct sock_address *remote)
{
	uint32_t ref = n->exact[hash_of(n, flow, remote->ip_be, remote->port)];
	for (; ref; ref = n->session[ref].exact_next) {
		const struct nat_session *s = &n->session[ref];
		if (s->flow == flow && s->remote.ip_be == remote->ip_be &&
			s->remote.port == remote->port)
			break;
	}
	return ref;
}

uint32_t nat_find_address(const struct nat *n, uint32_t flow, uint32_t ip_be)
{
	uint32_t ref = n->address[hash_of(n, flow, ip_be, 0x10000)];
	while (ref && (n->session[ref].flow != flow || n->session[ref].remote.ip_be != ip_be))
		ref = n->session[ref].address_next;
	return ref;
}

static uint64_t idle_end(const struct nat *n, enum nat_protocol p)
{
	const uint32_t ref = n->idle[p].first;
	/* the last use may be as much younger than what was noted */
	return ref ? n->session[ref].aged_ns + TOUCH_NS + n->limits.idle_ns[p] : UINT64_MAX;
}

/* Ends because each that is held is as young as can be afterwards. */
static uint32_t expired(struct nat *n, enum nat_protocol p, uint64_t now_ns)
{
	while (idle_end(n, p) <= now_ns) {
		const uint32_t ref = n->idle[p].first;
		if (n->session[ref].held_ns <= now_ns)
			return ref;
		age_anew(n, ref, now_ns);
	}
	return NAT_NONE;
}

uint32_t nat_expired(struct nat *n, uint64_t now_ns)
{
	uint32_t ref = NAT_NONE;
	for (enum nat_protocol p = 0; !ref && p < NAT_PROTOCOLS; p++)
		ref = expired(n, p, now_ns);
	return ref;
}

uint64_t nat_deadline(const struct nat *n)
{
	uint64_t soonest = UINT64_MAX;
	for (enum nat_protocol p = 0; p < NAT_PROTOCOLS; p++)
		if (idle_end(n, p) < soonest)
			soonest = idle_end(n, p);
	return soonest;
}

uint32_t nat_next(const struct nat *n, uint32_t ref)
{
	while (++ref <= n->fresh)
		if (n->session[ref].state != NAT_FREE)
			return ref;
	return NAT_NONE;
}

uint32_t nat_guest_sessions(const struct nat *n, uint32_t guest_ip_be)
{
	const struct nat_guest *g =
		&n->guest[guest_find(n, guest_ip_be)]; /* entry 0 is always empty */
	uint32_t sum = 0;
	for (enum nat_protocol p = 0; p < NAT_PROTOCOLS; p++)
		sum += g->sessions[p] + g->incomings[p];
	return sum;
}

const char *nat_protocol_name(enum nat_protocol p)
{
	static const char *const names[NAT_PROTOCOLS] = {"TCP", "UDP", "ICMP", "ESP"};
	return names[p];
}

const char *nat_protocol_word(enum nat_protocol p)
{
	static const char *const words[NAT_PROTOCOLS] = {"tcp", "udp", "icmp", "esp"};
	return words[p];
}

const char *nat_state_name(enum nat_state s)
{
	static const char *const names[] = {"FREE", "CONNECTING", "RUNNING", "CLOSING"};
	return names[s];
}
