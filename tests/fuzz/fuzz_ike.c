/*
 * A message's header, and hostile guests and peers at the table of IKE's cookies. After a few acts all lists and counts agree,
 * and no guest has more than its part.
 *
 * Input: the header's bytes, then from the same bytes records of three: what is done with which guest and peer, a cookie, the
 * time that passed.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ike.h"

enum { GUESTS = 6, PEERS = 4, RECORDS_MAX = 300, MANY = 40, CHECK_EACH = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct ike table, *const k = &table;
static uint64_t now_ns;

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* ---- what must be so ---- */

static void check_guest(uint32_t guest)
{
	const struct ike_guest *g = &k->guest[guest];
	uint32_t cookies = 0, pairs = 0;
	for (int source = 0; source < IKE_SOURCES; source++) {
		uint32_t before = 0;
		for (uint32_t ref = g->entry[source].first; ref;
			before = ref, ref = k->entry[ref].links[IKE_OF_GUEST].next) {
			const struct ike_entry *c = &k->entry[ref];
			require(++cookies <= IKE_COOKIES_PER_GUEST &&
				c->links[IKE_OF_GUEST].prev == before);
			require(c->cookie && c->source == source &&
				k->pair[c->pair].guest == guest);
		}
		require(g->entry[source].last == before);
	}
	for (uint32_t ref = g->pair.first; ref; ref = k->pair[ref].links[IKE_OF_GUEST].next)
		require(++pairs <= IKE_PEERS_PER_GUEST && k->pair[ref].guest == guest);
	require(cookies == g->cookies && pairs == g->pairs && pairs > 0);
}

static uint32_t check_peer(uint32_t peer)
{
	uint32_t pairs = 0;
	uint64_t before_ns = 0;
	for (uint32_t ref = k->peer[peer].pairs.first; ref; ref = k->pair[ref].of_peer.next) {
		const struct ike_pair *p = &k->pair[ref];
		require(++pairs <= IKE_PEERS && p->peer == peer &&
			p->peer_ip_be == k->peer[peer].ip_be);
		require(p->spoke_ns >= before_ns);
		before_ns = p->spoke_ns;
	}
	require(pairs > 0);
	return pairs;
}

/* Entries in the index and in the lists, none twice in a bucket. */
static void check_entries(uint32_t expected)
{
	uint32_t indexed = 0, listed = 0;
	for (uint32_t b = 0; b < IKE_COOKIE_BUCKETS; b++)
		for (uint32_t ref = k->entry_bucket[b]; ref; ref = k->entry[ref].bucket_next) {
			require(++indexed <= expected);
			for (uint32_t more = k->entry[ref].bucket_next; more;
				more = k->entry[more].bucket_next)
				require(k->entry[more].cookie != k->entry[ref].cookie ||
					k->pair[k->entry[more].pair].peer_ip_be !=
						k->pair[k->entry[ref].pair].peer_ip_be);
		}
	for (int source = 0; source < IKE_SOURCES; source++)
		for (uint32_t ref = k->all_entries[source].first; ref;
			ref = k->entry[ref].links[IKE_OF_ALL].next)
			require(++listed <= expected && k->entry[ref].source == source);
	require(indexed == expected && listed == expected);
	for (uint32_t ref = k->entries.free; ref; ref = k->entry[ref].bucket_next)
		require(++listed <= k->entries.fresh);
	require(listed == k->entries.fresh && k->entries.fresh <= IKE_COOKIES);
}

