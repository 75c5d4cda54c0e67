/*
 * Theory of operation.
 *
 *   guest (address)  ─▶ its pairs and its cookies, the one unheard longest first
 *   peer  (address)  ─▶ its pairs, the one whose guest spoke last at the end
 *   pair  (peer, guest)     there once the guest sent to the peer
 *   entry (peer, cookie) ─▶ pair
 *
 * A cookie that a guest sent by is that guest's as long as the guest has a place for it; no other guest can take it. A cookie
 * that only came from outside is guessed to be a guest's: it gives way to what guests send by, is not noted where it would
 * push such a one out, and is the guest's that sends by it first. So who sends any number of cookies with the peer's address
 * takes nothing from anybody but his own former guesses.
 *
 * Every entry has its pair, a pair its guest and its peer: those are there only for what refers to them.
 */
#include "ike.h"

enum ike_lists { ENTRY_OF_ALL, ENTRY_OF_GUEST, PAIR_OF_ALL, PAIR_OF_GUEST, PAIR_OF_PEER };
static const uint64_t lead_ns = IKE_LEAD_MS * 1000000ULL;

void ike_init(struct ike *k, const struct hash_key *key)
{
	k->key = *key;
}

static uint32_t be32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

uint64_t ike_cookie(const uint8_t *bytes, size_t n)
{
	enum { VERSION_AT = 17, LENGTH_AT = 24 };
	if (n < IKE_HEADER_BYTES)
		return 0;
	const unsigned int major = bytes[VERSION_AT] >> 4;
	const uint32_t length = be32(bytes + LENGTH_AT);
	if (major < 1 || major > 2 || length < IKE_HEADER_BYTES || length > IKE_MESSAGE_MAX)
		return 0;
	return (uint64_t)be32(bytes) << 32 | be32(bytes + 4);
}

/* ---- lists ---- */

static struct ike_links *links_of(struct ike *k, enum ike_lists which, uint32_t ref)
{
	switch (which) {
	case ENTRY_OF_ALL: return &k->entry[ref].links[IKE_OF_ALL];
	case ENTRY_OF_GUEST: return &k->entry[ref].links[IKE_OF_GUEST];
	case PAIR_OF_ALL: return &k->pair[ref].links[IKE_OF_ALL];
	case PAIR_OF_GUEST: return &k->pair[ref].links[IKE_OF_GUEST];
	case PAIR_OF_PEER: break;
	}
	return &k->pair[ref].of_peer;
}

static void append(struct ike *k, struct ike_list *list, enum ike_lists which, uint32_t ref)
{
	*links_of(k, which, ref) = (struct ike_links){.prev = list->last};
	if (list->last)
		links_of(k, which, list->last)->next = ref;
	else
		list->first = ref;
	list->last = ref;
}

static void take_out(struct ike *k, struct ike_list *list, enum ike_lists which, uint32_t ref)
{
	const struct ike_links *links = links_of(k, which, ref);
	if (links->next)
		links_of(k, which, links->next)->prev = links->prev;
	else
		list->last = links->prev;
	if (links->prev)
		links_of(k, which, links->prev)->next = links->next;
	else
		list->first = links->next;
}

/* ---- guests and peers ---- */

static uint32_t *guest_head(struct ike *k, uint32_t ip_be)
{
	return &k->guest_bucket[hash_sip(&k->key, &ip_be, sizeof(ip_be)) & (IKE_GUEST_BUCKETS - 1)];
}

static uint32_t *peer_head(struct ike *k, uint32_t ip_be)
{
	return &k->peer_bucket[hash_sip(&k->key, &ip_be, sizeof(ip_be)) & (IKE_PEER_BUCKETS - 1)];
}

static uint32_t guest_find(struct ike *k, uint32_t ip_be)
{
	uint32_t ref = *guest_head(k, ip_be);
	while (ref && k->guest[ref].ip_be != ip_be)
		ref = k->guest[ref].bucket_next;
	return ref;
}

static uint32_t peer_find(struct ike *k, uint32_t ip_be)
{
	uint32_t ref = *peer_head(k, ip_be);
	while (ref && k->peer[ref].ip_be != ip_be)
		ref = k->peer[ref].bucket_next;
	return ref;
}

