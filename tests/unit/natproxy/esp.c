/* Which guest an ESP packet is for: pairs, turns, what came loosely, keys, bounds; and schedules with forged packets. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "esp.h"

enum { A = 101, B = 102, C = 103, D = 104, PEER = 7 };
static const uint64_t millisecond = 1000000;
static const struct esp_way way = {PEER, 0};

static struct esp *e;
static uint32_t forged_before;

static void begin(void)
{
	const struct hash_key key = {1, 2};
	e = calloc(1, sizeof(*e));
	esp_init(e, &key);
	forged_before = 0;
}

static void end(void)
{
	free(e);
}

TestSuite(esp, .init = begin, .fini = end);

/* Times are milliseconds. */
static int try_open(uint32_t guest, uint32_t spi, uint64_t at, uint32_t *ref)
{
	const struct esp_ask ask = {.way = way, .guest_ip_be = guest, .spi = spi, .flow = spi};
	return esp_open(e, &ask, 0, at * millisecond, ref);
}

static uint32_t opens(uint32_t guest, uint32_t spi, uint64_t at)
{
	uint32_t ref = 0;
	cr_assert_eq(try_open(guest, spi, at, &ref), 0);
	cr_assert_neq(ref, ESP_NONE);
	return ref;
}

static uint32_t opens_symmetric(uint32_t guest, uint32_t spi, uint64_t at)
{
	const struct esp_ask ask = {
		.way = way, .guest_ip_be = guest, .spi = spi, .symmetric = true};
	uint32_t ref = 0;
	cr_assert_eq(esp_open(e, &ask, 0, at * millisecond, &ref), 0);
	return ref;
}

static bool sends(uint32_t ref, uint64_t at)
{
	return esp_sends(e, ref, at * millisecond);
}

static struct esp_found comes_for(uint32_t spi, uint32_t only, uint64_t at)
{
	return esp_receives(e, &way, spi, only, at * millisecond);
}

/* The tunnel; nobody else may have been named. */
static uint32_t comes(uint32_t spi, uint64_t at)
{
	const struct esp_found found = comes_for(spi, 0, at);
	cr_assert_eq(found.guest_ip_be, 0);
	return found.ref;
}

static void keys(uint32_t guest, uint64_t at)
{
	esp_keys(e, &way, guest, at * millisecond);
}

/* A tunnel that has its pair: outbound `spi`, inbound `spi` + 1000. */
static uint32_t paired(uint32_t guest, uint32_t spi, uint64_t at)
{
	const uint32_t ref = opens(guest, spi, at);
	cr_assert(sends(ref, at));
	cr_assert_eq(comes(spi + 1000, at), ref);
	return ref;
}

/* Forged packets from the peer, each by an SPI of its own. */
static void forged(uint32_t count, uint64_t at)
{
	while (count--)
		comes_for(0x80000000 + ++forged_before, 0, at);
}

/* ---- pairs ---- */

Test(esp, an_answer_is_for_who_opened)
{
	const uint32_t a = opens(A, 300, 1), b = opens(B, 400, 2);
	cr_assert(sends(a, 3));
	cr_assert_eq(esp_at(e, a)->opening_until_ns, (3 + ESP_OPENING_MS) * millisecond);
	cr_assert_eq(comes(1300, 4), a);
	cr_assert_eq(esp_at(e, a)->opening_until_ns, 0);
	cr_assert_eq(esp_at(e, a)->inbound[0], 1300);
	cr_assert(sends(b, 5));
	cr_assert_eq(comes(1400, 6), b);
	cr_assert_eq(comes(1300, 7), a);
	cr_assert_eq(comes(1400, 8), b);
	cr_assert(sends(a, 9) && sends(b, 9));
}

