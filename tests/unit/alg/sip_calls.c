/*
 * The table of calls: found by what names them and by nothing else, bounded, and nobody's room is another's.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sip_calls.h"

enum { SHARE = SIP_CALLS / 2 }; /* of a guest that is alone */

static struct sip_calls *table(void)
{
	struct sip_calls *t = malloc(sizeof(*t));
	memset(t, 0xa5, sizeof(*t));
	sip_calls_init(t, &(const struct hash_key){1, 2});
	return t;
}

static struct alg_flow flow(uint16_t id, const char *guest)
{
	return (struct alg_flow){.id = id, .guest_ip_be = inet_addr(guest), .now_ms = 1000000};
}

static struct text words(const char *s)
{
	return text(s, strlen(s));
}

static struct sip_call *take(struct sip_calls *t, const struct alg_flow *f, unsigned int number)
{
	char id[32];
	snprintf(id, sizeof(id), "%u@host", number);
	return sip_calls_take(t, f, ALG_GUEST, words(id), words("tag"));
}

static struct sip_call *find(struct sip_calls *t, const struct alg_flow *f, unsigned int number)
{
	char id[32];
	snprintf(id, sizeof(id), "%u@host", number);
	return sip_calls_find(t, f, ALG_GUEST, words(id), words("tag"));
}

Test(sip_calls, a_call_is_known_by_flow_caller_call_id_and_tag)
{
	struct sip_calls *t = table();
	const struct alg_flow f = flow(3, "192.168.30.10"), other = flow(4, "192.168.30.10");
	struct sip_call *c = sip_calls_take(t, &f, ALG_GUEST, words("a"), words("1"));
	cr_assert(c && c->caller == ALG_GUEST);
	cr_expect_eq(sip_calls_find(t, &f, ALG_GUEST, words("a"), words("1")), c);
	cr_expect_eq(sip_calls_take(t, &f, ALG_GUEST, words("a"), words("1")), c);
	cr_expect_null(sip_calls_find(t, &f, ALG_OUTSIDE, words("a"), words("1")));
	cr_expect_null(sip_calls_find(t, &other, ALG_GUEST, words("a"), words("1")));
	cr_expect_null(sip_calls_find(t, &f, ALG_GUEST, words("b"), words("1")));
	cr_expect_null(sip_calls_find(t, &f, ALG_GUEST, words("a"), words("2")));
	cr_expect_null(sip_calls_find(t, &f, ALG_GUEST, words("a1"), words("")));
	cr_expect_neq(sip_calls_take(t, &f, ALG_OUTSIDE, words("a"), words("1")), c);
	sip_calls_drop(t, c);
	cr_expect_null(sip_calls_find(t, &f, ALG_GUEST, words("a"), words("1")));
	cr_expect_not_null(sip_calls_find(t, &f, ALG_OUTSIDE, words("a"), words("1")));
	free(t);
}

Test(sip_calls, tags_and_branches_are_told_apart)
{
	struct sip_calls *t = table();
	cr_expect_neq(sip_calls_tag(t, words("a")), sip_calls_tag(t, words("b")));
	cr_expect_neq(sip_calls_tag(t, words("")), 0);
	cr_expect_neq(sip_calls_branch(t, words("a")), sip_calls_branch(t, words("A")));
	free(t);
}