/* There is room for as many guests and peers as there are pairs. */
static uint32_t guest_get(struct ike *k, uint32_t ip_be)
{
	uint32_t ref = guest_find(k, ip_be);
	if (ref)
		return ref;
	ref = k->guests.free ? k->guests.free : ++k->guests.fresh;
	if (k->guests.free)
		k->guests.free = k->guest[ref].bucket_next;
	uint32_t *head = guest_head(k, ip_be);
	k->guest[ref] = (struct ike_guest){.ip_be = ip_be, .bucket_next = *head};
	*head = ref;
	return ref;
}

static uint32_t peer_get(struct ike *k, uint32_t ip_be)
{
	uint32_t ref = peer_find(k, ip_be);
	if (ref)
		return ref;
	ref = k->peers.free ? k->peers.free : ++k->peers.fresh;
	if (k->peers.free)
		k->peers.free = k->peer[ref].bucket_next;
	uint32_t *head = peer_head(k, ip_be);
	k->peer[ref] = (struct ike_peer){.ip_be = ip_be, .bucket_next = *head};
	*head = ref;
	return ref;
}

static void guest_put(struct ike *k, uint32_t ref)
{
	struct ike_guest *g = &k->guest[ref];
	if (g->pairs)
		return;
	uint32_t *at = guest_head(k, g->ip_be);
	while (*at != ref)
		at = &k->guest[*at].bucket_next;
	*at = g->bucket_next;
	g->bucket_next = k->guests.free;
	k->guests.free = ref;
}

static void peer_put(struct ike *k, uint32_t ref)
{
	struct ike_peer *p = &k->peer[ref];
	if (p->pairs.first)
		return;
	uint32_t *at = peer_head(k, p->ip_be);
	while (*at != ref)
		at = &k->peer[*at].bucket_next;
	*at = p->bucket_next;
	p->bucket_next = k->peers.free;
	k->peers.free = ref;
}

/* ---- cookies ---- */

static uint32_t *entry_head(struct ike *k, uint32_t peer_ip_be, uint64_t cookie)
{
	const uint64_t words[2] = {peer_ip_be, cookie};
	return &k->entry_bucket[hash_sip(&k->key, words, sizeof(words)) & (IKE_COOKIE_BUCKETS - 1)];
}

static uint32_t entry_find(struct ike *k, uint32_t peer_ip_be, uint64_t cookie)
{
	uint32_t ref = *entry_head(k, peer_ip_be, cookie);
	for (; ref; ref = k->entry[ref].bucket_next) {
		const struct ike_entry *c = &k->entry[ref];
		if (c->cookie == cookie && k->pair[c->pair].peer_ip_be == peer_ip_be)
			break;
	}
	return ref;
}

static struct ike_guest *guest_of(struct ike *k, const struct ike_entry *c)
{
	return &k->guest[k->pair[c->pair].guest];
}

static void entry_list(struct ike *k, uint32_t ref)
{
	const struct ike_entry *c = &k->entry[ref];
	append(k, &k->all_entries[c->source], ENTRY_OF_ALL, ref);
	append(k, &guest_of(k, c)->entry[c->source], ENTRY_OF_GUEST, ref);
}

static void entry_unlist(struct ike *k, uint32_t ref)
{
	const struct ike_entry *c = &k->entry[ref];
	take_out(k, &k->all_entries[c->source], ENTRY_OF_ALL, ref);
	take_out(k, &guest_of(k, c)->entry[c->source], ENTRY_OF_GUEST, ref);
}

/* A message by it: it is the youngest. What a guest said is never a guess again. */
static void entry_heard(struct ike *k, uint32_t ref, enum ike_source source)
{
	struct ike_entry *c = &k->entry[ref];
	entry_unlist(k, ref);
	if (source == IKE_SAID)
		c->source = IKE_SAID;
	entry_list(k, ref);
}

static void entry_drop(struct ike *k, uint32_t ref)
{
	struct ike_entry *c = &k->entry[ref];
	uint32_t *at = entry_head(k, k->pair[c->pair].peer_ip_be, c->cookie);
	while (*at != ref)
		at = &k->entry[*at].bucket_next;
	*at = c->bucket_next;
	entry_unlist(k, ref);
	guest_of(k, c)->cookies--;
	c->bucket_next = k->entries.free;
	k->entries.free = ref;
}