Test(esp, of_several_that_a_guest_opens_the_youngest_is_paired)
{
	const uint32_t first = opens(A, 300, 1), next = opens(A, 301, 1);
	cr_assert(sends(first, 1) && sends(next, 1), "the same guest");
	cr_assert_eq(comes(1301, 2), next);
	cr_assert_eq(esp_at(e, first)->opening_until_ns, 0, "the term is over");
	cr_assert(sends(first, 3), "and may begin anew");
	cr_assert_eq(comes(1300, 4), first);
}

Test(esp, spi_0_never_leads_anywhere_and_reserved_ones_are_as_others)
{
	const uint32_t a = opens(A, 300, 1);
	cr_assert(sends(a, 1));
	cr_assert_eq(comes_for(0, A, 2).ref, ESP_NONE);
	cr_assert_eq(comes_for(0, A, 2).guest_ip_be, 0);
	cr_assert_eq(comes(255, 2), a);
}

Test(esp, outside_addresses_and_peers_are_apart)
{
	const struct esp_way others[] = {{PEER, 9}, {PEER + 1, 0}, {9, PEER}};
	const uint32_t a = paired(A, 300, 1);
	for (int i = 0; i < 3; i++) {
		const struct esp_ask ask = {.way = others[i], .guest_ip_be = B, .spi = 300};
		uint32_t b;
		cr_assert_eq(esp_receives(e, &others[i], 1300, 0, 2).ref, ESP_NONE);
		cr_assert_eq(esp_open(e, &ask, 0, 2, &b), 0);
		cr_assert(esp_sends(e, b, 2));
		cr_assert_eq(esp_receives(e, &others[i], 1300, 0, 2).ref, b);
	}
	cr_assert_eq(comes(1300, 3), a);
}

Test(esp, the_same_tunnel_is_not_opened_twice)
{
	const uint32_t a = opens(A, 300, 1);
	uint32_t ref;
	cr_assert_eq(try_open(A, 300, 2, &ref), -EEXIST);
	cr_assert_neq(opens(B, 300, 2), a);
	esp_close(e, a);
	cr_assert_eq(opens(A, 300, 3), a, "its place is used again");
}

Test(esp, a_closed_tunnel_takes_its_spis_along)
{
	const uint32_t a = paired(A, 300, 1), b = paired(B, 400, 2);
	esp_close(e, a);
	cr_assert_eq(comes(1400, 3), b);
	esp_close(e, b);
	cr_assert_eq(comes(1300, 4), ESP_NONE);
	cr_assert_eq(comes(1400, 4), ESP_NONE);
	cr_assert_eq(esp_next(e, ESP_NONE), ESP_NONE);
	cr_assert_eq(e->tunnels + e->peers, 0);
}

Test(esp, rows_are_those_in_use)
{
	const uint32_t a = opens(A, 300, 1), b = opens(A, 301, 1), c = opens(B, 302, 1);
	esp_close(e, b);
	cr_assert_eq(esp_next(e, ESP_NONE), a);
	cr_assert_eq(esp_next(e, a), c);
	cr_assert_eq(esp_next(e, c), ESP_NONE);
	cr_assert_eq(esp_at(e, c)->spi, 302);
	cr_assert_eq(esp_at(e, c)->flow, 302);
	cr_assert_eq(esp_at(e, c)->guest_ip_be, B);
}

Test(esp, spi_match_list_pairs_at_once)
{
	const uint32_t a = opens(A, 300, 1);
	cr_assert(sends(a, 1));
	const uint32_t b = opens_symmetric(B, 400, 2);
	cr_assert(sends(b, 2), "needs no turn");
	cr_assert_eq(comes(400, 3), b);
	cr_assert_eq(comes(1300, 4), a, "and takes none");
}

Test(esp, spi_match_list_takes_no_number_that_leads_elsewhere)
{
	const uint32_t a = opens_symmetric(A, 300, 1), b = opens_symmetric(B, 300, 2);
	cr_assert_eq(comes(300, 3), a);
	cr_assert(sends(b, 4), "opens as usual");
	cr_assert_eq(comes(1300, 5), b);
}