Test(sip_calls, openings_have_tokens_of_their_flow_alone)
{
	struct sip_calls *t = table();
	const struct alg_flow f = flow(0, "192.168.30.10"), g = flow(1, "192.168.30.11");
	struct sip_call *a = take(t, &f, 1), *b = take(t, &f, 2), *c = take(t, &g, 1);
	int place;
	cr_assert_eq(sip_calls_open(t, a), 0);
	cr_assert_eq(sip_calls_open(t, a), 1);
	cr_assert(sip_calls_open(t, b) == 0 && sip_calls_open(t, c) == 0);
	cr_expect_eq(sip_calls_opening(t, a, 0)->token, 1);
	cr_expect_eq(sip_calls_opening(t, a, 1)->token, 2);
	cr_expect_eq(sip_calls_opening(t, b, 0)->token, 3);
	cr_expect_eq(sip_calls_opening(t, c, 0)->token, 1);
	cr_expect(sip_calls_of_token(t, &f, 2, &place) == a && place == 1);
	cr_expect(sip_calls_of_token(t, &g, 1, &place) == c && place == 0);
	cr_expect_null(sip_calls_of_token(t, &g, 2, &place));
	a->fork[1].active = 3;
	a->request[2].openings = 3;
	sip_calls_close(t, a, 0);
	cr_expect(a->fork[1].active == 2 && a->request[2].openings == 2);
	cr_expect_null(sip_calls_of_token(t, &f, 1, &place));
	cr_expect_eq(sip_calls_open(t, a), 0);
	cr_expect_eq(sip_calls_opening(t, a, 0)->token, 4, "no token comes again");
	t->flow[0].token = UINT32_MAX;
	cr_expect_eq(sip_calls_opening(t, b, sip_calls_open(t, b))->token, 1, "nor is one 0");
	free(t);
}

Test(sip_calls, a_call_has_so_many_openings_and_no_more)
{
	struct sip_calls *t = table();
	const struct alg_flow f = flow(0, "192.168.30.10");
	struct sip_call *c = take(t, &f, 1);
	for (int i = 0; i < SIP_CALL_OPENINGS; i++)
		cr_assert_eq(sip_calls_open(t, c), i);
	cr_expect_eq(sip_calls_open(t, c), -1);
	sip_calls_drop(t, c);
	cr_expect_eq(t->guest[1].openings, 0);
	free(t);
}

Test(sip_calls, a_flow_has_thousands_and_then_loses_its_own_oldest)
{
	struct sip_calls *t = table();
	const struct alg_flow f = flow(0, "192.168.30.10"), g = flow(1, "192.168.30.11");
	cr_assert_not_null(take(t, &g, 0));
	for (unsigned int i = 0; i < SHARE; i++)
		cr_assert_not_null(take(t, &f, i));
	cr_assert_not_null(find(t, &f, 0), "used, so that the second one is the oldest");
	cr_assert_not_null(take(t, &f, SHARE));
	cr_expect_not_null(find(t, &f, 0));
	cr_expect_null(find(t, &f, 1));
	cr_expect_not_null(find(t, &g, 0), "older, but of another");
	cr_expect_eq(t->flow[0].calls, SHARE);
	free(t);
}

Test(sip_calls, a_call_with_openings_is_not_forgotten_before_it_was_silent)
{
	struct sip_calls *t = table();
	struct alg_flow f = flow(0, "192.168.30.10");
	for (unsigned int i = 0; i < SHARE; i++) {
		struct sip_call *c = take(t, &f, i);
		cr_assert(c && sip_calls_open(t, c) == 0);
	}
	cr_expect_null(take(t, &f, SHARE));
	f.now_ms += SIP_SILENT_MS;
	cr_expect_null(take(t, &f, SHARE));
	cr_expect_not_null(find(t, &f, 0));
	f.now_ms += 1;
	struct sip_call *c = take(t, &f, SHARE);
	cr_assert(c && sip_calls_open(t, c) == 0);
	cr_expect_null(find(t, &f, 1));
	cr_expect_not_null(find(t, &f, 0));
	sip_calls_close(t, find(t, &f, 4095), 0);
	cr_expect_not_null(take(t, &f, 5000), "one that holds nothing is forgotten first");
	cr_expect_null(find(t, &f, 4095));
	cr_expect_not_null(find(t, &f, 2));
	free(t);
}

