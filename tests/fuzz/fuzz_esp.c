/*
 * Hostile guests and a forger at the table of ESP's tunnels: they open, send, close, exchange keys and let packets come in any
 * order and at any time. After a few of that all lists, counts and shares agree, no SPI leads to two tunnels, and whoever has or
 * waits for a turn has something to open.
 *
 * Input: records of four bytes: what is done, who (guest, peer, outside address), an SPI or a count, and the time that passed.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "esp.h"

enum { GUESTS = 6, RECORDS_MAX = 200, MANY = 24, CHECK_EACH = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct esp table, *const e = &table;
static uint64_t now_ns;

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* ---- what must be so ---- */

static bool is_same_way(const struct esp_way *a, const struct esp_way *b)
{
	return a->peer_ip_be == b->peer_ip_be && a->outside_ip_be == b->outside_ip_be;
}

static void check_inbound(uint32_t ref)
{
	const struct esp_tunnel *t = esp_at(e, ref);
	uint32_t places = 0;
	for (int i = 0; i < ESP_INBOUND; i++) {
		const struct esp_inbound *in =
			&e->inbound[(ref - 1) * ESP_INBOUND + 1 + t->place[i]];
		places |= 1u << t->place[i];
		if (!t->inbound[i])
			continue;
		require(t->is_paired && in->spi == t->inbound[i]);
		require(i == 0 || t->inbound[i - 1]);
	}
	require(places == (1u << ESP_INBOUND) - 1);
}

/* Each SPI in the index is its tunnel's, and all that tunnels have are there, once. */
static void check_index(uint32_t expected)
{
	uint32_t count = 0;
	for (uint32_t b = 0; b < ESP_INBOUND_BUCKETS; b++)
		for (uint32_t at = e->inbound_bucket[b]; at; at = e->inbound[at].next) {
			const struct esp_tunnel *t = esp_at(e, (at - 1) / ESP_INBOUND + 1);
			require(++count <= expected && t->is_used);
			for (uint32_t more = e->inbound[at].next; more;
				more = e->inbound[more].next)
				require(e->inbound[more].spi != e->inbound[at].spi ||
					!is_same_way(&esp_at(e, (more - 1) / ESP_INBOUND + 1)->way,
						&t->way));
		}
	require(count == expected);
}

static bool has_unpaired(const struct esp_peer *p, uint32_t guest_ip_be)
{
	for (uint32_t ref = p->first; ref; ref = esp_at(e, ref)->peer_next)
		if (esp_at(e, ref)->guest_ip_be == guest_ip_be && !esp_at(e, ref)->is_paired)
			return true;
	return false;
}

static void check_peer(uint32_t peer)
{
	const struct esp_peer *p = &e->peer[peer];
	uint32_t count = 0, of_payer = 0, before = 0;
	for (uint32_t ref = p->first; ref; before = ref, ref = esp_at(e, ref)->peer_next) {
		const struct esp_tunnel *t = esp_at(e, ref);
		require(++count <= p->tunnels && t->is_used && t->peer == peer &&
			t->peer_prev == before);
		require(is_same_way(&t->way, &p->way));
		require(!t->opening_until_ns ||
			(!t->is_paired && t->guest_ip_be == p->opener_ip_be));
		of_payer += t->guest == p->payer;
	}
	require(count == p->tunnels && p->tunnels <= ESP_TUNNELS_PER_PEER);
	require(count ? of_payer > 0 : p->exchange[0].guest_ip_be != 0);
	require(!p->opener_ip_be || has_unpaired(p, p->opener_ip_be));
	require(!p->waiting_ip_be || has_unpaired(p, p->waiting_ip_be));
	require(!p->opener_ip_be || p->opener_ip_be != p->waiting_ip_be);
	require(!p->exchange[1].guest_ip_be ||
		p->exchange[0].guest_ip_be != p->exchange[1].guest_ip_be);
}