Test(esp, spi_match_list_takes_the_guests_own_number_that_came_before)
{
	const uint32_t former = paired(A, 300, 1);
	cr_assert_eq(comes(310, 2), former);
	cr_assert_eq(comes(311, 3), former);
	const uint32_t a = opens_symmetric(A, 310, 4);
	cr_assert_eq(comes(310, 5), a);
	cr_assert_eq(comes(311, 5), former);
}

/* ---- turns ---- */

Test(esp, another_guest_waits_until_the_first_is_paired)
{
	const uint32_t a = opens(A, 300, 1), b = opens(B, 400, 1);
	cr_assert(sends(a, 1));
	cr_assert_not(sends(b, 2));
	cr_assert(sends(a, 3));
	cr_assert_eq(comes(1300, 4), a);
	cr_assert(sends(b, 5));
	cr_assert_eq(comes(1400, 6), b);
}

Test(esp, a_term_is_not_prolonged_by_sending)
{
	const uint32_t a = opens(A, 300, 1);
	for (uint64_t at = 0; at < ESP_OPENING_MS; at += 1000)
		cr_assert(sends(a, at));
	const uint32_t b = opens(B, 400, ESP_OPENING_MS - 1);
	cr_assert_not(sends(b, ESP_OPENING_MS - 1));
	cr_assert(sends(b, ESP_OPENING_MS));
	cr_assert_not(sends(a, ESP_OPENING_MS));
	cr_assert_eq(esp_at(e, a)->opening_until_ns, 0);
	cr_assert_eq(comes(1400, ESP_OPENING_MS + 1), b);
	cr_assert(sends(a, ESP_OPENING_MS + 2), "and then the first again");
}

Test(esp, nobody_holds_a_peer_by_opening_again)
{
	const uint32_t b = opens(B, 400, 1);
	uint32_t turns = 0;
	uint64_t last = 0;
	/* A opens one tunnel after the other, ever faster than B, which sends once a second */
	for (uint64_t at = 2; at < 200000; at += 10) {
		if (at % 100 == 2 && at < 4000)
			opens(A, 10000 + (uint32_t)at, at);
		for (uint32_t ref = esp_next(e, ESP_NONE); ref; ref = esp_next(e, ref))
			if (ref != b)
				sends(ref, at);
		if (at % 1000 == 2 && sends(b, at) && (!turns || at >= last + ESP_OPENING_MS)) {
			turns++;
			last = at;
		}
	}
	cr_assert_geq(turns, 3);
}

Test(esp, a_pair_ends_the_term_too_and_who_waits_is_next)
{
	const uint32_t a = opens(A, 300, 1), again = opens(A, 301, 1), b = opens(B, 400, 1);
	cr_assert(sends(a, 1));
	cr_assert_not(sends(b, 2));
	cr_assert_eq(comes(1301, 3), again);
	cr_assert_not(sends(a, 4));
	cr_assert(sends(b, 5));
	cr_assert_not(sends(a, 6));
	cr_assert_eq(comes(1400, 7), b);
	cr_assert(sends(a, 8));
}

Test(esp, the_first_that_was_turned_away_is_next)
{
	const uint32_t a = opens(A, 300, 1), b = opens(B, 400, 1), c = opens(C, 500, 1);
	cr_assert(sends(a, 1));
	cr_assert_not(sends(b, 2));
	cr_assert_not(sends(c, 3));
	cr_assert_eq(comes(1300, 4), a);
	cr_assert_not(sends(c, 5));
	cr_assert(sends(b, 6));
	cr_assert_not(sends(c, 7));
	cr_assert_eq(comes(1400, 8), b);
	cr_assert(sends(c, 9));
}

Test(esp, who_waits_and_never_comes_back_is_not_waited_for)
{
	const uint32_t a = opens(A, 300, 1), b = opens(B, 400, 1), c = opens(C, 500, 1);
	cr_assert(sends(a, 1));
	cr_assert_not(sends(b, 1000));
	cr_assert_not(sends(c, 2000));
	cr_assert_eq(comes(1300, 3000), a);
	cr_assert_not(sends(c, 1000 + ESP_OPENING_MS - 1));
	cr_assert(sends(c, 1000 + ESP_OPENING_MS));
}

