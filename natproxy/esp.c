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
 */
#include "esp.h"

#include <errno.h>

#include "esp_inbound.h"
#include "esp_peers.h"

static const uint64_t opening_ns = ESP_OPENING_MS * 1000000ULL, lead_ns = ESP_LEAD_MS * 1000000ULL;

void esp_init(struct esp *e, const struct hash_key *key)
{
	e->key = *key;
}

/* Whether one more fits who has `own` of the `used` ones: a quarter of what others have not. */
static bool is_within_share(uint32_t own, uint32_t used, uint32_t all)
{
	return 3 * own < all - used;
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
			esp_same_way(&t->way, &ask->way))
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
	const struct esp_guest *waiting = &e->guest[esp_guest_find(e, p->waiting_ip_be)];
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
		&e->guest[esp_guest_find(e, ask->guest_ip_be)]; /* entry 0 is always empty */
	const struct esp_peer *p = &e->peer[esp_peer_find(e, &ask->way)];
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
	const uint32_t ref = esp_peer_find(e, way);
	if (!ref)
		return esp_peer_take(e, way);
	if (!e->peer[ref].tunnels)
		esp_peer_busy(e, ref);
	return ref;
}

static uint32_t tunnel_take(struct esp *e, const struct esp_ask *ask, uint64_t now_ns)
{
	const uint32_t peer = peer_get(e, &ask->way), guest = esp_guest_get(e, ask->guest_ip_be);
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
		const int count = t->guest_ip_be == of->guest_ip_be ? esp_inbound_count(t) : 0;
		for (int i = 0; i < count; i++) {
			const uint32_t at = esp_inbound_at(e, ref, i);
			const struct esp_inbound *in = &e->inbound[at];
			if (!is_recent(in, now_ns))
				continue;
			if (wanted && in->spi == wanted)
				return at;
			if (!best || esp_inbound_better(in, &e->inbound[best]))
				best = at;
		}
	}
	return best;
}

/* An SPI that came loosely has its tunnel now. */
static void move_loose(struct esp *e, uint32_t at, uint32_t to, uint64_t now_ns)
{
	const uint32_t from = esp_inbound_tunnel(at), spi = e->inbound[at].spi;
	const uint64_t heard_ns = e->inbound[at].heard_ns;
	int i = 0;
	while (e->tunnel[from].inbound[i] != spi)
		i++;
	esp_inbound_remove(e, from, i);
	esp_inbound_add(e, to, spi, false, now_ns);
	e->inbound[esp_inbound_at(e, to, 0)].heard_ns = heard_ns;
}

static void pair(struct esp *e, uint32_t ref, bool is_symmetric, uint64_t now_ns)
{
	const struct esp_tunnel *t = &e->tunnel[ref];
	if (is_symmetric && !esp_inbound_find(e, &t->way, t->spi)) {
		esp_inbound_add(e, ref, t->spi, false, now_ns);
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
	if (tunnel_find(e, ask) || (!ask->spi && esp_inbound_find(e, &ask->way, inbound)))
		return -EEXIST;
	if (!is_room(e, ask))
		return -ENOSPC;
	*ref = tunnel_take(e, ask, now_ns);
	if (ask->spi)
		pair(e, *ref, ask->symmetric, now_ns);
	else
		esp_inbound_add(e, *ref, inbound, true, now_ns);
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
		esp_peer_idle(e, ref);
	else
		esp_peer_forget(e, ref);
}

void esp_close(struct esp *e, uint32_t ref)
{
	struct esp_tunnel *t = &e->tunnel[ref];
	while (t->inbound[0])
		esp_inbound_remove(e, ref, 0);
	tunnel_unlink(e, ref);
	e->peer[t->peer].tunnels--;
	e->guest[t->guest].tunnels--;
	e->tunnels--;
	turns_without(e, &e->peer[t->peer], t->guest_ip_be);
	peer_without(e, t->peer, t->guest);
	esp_guest_put(e, t->guest);
	t->is_used = false;
	t->key_next = e->free;
	e->free = ref;
}

/* ---- what comes ---- */

void esp_keys(struct esp *e, const struct esp_way *way, uint32_t guest_ip_be, uint64_t now_ns)
{
	uint32_t ref = esp_peer_find(e, way);
	if (ref && !e->peer[ref].tunnels)
		esp_peer_busy(e, ref);
	if (!ref)
		ref = esp_peer_take(e, way);
	if (!ref)
		return;
	struct esp_peer *p = &e->peer[ref];
	if (p->exchange[0].guest_ip_be != guest_ip_be)
		p->exchange[1] = p->exchange[0];
	p->exchange[0] = (struct esp_exchange){guest_ip_be, now_ns};
	if (!p->tunnels)
		esp_peer_idle(e, ref);
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
		esp_inbound_add(e, ref, spi, false, now_ns);
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
	esp_inbound_add(e, ref, spi, true, now_ns);
	turns_without(e, p, guest);
	return (struct esp_found){.ref = ref};
}

struct esp_found esp_receives(struct esp *e, const struct esp_way *way, uint32_t spi,
	uint32_t only_guest_ip_be, uint64_t now_ns)
{
	if (!spi)
		return (struct esp_found){0};
	const uint32_t at = esp_inbound_find(e, way, spi);
	if (at) {
		esp_inbound_heard(e, at, now_ns);
		return (struct esp_found){.ref = esp_inbound_tunnel(at)};
	}
	const uint32_t ref = esp_peer_find(e, way);
	if (!ref)
		return (struct esp_found){.guest_ip_be = only_guest_ip_be};
	return unknown(e, &e->peer[ref], spi, only_guest_ip_be, now_ns);
}

uint32_t esp_sender(struct esp *e, const struct esp_way *way, uint32_t spi)
{
	const uint32_t peer = esp_peer_find(e, way);
	uint32_t ref = peer ? e->peer[peer].first : ESP_NONE;
	while (ref && e->tunnel[ref].spi != spi)
		ref = e->tunnel[ref].peer_next;
	return ref;
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
