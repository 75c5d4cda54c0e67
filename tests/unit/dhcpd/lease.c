/* The pool: who gets which address, and what a hostile client or journal cannot do. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lease.h"

#define HOUR_MS	  3600000ull
#define SECOND_NS 1000000000ull

static struct lease_pool p;
static struct lease_time t = {1000 * SECOND_NS, 1700000000000ull};
static enum drop why;
static struct lease_plan plan;
static struct lease_reservation reserved[8];

static void pool(uint32_t count)
{
	struct hash_key key = {1, 2};
	lease_init(&p, calloc(1, lease_bytes(count + 4)), count + 4, &key);
	plan = (struct lease_plan){.from = 0xc0a81e0a,
		.to = 0xc0a81e0a + count - 1,
		.netmask = 0xffffff00,
		.server = 0xc0a81e01,
		.reservation = reserved};
	cr_assert_eq(lease_plan(&p, &plan, t), 0);
}

/* Keeps an address for a station. */
static int reserve(const char *ip, const uint8_t mac[6], const char *name)
{
	struct lease_reservation *r = &reserved[plan.reservations++];
	r->ip_be = inet_addr(ip);
	memcpy(r->mac, mac, 6);
	snprintf(r->name, sizeof(r->name), "%s", name);
	return lease_plan(&p, &plan, t);
}