/* Calls with an opening each that a guest gets in several flows, beginning with this one. */
static unsigned int taken_by(struct sip_calls *t, uint16_t id, const char *guest)
{
	unsigned int taken = 0;
	for (uint16_t end = id + 3; id < end; id++) {
		const struct alg_flow f = flow(id, guest);
		for (unsigned int i = 0; i < 3000; i++) {
			struct sip_call *c = take(t, &f, i);
			taken += c && sip_calls_open(t, c) >= 0;
		}
	}
	return taken;
}

Test(sip_calls, a_guest_has_as_many_as_it_leaves_free)
{
	struct sip_calls *t = table();
	const struct alg_flow last = flow(30, "192.168.30.99");
	cr_expect_eq(taken_by(t, 0, "192.168.30.10"), 4096);
	cr_expect_eq(taken_by(t, 3, "192.168.30.11"), 2048);
	cr_expect_eq(taken_by(t, 6, "192.168.30.12"), 1024);
	cr_expect_not_null(take(t, &last, 1));
	for (uint16_t id = 0; id < 3; id++) {
		const struct alg_flow f = flow(id, "192.168.30.10");
		sip_calls_end(t, &f);
	}
	cr_expect_eq(t->fresh_guest, 4);
	cr_expect(t->calls == 3073 && t->openings == 3072);
	cr_expect_eq(taken_by(t, 9, "192.168.30.13"), 2560);
	free(t);
}

Test(sip_calls, in_a_full_table_who_has_none_gets_the_place_of_the_oldest_without_openings)
{
	struct sip_calls *t = table();
	const struct alg_flow f = flow(0, "192.168.30.10"), g = flow(1, "192.168.30.11");
	cr_assert(sip_calls_open(t, take(t, &f, 0)) == 0 && take(t, &f, 1) && take(t, &f, 2));
	t->calls = SIP_CALLS;
	cr_expect_not_null(take(t, &g, 0));
	cr_expect(find(t, &f, 0) && !find(t, &f, 1) && find(t, &f, 2));
	free(t);
}

Test(sip_calls, one_guest_leaves_openings_for_others)
{
	struct sip_calls *t = table();
	static const char *const guests[] = {"192.168.30.10", "192.168.30.11", "192.168.30.12"};
	for (uint16_t id = 0; id < 3; id++) {
		const struct alg_flow f = flow(id, guests[id]);
		unsigned int made = 0;
		for (unsigned int i = 0; i < 1024; i++) {
			struct sip_call *c = take(t, &f, i);
			while (sip_calls_open(t, c) >= 0)
				made++;
		}
		cr_expect_eq(made, SIP_OPENINGS >> (id + 1), "%s: %u", guests[id], made);
	}
	free(t);
}

/* What a flow had is there again, however often it comes and goes. */
Test(sip_calls, the_end_of_a_flow_gives_everything_back)
{
	struct sip_calls *t = table();
	for (unsigned int turn = 0; turn < 20; turn++) {
		char guest[20];
		snprintf(guest, sizeof(guest), "192.168.31.%u", turn);
		const struct alg_flow f = flow((uint16_t)turn, guest);
		for (unsigned int i = 0; i < SHARE; i++) {
			struct sip_call *c = take(t, &f, i);
			cr_assert(c && (i & 1 || sip_calls_open(t, c) == 0));
		}
		sip_calls_end(t, &f);
		cr_assert_null(find(t, &f, 0));
	}
	cr_expect(t->fresh_call <= SHARE && t->fresh_opening <= SHARE / 2);
	cr_expect_eq(t->fresh_guest, 1);
	for (int i = 0; i < 2; i++)
		cr_expect(!t->list[i].oldest && !t->list[i].newest);
	for (unsigned int i = 0; i < SIP_CALLS; i++)
		cr_assert_eq(t->call_bucket[i], 0);
	for (unsigned int i = 0; i < SIP_OPENINGS; i++)
		cr_assert_eq(t->token_bucket[i], 0);
	free(t);
}

Test(sip_calls, its_size_is_what_is_said_of_it)
{
	cr_expect_leq(sizeof(struct sip_calls), 5u << 20, "%zu", sizeof(struct sip_calls));
}
