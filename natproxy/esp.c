/*
 * Theory of operation. Four tables, each an array with a free list and a high-water mark, found by keyed hash:
 *
 *   guest   (address)            ◀── who pays for it ── peer
 *   peer    (way) ─▶ tunnels, the youngest first; whose turn it is; who exchanged keys with it last
 *   tunnel  (way, guest, SPI)    ─▶ ESP_INBOUND places
 *   inbound (way, SPI)           the places of tunnel r are (r - 1) * ESP_INBOUND + 1 and those after it
 *
 * Turns. A guest's first packets by a new SPI and what the far end says next by an SPI that nobody knows are taken for a
 * pair, which is only right while nobody else opens a tunnel to that peer. So this is one guest's turn (its term) at a time:
 *
 *   nobody's ── esp_sends of an unpaired tunnel ─▶ a guest's ── an unknown SPI came, ESP_OPENING_MS are over, ─▶ nobody's
 *                                                              or it has no unpaired tunnel any more
 *
 * A guest that is turned away waits: when the term is over nobody else may begin one, until the guest has not knocked for
 * ESP_OPENING_MS. One waits at a time, the first one; but a guest that had a term since another began to wait gives way to
 * that one, or two guests could hold a peer by taking turns.
 *
 * Places. Who sends packets with the peer's address and SPIs of his own takes a place with each of them. Those that came
 * loosely (to no opener) and were not heard again ESP_LEAD_MS later go first, what was heard once before what was heard again;
 * an SPI that came to an opener or is settled goes only if it was not heard for ESP_OPENING_MS. So what is in use stays,
 * however many are forged. A forged SPI leads to a guest
 * that drops what it cannot decrypt (RFC 4303 3.4.2).
 *
 * Peers without tunnels are remembered for the keys that were exchanged with them, which comes before a tunnel. They are
 * listed by age, for the hub and for the guest that exchanged keys with them last, and give way to what has tunnels.
 */
#include "esp.h"

#include <errno.h>

enum { IDLE_ALL, IDLE_GUEST };
static const uint64_t opening_ns = ESP_OPENING_MS * 1000000ULL, lead_ns = ESP_LEAD_MS * 1000000ULL;

void esp_init(struct esp *e, const struct hash_key *key)
{
	e->key = *key;
}

static bool is_same_way(const struct esp_way *a, const struct esp_way *b)
{
	return a->peer_ip_be == b->peer_ip_be && a->outside_ip_be == b->outside_ip_be;
}

/* Whether one more fits who has `own` of the `used` ones: a quarter of what others have not. */
static bool is_within_share(uint32_t own, uint32_t used, uint32_t all)
{
	return 3 * own < all - used;
}

/* ---- guests ---- */

static uint32_t *guest_head(struct esp *e, uint32_t ip_be)
{
	return &e->guest_bucket[hash_sip(&e->key, &ip_be, sizeof(ip_be)) & (ESP_GUEST_BUCKETS - 1)];
}

static uint32_t guest_find(struct esp *e, uint32_t ip_be)
{
	uint32_t ref = *guest_head(e, ip_be);
	while (ref && e->guest[ref].ip_be != ip_be)
		ref = e->guest[ref].bucket_next;
	return ref;
}

/* There is room: one for each tunnel and each peer. */
static uint32_t guest_get(struct esp *e, uint32_t ip_be)
{
	uint32_t ref = guest_find(e, ip_be);
	if (ref)
		return ref;
	ref = e->guest_free ? e->guest_free : ++e->guest_fresh;
	if (e->guest_free)
		e->guest_free = e->guest[ref].bucket_next;
	uint32_t *head = guest_head(e, ip_be);
	e->guest[ref] = (struct esp_guest){.ip_be = ip_be, .bucket_next = *head};
	*head = ref;
	return ref;
}