static struct lease_client station(uint32_t n)
{
	struct lease_client c = {
		.mac = {2, 0, 0, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
	return c;
}

static struct lease *offer(const struct lease_client *c, uint32_t wish_be)
{
	return lease_offer(&p, c, wish_be, t, &why);
}

static struct lease *bind_one(uint32_t n)
{
	struct lease_client c = station(n);
	struct lease *l = offer(&c, 0);
	cr_assert(l);
	lease_bind(&p, l, &c, HOUR_MS, t);
	return l;
}

static void pass(uint64_t ns)
{
	struct lease gone;
	t.now_ns += ns;
	t.wall_ms += ns / 1000000;
	while (lease_expire(&p, t, &gone))
		;
}

/* Every lease is in the list of its state, once; the counts agree. */
static void check(void)
{
	uint32_t seen = 0;
	for (int state = 0; state < LEASE_STATES; state++) {
		uint32_t n = 0;
		for (uint32_t i = p.list[state].first; i != LEASE_NONE; i = p.lease[i].next, n++) {
			cr_assert_eq((int)p.lease[i].state, state);
			cr_assert_lt(n, p.top);
		}
		cr_assert_eq(n, p.list[state].count);
		seen += n;
	}
	cr_assert_eq(seen, p.top);
	cr_assert_eq(seen - p.list[LEASE_UNUSED].count, p.count);
}

Test(lease, offers_differ_and_stay_with_their_client)
{
	pool(8);
	struct lease_client a = station(1), b = station(2);
	struct lease *la = offer(&a, 0), *lb = offer(&b, 0);
	cr_expect(la && lb && la != lb);
	cr_expect_eq(offer(&a, 0), la);
	cr_expect_eq(la->ip_be, inet_addr("192.168.30.10"), "the first address first");
	cr_expect_eq(lease_of_client(&p, &b), lb);
	cr_expect_eq(lease_of_address(&p, lb->ip_be), lb);
	check();
}

Test(lease, a_client_id_names_the_client_but_takes_no_live_lease)
{
	pool(8);
	struct lease_client a = station(1), b = station(1), c = station(2);
	a.id = b.id = c.id = (const uint8_t *)"\0id";
	a.id_bytes = c.id_bytes = 3;
	struct lease *la = offer(&a, 0);
	cr_expect_neq(offer(&b, 0), la, "the same MAC without an id is another client");
	struct lease *lc = offer(&c, 0);
	cr_expect_neq(lc, la, "the same id with another MAC while the first is offered");
	lease_bind(&p, la, &a, HOUR_MS, t);
	cr_expect_eq(offer(&c, la->ip_be), lc, "or bound");
	cr_expect_null(lease_claim(&p, &c, la->ip_be, t));
	cr_expect_eq(lease_of_client(&p, &a), la);
	cr_expect_eq(lease_of_client(&p, &c), lc);
	cr_expect_eq(memcmp(la->mac, a.mac, 6), 0);
	check();
}

Test(lease, a_client_id_finds_its_old_address_under_a_new_mac)
{
	pool(8);
	struct lease_client a = station(1), c = station(2);
	a.id = c.id = (const uint8_t *)"\0id";
	a.id_bytes = c.id_bytes = 3;
	struct lease *la = offer(&a, 0);
	lease_bind(&p, la, &a, HOUR_MS, t);
	pass(HOUR_MS * 1000000 + SECOND_NS);
	cr_expect_eq(la->state, LEASE_EXPIRED);
	cr_expect_eq(offer(&c, 0), la, "a new interface in the same machine");
	cr_expect_neq(offer(&a, 0), la, "and now it is that one's");
	check();
}

Test(lease, free_wishes_are_granted_and_others_refused)
{
	pool(8);
	struct lease_client a = station(1), b = station(2);
	uint32_t wish = inet_addr("192.168.30.15");
	struct lease *l = offer(&a, wish);
	cr_expect_eq(l->ip_be, wish);
	cr_expect_neq(offer(&b, wish), l);
	struct lease_client c = station(3);
	cr_expect_null(lease_claim(&p, &c, wish, t), "offered to another");
	cr_expect_null(lease_claim(&p, &c, inet_addr("192.168.30.1"), t), "not of the pool");
	cr_expect_null(lease_claim(&p, &c, 0, t));
	cr_expect_null(lease_claim(&p, &a, inet_addr("192.168.30.16"), t), "it has another one");
	cr_expect(lease_claim(&p, &c, inet_addr("192.168.30.16"), t));
	check();
}

Test(lease, expired_leases_come_back_to_their_client)
{
	pool(8);
	struct lease *l = bind_one(1);
	struct lease gone;
	cr_expect_eq(lease_next(&p), t.now_ns + HOUR_MS * 1000000);
	t.now_ns += HOUR_MS * 1000000 - 1;
	cr_expect_not(lease_expire(&p, t, &gone));
	t.now_ns++;
	cr_expect(
		lease_expire(&p, t, &gone) && gone.ip_be == l->ip_be && l->state == LEASE_EXPIRED);
	struct lease_client c = station(1), d = station(2);
	cr_expect_neq(offer(&d, 0), l, "there are free ones");
	cr_expect_eq(offer(&c, 0), l);
	pass(LEASE_OFFER_NS);
	cr_expect_eq(l->state, LEASE_EXPIRED, "an offer that lapses leaves it known");
	check();
}

Test(lease, an_unanswered_offer_is_free_again)
{
	pool(1);
	struct lease_client a = station(1), b = station(2);
	struct lease *l = offer(&a, 0);
	cr_expect_null(offer(&b, 0));
	cr_expect_eq(why, DROP_DHCP_POOL);
	pass(LEASE_OFFER_GRACE_NS);
	cr_expect_eq(offer(&b, 0), l, "reclaimed when the pool is out");
	cr_expect_null(lease_of_client(&p, &a));
	pass(LEASE_OFFER_NS);
	cr_expect_eq(l->state, LEASE_FREE);
	check();
}

Test(lease, known_clients_have_a_reserve)
{
	pool(64);
	for (uint32_t i = 0; i < 64; i++) {
		bind_one(i);
		pass(SECOND_NS);
	}
	pass(HOUR_MS * 1000000);
	for (uint32_t i = 0; i < 62; i++)
		bind_one(1000 + i);
	struct lease_client stranger = station(5000), known = station(63);
	cr_expect_null(offer(&stranger, 0));
	cr_expect(offer(&known, 0));
	check();
}

Test(lease, released_addresses_are_for_anyone_but_first_for_their_client)
{
	pool(2);
	struct lease *a = bind_one(1);
	bind_one(2);
	lease_release(&p, a, t);
	struct lease_client c = station(1), d = station(3);
	cr_expect_eq(offer(&c, 0), a);
	lease_bind(&p, a, &c, HOUR_MS, t);
	lease_release(&p, a, t);
	cr_expect_eq(offer(&d, 0), a);
	cr_expect_null(lease_of_client(&p, &c));
	check();
}

Test(lease, declined_addresses_are_quarantined_within_bounds)
{
	pool(8);
	struct lease *first = bind_one(1);
	lease_decline(&p, first, t);
	struct lease_client c = station(1);
	struct lease *next = offer(&c, first->ip_be);
	cr_expect(next && next != first);
	for (uint32_t i = 2; i < 50; i++)
		lease_decline(&p, bind_one(i), t);
	cr_expect_eq(p.list[LEASE_DECLINED].count, 2, "a quarter");
	pass(LEASE_QUARANTINE_NS);
	cr_expect_eq(p.list[LEASE_DECLINED].count, 0);
	check();
}

Test(lease, one_station_cannot_take_the_pool_with_invented_ids)
{
	pool(64);
	uint8_t id[2] = {0, 0};
	for (int i = 0; i < 200; i++) {
		struct lease_client c = station(1);
		id[1] = (uint8_t)i;
		c.id = id;
		c.id_bytes = 2;
		struct lease *l = offer(&c, 0);
		cr_assert_eq(l != NULL, i < LEASE_PER_MAC);
		if (l)
			lease_bind(&p, l, &c, HOUR_MS, t);
		else
			cr_assert_eq(why, DROP_DHCP_QUOTA);
	}
	cr_expect_eq(lease_taken(&p), LEASE_PER_MAC);
	check();
}

Test(lease, reservations_are_kept)
{
	pool(4);
	struct lease_client a = station(1), b = station(2);
	uint32_t inside = inet_addr("192.168.30.11"), outside = inet_addr("192.168.30.99");
	cr_assert_eq(reserve("192.168.30.11", a.mac, "nt4"), 0);
	cr_assert_eq(reserve("192.168.30.99", b.mac, ""), 0);
	cr_expect_str_eq(lease_of_address(&p, inside)->name, "nt4");
	cr_expect_eq(reserve("192.168.30.11", station(3).mac, ""), -EEXIST);
	plan.reservations--;
	cr_expect_eq(reserve("192.168.30.12", a.mac, ""), -EEXIST);
	plan.reservations--;
	for (uint32_t i = 10; i < 13; i++)
		bind_one(i);
	struct lease_client c = station(20);
	cr_expect_null(offer(&c, inside), "kept, though the pool is out");
	cr_expect_eq(offer(&a, 0)->ip_be, inside);
	cr_expect_eq(offer(&b, 0)->ip_be, outside);
	struct lease_client a2 = a;
	a2.id = (const uint8_t *)"\1xyz";
	a2.id_bytes = 4;
	cr_expect_eq(offer(&a2, 0)->ip_be, inside, "the station comes under another id");
	cr_expect_null(lease_of_client(&p, &a));
	check();
}

static int restore(const struct lease_client *c, const char *ip, enum lease_state state,
	uint32_t entry, int64_t from_s, int64_t to_s)
{
	return lease_restore(&p, c, inet_addr(ip), state, entry,
		t.wall_ms + (uint64_t)(from_s * 1000), t.wall_ms + (uint64_t)(to_s * 1000), HOUR_MS,
		t);
}

Test(lease, restores_what_was_stored)
{
	pool(8);
	struct lease_client a = station(1), b = station(2);
	a.host = (const uint8_t *)"NT4";
	a.host_bytes = 3;
	cr_expect_eq(restore(&a, "192.168.30.12", LEASE_BOUND, 41, -60, 1800), 0);
	cr_expect_eq(restore(&b, "192.168.30.13", LEASE_BOUND, 40, -60, 1000000), 0,
		"a clock that jumped");
	const struct lease *l = lease_of_client(&p, &a);
	cr_expect(l->ip_be == inet_addr("192.168.30.12") && l->entry == 41 && l->host_bytes == 3);
	cr_expect_eq(l->expires_ns, t.now_ns + 1800 * SECOND_NS);
	cr_expect_eq(lease_of_client(&p, &b)->expires_ns, t.now_ns + HOUR_MS * 1000000);
	cr_expect_eq(bind_one(3)->entry, 42, "numbers go on");
	struct lease_client none = {0};
	cr_expect_eq(restore(&none, "192.168.30.14", LEASE_DECLINED, 0, -10, 10), 0);
	cr_expect_eq(lease_of_address(&p, inet_addr("192.168.30.14"))->state, LEASE_DECLINED);
	struct lease gone;
	cr_expect_eq(restore(&b, "192.168.30.15", LEASE_BOUND, 43, -7200, -3600), 0,
		"ran out meanwhile");
	cr_expect(lease_expire(&p, t, &gone) && gone.entry == 43);
	check();
}

Test(lease, a_hostile_journal_plants_nothing)
{
	pool(8);
	struct lease_client a = station(1), group = a, none = {0}, wide = a;
	group.mac[0] = 3;
	wide.id = a.mac;
	wide.id_bytes = 256;
	cr_expect_eq(restore(&a, "192.168.30.1", LEASE_BOUND, 1, 0, 60), -ENOENT);
	cr_expect_eq(restore(&a, "0.0.0.0", LEASE_BOUND, 1, 0, 60), -ENOENT);
	cr_expect_eq(restore(&a, "192.168.30.10", LEASE_BOUND, 0, 0, 60), -EINVAL);
	cr_expect_eq(restore(&a, "192.168.30.10", LEASE_BOUND, 1, 60, 0), -EINVAL);
	cr_expect_eq(restore(&a, "192.168.30.10", LEASE_OFFERED, 1, 0, 60), -EINVAL);
	cr_expect_eq(restore(&a, "192.168.30.10", (enum lease_state)77, 1, 0, 60), -EINVAL);
	cr_expect_eq(restore(&group, "192.168.30.10", LEASE_BOUND, 1, 0, 60), -EINVAL);
	cr_expect_eq(restore(&none, "192.168.30.10", LEASE_BOUND, 1, 0, 60), -EINVAL);
	cr_expect_eq(restore(&wide, "192.168.30.10", LEASE_BOUND, 1, 0, 60), -EINVAL);
	cr_expect_eq(lease_taken(&p), 0);
	cr_expect_eq(restore(&a, "192.168.30.10", LEASE_BOUND, 1, 0, 60), 0);
	cr_expect_eq(restore(&a, "192.168.30.11", LEASE_BOUND, 2, 0, 60), 0,
		"the same client twice: the later counts");
	cr_expect_eq(lease_taken(&p), 1);
	struct lease_client b = station(2);
	cr_expect_eq(restore(&b, "192.168.30.11", LEASE_BOUND, 3, 0, 60), 0,
		"the same address twice likewise");
	cr_expect_eq(restore(&b, "192.168.30.10", LEASE_BOUND, 2, 0, 60), 0);
	cr_expect_eq(restore(&b, "192.168.30.10", LEASE_RELEASED, 1, 0, 60), 0);
	cr_expect_eq(lease_of_client(&p, &b)->ip_be, inet_addr("192.168.30.11"),
		"the latest counts in whatever order they come");
	cr_expect_eq(lease_taken(&p), 1);
	cr_expect_null(lease_of_client(&p, &a));
	check();
}

Test(lease, random_use_keeps_the_books)
{
	pool(32);
	cr_assert_eq(reserve("192.168.30.12", station(3).mac, ""), 0);
	uint32_t seed = 7;
	for (int i = 0; i < 50000; i++) {
		seed = seed * 1664525 + 1013904223;
		struct lease_client c = station(seed >> 8 & 63);
		c.id = (const uint8_t *)"abcdefgh" + (seed >> 14 & 3);
		c.id_bytes = seed >> 20 & 1 ? 4 : 0;
		struct lease *l = lease_of_client(&p, &c);
		switch (seed >> 27) {
		case 0: pass((seed & 0xfff) * SECOND_NS); break;
		case 1:
			if (l && l->state == LEASE_BOUND)
				lease_release(&p, l, t);
			break;
		case 2:
			if (l && l->state == LEASE_BOUND)
				lease_decline(&p, l, t);
			break;
		case 3:
			if (l && l->state == LEASE_OFFERED)
				lease_withdraw(&p, l, t);
			break;
		case 4: restore(&c, "192.168.30.20", LEASE_BOUND, 1 + (seed & 0xff), 0, 600); break;
		default:
			l = seed >> 26 & 1
				    ? offer(&c, htonl(0xc0a81e0a + (seed >> 16 & 31)))
				    : lease_claim(&p, &c, htonl(0xc0a81e0a + (seed >> 16 & 31)), t);
			if (l && seed >> 25 & 1)
				lease_bind(&p, l, &c, HOUR_MS, t);
		}
		if (i % 16 == 0)
			check();
	}
}