static void check_guest(uint32_t guest)
{
	const struct esp_guest *g = &e->guest[guest];
	uint32_t tunnels = 0, idle = 0, before = 0;
	for (uint32_t ref = esp_next(e, ESP_NONE); ref; ref = esp_next(e, ref))
		tunnels +=
			esp_at(e, ref)->guest == guest && esp_at(e, ref)->guest_ip_be == g->ip_be;
	for (uint32_t peer = g->idle.first; peer;
		before = peer, peer = e->peer[peer].idle[1].next) {
		require(++idle <= ESP_KEYS_PER_GUEST && e->peer[peer].idle[1].prev == before);
		require(e->peer[peer].exchange[0].guest_ip_be == g->ip_be &&
			!e->peer[peer].tunnels);
	}
	require(g->idle.last == before);
	require(tunnels == g->tunnels && idle == g->idle_peers && tunnels + idle > 0);
	require(tunnels <= ESP_TUNNELS / 4 && g->peers <= tunnels);
}

static void check(void)
{
	uint32_t tunnels = 0, inbound = 0, peers = 0, idle = 0, with_tunnels = 0, guests = 0,
		 paid = 0;
	for (uint32_t ref = esp_next(e, ESP_NONE); ref; ref = esp_next(e, ref), tunnels++) {
		check_inbound(ref);
		for (int i = 0; i < ESP_INBOUND; i++)
			inbound += esp_at(e, ref)->inbound[i] != 0;
	}
	require(tunnels == e->tunnels);
	check_index(inbound);
	for (uint32_t b = 0; b < ESP_PEER_BUCKETS; b++)
		for (uint32_t peer = e->peer_bucket[b]; peer;
			peer = e->peer[peer].bucket_next, peers++) {
			require(peers < e->peer_fresh);
			check_peer(peer);
			with_tunnels += e->peer[peer].tunnels > 0;
		}
	for (uint32_t peer = e->idle.first; peer; peer = e->peer[peer].idle[0].next)
		require(++idle <= peers);
	require(with_tunnels == e->peers && with_tunnels + idle == peers);
	for (uint32_t b = 0; b < ESP_GUEST_BUCKETS; b++)
		for (uint32_t guest = e->guest_bucket[b]; guest;
			guest = e->guest[guest].bucket_next) {
			require(++guests <= e->guest_fresh);
			check_guest(guest);
			paid += e->guest[guest].peers;
		}
	require(paid == e->peers);
	for (uint32_t peer = e->peer_free; peer; peer = e->peer[peer].bucket_next)
		require(++peers <= e->peer_fresh);
	for (uint32_t guest = e->guest_free; guest; guest = e->guest[guest].bucket_next)
		require(++guests <= e->guest_fresh);
	for (uint32_t ref = e->free; ref; ref = esp_at(e, ref)->key_next)
		require(++tunnels <= e->fresh);
	require(peers == e->peer_fresh && guests == e->guest_fresh && tunnels == e->fresh);
}

/* ---- what is done ---- */

struct act {
	uint32_t guest_ip_be;
	struct esp_way way;
	uint32_t number;
};

static struct act act_of(const uint8_t *record)
{
	const struct esp_way way = {1 + (record[1] >> 3 & 3), record[1] >> 5 == 7 ? 9 : 0};
	return (struct act){1 + (record[1] & 7) % GUESTS, way, record[2]};
}

/* The tunnel that `number` means. */
static uint32_t some_tunnel(uint32_t number)
{
	uint32_t ref = e->tunnels ? esp_next(e, number % e->fresh) : ESP_NONE;
	return ref ? ref : esp_next(e, ESP_NONE);
}

static void open_one(const struct act *a, uint32_t spi, uint32_t inbound, bool symmetric)
{
	const struct esp_ask ask = {.way = a->way,
		.guest_ip_be = a->guest_ip_be,
		.spi = spi,
		.flow = a->number,
		.symmetric = symmetric};
	uint32_t ref = 0;
	const int error = esp_open(e, &ask, inbound, now_ns, &ref);
	require(!error || error == -ENOSPC || error == -EEXIST ||
		(error == -EINVAL && !spi && !inbound));
	require(error || (esp_at(e, ref)->is_used && esp_at(e, ref)->spi == spi &&
				 is_same_way(&esp_at(e, ref)->way, &a->way)));
	require(error || spi || esp_at(e, ref)->inbound[0] == inbound);
}

