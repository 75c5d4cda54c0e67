/*
 * Theory of operation.
 *
 *   bucket[hash] ─▶ entry ─next─▶ entry          account[guest]  newest ⇄ ... ⇄ oldest
 *                     └ piece ─▶ piece ─▶ ...     (every entry is in one list of each kind)
 *
 * The pieces hold the message, then two bytes for each place where a TTL stands, then two for each
 * address. The name is compared as it lies in the message, in lower case as it was asked. An
 * entry that has died is found out when somebody asks for it, or pushed out like any other.
 *
 * Serving copies once into the caller's buffer and changes what must be changed there.
 */
#include "dnscache.h"

#include <string.h>

enum {
	FLAG_AA = 0x0400,
	TRAILER_BYTES = 2 * (DNSMSG_RECORDS + DNSMSG_ADDRESSES),
};
static const uint64_t second_ns = 1000000000;

void dnscache_init(struct dnscache *c, const struct hash_key *key, uint32_t capacity)
{
	c->key = *key;
	dnscache_resize(c, capacity);
}

void dnscache_flush(struct dnscache *c)
{
	memset(c->bucket, 0, sizeof(c->bucket));
	memset(c->account, 0, sizeof(c->account));
	c->entries = c->fresh = c->free = 0;
	c->pieces_fresh = c->pieces_free = c->pieces_used = 0;
}

void dnscache_resize(struct dnscache *c, uint32_t capacity)
{
	if (capacity > DNSCACHE_ENTRIES)
		capacity = DNSCACHE_ENTRIES;
	if (capacity < c->capacity)
		dnscache_flush(c);
	c->capacity = capacity;
}

uint64_t dnscache_hash(const struct dnscache *c, const struct dnsmsg_question *q)
{
	uint8_t bytes[DNSMSG_NAME_MAX + 5];
	memcpy(bytes, q->name, q->name_bytes);
	dnsmsg_put_field(bytes, q->name_bytes, q->type);
	dnsmsg_put_field(bytes, q->name_bytes + 2U, q->class);
	bytes[q->name_bytes + 4] = q->flags;
	return hash_sip(&c->key, bytes, q->name_bytes + 5U);
}

static uint32_t *bucket_of(struct dnscache *c, uint64_t hash)
{
	return &c->bucket[hash & (DNSCACHE_BUCKETS - 1)];
}

/* Bytes [at, at + n) of an entry. */
static void copy_out(
	const struct dnscache *c, const struct dnscache_entry *e, size_t at, size_t n, uint8_t *out)
{
	uint32_t piece = e->piece;
	for (; at >= DNSCACHE_PIECE_BYTES; at -= DNSCACHE_PIECE_BYTES)
		piece = c->piece_next[piece];
	while (n) {
		const size_t room = DNSCACHE_PIECE_BYTES - at, part = n < room ? n : room;
		memcpy(out, c->piece[piece] + at, part);
		out += part;
		n -= part;
		at = 0;
		piece = c->piece_next[piece];
	}
}

static bool answers(const struct dnscache *c, const struct dnscache_entry *e, uint64_t hash,
	const struct dnsmsg_question *q)
{
	uint8_t name[DNSMSG_NAME_MAX];
	if (e->hash != hash || e->type != q->type || e->class != q->class || e->flags != q->flags ||
		e->name_bytes != q->name_bytes)
		return false;
	copy_out(c, e, DNSMSG_HEADER_BYTES, e->name_bytes, name);
	return memcmp(name, q->name, q->name_bytes) == 0;
}

static void unlink_account(struct dnscache *c, uint32_t i)
{
	const struct dnscache_entry *e = &c->entry[i];
	struct dnscache_account *a = &c->account[e->account];
	if (e->newer)
		c->entry[e->newer].older = e->older;
	else
		a->newest = e->older;
	if (e->older)
		c->entry[e->older].newer = e->newer;
	else
		a->oldest = e->newer;
	a->entries--;
}

