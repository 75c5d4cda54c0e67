/* What gives way in the tables of ESP, and what does not: forged packets, greedy guests. */
#include <criterion/criterion.h>
#include <errno.h>

#include "esp_acts.h"

TestSuite(esp_bounds, .init = acts_begin, .fini = acts_end);

/* ---- a tunnel's inbound SPIs, and forged ones ---- */

Test(esp_bounds, of_loose_ones_the_one_unheard_longest_gives_way)
{
	const uint32_t a = opens(A, 300, 1);
	for (uint32_t spi = 2000; spi < 2004; spi++)
		cr_assert_eq(comes(spi, spi), a);
	cr_assert_eq(esp_at(e, a)->inbound[0], 2003);
	cr_assert_eq(esp_at(e, a)->inbound[3], 2000);
	cr_assert_eq(comes(2000, 2004), a);
	cr_assert_eq(esp_at(e, a)->inbound[0], 2000, "made the youngest");
	cr_assert_eq(comes(2004, 2005), a);
	const uint32_t expected[ESP_INBOUND] = {2004, 2000, 2003, 2002};
	for (int i = 0; i < ESP_INBOUND; i++)
		cr_assert_eq(esp_at(e, a)->inbound[i], expected[i]);
	paired(B, 400, 2006);
	cr_assert_eq(comes(2001, 2007), ESP_NONE, "it leads nowhere any more");
}

Test(esp_bounds, a_pair_in_use_stays_however_many_are_forged)
{
	const uint32_t a = paired(A, 300, 1);
	for (uint64_t at = 1; at < 10 * ESP_OPENING_MS; at += ESP_OPENING_MS - 1) {
		forged(3000, at);
		bool is_there = false;
		for (int i = 0; i < ESP_INBOUND; i++)
			is_there |= esp_at(e, a)->inbound[i] == 1300;
		cr_assert(is_there);
		cr_assert_eq(comes(1300, at), a);
	}
	paired(B, 400, 10 * ESP_OPENING_MS);
	cr_assert_eq(comes(1300, 10 * ESP_OPENING_MS), a, "it was never forgotten");
}

Test(esp_bounds, what_came_loosely_and_is_heard_again_stays_too)
{
	const uint32_t a = paired(A, 300, 1);
	uint64_t at = 100;
	cr_assert_eq(comes(2000, at), a);
	for (; at <= 100 + ESP_LEAD_MS; at += 100) {
		cr_assert_eq(comes(2000, at), a);
		forged(at > 100 ? 100 : 1, at);
	}
	forged(3000, at);
	paired(B, 400, at);
	cr_assert_eq(comes(2000, at + 1), a);
	cr_assert_eq(comes(1300, at + 1), a);
}

Test(esp_bounds, forged_ones_while_a_guest_opens_take_its_pair_from_nobody)
{
	paired(B, 400, 1);
	keys(A, 2);
	const uint32_t a = opens(A, 300, 3);
	cr_assert(sends(a, 3));
	forged(5000, 4);
	cr_assert_eq(comes(1300, 5), a, "its keys lead");
	for (uint64_t at = 6; at < 10 + ESP_LEAD_MS; at += 10)
		cr_assert_eq(comes(1300, at), a);
	forged(5000, 5000);
	keys(B, 6000);
	keys(C, 6001);
	cr_assert_eq(comes(1300, 6001), a);
}

Test(esp_bounds, where_all_are_in_use_a_further_one_leads_there_unknown)
{
	const uint32_t a = opens(A, 300, 1);
	for (uint64_t at = 1; at <= 1 + ESP_LEAD_MS; at += ESP_LEAD_MS)
		for (uint32_t spi = 2000; spi < 2004; spi++)
			cr_assert_eq(comes(spi, at + spi), a);
	cr_assert_eq(comes(2004, 5000), a);
	for (int i = 0; i < ESP_INBOUND; i++)
		cr_assert_neq(esp_at(e, a)->inbound[i], 2004);
	/* 2000 was heard last 2001 + 2000 ms after the beginning */
	cr_assert_eq(comes(2004, 4001 + ESP_OPENING_MS - 1), a);
	cr_assert_neq(esp_at(e, a)->inbound[0], 2004);
	cr_assert_eq(comes(2004, 4001 + ESP_OPENING_MS), a);
	cr_assert_eq(esp_at(e, a)->inbound[0], 2004);
	paired(B, 400, 40000);
	cr_assert_eq(comes(2000, 40001), ESP_NONE, "the one unheard longest gave way");
	cr_assert_eq(comes(2001, 40001), a);
}

/* ---- bounds ---- */

static struct esp_way way_to(uint32_t peer)
{
	return (struct esp_way){1000000 + peer, 0};
}

/* As many tunnels as a guest gets, `each` with a peer, from this peer on. */
static uint32_t opens_all(uint32_t guest, uint32_t each, uint32_t first_peer)
{
	uint32_t count = 0, ref;
	for (uint32_t i = 0;; i++, count++) {
		const struct esp_ask ask = {
			.way = way_to(first_peer + i / each), .guest_ip_be = guest, .spi = 1 + i};
		if (esp_open(e, &ask, 0, 1, &ref))
			return count;
	}
}

