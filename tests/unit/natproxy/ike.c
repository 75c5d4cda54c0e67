/* Which guest an IKE message is for: what is one, cookies that guests sent by and that were guessed, bounds. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "ike.h"

enum { A = 101, B = 102, C = 103, PEER = 7, OTHER_PEER = 8 };
static const uint64_t millisecond = 1000000;

static struct ike *k;

static void begin(void)
{
	const struct hash_key key = {1, 2};
	k = calloc(1, sizeof(*k));
	ike_init(k, &key);
}

static void end(void)
{
	free(k);
}

TestSuite(ike, .init = begin, .fini = end);

/* Times are milliseconds. */
static void sends(uint32_t guest, uint64_t cookie, uint64_t at)
{
	ike_sends(k, PEER, guest, cookie, at * millisecond);
}

static uint32_t comes(uint64_t cookie)
{
	return ike_receives(k, PEER, cookie);
}

/* ---- messages ---- */

/* The header of an IKE_SA_INIT (RFC 7296 3.1), its length as it is. */
static const uint8_t header[IKE_HEADER_BYTES] = {
	1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 33, 0x20, 34, 8, 0, 0, 0, 0, 0, 0, 1, 0};

static uint64_t with(size_t at, uint8_t value)
{
	uint8_t copy[IKE_HEADER_BYTES];
	memcpy(copy, header, sizeof(copy));
	copy[at] = value;
	return ike_cookie(copy, sizeof(copy));
}

Test(ike, the_cookie_is_the_first_eight_bytes_in_network_order)
{
	cr_assert_eq(ike_cookie(header, sizeof(header)), 0x0102030405060708);
	cr_assert_eq(with(0, 0xff), 0xff02030405060708);
	cr_assert_eq(with(7, 0), 0x0102030405060700);
}

Test(ike, a_header_that_is_cut_is_none)
{
	for (size_t n = 0; n < sizeof(header); n++) {
		uint8_t *cut = malloc(n ? n : 1); /* so that a sanitizer sees what is read beyond */
		memcpy(cut, header, n);
		cr_assert_eq(ike_cookie(cut, n), 0, "%zu bytes", n);
		free(cut);
	}
}

Test(ike, versions_one_and_two)
{
	for (unsigned int version = 0; version < 256; version++)
		cr_assert_eq(
			with(17, (uint8_t)version) != 0, version >> 4 == 1 || version >> 4 == 2);
}

Test(ike, a_length_that_a_datagram_holds)
{
	static const struct {
		uint32_t length;
		bool good;
	} row[] = {{0, false}, {27, false}, {28, true}, {65507, true}, {65508, false},
		{0x10000, false}, {0x1000100, false}, {0xffffffff, false}};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint8_t copy[IKE_HEADER_BYTES];
		memcpy(copy, header, sizeof(copy));
		for (int b = 0; b < 4; b++)
			copy[24 + b] = (uint8_t)(row[i].length >> (24 - 8 * b));
		cr_assert_eq(ike_cookie(copy, sizeof(copy)) != 0, row[i].good, "%u", row[i].length);
	}
}

Test(ike, a_cookie_of_zero_is_none)
{
	uint8_t copy[IKE_HEADER_BYTES];
	memcpy(copy, header, sizeof(copy));
	memset(copy, 0, 8);
	cr_assert_eq(ike_cookie(copy, sizeof(copy)), 0);
	copy[7] = 1;
	cr_assert_eq(ike_cookie(copy, sizeof(copy)), 1);
}

Test(ike, with_the_marker_of_port_4500_a_first_message_is_none)
{
	uint8_t marked[4 + IKE_HEADER_BYTES] = {0};
	memcpy(marked + 4, header, sizeof(header));
	cr_assert_eq(ike_cookie(marked, sizeof(marked)), 0);
}

/* ---- cookies ---- */

Test(ike, a_cookie_is_the_guests_that_sent_by_it)
{
	sends(A, 1, 1);
	sends(B, 2, 2);
	cr_assert_eq(comes(1), A);
	cr_assert_eq(comes(2), B);
	cr_assert_eq(ike_receives(k, OTHER_PEER, 1), 0, "another peer's");
	cr_assert_eq(comes(0), 0);
}

