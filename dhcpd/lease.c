/*
 * Who has which address: theory of operation.
 *
 *        offer           bind           expire
 *   FREE ─────▶ OFFERED ─────▶ BOUND ─────────▶ EXPIRED ──▶ offered again, first to who had it
 *    ▲  ◀────────┘ lapse       │ │ release
 *    │                         │ └────────────▶ RELEASED ─▶ offered again, also to anyone
 *    └───────── DECLINED ◀─────┘ decline
 *
 * One array of leases, one for each address that may be given, with room for as many as there may
 * ever be: its memory is touched as it is used. A lease is in exactly one list, that of its state,
 * oldest first; in the hash by address always; in the hashes by client and by MAC while it has a
 * client; in the expiry heap while a timer runs. All links are indices. So each operation is a
 * hash look-up and a constant number of list steps.
 *
 * A station can invent client ids but not MACs (the engine compares chaddr with the frame's
 * source), so LEASE_PER_MAC bounds what it can hold: beyond that it may only have one of its own
 * offers under the new name. A port can invent MACs too, up to what the broker learns: per_port
 * bounds that.
 *
 * A new plan marks what it has, retires what it has not and nobody holds, and adds what is new.
 * What is retired later, when its lease ends, passes through vacate().
 */
#include "lease.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum { RESERVE_SHARE = 32, QUARANTINE_SHARE = 4, TABLES = 4 };

static uint32_t buckets(uint32_t size)
{
	uint32_t n = 16;
	while (n < size)
		n *= 2;
	return n;
}

/* Slot 0 is there too. */
size_t lease_bytes(uint32_t size)
{
	return (size + 1) * sizeof(struct lease) +
	       TABLES * (size_t)buckets(size) * sizeof(uint32_t) + expiry_bytes(size + 1);
}

void lease_init(struct lease_pool *p, void *memory, uint32_t size, const struct hash_key *key)
{
	uint32_t n = buckets(size);
	*p = (struct lease_pool){.lease = memory, .size = size, .mask = n - 1, .key = *key};
	expiry_init(&p->expiry, p->lease + size + 1, size + 1);
	p->by_client =
		(uint32_t *)(void *)((uint8_t *)(p->lease + size + 1) + expiry_bytes(size + 1));
	p->by_mac = p->by_client + n;
	p->by_address = p->by_mac + n;
	p->by_reserved = p->by_address + n;
}

uint32_t lease_index(const struct lease_pool *p, const struct lease *l)
{
	return (uint32_t)(l - p->lease);
}

static struct lease *at(const struct lease_pool *p, uint32_t index)
{
	return index == LEASE_NONE ? NULL : &p->lease[index];
}

static uint32_t *client_bucket(
	const struct lease_pool *p, const uint8_t mac[6], const uint8_t *id, size_t id_bytes)
{
	uint64_t h = id_bytes ? hash_sip(&p->key, id, id_bytes) : hash_sip(&p->key, mac, 6);
	return &p->by_client[h & p->mask];
}

static uint32_t *mac_bucket(const struct lease_pool *p, const uint8_t mac[6])
{
	return &p->by_mac[hash_sip(&p->key, mac, 6) & p->mask];
}

static uint32_t *reserved_bucket(const struct lease_pool *p, const uint8_t mac[6])
{
	return &p->by_reserved[hash_sip(&p->key, mac, 6) & p->mask];
}

static uint32_t *address_bucket(const struct lease_pool *p, uint32_t ip_be)
{
	return &p->by_address[ntohl(ip_be) & p->mask];
}

static bool is_live(const struct lease *l)
{
	return l->state == LEASE_BOUND || l->state == LEASE_OFFERED;
}

static bool same_name(const struct lease *l, const struct lease_client *c)
{
	if (l->id_bytes != c->id_bytes)
		return false;
	return c->id_bytes ? !memcmp(l->id, c->id, c->id_bytes) : !memcmp(l->mac, c->mac, 6);
}

/* A lease that is live is its station's only, whoever else says the same id (lease.h). */
static bool is_client(const struct lease *l, const struct lease_client *c)
{
	return same_name(l, c) && (!is_live(l) || !memcmp(l->mac, c->mac, 6));
}