static void guest_put(struct esp *e, uint32_t ref)
{
	struct esp_guest *g = &e->guest[ref];
	if (g->tunnels || g->idle_peers)
		return;
	uint32_t *at = guest_head(e, g->ip_be);
	while (*at != ref)
		at = &e->guest[*at].bucket_next;
	*at = g->bucket_next;
	g->bucket_next = e->guest_free;
	e->guest_free = ref;
}

/* ---- peers ---- */

static uint32_t *peer_head(struct esp *e, const struct esp_way *way)
{
	const uint32_t words[2] = {way->peer_ip_be, way->outside_ip_be};
	return &e->peer_bucket[hash_sip(&e->key, words, sizeof(words)) & (ESP_PEER_BUCKETS - 1)];
}

static uint32_t peer_find(struct esp *e, const struct esp_way *way)
{
	uint32_t ref = *peer_head(e, way);
	while (ref && !is_same_way(&e->peer[ref].way, way))
		ref = e->peer[ref].bucket_next;
	return ref;
}

static void idle_link(struct esp *e, struct esp_list *list, uint32_t ref, int which)
{
	struct esp_links *links = &e->peer[ref].idle[which];
	*links = (struct esp_links){.prev = list->last};
	if (list->last)
		e->peer[list->last].idle[which].next = ref;
	else
		list->first = ref;
	list->last = ref;
}

static void idle_unlink(struct esp *e, struct esp_list *list, uint32_t ref, int which)
{
	const struct esp_links *links = &e->peer[ref].idle[which];
	if (links->next)
		e->peer[links->next].idle[which].prev = links->prev;
	else
		list->last = links->prev;
	if (links->prev)
		e->peer[links->prev].idle[which].next = links->next;
	else
		list->first = links->next;
}

/* A peer without tunnels gets one, or goes, or is heard again. */
static void idle_leave(struct esp *e, uint32_t ref)
{
	const uint32_t guest = guest_find(e, e->peer[ref].exchange[0].guest_ip_be);
	idle_unlink(e, &e->idle, ref, IDLE_ALL);
	idle_unlink(e, &e->guest[guest].idle, ref, IDLE_GUEST);
	e->guest[guest].idle_peers--;
	guest_put(e, guest);
}

static void peer_free(struct esp *e, uint32_t ref)
{
	struct esp_peer *p = &e->peer[ref];
	uint32_t *at = peer_head(e, &p->way);
	while (*at != ref)
		at = &e->peer[*at].bucket_next;
	*at = p->bucket_next;
	p->bucket_next = e->peer_free;
	e->peer_free = ref;
}

static void idle_forget(struct esp *e, uint32_t ref)
{
	idle_leave(e, ref);
	peer_free(e, ref);
}

static void idle_join(struct esp *e, uint32_t ref)
{
	const uint32_t guest = guest_get(e, e->peer[ref].exchange[0].guest_ip_be);
	struct esp_guest *g = &e->guest[guest];
	idle_link(e, &e->idle, ref, IDLE_ALL);
	idle_link(e, &g->idle, ref, IDLE_GUEST);
	if (++g->idle_peers > ESP_KEYS_PER_GUEST)
		idle_forget(e, g->idle.first);
}

/* A new one, that neither has a tunnel nor is listed; ESP_NONE when all have tunnels. */
static uint32_t peer_take(struct esp *e, const struct esp_way *way)
{
	if (!e->peer_free && e->peer_fresh == ESP_PEERS && e->idle.first)
		idle_forget(e, e->idle.first);
	uint32_t ref = e->peer_free;
	if (ref)
		e->peer_free = e->peer[ref].bucket_next;
	else if (e->peer_fresh < ESP_PEERS)
		ref = ++e->peer_fresh;
	else
		return ESP_NONE;
	uint32_t *head = peer_head(e, way);
	e->peer[ref] = (struct esp_peer){.way = *way, .bucket_next = *head};
	*head = ref;
	return ref;
}

/* ---- inbound SPIs ---- */

static uint32_t *inbound_head(struct esp *e, const struct esp_way *way, uint32_t spi)
{
	const uint32_t words[3] = {way->peer_ip_be, way->outside_ip_be, spi};
	return &e->inbound_bucket[hash_sip(&e->key, words, sizeof(words)) &
				  (ESP_INBOUND_BUCKETS - 1)];
}