static void closes_all(uint32_t guest)
{
	for (uint32_t ref = esp_next(e, ESP_NONE); ref; ref = esp_next(e, ref))
		if (esp_at(e, ref)->guest_ip_be == guest)
			esp_close(e, ref);
}

Test(esp_bounds, a_guest_has_a_quarter_of_a_peer_that_others_have_not)
{
	cr_assert_eq(opens_all(A, 100000, 0), ESP_TUNNELS_PER_PEER / 4);
	cr_assert_eq(opens_all(B, 100000, 0), ESP_TUNNELS_PER_PEER * 3 / 16);
	for (uint32_t guest = 200; guest < 210; guest++)
		cr_assert_geq(opens_all(guest, 100000, 0), 1);
	closes_all(A);
	cr_assert_geq(opens_all(C, 100000, 0), 16, "the places are there again");
}

Test(esp_bounds, a_guest_has_a_quarter_of_the_tunnels_that_others_have_not)
{
	cr_assert_eq(opens_all(A, 16, 0), ESP_TUNNELS / 4);
	cr_assert_eq(opens_all(B, 16, 100), ESP_TUNNELS * 3 / 16);
	for (uint32_t guest = 200; guest < 220; guest++)
		cr_assert_geq(opens_all(guest, 16, 200), 1);
	closes_all(A);
	cr_assert_eq(opens_all(A, 64, 500) > 100, true);
}

Test(esp_bounds, a_guest_has_a_quarter_of_the_peers_that_others_have_not)
{
	cr_assert_eq(opens_all(A, 1, 0), ESP_PEERS / 4);
	cr_assert_eq(e->peers, ESP_PEERS / 4);
	cr_assert_eq(opens_all(B, 1, 2000), ESP_PEERS * 3 / 16);
	cr_assert_eq(opens_all(C, 1, 0), ESP_PEERS / 4 + (ESP_PEERS * 9 + 63) / 64,
		"those that A pays for, then its own share");
	closes_all(A);
	cr_assert_eq(e->guest[1].peers, 0);
	closes_all(B);
	closes_all(C);
	cr_assert_eq(e->peers, 0);
	cr_assert_eq(opens_all(D, 1, 0), ESP_PEERS / 4);
}

Test(esp_bounds, tables_that_are_full_are_full)
{
	uint32_t guest = 1000;
	while (opens_all(guest, 60, guest * 100))
		guest++;
	cr_assert_eq(e->tunnels, ESP_TUNNELS);
	for (uint32_t ref = esp_next(e, ESP_NONE); ref; ref = esp_next(e, ref))
		esp_close(e, ref);
	cr_assert_eq(e->tunnels + e->peers, 0);
	guest = 1000;
	while (opens_all(guest, 1, guest * 10000))
		guest++;
	cr_assert_eq(e->peers, ESP_PEERS);
	const struct esp_way one_more = {5, 5};
	esp_keys(e, &one_more, A, 1);
	cr_assert_eq(esp_receives(e, &one_more, 3, 0, 1).guest_ip_be, 0, "not noted");
}

static uint32_t leads(const struct esp_way *w)
{
	return esp_receives(e, w, 0x7fffffff, 0, 1).guest_ip_be;
}

Test(esp_bounds, keys_with_many_peers_push_out_ones_own)
{
	const struct esp_way others = {5, 0};
	esp_keys(e, &others, B, 1);
	for (uint32_t i = 0; i < 5000; i++) {
		const struct esp_way w = way_to(i);
		esp_keys(e, &w, A, 1);
	}
	cr_assert_eq(leads(&others), B);
	const struct esp_way youngest = way_to(4999), kept = way_to(5000 - ESP_KEYS_PER_GUEST),
			     gone = way_to(4999 - ESP_KEYS_PER_GUEST);
	cr_assert_eq(leads(&youngest), A);
	cr_assert_eq(leads(&kept), A);
	cr_assert_eq(leads(&gone), 0);
}

Test(esp_bounds, keys_without_a_tunnel_give_way_to_those_of_others_and_to_tunnels)
{
	for (uint32_t guest = 0; guest < ESP_PEERS / ESP_KEYS_PER_GUEST; guest++)
		for (uint32_t i = 0; i < ESP_KEYS_PER_GUEST; i++) {
			const struct esp_way w = way_to(guest * 100 + i);
			esp_keys(e, &w, 5000 + guest, 1);
		}
	const struct esp_way first = way_to(0), second = way_to(1), third = way_to(2);
	cr_assert_eq(leads(&first), 5000);
	esp_keys(e, &first, 5000, 2);
	const struct esp_way more = way_to(90000);
	esp_keys(e, &more, A, 1);
	cr_assert_eq(leads(&first), 5000, "heard again");
	cr_assert_eq(leads(&second), 0, "the oldest gave way");
	cr_assert_eq(leads(&third), 5000);
	opens(A, 300, 1);
	cr_assert_eq(leads(&third), 0, "to a tunnel");
}