Test(esp, who_goes_on_knocking_goes_on_waiting)
{
	const uint32_t a = opens(A, 300, 1), b = opens(B, 400, 1);
	cr_assert(sends(a, 1000));
	cr_assert_not(sends(b, 1001));
	cr_assert_not(sends(b, 20000));
	cr_assert_not(sends(a, 1000 + ESP_OPENING_MS));
	cr_assert_not(sends(a, 1002 + ESP_OPENING_MS), "its first knock was more than a term ago");
	cr_assert(sends(b, 1003 + ESP_OPENING_MS));
}

Test(esp, an_opener_that_closes_gives_its_turn_back)
{
	const uint32_t a = opens(A, 300, 1), more = opens(A, 301, 1), b = opens(B, 400, 1);
	cr_assert(sends(a, 1) && sends(more, 1));
	esp_close(e, a);
	cr_assert_not(sends(b, 2), "another of its tunnels is not paired");
	esp_close(e, more);
	cr_assert(sends(b, 3));
}

Test(esp, who_waits_without_a_tunnel_is_not_waited_for)
{
	const uint32_t a = opens(A, 300, 1), b = opens(B, 400, 1), c = opens(C, 500, 1);
	cr_assert(sends(a, 1));
	cr_assert_not(sends(b, 2));
	cr_assert_not(sends(c, 2));
	esp_close(e, b);
	cr_assert_eq(comes(1300, 3), a);
	cr_assert(sends(c, 4));
}

Test(esp, who_waits_and_is_paired_otherwise_is_not_waited_for)
{
	const uint32_t a = opens(A, 300, 1), b = opens(B, 400, 1), c = opens(C, 500, 1);
	cr_assert(sends(a, 1));
	cr_assert_not(sends(b, 2));
	keys(B, 3);
	cr_assert_eq(comes(1400, 4), b, "it leads");
	cr_assert(sends(b, 5));
	cr_assert_eq(comes_for(1300, A, 6).ref, a);
	cr_assert(sends(c, 7));
}

Test(esp, two_guests_that_take_turns_let_a_third_in)
{
	const uint32_t a = opens(A, 300, 1), b = opens(B, 400, 1);
	cr_assert(sends(a, 1));
	cr_assert_not(sends(b, 2));
	const uint32_t c = opens(C, 500, 3);
	bool was_let_in = false;
	/* both knock at once whenever they are turned away, C a moment later */
	for (uint64_t at = 4; at < 4 * ESP_OPENING_MS && !was_let_in; at += 100) {
		sends(a, at);
		sends(b, at);
		sends(a, at);
		was_let_in = sends(c, at + 50);
	}
	cr_assert(was_let_in);
}

Test(esp, who_waits_is_not_pushed_out_by_who_comes_later)
{
	const uint32_t a = opens(A, 300, 1), b = opens(B, 400, 1);
	cr_assert(sends(b, 1));
	cr_assert_eq(comes(1400, 2), b);
	cr_assert(sends(a, 3));
	const uint32_t again = opens(B, 401, 4);
	cr_assert_not(sends(again, 4));
	const uint32_t c = opens(C, 500, 5);
	cr_assert_not(sends(c, 5), "B had its turn before C began to wait");
	cr_assert_eq(comes(1300, 6), a);
	cr_assert_not(sends(c, 7));
	cr_assert(sends(again, 7));
}

/* ---- the far end speaks first ---- */

Test(esp, what_the_only_guest_has_not_opened_is_its_all_the_same)
{
	const uint32_t a = paired(A, 300, 1), newer = paired(A, 301, 2);
	cr_assert_eq(comes(2000, 3), newer, "its youngest");
	cr_assert_eq(comes(1300, 4), a);
	paired(B, 400, 5);
	cr_assert_eq(comes(2001, 6), ESP_NONE, "two guests, no keys");
	cr_assert_eq(comes(2000, 6), newer);
}