static bool has_client(const struct lease *l)
{
	return l->state != LEASE_FREE && l->state != LEASE_DECLINED && l->state != LEASE_UNUSED;
}

/* Whether the plan has the address at all, and for this station. */
static bool is_given(const struct lease *l)
{
	return l->in_range || l->reserved;
}

static bool is_given_to(const struct lease *l, const uint8_t mac[6])
{
	return l->reserved ? !memcmp(l->reserved_mac, mac, 6) : l->in_range;
}

static void count_held(struct lease_pool *p, const struct lease *l, uint32_t by)
{
	if (is_live(l) && l->port < LEASE_PORTS)
		p->held[l->port] += by;
}

static void list_remove(struct lease_pool *p, struct lease *l)
{
	struct lease_list *list = &p->list[l->state];
	count_held(p, l, UINT32_MAX);
	*(l->prev == LEASE_NONE ? &list->first : &p->lease[l->prev].next) = l->next;
	*(l->next == LEASE_NONE ? &list->last : &p->lease[l->next].prev) = l->prev;
	list->count--;
}

static void list_append(struct lease_pool *p, struct lease *l, enum lease_state state)
{
	struct lease_list *list = &p->list[state];
	uint32_t index = lease_index(p, l);
	l->state = state;
	l->prev = list->last;
	l->next = LEASE_NONE;
	*(list->last == LEASE_NONE ? &list->first : &p->lease[list->last].next) = index;
	list->last = index;
	list->count++;
	count_held(p, l, 1);
}

static void set_state(
	struct lease_pool *p, struct lease *l, enum lease_state state, struct lease_time t)
{
	list_remove(p, l);
	list_append(p, l, state);
	l->since_ns = t.now_ns;
}

static void set_timer(struct lease_pool *p, struct lease *l, uint64_t after_ns, struct lease_time t)
{
	l->expires_ns = t.now_ns + after_ns;
	expiry_set(&p->expiry, lease_index(p, l), l->expires_ns);
}

static void unindex(struct lease_pool *p, struct lease *l)
{
	uint32_t index = lease_index(p, l);
	uint32_t *link = client_bucket(p, l->mac, l->id, l->id_bytes);
	while (*link != index)
		link = &p->lease[*link].next_client;
	*link = l->next_client;
	link = mac_bucket(p, l->mac);
	while (*link != index)
		link = &p->lease[*link].next_mac;
	*link = l->next_mac;
}

static void index_client(struct lease_pool *p, struct lease *l)
{
	uint32_t *link = client_bucket(p, l->mac, l->id, l->id_bytes);
	l->next_client = *link;
	*link = lease_index(p, l);
	link = mac_bucket(p, l->mac);
	l->next_mac = *link;
	*link = lease_index(p, l);
}

/* Makes the lease nobody's, in a state that has no client. */
static void forget(
	struct lease_pool *p, struct lease *l, enum lease_state state, struct lease_time t)
{
	if (has_client(l))
		unindex(p, l);
	expiry_clear(&p->expiry, lease_index(p, l));
	l->id_bytes = l->host_bytes = 0;
	l->entry = 0;
	memset(l->mac, 0, 6);
	set_state(p, l, state, t);
}

/* The slot is free for another address. */
static void retire(struct lease_pool *p, struct lease *l, struct lease_time t)
{
	uint32_t *link = address_bucket(p, l->ip_be), index = lease_index(p, l);
	forget(p, l, LEASE_UNUSED, t);
	while (*link != index)
		link = &p->lease[*link].next_address;
	*link = l->next_address;
	l->ip_be = 0;
	p->count--;
}

/* Makes the lease nobody's. */
static void vacate(struct lease_pool *p, struct lease *l, struct lease_time t)
{
	if (is_given(l))
		forget(p, l, LEASE_FREE, t);
	else
		retire(p, l, t);
}

static void set_port(struct lease_pool *p, struct lease *l, uint32_t port)
{
	count_held(p, l, UINT32_MAX);
	l->port = (uint8_t)(port < LEASE_PORTS ? port : LEASE_PORTS);
	count_held(p, l, 1);
}