static uint32_t tunnel_of(uint32_t inbound)
{
	return (inbound - 1) / ESP_INBOUND + 1;
}

/* Where inbound[i] of a tunnel is kept. */
static uint32_t inbound_at(const struct esp *e, uint32_t ref, int i)
{
	return (ref - 1) * ESP_INBOUND + 1 + e->tunnel[ref].place[i];
}

static uint32_t inbound_find(struct esp *e, const struct esp_way *way, uint32_t spi)
{
	uint32_t at = *inbound_head(e, way, spi);
	while (at &&
		(e->inbound[at].spi != spi || !is_same_way(&e->tunnel[tunnel_of(at)].way, way)))
		at = e->inbound[at].next;
	return at;
}

/* How many the tunnel has; those are its first. */
static int inbound_count(const struct esp_tunnel *t)
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

static void inbound_remove(struct esp *e, uint32_t ref, int i)
{
	struct esp_tunnel *t = &e->tunnel[ref];
	const uint32_t place = inbound_at(e, ref, i);
	uint32_t *at = inbound_head(e, &t->way, t->inbound[i]);
	while (*at != place)
		at = &e->inbound[*at].next;
	*at = e->inbound[place].next;
	t->inbound[i] = 0;
	reorder(t, i, ESP_INBOUND - 1);
}

/* Of two that came loosely: what was heard for longer is less likely forged. */
static bool is_better(const struct esp_inbound *a, const struct esp_inbound *b)
{
	const uint64_t a_ns = a->heard_ns - a->came_ns, b_ns = b->heard_ns - b->came_ns;
	return a_ns != b_ns ? a_ns > b_ns : a->came_ns > b->came_ns;
}

/* Which of a tunnel's SPIs gives way to a further one; -1: all are in use. */
static int gives_way(const struct esp *e, uint32_t ref, uint64_t now_ns)
{
	int worst = -1;
	for (int i = ESP_INBOUND - 1; i >= 0; i--) {
		const struct esp_inbound *in = &e->inbound[inbound_at(e, ref, i)];
		if (!in->is_settled &&
			(worst < 0 || is_better(&e->inbound[inbound_at(e, ref, worst)], in)))
			worst = i;
	}
	if (worst >= 0)
		return worst;
	const uint32_t oldest = inbound_at(e, ref, ESP_INBOUND - 1);
	return now_ns - e->inbound[oldest].heard_ns >= opening_ns ? ESP_INBOUND - 1 : -1;
}

