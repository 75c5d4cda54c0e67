/* The MAC table: learning, ageing, moving, limits, and a long random run against a plain model. */
#include <criterion/criterion.h>
#include <string.h>

#include "fdb.h"

#define SECOND UINT64_C(1000000000)

static struct fdb fdb;
static const struct hash_key key = {1, 2};

static const uint8_t *mac_of(uint32_t n)
{
	static uint8_t mac[6];
	mac[0] = 2;
	mac[1] = 0;
	memcpy(mac + 2, &n, 4);
	return mac;
}

Test(fdb, learns_and_finds)
{
	fdb_init(&fdb, &key, 4);
	cr_assert_eq(fdb_find(&fdb, mac_of(1), 0), FDB_NONE);
	cr_assert_eq(fdb_learn(&fdb, mac_of(1), 7, SECOND), FDB_KNOWN);
	cr_assert_eq(fdb_find(&fdb, mac_of(1), SECOND), 7);
	cr_assert_eq(fdb_find(&fdb, mac_of(2), SECOND), FDB_NONE);
}

Test(fdb, forgets_after_ageing_time_but_a_frame_refreshes)
{
	fdb_init(&fdb, &key, 4);
	fdb_learn(&fdb, mac_of(1), 0, 0);
	cr_assert_eq(fdb_find(&fdb, mac_of(1), FDB_AGE_NS), 0);
	cr_assert_eq(fdb_find(&fdb, mac_of(1), FDB_AGE_NS + 1), FDB_NONE);
	fdb_learn(&fdb, mac_of(1), 0, FDB_AGE_NS);
	cr_assert_eq(fdb_find(&fdb, mac_of(1), 2 * FDB_AGE_NS), 0);
}

Test(fdb, a_station_that_talks_cannot_be_taken_over)
{
	fdb_init(&fdb, &key, 4);
	fdb_learn(&fdb, mac_of(1), 0, 0);
	for (uint64_t t = SECOND; t < 1000 * SECOND; t += 59 * SECOND) {
		cr_assert_eq(fdb_learn(&fdb, mac_of(1), 1, t), FDB_ELSEWHERE);
		cr_assert_eq(fdb_learn(&fdb, mac_of(1), 0, t), FDB_KNOWN);
		cr_assert_eq(fdb_find(&fdb, mac_of(1), t), 0);
	}
}

Test(fdb, the_thief_s_frames_do_not_keep_the_entry_alive)
{
	fdb_init(&fdb, &key, 4);
	fdb_learn(&fdb, mac_of(1), 0, 0);
	cr_assert_eq(fdb_learn(&fdb, mac_of(1), 1, FDB_QUIET_NS), FDB_ELSEWHERE);
	cr_assert_eq(fdb_learn(&fdb, mac_of(1), 1, FDB_QUIET_NS + 1), FDB_KNOWN,
		"quiet long enough: moved");
	cr_assert_eq(fdb_find(&fdb, mac_of(1), FDB_QUIET_NS + 1), 1);
	cr_assert_eq(fdb.macs[0], 0);
	cr_assert_eq(fdb.macs[1], 1);
}

Test(fdb, a_port_has_its_limit_and_others_are_not_touched)
{
	fdb_init(&fdb, &key, 3);
	for (uint32_t n = 0; n < 3; n++)
		cr_assert_eq(fdb_learn(&fdb, mac_of(n), 0, 0), FDB_KNOWN);
	for (uint32_t n = 3; n < 10000; n++)
		cr_assert_eq(fdb_learn(&fdb, mac_of(n), 0, 0), FDB_FULL);
	cr_assert_eq(fdb_learn(&fdb, mac_of(2), 0, 1), FDB_KNOWN, "known stations go on");
	cr_assert_eq(fdb_learn(&fdb, mac_of(99999), 1, 0), FDB_KNOWN, "another port has its own");
}

Test(fdb, moving_in_respects_the_limit)
{
	fdb_init(&fdb, &key, 1);
	fdb_learn(&fdb, mac_of(1), 0, 0);
	fdb_learn(&fdb, mac_of(2), 1, 0);
	cr_assert_eq(fdb_learn(&fdb, mac_of(1), 1, FDB_QUIET_NS + 1), FDB_FULL);
	cr_assert_eq(fdb_find(&fdb, mac_of(1), FDB_QUIET_NS + 1), 0);
}