/* Makes the lease this client's, OFFERED. */
static void give(
	struct lease_pool *p, struct lease *l, const struct lease_client *c, struct lease_time t)
{
	if (has_client(l) && !is_client(l, c))
		forget(p, l, LEASE_FREE, t);
	struct lease *other = lease_of_client(p, c);
	if (other && other != l) {
		if (other->state == LEASE_BOUND)
			p->moved = *other;
		vacate(p, other, t);
	}
	if (has_client(l))
		unindex(p, l);
	set_port(p, l, c->port);
	memcpy(l->mac, c->mac, 6);
	l->id_bytes = (uint8_t)c->id_bytes;
	if (c->id_bytes)
		memcpy(l->id, c->id, c->id_bytes);
	set_state(p, l, LEASE_OFFERED, t);
	index_client(p, l);
	set_timer(p, l, LEASE_OFFER_NS, t);
}

static struct lease *reservation_of(const struct lease_pool *p, const uint8_t mac[6])
{
	for (struct lease *l = at(p, *reserved_bucket(p, mac)); l; l = at(p, l->next_reserved))
		if (!memcmp(l->reserved_mac, mac, 6))
			return l;
	return NULL;
}

static bool in_range(const struct lease_plan *plan, uint32_t ip)
{
	uint32_t host = ip & ~plan->netmask;
	return ip >= plan->from && ip <= plan->to && ip != plan->server && host != 0 &&
	       host != ~plan->netmask;
}

/* The slot of an address, a new one if it has none; NULL when there is no room. */
static struct lease *slot_of(struct lease_pool *p, uint32_t ip_be)
{
	struct lease *l = lease_of_address(p, ip_be);
	if (l)
		return l;
	l = at(p, p->list[LEASE_UNUSED].first);
	if (l)
		list_remove(p, l);
	else if (p->top < p->size)
		l = &p->lease[++p->top];
	else
		return NULL;
	uint32_t *link = address_bucket(p, ip_be);
	l->ip_be = ip_be;
	l->in_range = l->reserved = false;
	l->name = NULL;
	l->port = LEASE_PORTS;
	l->next_address = *link;
	*link = lease_index(p, l);
	list_append(p, l, LEASE_FREE);
	p->count++;
	return l;
}

static int reserve(struct lease_pool *p, const struct lease_reservation *r, char *name)
{
	struct lease *l = slot_of(p, r->ip_be);
	if (!l)
		return -ENOSPC;
	if (l->reserved || reservation_of(p, r->mac))
		return -EEXIST;
	memcpy(name, r->name, LEASE_NAME_BYTES);
	l->reserved = true;
	l->name = name[0] ? name : NULL;
	memcpy(l->reserved_mac, r->mac, 6);
	l->next_reserved = *reserved_bucket(p, r->mac);
	*reserved_bucket(p, r->mac) = lease_index(p, l);
	return 0;
}

/* What the old plan kept is unmarked; what the new one has no place for, and nobody holds, goes. */
static void clear_plan(struct lease_pool *p, const struct lease_plan *plan, struct lease_time t)
{
	for (uint32_t i = 1; i <= p->top; i++) {
		struct lease *l = &p->lease[i];
		if (l->reserved)
			*reserved_bucket(p, l->reserved_mac) = LEASE_NONE;
		l->reserved = false;
		l->name = NULL;
		l->in_range = in_range(plan, ntohl(l->ip_be));
		if (!l->in_range && l->state != LEASE_UNUSED && l->state != LEASE_BOUND && !l->busy)
			retire(p, l, t);
	}
}

int lease_plan(struct lease_pool *p, const struct lease_plan *plan, struct lease_time t)
{
	int error = 0;
	clear_plan(p, plan, t);
	for (uint32_t i = 0; i < plan->reservations; i++) {
		int refused = reserve(p, &plan->reservation[i], p->name[i]);
		error = refused ? refused : error;
	}
	for (uint64_t ip = plan->from; ip <= plan->to; ip++) {
		struct lease *l =
			in_range(plan, (uint32_t)ip) ? slot_of(p, htonl((uint32_t)ip)) : NULL;
		if (l)
			l->in_range = true;
	}
	return error;
}