Test(esp, what_came_loosely_is_the_pair_of_what_is_opened_next)
{
	const uint32_t former = paired(A, 300, 1), other = paired(B, 400, 2);
	keys(A, 3);
	cr_assert_eq(comes(2000, 4), former);
	cr_assert(sends(opens(B, 401, 5), 5), "B opens");
	const uint32_t a = opens(A, 301, 6);
	cr_assert(sends(a, 6), "needs no turn");
	cr_assert_eq(comes(2000, 7), a);
	cr_assert_eq(esp_at(e, former)->inbound[0], 1300);
	cr_assert_eq(esp_at(e, former)->inbound[1], 0);
	cr_assert_eq(comes(1400, 7), other);
}

Test(esp, what_came_loosely_long_ago_is_nobodys_pair)
{
	const uint32_t former = paired(A, 300, 1);
	cr_assert_eq(comes(2000, 2), former);
	const uint32_t a = opens(A, 301, 2 + ESP_OPENING_MS);
	cr_assert_eq(esp_at(e, a)->inbound[0], 0);
	cr_assert_eq(comes(2000, 3 + ESP_OPENING_MS), former);
	cr_assert_eq(comes(1300, 3 + ESP_OPENING_MS), former);
}

Test(esp, what_came_to_an_opener_is_not_loose)
{
	const uint32_t former = paired(A, 300, 1), a = opens(A, 301, 2);
	cr_assert_eq(esp_at(e, a)->inbound[0], 0);
	cr_assert_eq(comes(1300, 3), former);
}

Test(esp, another_guests_loose_spi_is_not_taken)
{
	const uint32_t a = paired(A, 300, 1);
	cr_assert_eq(comes(2000, 2), a);
	const uint32_t b = opens(B, 400, 3);
	cr_assert_eq(esp_at(e, b)->inbound[0], 0);
	cr_assert_eq(comes(2000, 4), a);
}

Test(esp, of_several_loose_ones_what_was_heard_for_longer_is_the_pair)
{
	const uint32_t former = paired(A, 300, 1);
	cr_assert_eq(comes(2000, 2), former);
	cr_assert_eq(comes(2000, 1000), former);
	forged(2, 1001);
	const uint32_t a = opens(A, 301, 1002);
	cr_assert_eq(comes(2000, 1003), a);
}

Test(esp, the_far_end_begins_a_tunnel)
{
	const struct esp_ask ask = {.way = way, .guest_ip_be = A};
	uint32_t first, ref;
	cr_assert_eq(esp_open(e, &ask, 0, 1, &ref), -EINVAL, "0 leads nowhere");
	const struct esp_found found = comes_for(2000, A, 1);
	cr_assert_eq(found.ref, ESP_NONE);
	cr_assert_eq(found.guest_ip_be, A);
	cr_assert_eq(esp_open(e, &ask, 2000, millisecond, &first), 0);
	cr_assert_eq(comes_for(2000, A, 2).ref, first);
	cr_assert_eq(esp_open(e, &ask, 2001, 2, &ref), -EEXIST);
	const struct esp_ask others = {.way = way, .guest_ip_be = B};
	cr_assert_eq(esp_open(e, &others, 2000, 2, &ref), -EEXIST, "it leads to A");
	const uint32_t a = opens(A, 300, 3);
	cr_assert_eq(comes_for(2000, A, 4).ref, a);
	cr_assert_eq(comes_for(2001, A, 4).ref, a, "the youngest");
	esp_close(e, first);
	cr_assert_eq(comes_for(2000, A, 5).ref, a);
}

/* ---- keys ---- */