Test(fdb, table_full_refuses_and_sweep_makes_room)
{
	fdb_init(&fdb, &key, 1u << 31);
	cr_assert_eq(fdb.limit, FDB_ENTRIES);
	for (uint32_t n = 0; n < FDB_ENTRIES; n++)
		cr_assert_eq(fdb_learn(&fdb, mac_of(n), n % PORTS_MAX, 0), FDB_KNOWN);
	cr_assert_eq(fdb_learn(&fdb, mac_of(FDB_ENTRIES), 0, 1), FDB_FULL);
	fdb_sweep(&fdb, FDB_AGE_NS);
	cr_assert_eq(fdb_learn(&fdb, mac_of(FDB_ENTRIES), 0, FDB_AGE_NS), FDB_FULL, "not old yet");
	for (int i = 0; i < FDB_ENTRIES / FDB_SWEEP; i++)
		fdb_sweep(&fdb, FDB_AGE_NS + 1);
	for (int slot = 0; slot < PORTS_MAX; slot++)
		cr_assert_eq(fdb.macs[slot], 0);
	for (uint32_t n = 0; n < FDB_ENTRIES; n++)
		cr_assert_eq(fdb_learn(&fdb, mac_of(n + 7), 0, 2 * FDB_AGE_NS), FDB_KNOWN);
}

Test(fdb, forget_names_each_station_of_the_port_once)
{
	uint8_t mac[6];
	uint32_t cursor = 0, seen = 0;
	fdb_init(&fdb, &key, FDB_ENTRIES);
	for (uint32_t n = 0; n < 300; n++)
		fdb_learn(&fdb, mac_of(n), n % 3, 0);
	while (fdb_forget(&fdb, 1, &cursor, mac)) {
		uint32_t n;
		memcpy(&n, mac + 2, 4);
		cr_assert_eq(n % 3, 1);
		seen++;
	}
	cr_assert_eq(seen, 100);
	cr_assert_eq(fdb_find(&fdb, mac_of(1), 0), FDB_NONE);
	cr_assert_eq(fdb_find(&fdb, mac_of(2), 0), 2);
	cr_assert_eq(fdb_learn(&fdb, mac_of(1), 2, 0), FDB_KNOWN, "free to live elsewhere at once");
}

enum { MODEL = 600 };

/* A plain model: slot and time of each address, without hash or lists. */
struct model {
	int slot[MODEL];
	uint64_t heard[MODEL];
};

static enum fdb_learned model_learn(
	struct model *m, uint32_t n, int slot, uint64_t now, uint32_t limit)
{
	uint32_t here = 0;
	for (int i = 0; i < MODEL; i++)
		here += m->slot[i] == slot;
	if (m->slot[n] != slot) {
		if (m->slot[n] != FDB_NONE && now - m->heard[n] <= FDB_QUIET_NS)
			return FDB_ELSEWHERE;
		if (here >= limit)
			return FDB_FULL;
	}
	m->slot[n] = slot;
	m->heard[n] = now;
	return FDB_KNOWN;
}

Test(fdb, random_run_agrees_with_a_plain_model)
{
	static struct model m;
	uint64_t now = 0;
	uint32_t seed = 12345, limit = 40;
	fdb_init(&fdb, &key, limit);
	for (int i = 0; i < MODEL; i++)
		m.slot[i] = FDB_NONE;
	for (int i = 0; i < 100000; i++) {
		uint32_t n, slot;
		int expected;
		seed = seed * 1664525 + 1013904223;
		n = (seed >> 8) % MODEL;
		slot = (seed >> 20) % 8;
		now += seed % (SECOND / 4);
		cr_assert_eq(fdb_learn(&fdb, mac_of(n), slot, now),
			model_learn(&m, n, (int)slot, now, limit));
		n = (n * 7 + 3) % MODEL;
		expected = m.slot[n] != FDB_NONE && now - m.heard[n] <= FDB_AGE_NS ? m.slot[n]
										   : FDB_NONE;
		cr_assert_eq(fdb_find(&fdb, mac_of(n), now), expected);
	}
}
