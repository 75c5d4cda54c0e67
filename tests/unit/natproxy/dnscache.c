/* What is kept, how it is served, who pushes out whom. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dnscache.h"

static const uint64_t second = 1000000000;
static const struct hash_key key = {1, 2};

static struct dnscache *cache_of(uint32_t capacity)
{
	struct dnscache *c = calloc(1, sizeof(*c));
	dnscache_init(c, &key, capacity);
	return c;
}

/* A query for NAME.test A; its length. */
static size_t query_for(const char *name, uint8_t *out)
{
	static const uint8_t tail[] = {4, 't', 'e', 's', 't', 0, 0, 1, 0, 1};
	const size_t label = strlen(name);
	memset(out, 0, 12);
	out[0] = 0xab;
	out[1] = 0xcd;
	out[2] = 1;
	out[5] = 1;
	out[12] = (uint8_t)label;
	memcpy(out + 13, name, label);
	memcpy(out + 13 + label, tail, sizeof(tail));
	return 13 + label + sizeof(tail);
}

static struct dnsmsg_question asked(const char *name, uint8_t *query)
{
	struct dnsmsg_question q;
	cr_assert_eq(dnsmsg_query(query, query_for(name, query), &q), DNSMSG_PLAIN);
	return q;
}

/* Keeps an answer of `records` addresses. */
static void keep(struct dnscache *c, const char *name, uint32_t guest, uint32_t ttl,
	unsigned int records, uint64_t now)
{
	uint8_t query[64], answer[4096];
	const struct dnsmsg_question q = asked(name, query);
	size_t n = dnsmsg_ask(&q, 7, answer);
	struct dnsmsg_answer a;
	answer[2] = 0x85; /* with AA */
	answer[3] = 0x80;
	answer[7] = (uint8_t)records;
	for (unsigned int i = 0; i < records; i++, n += 16) {
		const uint8_t record[16] = {0xc0, 12, 0, 1, 0, 1, 0, 0, (uint8_t)(ttl >> 8),
			(uint8_t)ttl, 0, 4, 10, 0, 0, (uint8_t)i};
		memcpy(answer + n, record, sizeof(record));
	}
	dnsmsg_answer(answer, n, &a);
	cr_assert(a.keep);
	dnscache_put(c, &q, guest, answer, n, &a, now);
}

static bool known(struct dnscache *c, const char *name, uint64_t now)
{
	uint8_t query[64], out[DNSCACHE_BYTES];
	struct dnscache_served served;
	const struct dnsmsg_question q = asked(name, query);
	return dnscache_get(c, &q, query, now, out, &served);
}

Test(dnscache, serves_what_it_was_given_to_whoever_asks)
{
	struct dnscache *c = cache_of(16);
	uint8_t query[64], out[DNSCACHE_BYTES];
	struct dnscache_served served;
	keep(c, "www", 1, 300, 2, 0);
	const struct dnsmsg_question q = asked("wWw", query);
	cr_assert(dnscache_get(c, &q, query, 10 * second, out, &served));
	cr_assert_eq(dnsmsg_field(out, 0), 0xabcd, "the asker's id");
	cr_assert_eq(memcmp(out + 12, query + 12, q.name_bytes), 0, "the name as it was written");
	cr_assert_eq(dnsmsg_field(out, 2), 0x8180, "no authority");
	const size_t first = 12U + q.name_bytes + 4;
	cr_assert_eq(dnsmsg_field(out, first + 8), 290);
	cr_assert_eq(dnsmsg_field(out, first + 16 + 8), 290);
	cr_assert_eq(served.addresses, 2);
	cr_assert_eq(out[served.address_at[1] + 3], 1);
	free(c);
}

Test(dnscache, what_has_died_is_not_served)
{
	struct dnscache *c = cache_of(16);
	keep(c, "www", 1, 5, 1, 0);
	cr_assert(known(c, "www", 5 * second - 1));
	cr_assert_not(known(c, "www", 5 * second));
	cr_assert_eq(c->entries, 0);
	free(c);
}

Test(dnscache, all_that_matters_is_compared)
{
	struct dnscache *c = cache_of(16);
	uint8_t query[64], out[DNSCACHE_BYTES];
	struct dnscache_served served;
	keep(c, "www", 1, 300, 1, 0);
	struct dnsmsg_question q = asked("www", query);
	q.type = DNSMSG_TYPE_AAAA;
	cr_assert_not(dnscache_get(c, &q, query, 0, out, &served));
	for (unsigned int flag = DNSMSG_RD; flag <= DNSMSG_DO; flag <<= 1) {
		q = asked("www", query);
		q.flags ^= (uint8_t)flag;
		cr_assert_not(dnscache_get(c, &q, query, 0, out, &served), "flag %u", flag);
	}
	cr_assert_not(known(c, "wwx", 0));
	cr_assert(known(c, "www", 0));
	free(c);
}

Test(dnscache, a_newer_answer_replaces_the_old_one)
{
	struct dnscache *c = cache_of(16);
	keep(c, "www", 1, 5, 1, 0);
	keep(c, "www", 2, 300, 1, 0);
	cr_assert_eq(c->entries, 1);
	cr_assert(known(c, "www", 100 * second));
	free(c);
}

Test(dnscache, when_full_the_least_recently_used_goes)
{
	struct dnscache *c = cache_of(3);
	keep(c, "a", 1, 300, 1, 0);
	keep(c, "b", 1, 300, 1, 0);
	keep(c, "c", 1, 300, 1, 0);
	cr_assert(known(c, "a", 0));
	keep(c, "d", 1, 300, 1, 0);
	cr_assert_not(known(c, "b", 0));
	cr_assert(known(c, "a", 0));
	cr_assert(known(c, "c", 0));
	cr_assert(known(c, "d", 0));
	cr_assert_eq(c->entries, 3);
	free(c);
}

Test(dnscache, a_guest_pushes_out_its_own)
{
	struct dnscache *c = cache_of(64);
	char name[16];
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "quiet%d", i);
		keep(c, name, 1, 300, 1, 0);
	}
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "loud%d", i);
		keep(c, name, 2, 300, 1, 0);
	}
	cr_assert_eq(c->entries, 64);
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "quiet%d", i);
		cr_assert(known(c, name, 0), "%s", name);
	}
	free(c);
}

Test(dnscache, long_answers_take_pieces_and_give_them_back)
{
	struct dnscache *c = cache_of(8);
	char name[16];
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		keep(c, name, 1, 300, 60, 0);
		cr_assert(known(c, name, 0));
		cr_assert_leq(c->pieces_used, 16);
	}
	cr_assert_leq(c->pieces_fresh, 16);
	dnscache_flush(c);
	cr_assert_not(known(c, name, 0));
	keep(c, name, 1, 300, 60, 0);
	cr_assert(known(c, name, 0));
	free(c);
}

Test(dnscache, none_keeps_nothing_and_a_smaller_one_begins_anew)
{
	struct dnscache *c = cache_of(0);
	keep(c, "www", 1, 300, 1, 0);
	cr_assert_not(known(c, "www", 0));
	dnscache_resize(c, 1);
	keep(c, "www", 1, 300, 60, 0);
	cr_assert_not(known(c, "www", 0), "more pieces than all that there are");
	dnscache_resize(c, 100000);
	cr_assert_eq(c->capacity, DNSCACHE_ENTRIES);
	keep(c, "www", 1, 300, 1, 0);
	dnscache_resize(c, 5);
	cr_assert_not(known(c, "www", 0));
	free(c);
}