Test(esp, who_exchanged_keys_last_is_meant)
{
	const uint32_t a = paired(A, 300, 1), b = paired(B, 400, 2);
	keys(A, 1000);
	cr_assert_eq(comes(2000, 1001), a, "nobody else did");
	keys(B, 1000 + ESP_LEAD_MS - 1);
	cr_assert_eq(comes(2001, 4000), ESP_NONE, "A did, shortly before");
	keys(B, 1000 + ESP_LEAD_MS);
	cr_assert_eq(comes(2001, 4001), b);
	keys(C, 6000);
	keys(B, 6001);
	cr_assert_eq(comes(2002, 6002), ESP_NONE, "C did, whoever did before");
	keys(B, 8000);
	cr_assert_eq(comes(2002, 8001), b);
}

Test(esp, keys_of_a_guest_without_a_tunnel_say_whose_it_will_be)
{
	paired(A, 300, 1);
	keys(B, 2);
	const struct esp_found found = comes_for(2000, 0, 3);
	cr_assert_eq(found.ref, ESP_NONE);
	cr_assert_eq(found.guest_ip_be, B);
	const struct esp_ask ask = {.way = way, .guest_ip_be = B};
	uint32_t b;
	cr_assert_eq(esp_open(e, &ask, 2000, 4 * millisecond, &b), 0);
	cr_assert_eq(comes(2000, 5), b);
}

Test(esp, keys_are_known_before_the_first_tunnel_and_after_the_last)
{
	keys(A, 1);
	cr_assert_eq(comes_for(2000, 0, 2).guest_ip_be, A);
	const uint32_t a = opens(A, 300, 3);
	cr_assert_eq(comes(2000, 4), a);
	esp_close(e, a);
	cr_assert_eq(comes_for(2000, 0, 5).guest_ip_be, A);
}

Test(esp, an_opener_goes_before_keys_that_were_exchanged_earlier)
{
	paired(B, 400, 1);
	keys(B, 2);
	const uint32_t a = opens(A, 300, 3);
	cr_assert(sends(a, 3));
	cr_assert_eq(comes(1300, 4), a);
}

Test(esp, keys_that_came_after_an_opening_go_before_it)
{
	const uint32_t b = paired(B, 400, 1), a = opens(A, 300, 2);
	cr_assert(sends(a, 2));
	keys(A, 3);
	keys(B, 3 + ESP_LEAD_MS);
	cr_assert_eq(comes(2000, 6000), b, "the peer made new keys with B and speaks first");
	cr_assert_eq(esp_at(e, a)->inbound[0], 0);
	cr_assert(sends(a, 6001), "its term goes on");
	cr_assert_not(sends(opens(C, 500, 6001), 6001));
	keys(A, 7000);
	cr_assert_eq(comes(1300, 7001), a, "nobody leads");
}

Test(esp, an_openers_own_keys_do_not_count_against_it)
{
	paired(B, 400, 1);
	const uint32_t a = opens(A, 301, 2);
	cr_assert(sends(a, 2));
	opens_symmetric(A, 302, 3);
	keys(A, 3);
	cr_assert_eq(comes(1301, 4), a, "not its youngest");
}

Test(esp, who_has_the_outside_address_alone_is_meant_whoever_had_it)
{
	const uint32_t b = opens(B, 400, 1);
	cr_assert(sends(b, 1));
	keys(B, 2);
	cr_assert_eq(comes_for(2000, A, 3).guest_ip_be, A);
	const uint32_t a = opens(A, 300, 4);
	cr_assert_eq(comes_for(2000, A, 5).ref, a);
	cr_assert_eq(comes_for(2001, B, 6).ref, b);
}

Test(esp, a_peer_that_nobody_knows_leads_to_who_has_the_address)
{
	cr_assert_eq(comes_for(2000, A, 1).guest_ip_be, A);
	cr_assert_eq(comes_for(2000, 0, 1).guest_ip_be, 0);
	cr_assert_eq(e->peer_fresh, 0, "and is not noted");
}

/* ---- a tunnel's inbound SPIs, and forged ones ---- */

Test(esp, of_loose_ones_the_one_unheard_longest_gives_way)
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

Test(esp, a_pair_in_use_stays_however_many_are_forged)
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