struct lease *lease_of_client(const struct lease_pool *p, const struct lease_client *c)
{
	struct lease *l = at(p, *client_bucket(p, c->mac, c->id, c->id_bytes)), *last = NULL;
	for (; l; l = at(p, l->next_client)) {
		if (!is_client(l, c))
			continue;
		if (!memcmp(l->mac, c->mac, 6))
			return l;
		last = last ? last : l;
	}
	return last;
}

struct lease *lease_of_address(const struct lease_pool *p, uint32_t ip_be)
{
	struct lease *l = at(p, *address_bucket(p, ip_be));
	while (l && l->ip_be != ip_be)
		l = at(p, l->next_address);
	return l;
}

/* Whether a lease that is not this client's may become it. */
static bool available(
	const struct lease_pool *p, const struct lease *l, const struct lease_client *c)
{
	if (l->busy)
		return false;
	if (l->reserved) /* the station may come under another client id, as firmware and then its
			    system do; who had it before it was reserved keeps it till it ends */
		return l->state != LEASE_DECLINED && !memcmp(l->reserved_mac, c->mac, 6) &&
		       (!is_live(l) || !memcmp(l->mac, c->mac, 6));
	if (!l->in_range)
		return false;
	if (l->state == LEASE_EXPIRED)
		return p->list[LEASE_EXPIRED].count > p->count / RESERVE_SHARE;
	return l->state == LEASE_FREE || l->state == LEASE_RELEASED;
}

/* The oldest of a state that is kept for nobody. At most LEASE_RESERVATIONS steps beyond the first.
 */
static struct lease *oldest(const struct lease_pool *p, enum lease_state state)
{
	struct lease *l = at(p, p->list[state].first);
	while (l && (l->reserved || l->busy))
		l = at(p, l->next);
	return l;
}

/* Whether a station holds as many leases as one may; *own is then the oldest of its offers, which
 * it may have instead. */
static bool crowded(const struct lease_pool *p, const uint8_t mac[6], struct lease **own)
{
	unsigned int held = 0;
	*own = NULL;
	for (struct lease *l = at(p, *mac_bucket(p, mac)); l; l = at(p, l->next_mac)) {
		if (memcmp(l->mac, mac, 6) || !is_live(l))
			continue;
		held++;
		if (l->state == LEASE_OFFERED && !l->busy &&
			(!*own || l->since_ns < (*own)->since_ns))
			*own = l;
	}
	return held >= LEASE_PER_MAC;
}

static bool port_is_full(const struct lease_pool *p, const struct lease_client *c)
{
	return p->per_port && c->port < LEASE_PORTS && p->held[c->port] >= p->per_port;
}

/* An address for a client that has none; NULL with the reason. */
static struct lease *pick(const struct lease_pool *p, const struct lease_client *c,
	uint32_t wish_be, struct lease_time t, enum drop *why)
{
	struct lease *l;
	*why = DROP_DHCP_QUOTA;
	if (crowded(p, c->mac, &l))
		return l;
	if (port_is_full(p, c)) {
		l = oldest(p, LEASE_OFFERED);
		return l && l->port == c->port && t.now_ns - l->since_ns >= LEASE_OFFER_GRACE_NS
			       ? l
			       : NULL;
	}
	*why = DROP_DHCP_POOL;
	l = lease_of_address(p, wish_be);
	if (l && available(p, l, c))
		return l;
	if ((l = oldest(p, LEASE_FREE)) || (l = oldest(p, LEASE_RELEASED)))
		return l;
	l = oldest(p, LEASE_OFFERED);
	if (l && t.now_ns - l->since_ns >= LEASE_OFFER_GRACE_NS)
		return l;
	l = oldest(p, LEASE_EXPIRED);
	return l && available(p, l, c) ? l : NULL;
}