static void send_one(uint32_t ref)
{
	if (!ref)
		return;
	const struct esp_tunnel *t = esp_at(e, ref);
	const bool may = esp_sends(e, ref, now_ns);
	const struct esp_peer *p = &e->peer[t->peer];
	require(may == (t->is_paired || p->opener_ip_be == t->guest_ip_be));
	require(t->is_paired || p->opener_ip_be || p->waiting_ip_be);
	require(t->is_paired || !p->opener_ip_be || p->until_ns > now_ns);
}

static void receive_one(const struct act *a, uint32_t spi)
{
	uint32_t leads = ESP_NONE;
	for (uint32_t ref = esp_next(e, ESP_NONE); ref; ref = esp_next(e, ref))
		for (int i = 0; i < ESP_INBOUND; i++)
			if (spi && esp_at(e, ref)->inbound[i] == spi &&
				is_same_way(&esp_at(e, ref)->way, &a->way))
				leads = ref;
	const uint32_t only = a->way.outside_ip_be ? a->guest_ip_be : 0;
	const struct esp_found found = esp_receives(e, &a->way, spi, only, now_ns);
	require(!found.ref || !found.guest_ip_be);
	require(!found.ref || (esp_at(e, found.ref)->is_used &&
				      is_same_way(&esp_at(e, found.ref)->way, &a->way)));
	require(!leads || found.ref == leads);
	require(spi || (!found.ref && !found.guest_ip_be));
	if (only && spi && !leads)
		require((found.ref ? esp_at(e, found.ref)->guest_ip_be : found.guest_ip_be) ==
			only);
	if (found.guest_ip_be && a->number & 1)
		open_one(a, 0, spi, false);
}

static void many(const struct act *a, uint32_t what)
{
	for (uint32_t i = 0; i < MANY; i++) {
		struct act one = *a;
		if (what & 1)
			one.way.peer_ip_be = 100 + a->number + i;
		if (what & 2)
			open_one(&one, 1000 + a->number * 8 + i, 0, false);
		else
			esp_keys(e, &one.way, one.guest_ip_be, now_ns);
	}
}

static void act(const uint8_t *record)
{
	const struct act a = act_of(record);
	now_ns += (uint64_t)record[3] * record[3] * 1000000;
	switch (record[0] & 15) {
	case 0:
	case 1: open_one(&a, a.number, a.number & 7, false); break;
	case 2: open_one(&a, a.number, 0, true); break;
	case 3: open_one(&a, 0, a.number, false); break;
	case 4:
	case 5:
	case 6: send_one(some_tunnel(a.number)); break;
	case 7:
	case 8:
	case 9: receive_one(&a, a.number); break;
	case 10: esp_keys(e, &a.way, a.guest_ip_be, now_ns); break;
	case 11:
	case 12:
		if (e->tunnels)
			esp_close(e, some_tunnel(a.number));
		break;
	case 13:
		for (uint32_t spi = 0; spi < MANY; spi++)
			receive_one(&a, 70000 + spi);
		break;
	case 14:
		for (uint32_t ref = esp_next(e, ESP_NONE); ref; ref = esp_next(e, ref))
			if (esp_at(e, ref)->guest_ip_be == a.guest_ip_be)
				esp_close(e, ref);
		break;
	default: many(&a, record[0] >> 4); break;
	}
}

/* As zeroed memory, in less time: only what was used. */
static void reset(void)
{
	const struct hash_key key = {1, 2};
	memset(e->inbound, 0, (e->fresh * ESP_INBOUND + 1) * sizeof(e->inbound[0]));
	memset(e->tunnel, 0, (e->fresh + 1) * sizeof(e->tunnel[0]));
	memset(e->peer, 0, (e->peer_fresh + 1) * sizeof(e->peer[0]));
	memset(e->guest, 0, (e->guest_fresh + 1) * sizeof(e->guest[0]));
	memset(e, 0, offsetof(struct esp, tunnel));
	esp_init(e, &key);
	now_ns = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	size_t count = bytes / 4 < RECORDS_MAX ? bytes / 4 : RECORDS_MAX;
	reset();
	for (size_t i = 0; i < count; i++) {
		act(data + i * 4);
		if (i + 1 == count || i % CHECK_EACH == 0)
			check();
	}
	return 0;
}