static void link_account(struct dnscache *c, uint32_t i)
{
	struct dnscache_entry *e = &c->entry[i];
	struct dnscache_account *a = &c->account[e->account];
	e->newer = 0;
	e->older = a->newest;
	if (a->newest)
		c->entry[a->newest].newer = i;
	else
		a->oldest = i;
	a->newest = i;
	a->entries++;
}

static void give_pieces_back(struct dnscache *c, uint32_t first)
{
	while (first) {
		const uint32_t next = c->piece_next[first];
		c->piece_next[first] = c->pieces_free;
		c->pieces_free = first;
		c->pieces_used--;
		first = next;
	}
}

static void forget(struct dnscache *c, uint32_t i)
{
	struct dnscache_entry *e = &c->entry[i];
	uint32_t *at = bucket_of(c, e->hash);
	while (*at != i)
		at = &c->entry[*at].next;
	*at = e->next;
	unlink_account(c, i);
	give_pieces_back(c, e->piece);
	e->next = c->free;
	c->free = i;
	c->entries--;
}

/* Whoever has most makes room; the one that asks, if nobody has more. */
static void make_room(struct dnscache *c, uint32_t account)
{
	uint32_t most = account;
	for (uint32_t i = 0; i < DNSCACHE_ACCOUNTS; i++)
		if (c->account[i].entries > c->account[most].entries)
			most = i;
	forget(c, c->account[most].oldest);
}

static uint32_t take_piece(struct dnscache *c)
{
	uint32_t piece = c->pieces_free;
	if (piece)
		c->pieces_free = c->piece_next[piece];
	else
		piece = ++c->pieces_fresh;
	c->pieces_used++;
	c->piece_next[piece] = 0;
	return piece;
}

static uint32_t store(struct dnscache *c, const uint8_t *bytes, size_t n)
{
	uint32_t first = 0, *link = &first;
	for (size_t at = 0; at < n; at += DNSCACHE_PIECE_BYTES) {
		const size_t left = n - at;
		const uint32_t piece = take_piece(c);
		memcpy(c->piece[piece], bytes + at,
			left < DNSCACHE_PIECE_BYTES ? left : DNSCACHE_PIECE_BYTES);
		*link = piece;
		link = &c->piece_next[piece];
	}
	return first;
}

static uint32_t find(struct dnscache *c, uint64_t hash, const struct dnsmsg_question *q)
{
	uint32_t i = *bucket_of(c, hash);
	while (i && !answers(c, &c->entry[i], hash, q))
		i = c->entry[i].next;
	return i;
}

static size_t trailer(const struct dnscache_entry *e)
{
	return 2 * ((size_t)e->ttls + e->addresses);
}

static void count_down(uint8_t *message, size_t at, uint32_t age_s)
{
	uint32_t ttl = (uint32_t)dnsmsg_field(message, at) << 16 | dnsmsg_field(message, at + 2);
	if (ttl > DNSMSG_TTL_MAX)
		ttl = ttl > INT32_MAX ? 0 : DNSMSG_TTL_MAX;
	ttl = ttl > age_s ? ttl - age_s : 0;
	dnsmsg_put_field(message, at, (uint16_t)(ttl >> 16));
	dnsmsg_put_field(message, at + 2, (uint16_t)ttl);
}

static void serve(const struct dnscache *c, const struct dnscache_entry *e, const uint8_t *query,
	uint64_t now_ns, uint8_t *out, struct dnscache_served *served)
{
	uint8_t places[TRAILER_BYTES];
	const uint32_t age_s = (uint32_t)((now_ns - e->born_ns) / second_ns);
	copy_out(c, e, 0, e->bytes, out);
	copy_out(c, e, e->bytes, trailer(e), places);
	for (size_t i = 0; i < e->ttls; i++)
		count_down(out, dnsmsg_field(places, 2 * i), age_s);
	memcpy(out, query, 2);
	memcpy(out + DNSMSG_HEADER_BYTES, query + DNSMSG_HEADER_BYTES, e->name_bytes);
	dnsmsg_put_field(out, 2, (uint16_t)(dnsmsg_field(out, 2) & ~FLAG_AA));
	served->bytes = e->bytes;
	served->addresses = e->addresses;
	for (size_t i = 0; i < e->addresses; i++)
		served->address_at[i] = dnsmsg_field(places, 2 * (e->ttls + i));
}

