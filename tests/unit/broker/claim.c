/* Whose an IP address is: the first who claims it, whom it was leased to, and when it changes hands. */
#include <criterion/criterion.h>
#include <string.h>

#include "claim.h"

#define SECOND UINT64_C(1000000000)

enum { LIMIT = 4, HERE = 0, THERE = 1 };

static struct claims claims;
static struct fdb fdb;
static const struct hash_key key = {1, 2};

static const uint8_t *mac_of(uint32_t n)
{
	static uint8_t mac[4][6];
	static unsigned int next;
	uint8_t *m = mac[next++ % 4];
	m[0] = 2;
	memcpy(m + 2, &n, 4);
	return m;
}

static void setup(void)
{
	fdb_init(&fdb, &key, LIMIT);
	claim_init(&claims, &key, LIMIT);
}

TestSuite(claim, .init = setup);

/* Station n of a port sends a frame that says it has an address. */
static bool says(uint32_t n, unsigned int slot, uint32_t ip, uint64_t now_ns)
{
	cr_assert_eq(fdb_learn(&fdb, mac_of(n), slot, now_ns), FDB_KNOWN);
	return claim_hear(&claims, &fdb, ip, mac_of(n), true, slot, now_ns);
}

Test(claim, a_neighbour_that_talks_keeps_its_address)
{
	cr_assert(says(1, HERE, 10, 0));
	for (uint64_t t = SECOND; t < 1000 * SECOND; t += 59 * SECOND) {
		cr_assert_not(says(2, THERE, 10, t));
		fdb_learn(&fdb, mac_of(1), HERE, t); /* any frame, no ARP */
	}
	cr_assert(says(1, HERE, 10, 1000 * SECOND));
	cr_assert(says(2, THERE, 11, 1000 * SECOND), "another address is free");
}

Test(claim, the_address_of_a_silent_one_is_free)
{
	says(1, HERE, 10, 0);
	cr_assert_not(says(2, THERE, 10, FDB_QUIET_NS));
	cr_assert(says(2, THERE, 10, FDB_QUIET_NS + 1));
	cr_assert_not(says(1, HERE, 10, FDB_QUIET_NS + 2), "and is the other's now");
}

Test(claim, stations_of_one_port_may_hand_it_over)
{
	says(1, HERE, 10, 0);
	cr_assert(says(3, HERE, 10, 1));
	cr_assert_eq(claims.held[HERE], 1);
	cr_assert_not(says(2, THERE, 10, 2));
}

Test(claim, a_port_that_is_gone_leaves_nothing)
{
	uint8_t mac[6];
	uint32_t cursor = 0;
	says(1, HERE, 10, 0);
	while (fdb_forget(&fdb, HERE, &cursor, mac))
		;
	claim_forget(&claims, HERE);
	cr_assert_eq(claims.held[HERE], 0);
	cr_assert(says(2, THERE, 10, 1));
}

Test(claim, a_lease_is_stronger_than_an_early_claim)
{
	says(2, THERE, 10, 0);
	fdb_learn(&fdb, mac_of(1), HERE, 0);
	claim_lease(&claims, &fdb, 10, mac_of(1), 0);
	cr_assert_not(says(2, THERE, 10, 1));
	cr_assert(says(1, HERE, 10, 1));
	claim_lease(&claims, &fdb, 10, mac_of(77), 1);
	cr_assert_not(says(2, THERE, 10, 2), "a station that is nowhere has no lease");
}

Test(claim, whoever_claims_a_whole_subnet_locks_out_nobody)
{
	uint32_t taken = 0;
	for (uint32_t ip = 1; ip < 255; ip++)
		cr_assert(says(2, THERE, ip, 0));
	for (uint32_t ip = 1; ip < 255; ip++)
		taken += !says(1, HERE, ip, 1);
	cr_assert_eq(taken, LIMIT);
}

/* A frame that speaks for another station teaches nothing, and is refused like that station's own. */
Test(claim, hearsay_is_not_learnt)
{
	fdb_learn(&fdb, mac_of(2), THERE, 0);
	cr_assert(claim_hear(&claims, &fdb, 10, mac_of(9), false, THERE, 0));
	cr_assert(says(1, HERE, 10, 1));
	cr_assert_not(claim_hear(&claims, &fdb, 10, mac_of(9), false, THERE, 2));
	cr_assert(claim_hear(&claims, &fdb, 10, mac_of(1), false, THERE, 2), "it is true");
	cr_assert_not(says(2, THERE, 10, 3));
}

Test(claim, what_aged_is_swept_and_the_table_never_overflows)
{
	fdb_init(&fdb, &key, FDB_ENTRIES);
	claim_init(&claims, &key, 2 * CLAIM_ENTRIES);
	for (uint32_t ip = 1; ip <= CLAIM_ENTRIES + 100; ip++)
		cr_assert(says(1, HERE, ip, 0));
	cr_assert_eq(claims.held[HERE], CLAIM_ENTRIES);
	cr_assert(says(2, THERE, CLAIM_ENTRIES + 1, 1), "not remembered, so free");
	for (int i = 0; i < CLAIM_ENTRIES / CLAIM_SWEEP; i++)
		claim_sweep(&claims, &fdb, FDB_AGE_NS);
	cr_assert_eq(claims.held[HERE], CLAIM_ENTRIES);
	for (int i = 0; i < CLAIM_ENTRIES / CLAIM_SWEEP; i++)
		claim_sweep(&claims, &fdb, FDB_AGE_NS + 1);
	cr_assert_eq(claims.held[HERE], 0);
	for (uint32_t ip = 1; ip <= CLAIM_ENTRIES; ip++)
		cr_assert(says(1, HERE, ip, FDB_AGE_NS + 2));
	cr_assert_eq(claims.held[HERE], CLAIM_ENTRIES, "every entry is free again");
}