Test(esp, what_came_loosely_and_is_heard_again_stays_too)
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

Test(esp, forged_ones_while_a_guest_opens_take_its_pair_from_nobody)
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

Test(esp, where_all_are_in_use_a_further_one_leads_there_unknown)
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

Test(esp, a_guest_has_a_quarter_of_a_peer_that_others_have_not)
{
	cr_assert_eq(opens_all(A, 100000, 0), ESP_TUNNELS_PER_PEER / 4);
	cr_assert_eq(opens_all(B, 100000, 0), ESP_TUNNELS_PER_PEER * 3 / 16);
	for (uint32_t guest = 200; guest < 210; guest++)
		cr_assert_geq(opens_all(guest, 100000, 0), 1);
	closes_all(A);
	cr_assert_geq(opens_all(C, 100000, 0), 16, "the places are there again");
}

Test(esp, a_guest_has_a_quarter_of_the_tunnels_that_others_have_not)
{
	cr_assert_eq(opens_all(A, 16, 0), ESP_TUNNELS / 4);
	cr_assert_eq(opens_all(B, 16, 100), ESP_TUNNELS * 3 / 16);
	for (uint32_t guest = 200; guest < 220; guest++)
		cr_assert_geq(opens_all(guest, 16, 200), 1);
	closes_all(A);
	cr_assert_eq(opens_all(A, 64, 500) > 100, true);
}

Test(esp, a_guest_has_a_quarter_of_the_peers_that_others_have_not)
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

Test(esp, tables_that_are_full_are_full)
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

Test(esp, keys_with_many_peers_push_out_ones_own)
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

Test(esp, keys_without_a_tunnel_give_way_to_those_of_others_and_to_tunnels)
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

/* ---- schedules ---- */

enum { GUESTS = 5, KEPT = 2, HELD = 8 };
struct player {
	uint32_t inbound[KEPT]; /* what the far end uses for it */
	uint32_t ref[HELD];	/* its tunnels, the youngest first */
	uint32_t count;
};
static struct player player[GUESTS];
static uint64_t state, now_ms;
static bool with_keys, with_forged;
static uint32_t last_spi;

static uint32_t draw(uint32_t below)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % below;
}

static uint32_t ip_of(uint32_t i)
{
	return A + i;
}

static void pass(uint32_t ms)
{
	now_ms += ms;
}

static void forge(uint32_t up_to)
{
	if (with_forged)
		forged(draw(up_to + 1), now_ms);
}

static void hold_ref(uint32_t i, uint32_t ref)
{
	struct player *p = &player[i];
	if (p->count == HELD)
		esp_close(e, p->ref[--p->count]);
	memmove(p->ref + 1, p->ref, p->count++ * sizeof(p->ref[0]));
	p->ref[0] = ref;
}

/* Whether forged packets can take the place of an SPI. */
static bool is_settled(uint32_t spi)
{
	for (uint32_t ref = esp_next(e, ESP_NONE); ref; ref = esp_next(e, ref))
		for (uint32_t i = 0; i < ESP_INBOUND; i++) {
			const struct esp_inbound *in = &e->inbound[(ref - 1) * ESP_INBOUND + 1 + i];
			if (in->spi == spi && in->is_settled)
				return true;
		}
	return false;
}

/* Without keys a forged packet that comes first may be taken for the answer; then the real one leads nowhere. */
static void hears(uint32_t i, uint32_t spi)
{
	const bool may_be_lost = with_forged && !with_keys && !is_settled(spi);
	const uint32_t ref = comes(spi, now_ms);
	if (ref == ESP_NONE && may_be_lost)
		return;
	cr_assert_neq(ref, ESP_NONE, "guest %u hears nothing by %u at %lu", i, spi, now_ms);
	cr_assert_eq(esp_at(e, ref)->guest_ip_be, ip_of(i), "guest %u at %lu", i, now_ms);
}