bool dnscache_get(struct dnscache *c, const struct dnsmsg_question *q, const uint8_t *query,
	uint64_t now_ns, uint8_t *out, struct dnscache_served *served)
{
	const uint32_t i = c->entries ? find(c, dnscache_hash(c, q), q) : DNSCACHE_NONE;
	if (i && c->entry[i].dies_ns > now_ns) {
		c->hits++;
		unlink_account(c, i);
		link_account(c, i);
		serve(c, &c->entry[i], query, now_ns, out, served);
		return true;
	}
	c->misses++;
	if (i)
		forget(c, i);
	return false;
}

/* Message and places as they are kept; the length. */
static size_t compose(const uint8_t *bytes, size_t n, const struct dnsmsg_answer *a, uint8_t *out)
{
	memcpy(out, bytes, n);
	for (uint32_t i = 0; i < a->ttls; i++, n += 2)
		dnsmsg_put_field(out, n, a->ttl_at[i]);
	for (uint32_t i = 0; i < a->addresses; i++, n += 2)
		dnsmsg_put_field(out, n, a->address_at[i]);
	return n;
}

/* An entry's place, and room for its pieces; DNSCACHE_NONE when it would not fit an empty cache. */
static uint32_t take_entry(struct dnscache *c, uint32_t account, uint32_t pieces)
{
	const uint32_t most = c->capacity * (DNSCACHE_PIECES / DNSCACHE_ENTRIES);
	if (pieces > most)
		return DNSCACHE_NONE;
	while (c->entries == c->capacity || c->pieces_used + pieces > most)
		make_room(c, account);
	const uint32_t i = c->free ? c->free : ++c->fresh;
	if (c->free)
		c->free = c->entry[i].next;
	c->entries++;
	return i;
}

void dnscache_put(struct dnscache *c, const struct dnsmsg_question *q, uint32_t guest_ip_be,
	const uint8_t *bytes, size_t n, const struct dnsmsg_answer *a, uint64_t now_ns)
{
	uint8_t kept[DNSCACHE_BYTES + TRAILER_BYTES];
	if (!c->capacity || n > DNSCACHE_BYTES)
		return;
	const uint64_t hash = dnscache_hash(c, q);
	const uint32_t account = (uint32_t)hash_sip(&c->key, &guest_ip_be, sizeof(guest_ip_be)) &
				 (DNSCACHE_ACCOUNTS - 1);
	const uint32_t old = find(c, hash, q);
	if (old)
		forget(c, old);
	const size_t total = compose(bytes, n, a, kept);
	const uint32_t i = take_entry(
		c, account, (uint32_t)((total + DNSCACHE_PIECE_BYTES - 1) / DNSCACHE_PIECE_BYTES));
	if (!i)
		return;
	uint32_t *bucket = bucket_of(c, hash);
	c->entry[i] = (struct dnscache_entry){.hash = hash,
		.born_ns = now_ns,
		.dies_ns = now_ns + a->ttl_s * second_ns,
		.type = q->type,
		.class = q->class,
		.bytes = (uint16_t)n,
		.account = (uint16_t)account,
		.flags = q->flags,
		.name_bytes = q->name_bytes,
		.ttls = a->ttls,
		.addresses = a->addresses,
		.piece = store(c, kept, total),
		.next = *bucket};
	*bucket = i;
	link_account(c, i);
}
