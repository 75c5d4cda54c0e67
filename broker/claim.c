/*
 * Theory of operation
 *
 *     ARP: "ip is at mac" ─▶ SipHash(ip) ─▶ bucket[] ─▶ entry {ip, mac, port} ─▶ is that station still there? (fdb)
 *
 * Nothing is timed here: whether the station that has the address is silent is what the forwarding database knows of it,
 * from all of its frames. So only ARP frames cost anything, and a guest that says nothing but IP keeps its address.
 * A station can hold no more addresses than its port may have stations, so that one that claims a whole subnet
 * locks out nobody; and a lease is stronger than what was claimed before, so that claiming early gains nothing.
 */
#include "claim.h"

#include <string.h>

void claim_init(struct claims *c, const struct hash_key *key, uint32_t limit)
{
	memset(c, 0, sizeof *c);
	c->key = *key;
	c->limit = limit;
	for (int i = 0; i < CLAIM_BUCKETS; i++)
		c->bucket[i] = FDB_NONE;
	for (int i = 0; i < CLAIM_ENTRIES; i++) {
		c->entry[i].slot = FDB_NONE;
		c->entry[i].next = (int16_t)(i + 1 < CLAIM_ENTRIES ? i + 1 : FDB_NONE);
	}
}

static int16_t *claim_bucket(struct claims *c, uint32_t ip_be)
{
	return &c->bucket[hash_sip(&c->key, &ip_be, sizeof ip_be) & (CLAIM_BUCKETS - 1)];
}

static struct claim_entry *claim_find(struct claims *c, uint32_t ip_be)
{
	int16_t i = *claim_bucket(c, ip_be);
	while (i != FDB_NONE && c->entry[i].ip_be != ip_be)
		i = c->entry[i].next;
	return i == FDB_NONE ? NULL : &c->entry[i];
}

static void claim_remove(struct claims *c, struct claim_entry *e)
{
	int16_t self = (int16_t)(e - c->entry);
	int16_t *link = claim_bucket(c, e->ip_be);
	while (*link != self)
		link = &c->entry[*link].next;
	*link = e->next;
	c->held[e->slot]--;
	e->slot = FDB_NONE;
	e->next = c->free;
	c->free = self;
}

static void claim_add(struct claims *c, uint32_t ip_be, const uint8_t mac[6], unsigned int slot)
{
	int16_t *head = claim_bucket(c, ip_be);
	int16_t i = c->free;
	if (c->held[slot] >= c->limit || i == FDB_NONE)
		return;
	c->free = c->entry[i].next;
	c->entry[i] = (struct claim_entry){.ip_be = ip_be, .slot = (int8_t)slot, .next = *head};
	memcpy(c->entry[i].mac, mac, 6);
	*head = i;
	c->held[slot]++;
}

static void claim_move(struct claims *c, uint32_t ip_be, const uint8_t mac[6], unsigned int slot)
{
	struct claim_entry *e = claim_find(c, ip_be);
	if (e)
		claim_remove(c, e);
	claim_add(c, ip_be, mac, slot);
}

bool claim_hear(struct claims *c, const struct fdb *f, uint32_t ip_be, const uint8_t mac[6],
	bool sent_by, unsigned int slot, uint64_t now_ns)
{
	const struct claim_entry *e = claim_find(c, ip_be);
	bool same = e && !memcmp(e->mac, mac, 6);
	int at = e ? fdb_find_talking(f, e->mac, now_ns) : FDB_NONE;
	if (e && !same && at != FDB_NONE && at != (int)slot)
		return false;
	if (sent_by && !(same && e->slot == (int)slot))
		claim_move(c, ip_be, mac, slot);
	return true;
}

void claim_lease(struct claims *c, const struct fdb *f, uint32_t ip_be, const uint8_t mac[6],
	uint64_t now_ns)
{
	int slot = fdb_find(f, mac, now_ns);
	if (slot != FDB_NONE)
		claim_move(c, ip_be, mac, (unsigned int)slot);
}

void claim_forget(struct claims *c, unsigned int slot)
{
	for (int i = 0; i < CLAIM_ENTRIES && c->held[slot]; i++)
		if (c->entry[i].slot == (int)slot)
			claim_remove(c, &c->entry[i]);
}

void claim_sweep(struct claims *c, const struct fdb *f, uint64_t now_ns)
{
	for (int n = 0; n < CLAIM_SWEEP; n++) {
		struct claim_entry *e = &c->entry[c->sweep];
		if (e->slot != FDB_NONE && fdb_find(f, e->mac, now_ns) == FDB_NONE)
			claim_remove(c, e);
		c->sweep = (c->sweep + 1) % CLAIM_ENTRIES;
	}
}