Test(ike, who_sent_by_a_cookie_first_keeps_it)
{
	sends(A, 1, 1);
	sends(B, 1, 2);
	cr_assert_eq(comes(1), A);
	ike_sends(k, OTHER_PEER, B, 1, 4);
	cr_assert_eq(ike_receives(k, OTHER_PEER, 1), B, "with another peer it is another one");
	cr_assert_eq(comes(1), A);
}

Test(ike, an_unknown_one_is_the_only_guests)
{
	cr_assert_eq(comes(9), 0, "nobody speaks with this peer");
	cr_assert_eq(k->entries.fresh, 0);
	sends(A, 1, 1);
	ike_sends(k, OTHER_PEER, B, 2, 2);
	cr_assert_eq(comes(9), A);
	sends(B, 3, 10000);
	cr_assert_eq(comes(9), A, "it is known from then on");
}

Test(ike, an_unknown_one_is_the_guests_that_spoke_last_if_it_leads)
{
	sends(A, 1, 1000);
	sends(B, 2, 1000 + IKE_LEAD_MS - 1);
	cr_assert_eq(comes(9), 0);
	sends(B, 2, 1000 + IKE_LEAD_MS);
	cr_assert_eq(comes(9), B);
	sends(A, 1, 10000);
	sends(C, 3, 10001);
	cr_assert_eq(comes(10), 0);
	sends(A, 1, 20000);
	cr_assert_eq(comes(10), A);
	cr_assert_eq(comes(9), B);
}

Test(ike, what_comes_makes_nobody_the_last_speaker)
{
	sends(A, 1, 1000);
	sends(B, 2, 5000);
	cr_assert_eq(comes(1), A);
	cr_assert_eq(comes(9), B);
}

Test(ike, what_was_guessed_is_the_guests_that_sends_by_it)
{
	sends(A, 1, 1000);
	cr_assert_eq(comes(9), A);
	sends(B, 9, 3000);
	cr_assert_eq(comes(9), B);
	sends(A, 9, 3002);
	cr_assert_eq(comes(9), B, "which keeps it");
}

Test(ike, what_was_guessed_and_said_is_kept)
{
	sends(A, 1, 1000);
	cr_assert_eq(comes(9), A);
	sends(A, 9, 2001);
	sends(B, 9, 2002);
	cr_assert_eq(comes(9), A);
}

Test(ike, what_is_forgotten_is_of_these_two_only)
{
	sends(A, 1, 1);
	sends(A, 2, 1);
	cr_assert_eq(comes(9), A);
	sends(B, 3, 5000);
	ike_sends(k, OTHER_PEER, A, 4, 5000);
	ike_forget(k, PEER, A);
	ike_forget(k, PEER, C);
	cr_assert_eq(comes(1), B, "the only one that is left");
	cr_assert_eq(comes(9), B);
	cr_assert_eq(comes(3), B);
	cr_assert_eq(ike_receives(k, OTHER_PEER, 4), A);
	ike_forget(k, PEER, B);
	cr_assert_eq(comes(3), 0);
	ike_forget(k, OTHER_PEER, A);
	cr_assert_eq(ike_receives(k, OTHER_PEER, 4), 0);
	cr_assert_eq(k->all_pairs.first, IKE_NONE);
	cr_assert_eq(k->all_entries[IKE_SAID].first, IKE_NONE);
	cr_assert_eq(k->all_entries[IKE_GUESSED].first, IKE_NONE);
}

/* ---- bounds ---- */

/* Two guests whose last words are too close for a guess, so that only what is known leads anywhere. */
static void nobody_leads(uint64_t at)
{
	ike_sends(k, PEER, B, 1000000, at * millisecond);
	ike_sends(k, PEER, C, 1000001, at * millisecond);
}

Test(ike, of_a_guests_cookies_the_one_unheard_longest_gives_way)
{
	for (uint64_t cookie = 1; cookie <= IKE_COOKIES_PER_GUEST; cookie++)
		sends(A, cookie, cookie);
	cr_assert_eq(comes(1), A, "heard from outside");
	sends(A, 2, 101);
	sends(A, 500, 102);
	nobody_leads(103);
	cr_assert_eq(comes(1), A);
	cr_assert_eq(comes(2), A);
	cr_assert_eq(comes(3), 0);
	cr_assert_eq(comes(4), A);
	cr_assert_eq(comes(500), A);
}