/* Makes room in these lists for one more of this source: a guess gives way first, and pushes out nothing but guesses. */
static bool make_way(struct ike *k, const struct ike_list list[IKE_SOURCES], enum ike_source source)
{
	const uint32_t oldest = list[IKE_GUESSED].first ? list[IKE_GUESSED].first
				: source == IKE_SAID	? list[IKE_SAID].first
							: IKE_NONE;
	if (oldest)
		entry_drop(k, oldest);
	return oldest;
}

static void entry_add(struct ike *k, uint32_t pair, uint64_t cookie, enum ike_source source)
{
	struct ike_guest *g = &k->guest[k->pair[pair].guest];
	if (g->cookies == IKE_COOKIES_PER_GUEST && !make_way(k, g->entry, source))
		return;
	if (!k->entries.free && k->entries.fresh == IKE_COOKIES &&
		!make_way(k, k->all_entries, source))
		return;
	const uint32_t ref = k->entries.free ? k->entries.free : ++k->entries.fresh;
	struct ike_entry *c = &k->entry[ref];
	if (k->entries.free)
		k->entries.free = c->bucket_next;
	uint32_t *head = entry_head(k, k->pair[pair].peer_ip_be, cookie);
	*c = (struct ike_entry){
		.cookie = cookie, .pair = pair, .source = (uint8_t)source, .bucket_next = *head};
	*head = ref;
	entry_list(k, ref);
	g->cookies++;
}

/* ---- pairs ---- */

static uint32_t *pair_head(struct ike *k, uint32_t peer_ip_be, uint32_t guest_ip_be)
{
	const uint32_t words[2] = {peer_ip_be, guest_ip_be};
	return &k->pair_bucket[hash_sip(&k->key, words, sizeof(words)) & (IKE_PAIR_BUCKETS - 1)];
}

static uint32_t pair_find(struct ike *k, uint32_t peer_ip_be, uint32_t guest_ip_be)
{
	uint32_t ref = *pair_head(k, peer_ip_be, guest_ip_be);
	for (; ref; ref = k->pair[ref].bucket_next)
		if (k->pair[ref].peer_ip_be == peer_ip_be &&
			k->guest[k->pair[ref].guest].ip_be == guest_ip_be)
			break;
	return ref;
}

static void drop_entries(struct ike *k, const struct ike_list *list, uint32_t pair)
{
	for (uint32_t ref = list->first, next; ref; ref = next) {
		next = k->entry[ref].links[IKE_OF_GUEST].next;
		if (k->entry[ref].pair == pair)
			entry_drop(k, ref);
	}
}

static void pair_drop(struct ike *k, uint32_t ref)
{
	struct ike_pair *p = &k->pair[ref];
	struct ike_guest *g = &k->guest[p->guest];
	drop_entries(k, &g->entry[IKE_GUESSED], ref);
	drop_entries(k, &g->entry[IKE_SAID], ref);
	uint32_t *at = pair_head(k, p->peer_ip_be, g->ip_be);
	while (*at != ref)
		at = &k->pair[*at].bucket_next;
	*at = p->bucket_next;
	take_out(k, &k->all_pairs, PAIR_OF_ALL, ref);
	take_out(k, &g->pair, PAIR_OF_GUEST, ref);
	take_out(k, &k->peer[p->peer].pairs, PAIR_OF_PEER, ref);
	g->pairs--;
	guest_put(k, p->guest);
	peer_put(k, p->peer);
	p->bucket_next = k->pairs.free;
	k->pairs.free = ref;
}

/* One more of this guest: its own that was unheard longest gives way, or that of all. */
static void make_room(struct ike *k, uint32_t guest_ip_be)
{
	const struct ike_guest *g =
		&k->guest[guest_find(k, guest_ip_be)]; /* entry 0 is always empty */
	if (g->pairs == IKE_PEERS_PER_GUEST)
		pair_drop(k, g->pair.first);
	else if (!k->pairs.free && k->pairs.fresh == IKE_PEERS)
		pair_drop(k, k->all_pairs.first);
}