struct lease *lease_offer(struct lease_pool *p, const struct lease_client *c, uint32_t wish_be,
	struct lease_time t, enum drop *why)
{
	struct lease *own = lease_of_client(p, c);
	struct lease *kept = reservation_of(p, c->mac);
	if (own && own->busy)
		return own;
	if (own && !is_given_to(own, c->mac))
		own = NULL;
	struct lease *l = kept && available(p, kept, c) ? kept : own;
	if (!l || (l != kept && !is_live(l) && port_is_full(p, c)))
		l = pick(p, c, wish_be, t, why);
	if (l && (l != own || l->state != LEASE_BOUND))
		give(p, l, c, t);
	return l;
}

struct lease *lease_claim(
	struct lease_pool *p, const struct lease_client *c, uint32_t ip_be, struct lease_time t)
{
	struct lease *own = lease_of_client(p, c);
	struct lease *kept = reservation_of(p, c->mac);
	struct lease *l = lease_of_address(p, ip_be), *other;
	if (own && !is_given_to(own, c->mac))
		own = NULL;
	if (!l || !is_given_to(l, c->mac) || (kept && kept != l && available(p, kept, c)) ||
		(l != kept && !(l == own && is_live(l)) && port_is_full(p, c)))
		return NULL;
	if (l != own && (own || !available(p, l, c) || crowded(p, c->mac, &other)))
		return NULL;
	if (l != own || l->state != LEASE_BOUND)
		give(p, l, c, t);
	return l;
}

const char *lease_refusal(const struct lease_pool *p, const struct lease_client *c, uint32_t ip_be)
{
	const struct lease *l = lease_of_address(p, ip_be), *own = lease_of_client(p, c);
	const struct lease *kept = reservation_of(p, c->mac);
	if (!l || !is_given(l))
		return "the address is not in the range";
	if (!is_given_to(l, c->mac))
		return "the address is reserved for another station";
	if (kept && kept != l)
		return "another address is reserved for this station";
	if (l != own && is_live(l))
		return "the address is another client's";
	if (l->state == LEASE_DECLINED)
		return "the address is in use by an unknown station";
	if (own && own != l)
		return "the client has another address";
	return "the limit of leases of its port or station is reached";
}

void lease_set_host(struct lease *l, const struct lease_client *c)
{
	l->host_bytes =
		(uint8_t)(c->host_bytes < LEASE_HOST_BYTES ? c->host_bytes : LEASE_HOST_BYTES);
	if (l->host_bytes)
		memcpy(l->host, c->host, l->host_bytes);
}

void lease_bind(struct lease_pool *p, struct lease *l, const struct lease_client *c,
	uint64_t lease_ms, struct lease_time t)
{
	unindex(p, l);
	set_port(p, l, c->port);
	memcpy(l->mac, c->mac, 6);
	index_client(p, l);
	if (l->state != LEASE_BOUND) {
		l->created_ms = t.wall_ms;
		l->entry = ++p->entries;
	}
	if (c->host_bytes)
		lease_set_host(l, c);
	l->expires_ms = t.wall_ms + lease_ms;
	set_state(p, l, LEASE_BOUND, t);
	set_timer(p, l, lease_ms * 1000000, t);
}

void lease_unbind(struct lease_pool *p, struct lease *l, enum lease_state state,
	uint64_t expires_ns, uint64_t expires_ms, struct lease_time t)
{
	l->expires_ms = expires_ms;
	if (state != LEASE_BOUND)
		l->entry = 0;
	set_state(p, l, state, t);
	set_timer(p, l, expires_ns > t.now_ns ? expires_ns - t.now_ns : 0, t);
}

void lease_release(struct lease_pool *p, struct lease *l, struct lease_time t)
{
	expiry_clear(&p->expiry, lease_index(p, l));
	l->expires_ms = t.wall_ms;
	if (is_given(l))
		set_state(p, l, LEASE_RELEASED, t);
	else
		retire(p, l, t);
}

static void quarantine(struct lease_pool *p, struct lease *l, uint64_t for_ns, struct lease_time t)
{
	struct lease_list *list = &p->list[LEASE_DECLINED];
	if (list->count && list->count >= p->count / QUARANTINE_SHARE)
		vacate(p, at(p, list->first), t);
	forget(p, l, LEASE_DECLINED, t);
	set_timer(p, l, for_ns, t);
	l->expires_ms = t.wall_ms + for_ns / 1000000;
}