static void check(void)
{
	uint32_t cookies = 0, of_guests = 0, of_peers = 0, listed = 0, indexed = 0, guests = 0,
		 peers = 0;
	for (uint32_t b = 0; b < IKE_GUEST_BUCKETS; b++)
		for (uint32_t ref = k->guest_bucket[b]; ref; ref = k->guest[ref].bucket_next) {
			require(++guests <= k->guests.fresh);
			check_guest(ref);
			cookies += k->guest[ref].cookies;
			of_guests += k->guest[ref].pairs;
		}
	for (uint32_t b = 0; b < IKE_PEER_BUCKETS; b++)
		for (uint32_t ref = k->peer_bucket[b]; ref; ref = k->peer[ref].bucket_next) {
			require(++peers <= k->peers.fresh);
			of_peers += check_peer(ref);
		}
	for (uint32_t ref = k->all_pairs.first; ref; ref = k->pair[ref].links[IKE_OF_ALL].next)
		require(++listed <= IKE_PEERS);
	for (uint32_t b = 0; b < IKE_PAIR_BUCKETS; b++)
		for (uint32_t ref = k->pair_bucket[b]; ref; ref = k->pair[ref].bucket_next)
			require(++indexed <= IKE_PEERS);
	require(of_guests == listed && of_peers == listed && indexed == listed);
	for (uint32_t ref = k->pairs.free; ref; ref = k->pair[ref].bucket_next)
		require(++listed <= k->pairs.fresh);
	for (uint32_t ref = k->guests.free; ref; ref = k->guest[ref].bucket_next)
		require(++guests <= k->guests.fresh);
	for (uint32_t ref = k->peers.free; ref; ref = k->peer[ref].bucket_next)
		require(++peers <= k->peers.fresh);
	require(listed == k->pairs.fresh && guests == k->guests.fresh && peers == k->peers.fresh);
	check_entries(cookies);
}

/* ---- what is done ---- */

static void receive_one(uint32_t peer, uint64_t cookie)
{
	const uint32_t guest = ike_receives(k, peer, cookie);
	require(cookie || !guest);
	require(!guest || ike_receives(k, peer, 0) == 0);
	/* nobody said or heard anything in between */
	require(!guest || ike_receives(k, peer, cookie) == guest);
}

static void act(const uint8_t *record)
{
	const uint32_t guest = 1 + (record[0] >> 3) % GUESTS, peer = 1 + (record[0] >> 6) % PEERS;
	const uint64_t cookie = record[1];
	now_ns += (uint64_t)record[2] * record[2] * 1000000;
	switch (record[0] & 7) {
	case 0:
	case 1: ike_sends(k, peer, guest, cookie, now_ns); break;
	case 2:
	case 3: receive_one(peer, cookie); break;
	case 4: ike_forget(k, peer, guest); break;
	case 5:
		for (uint32_t i = 0; i < MANY; i++)
			ike_sends(k, 100 + record[1] + i, guest, 5, now_ns);
		break;
	case 6:
		for (uint32_t i = 0; i < MANY; i++)
			ike_sends(k, peer, guest + (record[1] & 0xe0), 1000 + cookie + i, now_ns);
		break;
	default:
		for (uint32_t i = 0; i < MANY; i++)
			receive_one(peer, 5000 + cookie * 16 + i);
		break;
	}
}

/* As zeroed memory, in less time: only what was used. */
static void reset(void)
{
	const struct hash_key key = {1, 2};
	memset(k->entry, 0, (k->entries.fresh + 1) * sizeof(k->entry[0]));
	memset(k->pair, 0, (k->pairs.fresh + 1) * sizeof(k->pair[0]));
	memset(k->peer, 0, (k->peers.fresh + 1) * sizeof(k->peer[0]));
	memset(k->guest, 0, (k->guests.fresh + 1) * sizeof(k->guest[0]));
	memset(k, 0, offsetof(struct ike, entry));
	ike_init(k, &key);
	now_ns = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const size_t count = bytes / 3 < RECORDS_MAX ? bytes / 3 : RECORDS_MAX;
	require(!ike_cookie(data, bytes) || bytes >= IKE_HEADER_BYTES);
	reset();
	for (size_t i = 0; i < count; i++) {
		act(data + i * 3);
		if (i + 1 == count || i % CHECK_EACH == 0)
			check();
	}
	return 0;
}
