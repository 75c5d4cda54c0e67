/*
 * Theory of operation
 *
 *     key ─▶ SipHash(mac) ─▶ bucket[] ─▶ entry ─▶ entry ─▶ end
 *     recent[slot] ─────────────────────▶ entry           the usual case: the same station as last
 * time
 *
 * Entries come from a free list and go back to it; no memory is ever asked for. Chains stay short
 * because the key is secret. Ageing is lazy: fdb_find does not believe an old entry, fdb_learn
 * takes it over, and fdb_sweep, called now and then, returns old ones to the free list. No frame
 * costs more than one chain: a flood of new addresses at a port's limit is refused without a search
 * for something to evict.
 */
#include "fdb.h"

#include <string.h>

void fdb_set_limit(struct fdb *f, uint32_t limit)
{
	f->limit = limit < FDB_ENTRIES ? limit : FDB_ENTRIES;
}

void fdb_init(struct fdb *f, const struct hash_key *key, uint32_t limit)
{
	memset(f, 0, sizeof *f);
	f->key = *key;
	fdb_set_limit(f, limit);
	for (int i = 0; i < PORTS_MAX; i++)
		f->recent[i] = FDB_NONE;
	for (int i = 0; i < FDB_BUCKETS; i++)
		f->bucket[i] = FDB_NONE;
	for (int i = 0; i < FDB_ENTRIES; i++) {
		f->entry[i].slot = FDB_NONE;
		f->entry[i].next = (int16_t)(i + 1 < FDB_ENTRIES ? i + 1 : FDB_NONE);
	}
}

static int16_t *fdb_bucket(struct fdb *f, const uint8_t mac[6])
{
	return &f->bucket[hash_sip(&f->key, mac, 6) & (FDB_BUCKETS - 1)];
}

static int16_t fdb_lookup(const struct fdb *f, const uint8_t mac[6])
{
	int16_t i = f->bucket[hash_sip(&f->key, mac, 6) & (FDB_BUCKETS - 1)];
	while (i != FDB_NONE && memcmp(f->entry[i].mac, mac, 6))
		i = f->entry[i].next;
	return i;
}

static void fdb_remove(struct fdb *f, int16_t i)
{
	struct fdb_entry *e = &f->entry[i];
	int16_t *link = fdb_bucket(f, e->mac);
	while (*link != i)
		link = &f->entry[*link].next;
	*link = e->next;
	f->macs[e->slot]--;
	if (f->recent[e->slot] == i)
		f->recent[e->slot] = FDB_NONE;
	e->slot = FDB_NONE;
	e->next = f->free;
	f->free = i;
}

static bool fdb_is_old(const struct fdb_entry *e, uint64_t now_ns)
{
	return now_ns - e->heard_ns > FDB_AGE_NS;
}

static enum fdb_learned fdb_add(
	struct fdb *f, const uint8_t mac[6], unsigned int slot, uint64_t now_ns)
{
	int16_t i = f->free;
	int16_t *head;
	if (f->macs[slot] >= f->limit || i == FDB_NONE)
		return FDB_FULL;
	head = fdb_bucket(f, mac);
	f->free = f->entry[i].next;
	f->entry[i] = (struct fdb_entry){.heard_ns = now_ns, .slot = (int8_t)slot, .next = *head};
	memcpy(f->entry[i].mac, mac, 6);
	*head = i;
	f->macs[slot]++;
	f->recent[slot] = i;
	return FDB_KNOWN;
}

enum fdb_learned fdb_learn(struct fdb *f, const uint8_t mac[6], unsigned int slot, uint64_t now_ns)
{
	int16_t i = f->recent[slot];
	if (i == FDB_NONE || memcmp(f->entry[i].mac, mac, 6))
		i = fdb_lookup(f, mac);
	if (i == FDB_NONE)
		return fdb_add(f, mac, slot, now_ns);
	if (f->entry[i].slot != (int)slot) {
		if (now_ns - f->entry[i].heard_ns <= FDB_QUIET_NS)
			return FDB_ELSEWHERE;
		if (f->macs[slot] >= f->limit)
			return FDB_FULL;
		fdb_remove(f, i);
		return fdb_add(f, mac, slot, now_ns);
	}
	f->entry[i].heard_ns = now_ns;
	f->recent[slot] = i;
	return FDB_KNOWN;
}

int fdb_find(const struct fdb *f, const uint8_t mac[6], uint64_t now_ns)
{
	int16_t i = fdb_lookup(f, mac);
	return i == FDB_NONE || fdb_is_old(&f->entry[i], now_ns) ? FDB_NONE : f->entry[i].slot;
}

int fdb_find_talking(const struct fdb *f, const uint8_t mac[6], uint64_t now_ns)
{
	int16_t i = fdb_lookup(f, mac);
	return i == FDB_NONE || now_ns - f->entry[i].heard_ns > FDB_QUIET_NS ? FDB_NONE
									     : f->entry[i].slot;
}

bool fdb_forget(struct fdb *f, unsigned int slot, uint32_t *cursor, uint8_t mac[6])
{
	while (f->macs[slot] && *cursor < FDB_ENTRIES) {
		uint32_t i = (*cursor)++;
		if (f->entry[i].slot == (int)slot) {
			memcpy(mac, f->entry[i].mac, 6);
			fdb_remove(f, (int16_t)i);
			return true;
		}
	}
	return false;
}

void fdb_sweep(struct fdb *f, uint64_t now_ns)
{
	for (int n = 0; n < FDB_SWEEP; n++) {
		struct fdb_entry *e = &f->entry[f->sweep];
		if (e->slot != FDB_NONE && fdb_is_old(e, now_ns))
			fdb_remove(f, (int16_t)f->sweep);
		f->sweep = (f->sweep + 1) % FDB_ENTRIES;
	}
}