/* An SPI that leads nowhere leads to this tunnel from now on, if there is a place. */
static void inbound_add(struct esp *e, uint32_t ref, uint32_t spi, bool is_loose, uint64_t now_ns)
{
	struct esp_tunnel *t = &e->tunnel[ref];
	t->is_paired = true;
	t->opening_until_ns = 0;
	if (t->inbound[ESP_INBOUND - 1]) {
		const int victim = gives_way(e, ref, now_ns);
		if (victim < 0)
			return;
		inbound_remove(e, ref, victim);
	}
	const int i = inbound_count(t);
	const uint32_t place = inbound_at(e, ref, i);
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

static void inbound_heard(struct esp *e, uint32_t at, uint64_t now_ns)
{
	struct esp_tunnel *t = &e->tunnel[tunnel_of(at)];
	struct esp_inbound *in = &e->inbound[at];
	in->heard_ns = now_ns;
	if (now_ns - in->came_ns >= lead_ns)
		in->is_settled = true;
	int i = 0;
	while (t->inbound[i] != in->spi)
		i++;
	reorder(t, i, 0);
}

/* ---- the tunnels of a peer ---- */

static uint32_t *tunnel_head(
	struct esp *e, const struct esp_way *way, uint32_t guest_ip_be, uint32_t spi)
{
	const uint32_t words[4] = {way->peer_ip_be, way->outside_ip_be, guest_ip_be, spi};
	return &e->tunnel_bucket[hash_sip(&e->key, words, sizeof(words)) &
				 (ESP_TUNNEL_BUCKETS - 1)];
}

static uint32_t tunnel_find(struct esp *e, const struct esp_ask *ask)
{
	uint32_t ref = *tunnel_head(e, &ask->way, ask->guest_ip_be, ask->spi);
	for (; ref; ref = e->tunnel[ref].key_next) {
		const struct esp_tunnel *t = &e->tunnel[ref];
		if (t->guest_ip_be == ask->guest_ip_be && t->spi == ask->spi &&
			is_same_way(&t->way, &ask->way))
			break;
	}
	return ref;
}

static uint32_t youngest(const struct esp *e, const struct esp_peer *p, uint32_t guest_ip_be)
{
	uint32_t ref = p->first;
	while (ref && e->tunnel[ref].guest_ip_be != guest_ip_be)
		ref = e->tunnel[ref].peer_next;
	return ref;
}

static uint32_t youngest_unpaired(
	const struct esp *e, const struct esp_peer *p, uint32_t guest_ip_be)
{
	uint32_t ref = p->first;
	while (ref && (e->tunnel[ref].guest_ip_be != guest_ip_be || e->tunnel[ref].is_paired))
		ref = e->tunnel[ref].peer_next;
	return ref;
}

static uint32_t tunnels_of(const struct esp *e, const struct esp_peer *p, uint32_t guest_ip_be)
{
	uint32_t count = 0;
	for (uint32_t ref = p->first; ref; ref = e->tunnel[ref].peer_next)
		count += e->tunnel[ref].guest_ip_be == guest_ip_be;
	return count;
}

/* The guest that has all tunnels of this peer; 0: there is none, or several have some. */
static uint32_t lone_guest(const struct esp *e, const struct esp_peer *p)
{
	const uint32_t guest_ip_be = p->first ? e->tunnel[p->first].guest_ip_be : 0;
	return tunnels_of(e, p, guest_ip_be) == p->tunnels ? guest_ip_be : 0;
}

/* ---- turns ---- */

static void term_end(struct esp *e, struct esp_peer *p)
{
	for (uint32_t ref = p->first; ref; ref = e->tunnel[ref].peer_next)
		e->tunnel[ref].opening_until_ns = 0;
	p->opener_ip_be = 0;
}

static void term_begin(
	struct esp *e, struct esp_peer *p, const struct esp_tunnel *t, uint64_t now_ns)
{
	p->opener_ip_be = t->guest_ip_be;
	p->began_ns = now_ns;
	p->until_ns = now_ns + opening_ns;
	p->waiting_ip_be = 0;
	e->guest[t->guest].turn_ns = now_ns;
}

static void turns_at(struct esp *e, struct esp_peer *p, uint64_t now_ns)
{
	if (p->opener_ip_be && now_ns >= p->until_ns)
		term_end(e, p);
	if (p->waiting_ip_be && now_ns >= p->waits_until_ns)
		p->waiting_ip_be = 0;
}

/* A tunnel of this guest went or was paired: who has none to open has no turn and waits for none. */
static void turns_without(struct esp *e, struct esp_peer *p, uint32_t guest_ip_be)
{
	if ((p->opener_ip_be != guest_ip_be && p->waiting_ip_be != guest_ip_be) ||
		youngest_unpaired(e, p, guest_ip_be))
		return;
	if (p->opener_ip_be == guest_ip_be)
		term_end(e, p);
	else
		p->waiting_ip_be = 0;
}

/* Whether the guest that waits had a term since this one began to wait. */
static bool gives_its_turn(struct esp *e, const struct esp_peer *p, const struct esp_tunnel *t)
{
	const struct esp_guest *waiting = &e->guest[guest_find(e, p->waiting_ip_be)];
	const uint64_t own_turn_ns = e->guest[t->guest].turn_ns;
	return waiting->turn_ns > t->opened_ns && waiting->turn_ns > own_turn_ns;
}

/*
 * A guest is turned away. Only in another's term: afterwards the one that waits has its turn, and may not lose it.
 */
static void knock(struct esp *e, struct esp_peer *p, const struct esp_tunnel *t, uint64_t now_ns)
{
	if (!p->opener_ip_be)
		return;
	if (p->waiting_ip_be && p->waiting_ip_be != t->guest_ip_be && !gives_its_turn(e, p, t))
		return;
	p->waiting_ip_be = t->guest_ip_be;
	p->waits_until_ns = now_ns + opening_ns;
}

bool esp_sends(struct esp *e, uint32_t ref, uint64_t now_ns)
{
	struct esp_tunnel *t = &e->tunnel[ref];
	struct esp_peer *p = &e->peer[t->peer];
	if (t->is_paired)
		return true;
	turns_at(e, p, now_ns);
	if (!p->opener_ip_be && (!p->waiting_ip_be || p->waiting_ip_be == t->guest_ip_be))
		term_begin(e, p, t, now_ns);
	if (p->opener_ip_be == t->guest_ip_be) {
		t->opening_until_ns = p->until_ns;
		return true;
	}
	knock(e, p, t, now_ns);
	return false;
}

/* ---- opening and closing ---- */

/* The peers of a guest are those that it pays for: it has tunnels there, and was the first of those who have. */
static void pay(struct esp *e, struct esp_peer *p, uint32_t guest)
{
	p->payer = guest;
	e->guest[guest].peers++;
}

static bool is_room(struct esp *e, const struct esp_ask *ask)
{
	const struct esp_guest *g =
		&e->guest[guest_find(e, ask->guest_ip_be)]; /* entry 0 is always empty */
	const struct esp_peer *p = &e->peer[peer_find(e, &ask->way)];
	if (!is_within_share(g->tunnels, e->tunnels, ESP_TUNNELS))
		return false;
	if (!p->tunnels)
		return is_within_share(g->peers, e->peers, ESP_PEERS);
	return is_within_share(
		tunnels_of(e, p, ask->guest_ip_be), p->tunnels, ESP_TUNNELS_PER_PEER);
}

/* The peer, that is listed no more as one without tunnels. There is room. */
static uint32_t peer_get(struct esp *e, const struct esp_way *way)
{
	const uint32_t ref = peer_find(e, way);
	if (!ref)
		return peer_take(e, way);
	if (!e->peer[ref].tunnels)
		idle_leave(e, ref);
	return ref;
}

static uint32_t tunnel_take(struct esp *e, const struct esp_ask *ask, uint64_t now_ns)
{
	const uint32_t peer = peer_get(e, &ask->way), guest = guest_get(e, ask->guest_ip_be);
	struct esp_peer *p = &e->peer[peer];
	const uint32_t ref = e->free ? e->free : ++e->fresh;
	struct esp_tunnel *t = &e->tunnel[ref];
	if (e->free)
		e->free = t->key_next;
	uint32_t *head = tunnel_head(e, &ask->way, ask->guest_ip_be, ask->spi);
	*t = (struct esp_tunnel){.way = ask->way,
		.guest_ip_be = ask->guest_ip_be,
		.spi = ask->spi,
		.flow = ask->flow,
		.is_used = true,
		.place = {0, 1, 2, 3},
		.opened_ns = now_ns,
		.peer = peer,
		.guest = guest,
		.key_next = *head,
		.peer_next = p->first};
	_Static_assert(ESP_INBOUND == 4, "each place has its number");
	*head = ref;
	if (p->first)
		e->tunnel[p->first].peer_prev = ref;
	else
		pay(e, p, guest);
	e->peers += !p->first;
	p->first = ref;
	p->tunnels++;
	e->guest[guest].tunnels++;
	e->tunnels++;
	return ref;
}

static bool is_recent(const struct esp_inbound *in, uint64_t now_ns)
{
	return in->is_loose && now_ns - in->came_ns < opening_ns;
}

/* An SPI that came for this guest lately without an opener, ESP_NONE if there is none; `wanted` or the best one. */
static uint32_t find_loose(
	struct esp *e, const struct esp_tunnel *of, uint32_t wanted, uint64_t now_ns)
{
	uint32_t best = ESP_NONE;
	for (uint32_t ref = e->peer[of->peer].first; ref; ref = e->tunnel[ref].peer_next) {
		const struct esp_tunnel *t = &e->tunnel[ref];
		const int count = t->guest_ip_be == of->guest_ip_be ? inbound_count(t) : 0;
		for (int i = 0; i < count; i++) {
			const uint32_t at = inbound_at(e, ref, i);
			const struct esp_inbound *in = &e->inbound[at];
			if (!is_recent(in, now_ns))
				continue;
			if (wanted && in->spi == wanted)
				return at;
			if (!best || is_better(in, &e->inbound[best]))
				best = at;
		}
	}
	return best;
}

/* An SPI that came loosely has its tunnel now. */
static void move_loose(struct esp *e, uint32_t at, uint32_t to, uint64_t now_ns)
{
	const uint32_t from = tunnel_of(at), spi = e->inbound[at].spi;
	const uint64_t heard_ns = e->inbound[at].heard_ns;
	int i = 0;
	while (e->tunnel[from].inbound[i] != spi)
		i++;
	inbound_remove(e, from, i);
	inbound_add(e, to, spi, false, now_ns);
	e->inbound[inbound_at(e, to, 0)].heard_ns = heard_ns;
}

static void pair(struct esp *e, uint32_t ref, bool is_symmetric, uint64_t now_ns)
{
	const struct esp_tunnel *t = &e->tunnel[ref];
	if (is_symmetric && !inbound_find(e, &t->way, t->spi)) {
		inbound_add(e, ref, t->spi, false, now_ns);
		return;
	}
	const uint32_t loose = find_loose(e, t, is_symmetric ? t->spi : 0, now_ns);
	if (loose)
		move_loose(e, loose, ref, now_ns);
}

int esp_open(
	struct esp *e, const struct esp_ask *ask, uint32_t inbound, uint64_t now_ns, uint32_t *ref)
{
	if (!ask->spi && !inbound)
		return -EINVAL;
	if (tunnel_find(e, ask) || (!ask->spi && inbound_find(e, &ask->way, inbound)))
		return -EEXIST;
	if (!is_room(e, ask))
		return -ENOSPC;
	*ref = tunnel_take(e, ask, now_ns);
	if (ask->spi)
		pair(e, *ref, ask->symmetric, now_ns);
	else
		inbound_add(e, *ref, inbound, true, now_ns);
	return 0;
}

static void tunnel_unlink(struct esp *e, uint32_t ref)
{
	const struct esp_tunnel *t = &e->tunnel[ref];
	uint32_t *at = tunnel_head(e, &t->way, t->guest_ip_be, t->spi);
	while (*at != ref)
		at = &e->tunnel[*at].key_next;
	*at = t->key_next;
	if (t->peer_next)
		e->tunnel[t->peer_next].peer_prev = t->peer_prev;
	if (t->peer_prev)
		e->tunnel[t->peer_prev].peer_next = t->peer_next;
	else
		e->peer[t->peer].first = t->peer_next;
}

/* After one of this guest's tunnels went: who pays. */
static void peer_without(struct esp *e, uint32_t ref, uint32_t guest)
{
	struct esp_peer *p = &e->peer[ref];
	if (p->payer == guest && !youngest(e, p, e->guest[guest].ip_be)) {
		e->guest[guest].peers--;
		if (p->first)
			pay(e, p, e->tunnel[p->first].guest);
	}
	if (p->first)
		return;
	e->peers--;
	if (p->exchange[0].guest_ip_be)
		idle_join(e, ref);
	else
		peer_free(e, ref);
}

void esp_close(struct esp *e, uint32_t ref)
{
	struct esp_tunnel *t = &e->tunnel[ref];
	while (t->inbound[0])
		inbound_remove(e, ref, 0);
	tunnel_unlink(e, ref);
	e->peer[t->peer].tunnels--;
	e->guest[t->guest].tunnels--;
	e->tunnels--;
	turns_without(e, &e->peer[t->peer], t->guest_ip_be);
	peer_without(e, t->peer, t->guest);
	guest_put(e, t->guest);
	t->is_used = false;
	t->key_next = e->free;
	e->free = ref;
}

/* ---- what comes ---- */

void esp_keys(struct esp *e, const struct esp_way *way, uint32_t guest_ip_be, uint64_t now_ns)
{
	uint32_t ref = peer_find(e, way);
	if (ref && !e->peer[ref].tunnels)
		idle_leave(e, ref);
	if (!ref)
		ref = peer_take(e, way);
	if (!ref)
		return;
	struct esp_peer *p = &e->peer[ref];
	if (p->exchange[0].guest_ip_be != guest_ip_be)
		p->exchange[1] = p->exchange[0];
	p->exchange[0] = (struct esp_exchange){guest_ip_be, now_ns};
	if (!p->tunnels)
		idle_join(e, ref);
}

/* The guest that exchanged keys with this peer last, if long enough after any other; else 0. */
static uint32_t leader(const struct esp_peer *p)
{
	const struct esp_exchange *last = &p->exchange[0], *other = &p->exchange[1];
	if (other->guest_ip_be && last->at_ns - other->at_ns < lead_ns)
		return 0;
	return last->guest_ip_be;
}

/* The tunnel that an unknown SPI is taken for the pair of, ESP_NONE if there is none. */
static uint32_t opened(const struct esp *e, const struct esp_peer *p, uint32_t only_guest_ip_be)
{
	const uint32_t opener = p->opener_ip_be, leads = leader(p);
	if (!opener)
		return ESP_NONE;
	if (only_guest_ip_be && only_guest_ip_be != opener)
		return ESP_NONE;
	if (!only_guest_ip_be && leads && leads != opener && p->exchange[0].at_ns > p->began_ns)
		return ESP_NONE;
	return youngest_unpaired(e, p, opener);
}

static struct esp_found unknown(
	struct esp *e, struct esp_peer *p, uint32_t spi, uint32_t only_guest_ip_be, uint64_t now_ns)
{
	turns_at(e, p, now_ns);
	uint32_t guest = only_guest_ip_be, ref = opened(e, p, only_guest_ip_be);
	if (ref) {
		inbound_add(e, ref, spi, false, now_ns);
		term_end(e, p);
		return (struct esp_found){.ref = ref};
	}
	/* who had that address before it was this guest's alone does not count any more */
	if (!guest)
		guest = leader(p);
	if (!guest)
		guest = lone_guest(e, p);
	if (!guest)
		return (struct esp_found){0};
	ref = youngest(e, p, guest);
	if (!ref)
		return (struct esp_found){.guest_ip_be = guest};
	inbound_add(e, ref, spi, true, now_ns);
	turns_without(e, p, guest);
	return (struct esp_found){.ref = ref};
}

struct esp_found esp_receives(struct esp *e, const struct esp_way *way, uint32_t spi,
	uint32_t only_guest_ip_be, uint64_t now_ns)
{
	if (!spi)
		return (struct esp_found){0};
	const uint32_t at = inbound_find(e, way, spi);
	if (at) {
		inbound_heard(e, at, now_ns);
		return (struct esp_found){.ref = tunnel_of(at)};
	}
	const uint32_t ref = peer_find(e, way);
	if (!ref)
		return (struct esp_found){.guest_ip_be = only_guest_ip_be};
	return unknown(e, &e->peer[ref], spi, only_guest_ip_be, now_ns);
}

/* ---- rows ---- */

const struct esp_tunnel *esp_at(const struct esp *e, uint32_t ref)
{
	return &e->tunnel[ref];
}

uint32_t esp_next(const struct esp *e, uint32_t ref)
{
	while (++ref <= e->fresh)
		if (e->tunnel[ref].is_used)
			return ref;
	return ESP_NONE;
}