static uint32_t pair_make(struct ike *k, uint32_t peer_ip_be, uint32_t guest_ip_be)
{
	make_room(k, guest_ip_be);
	const uint32_t ref = k->pairs.free ? k->pairs.free : ++k->pairs.fresh;
	struct ike_pair *p = &k->pair[ref];
	if (k->pairs.free)
		k->pairs.free = p->bucket_next;
	uint32_t *head = pair_head(k, peer_ip_be, guest_ip_be);
	const uint32_t guest = guest_get(k, guest_ip_be), peer = peer_get(k, peer_ip_be);
	*p = (struct ike_pair){
		.peer_ip_be = peer_ip_be, .guest = guest, .peer = peer, .bucket_next = *head};
	*head = ref;
	append(k, &k->all_pairs, PAIR_OF_ALL, ref);
	append(k, &k->guest[guest].pair, PAIR_OF_GUEST, ref);
	append(k, &k->peer[peer].pairs, PAIR_OF_PEER, ref);
	k->guest[guest].pairs++;
	return ref;
}

static void pair_heard(struct ike *k, uint32_t ref)
{
	struct ike_list *of_guest = &k->guest[k->pair[ref].guest].pair;
	take_out(k, &k->all_pairs, PAIR_OF_ALL, ref);
	append(k, &k->all_pairs, PAIR_OF_ALL, ref);
	take_out(k, of_guest, PAIR_OF_GUEST, ref);
	append(k, of_guest, PAIR_OF_GUEST, ref);
}

/* The guest spoke. */
static void pair_spoke(struct ike *k, uint32_t ref, uint64_t now_ns)
{
	struct ike_pair *p = &k->pair[ref];
	struct ike_list *of_peer = &k->peer[p->peer].pairs;
	take_out(k, of_peer, PAIR_OF_PEER, ref);
	append(k, of_peer, PAIR_OF_PEER, ref);
	p->spoke_ns = now_ns;
	pair_heard(k, ref);
}

/* Whose a cookie of this peer is that nobody knows, or IKE_NONE. */
static uint32_t guess(struct ike *k, uint32_t peer_ip_be)
{
	const uint32_t last =
		k->peer[peer_find(k, peer_ip_be)].pairs.last; /* entry 0 is always empty */
	const uint32_t other = last ? k->pair[last].of_peer.prev : IKE_NONE;
	if (other && k->pair[last].spoke_ns - k->pair[other].spoke_ns < lead_ns)
		return IKE_NONE;
	return last;
}

/* ---- what is sent and what comes ---- */

void ike_sends(
	struct ike *k, uint32_t peer_ip_be, uint32_t guest_ip_be, uint64_t cookie, uint64_t now_ns)
{
	uint32_t pair = pair_find(k, peer_ip_be, guest_ip_be);
	if (!cookie)
		return;
	if (!pair)
		pair = pair_make(k, peer_ip_be, guest_ip_be);
	pair_spoke(k, pair, now_ns);
	const uint32_t ref = entry_find(k, peer_ip_be, cookie);
	if (ref && k->entry[ref].pair == pair) {
		entry_heard(k, ref, IKE_SAID);
		return;
	}
	if (ref && k->entry[ref].source == IKE_SAID)
		return;
	if (ref)
		entry_drop(k, ref);
	entry_add(k, pair, cookie, IKE_SAID);
}

uint32_t ike_receives(struct ike *k, uint32_t peer_ip_be, uint64_t cookie, uint64_t now_ns)
{
	const uint32_t ref = entry_find(k, peer_ip_be, cookie);
	const uint32_t pair = ref ? k->entry[ref].pair : guess(k, peer_ip_be);
	(void)now_ns;
	if (!pair || !cookie)
		return 0;
	pair_heard(k, pair);
	if (ref)
		entry_heard(k, ref, IKE_GUESSED);
	else
		entry_add(k, pair, cookie, IKE_GUESSED);
	return k->guest[k->pair[pair].guest].ip_be;
}

void ike_forget(struct ike *k, uint32_t peer_ip_be, uint32_t guest_ip_be)
{
	const uint32_t pair = pair_find(k, peer_ip_be, guest_ip_be);
	if (pair)
		pair_drop(k, pair);
}