void lease_decline(struct lease_pool *p, struct lease *l, struct lease_time t)
{
	quarantine(p, l, LEASE_QUARANTINE_NS, t);
}

void lease_withdraw(struct lease_pool *p, struct lease *l, struct lease_time t)
{
	if (!l->entry || !is_given(l)) {
		vacate(p, l, t);
		return;
	}
	expiry_clear(&p->expiry, lease_index(p, l));
	set_state(p, l, LEASE_EXPIRED, t);
}

bool lease_expire(struct lease_pool *p, struct lease_time t, struct lease *ended)
{
	uint32_t index;
	ended->ip_be = 0;
	if (!expiry_pop(&p->expiry, t.now_ns, &index))
		return false;
	struct lease *l = &p->lease[index];
	if (l->state == LEASE_BOUND)
		*ended = *l;
	if (l->state == LEASE_BOUND && is_given(l))
		set_state(p, l, LEASE_EXPIRED, t);
	else if (l->state == LEASE_OFFERED)
		lease_withdraw(p, l, t);
	else
		vacate(p, l, t);
	return true;
}

static bool is_held_by(const struct lease *l, const uint8_t *mac)
{
	return l->state == LEASE_BOUND && !l->busy && (!mac || !memcmp(l->mac, mac, 6));
}

struct lease *lease_held(const struct lease_pool *p, const uint8_t *mac, uint32_t ip_be)
{
	struct lease *l = NULL;
	if (ip_be)
		l = lease_of_address(p, ip_be);
	else if (mac)
		l = at(p, *mac_bucket(p, mac));
	while (l && !is_held_by(l, mac))
		l = ip_be ? NULL : at(p, l->next_mac);
	return l;
}

uint64_t lease_next(const struct lease_pool *p)
{
	return expiry_next(&p->expiry);
}

uint32_t lease_taken(const struct lease_pool *p)
{
	return p->list[LEASE_BOUND].count + p->list[LEASE_OFFERED].count +
	       p->list[LEASE_DECLINED].count;
}

int lease_restore(struct lease_pool *p, const struct lease_client *c, uint32_t ip_be,
	enum lease_state state, uint32_t entry, uint64_t created_ms, uint64_t expires_ms,
	uint64_t longest_ms, struct lease_time t)
{
	static const uint8_t none[6];
	bool station = !(c->mac[0] & 1) && memcmp(c->mac, none, 6);
	if (c->id_bytes > LEASE_CLIENT_BYTES || c->id_bytes == 1 ||
		c->host_bytes > LEASE_HOST_BYTES || created_ms > expires_ms ||
		(state != LEASE_BOUND && state != LEASE_RELEASED && state != LEASE_DECLINED) ||
		(state != LEASE_DECLINED && (!station || !entry)))
		return -EINVAL;
	struct lease *l = lease_of_address(p, ip_be);
	uint64_t left_ms = expires_ms > t.wall_ms ? expires_ms - t.wall_ms : 0;
	if (!l)
		return -ENOENT;
	if (state == LEASE_DECLINED) {
		if (left_ms)
			quarantine(p, l,
				left_ms < LEASE_QUARANTINE_NS / 1000000 ? left_ms * 1000000
									: LEASE_QUARANTINE_NS,
				t);
		return 0;
	}
	if (!is_given_to(l, c->mac))
		return -ENOENT;
	const struct lease *other = lease_of_client(p, c);
	if (other && other->entry > entry)
		return 0;
	forget(p, l, LEASE_FREE, t);
	give(p, l, c, t);
	lease_set_host(l, c);
	left_ms = left_ms < longest_ms ? left_ms : longest_ms;
	l->entry = entry;
	l->created_ms = created_ms;
	l->expires_ms = t.wall_ms + left_ms;
	p->entries = entry > p->entries ? entry : p->entries;
	set_state(p, l, state, t);
	if (state == LEASE_BOUND)
		set_timer(p, l, left_ms * 1000000, t);
	else
		expiry_clear(&p->expiry, lease_index(p, l));
	return 0;
}