Test(ike, thousands_of_a_guest_leave_others_theirs)
{
	nobody_leads(1);
	for (uint64_t cookie = 1; cookie <= 20000; cookie++)
		sends(A, cookie, 2);
	cr_assert_eq(k->entries.fresh, IKE_COOKIES_PER_GUEST + 2);
	cr_assert_eq(comes(1000000), B);
	cr_assert_eq(comes(1000001), C);
	cr_assert_eq(comes(20000), A);
}

Test(ike, thousands_from_outside_take_no_cookie_of_a_guest)
{
	for (uint64_t cookie = 1; cookie < IKE_COOKIES_PER_GUEST; cookie++)
		sends(A, cookie, 1);
	for (uint64_t cookie = 1000; cookie < 9000; cookie++)
		cr_assert_eq(comes(cookie), A);
	sends(A, 100, 3);
	for (uint64_t cookie = 10000; cookie < 19000; cookie++)
		cr_assert_eq(comes(cookie), A, "though it is not noted");
	nobody_leads(5);
	for (uint64_t cookie = 1; cookie < IKE_COOKIES_PER_GUEST; cookie++)
		cr_assert_eq(comes(cookie), A);
	cr_assert_eq(comes(100), A);
	cr_assert_eq(comes(18999), 0);
}

Test(ike, a_full_table_forgets_the_cookie_unheard_longest)
{
	const uint32_t guests = IKE_COOKIES / IKE_COOKIES_PER_GUEST;
	for (uint64_t i = 0; i < IKE_COOKIES; i++)
		sends(1000 + (uint32_t)(i % guests), 1 + i, 1);
	cr_assert_eq(comes(1), 1000);
	sends(A, 1000000, 3);
	cr_assert_eq(k->entries.fresh, IKE_COOKIES);
	cr_assert_eq(comes(1), 1000);
	cr_assert_eq(comes(2), 0);
	cr_assert_eq(comes(3), 1002);
	cr_assert_eq(comes(1000000), A);
}

Test(ike, a_guess_takes_no_place_of_a_full_table_but_of_a_guess)
{
	const uint32_t guests = IKE_COOKIES / IKE_COOKIES_PER_GUEST;
	for (uint64_t i = 0; i < IKE_COOKIES - 2; i++)
		sends(1000 + (uint32_t)(i % guests), 1 + i, 1);
	ike_sends(k, OTHER_PEER, A, 1, 1);
	for (uint64_t cookie = 10000; cookie < 11000; cookie++)
		cr_assert_eq(ike_receives(k, OTHER_PEER, cookie), A);
	for (uint64_t i = 0; i < IKE_COOKIES - 2; i++)
		cr_assert_eq(comes(1 + i), 1000 + i % guests);
}

Test(ike, a_guest_with_thousands_of_peers_leaves_others_theirs)
{
	nobody_leads(1);
	for (uint32_t peer = 1000; peer < 9000; peer++)
		ike_sends(k, peer, A, 5, 2);
	cr_assert_eq(k->pairs.fresh, IKE_PEERS_PER_GUEST + 2);
	cr_assert_eq(comes(1000000), B);
	cr_assert_eq(ike_receives(k, 8999, 5), A);
	cr_assert_eq(ike_receives(k, 9000 - IKE_PEERS_PER_GUEST, 5), A);
	cr_assert_eq(ike_receives(k, 8999 - IKE_PEERS_PER_GUEST, 5), 0);
}

Test(ike, of_all_guests_with_a_peer_the_one_unheard_longest_gives_way)
{
	for (uint32_t i = 0; i < IKE_PEERS; i++)
		ike_sends(k, 1000 + i, 5000 + i / 32, 1, 1);
	cr_assert_eq(ike_receives(k, 1000, 1), 5000);
	ike_sends(k, PEER, A, 1, 3);
	cr_assert_eq(k->pairs.fresh, IKE_PEERS);
	cr_assert_eq(ike_receives(k, 1000, 1), 5000, "heard");
	cr_assert_eq(ike_receives(k, 1001, 1), 0);
	cr_assert_eq(ike_receives(k, 1002, 1), 5000);
	cr_assert_eq(comes(1), A);
}
