/* Which guest an ESP packet is for: pairs, turns, what came loosely, keys. */
#include <criterion/criterion.h>
#include <errno.h>

#include "esp_acts.h"

TestSuite(esp, .init = acts_begin, .fini = acts_end);

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