/* What all far ends send; forged packets among it. */
static void traffic(void)
{
	for (uint32_t i = 0; i < GUESTS; i++)
		for (int k = 0; k < KEPT; k++) {
			if (player[i].inbound[k])
				hears(i, player[i].inbound[k]);
			forge(8);
		}
}

static void becomes(uint32_t i, uint32_t inbound)
{
	player[i].inbound[1] = player[i].inbound[0];
	player[i].inbound[0] = inbound;
}

static uint32_t guest_opens(uint32_t i)
{
	const uint32_t ref = opens(ip_of(i), ++last_spi, now_ms);
	cr_assert(sends(ref, now_ms), "guest %u is turned away at %lu", i, now_ms);
	hold_ref(i, ref);
	return ref;
}

/* The guest opens, the others try it meanwhile, the far end answers. */
static void opens_and_is_answered(uint32_t i)
{
	const uint32_t inbound = ++last_spi, other = draw(GUESTS);
	guest_opens(i);
	pass(20 + draw(1000));
	if (with_keys)
		forge(3000);
	else if (other != i && draw(2)) {
		const uint32_t ref = opens(ip_of(other), ++last_spi, now_ms);
		if (!with_forged) /* one of those may be taken for the pair of this */
			cr_assert_not(sends(ref, now_ms));
		esp_close(e, ref);
	}
	hears(i, inbound);
	becomes(i, inbound);
	if (!with_keys)
		return;
	forge(1);
	pass(10);
	hears(i, inbound);
}

/* The far end uses its new SPI first; the guest follows. */
static void is_called(uint32_t i)
{
	const uint32_t inbound = ++last_spi;
	const struct esp_found found = comes_for(inbound, 0, now_ms);
	if (!found.ref) {
		const struct esp_ask ask = {.way = way, .guest_ip_be = ip_of(i)};
		uint32_t ref;
		cr_assert_eq(found.guest_ip_be, ip_of(i));
		cr_assert_eq(esp_open(e, &ask, inbound, now_ms * millisecond, &ref), 0);
		hold_ref(i, ref);
	}
	becomes(i, inbound);
	forge(1);
	pass(10);
	hears(i, inbound);
	forge(3000);
	pass(20);
	guest_opens(i);
	hears(i, inbound);
}

/* After as much time as it takes to know what is loose, all is in use. */
static void settles(void)
{
	for (uint32_t ms = 0; ms <= ESP_LEAD_MS; ms += 500) {
		traffic();
		pass(500);
	}
	traffic();
}

static void plays(uint32_t seed, uint32_t steps)
{
	memset(player, 0, sizeof(player));
	state = seed;
	now_ms = 1;
	last_spi = 300;
	begin();
	for (uint32_t step = 0; step < steps; step++) {
		const uint32_t i = draw(GUESTS);
		struct player *p = &player[i];
		if (with_keys)
			keys(ip_of(i), now_ms);
		pass(draw(100));
		if (with_keys && draw(2))
			is_called(i);
		else
			opens_and_is_answered(i);
		settles();
		if (draw(4) == 0 && p->count > 1 &&
			esp_at(e, p->ref[p->count - 1])->inbound[0] == 0)
			esp_close(e, p->ref[--p->count]);
		forge(draw(10) ? 10 : 5000);
		pass(draw(20000));
		traffic();
	}
	end();
}

Test(esp_schedule, keys_seen)
{
	with_keys = true;
	for (uint32_t seed = 1; seed <= 20; seed++)
		plays(seed, 200);
}

Test(esp_schedule, keys_not_seen)
{
	for (uint32_t seed = 1; seed <= 20; seed++)
		plays(seed, 200);
}

Test(esp_schedule, keys_seen_and_forged_packets)
{
	with_keys = with_forged = true;
	for (uint32_t seed = 1; seed <= 10; seed++)
		plays(seed, 100);
}

Test(esp_schedule, keys_not_seen_and_forged_packets)
{
	with_forged = true;
	for (uint32_t seed = 1; seed <= 10; seed++)
		plays(seed, 100);
}
