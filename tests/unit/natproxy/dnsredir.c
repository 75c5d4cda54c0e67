/* Questions in flight, those who wait for them, servers. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "dnsredir.h"

static const uint64_t ms = 1000000;
static const struct hash_key key = {5, 6};
static const uint8_t question[] = {0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7, 'e', 'X', 'a', 'm',
	'p', 'l', 'e', 3, 'o', 'r', 'g', 0, 0, 1, 0, 1};

static struct dnsredir *with(size_t servers)
{
	const uint32_t ip[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	struct dnsredir *d = calloc(1, sizeof(*d));
	dnsredir_init(d, &key);
	d->guest_limit = 128;
	dnsredir_upstreams(d, ip, servers);
	return d;
}

/* A question of a kind by itself, from this guest. */
static enum dnsredir_opened open_kind(struct dnsredir *d, uint32_t guest, uint32_t flow,
	uint16_t id, uint16_t kind, uint32_t *ref)
{
	uint8_t bytes[sizeof(question)];
	struct dnsmsg_question q;
	memcpy(bytes, question, sizeof(bytes));
	dnsmsg_put_field(bytes, 0, id);
	bytes[13] = (uint8_t)('a' + kind % 26);
	bytes[14] = (uint8_t)('a' + kind / 26 % 26);
	bytes[15] = (uint8_t)('a' + kind / 676);
	cr_assert_eq(dnsmsg_query(bytes, sizeof(bytes), &q), DNSMSG_PLAIN);
	const struct dnsredir_ask ask = {.flow = flow,
		.guest_ip_be = guest,
		.bytes = bytes,
		.n = sizeof(bytes),
		.question = &q,
		.hash = kind};
	return dnsredir_open(d, &ask, 0xbeef, 0, ref);
}

static uint32_t opened(struct dnsredir *d)
{
	struct dnsmsg_question q;
	uint32_t ref = 0;
	dnsmsg_query(question, sizeof(question), &q);
	const struct dnsredir_ask ask = {5, 10, question, sizeof(question), &q, 77};
	cr_assert_eq(dnsredir_open(d, &ask, 0xbeef, 0, &ref), DNSREDIR_ASK);
	return ref;
}

static uint32_t next(struct dnsredir *d, uint32_t ref, uint64_t now)
{
	bool again;
	return dnsredir_next(d, ref, now, &again);
}

static size_t reply_to(const struct dnsredir *d, uint32_t ref, uint8_t *out, uint8_t rcode)
{
	memcpy(out, d->bytes[ref], sizeof(question));
	out[2] |= 0x80;
	out[3] = 0x80 | rcode;
	return sizeof(question);
}

Test(dnsredir, the_wire_carries_another_id_and_the_guest_gets_its_own)
{
	struct dnsredir *d = with(1);
	const uint32_t ref = opened(d);
	uint8_t reply[64];
	cr_assert_eq(d->bytes[ref][0], 0xbe);
	cr_assert_eq(d->bytes[ref][14], 'x', "lower case");
	const size_t n = reply_to(d, ref, reply, 0);
	cr_assert_eq(dnsredir_reply(d, ref, reply, n), DNSREDIR_ANSWER);
	cr_assert_eq(dnsredir_address(d, ref, d->query[ref].asker, reply, n), n);
	cr_assert_eq(memcmp(reply, question, 2), 0);
	cr_assert_eq(memcmp(reply + 12, question + 12, 13), 0, "as it was written");
	free(d);
}

Test(dnsredir, forged_replies_are_foreign)
{
	struct dnsredir *d = with(1);
	const uint32_t ref = opened(d);
	uint8_t reply[64];
	size_t n = reply_to(d, ref, reply, 0);
	reply[1] ^= 1;
	cr_assert_eq(dnsredir_reply(d, ref, reply, n), DNSREDIR_FOREIGN, "wrong id");
	n = reply_to(d, ref, reply, 0);
	reply[2] &= 0x7f;
	cr_assert_eq(dnsredir_reply(d, ref, reply, n), DNSREDIR_FOREIGN, "a question");
	n = reply_to(d, ref, reply, 0);
	reply[13] = 'y';
	cr_assert_eq(dnsredir_reply(d, ref, reply, n), DNSREDIR_FOREIGN, "another question");
	n = reply_to(d, ref, reply, 0);
	cr_assert_eq(dnsredir_reply(d, ref, reply, n - 1), DNSREDIR_FOREIGN, "cut");
	cr_assert_eq(dnsredir_reply(d, ref, reply, 3), DNSREDIR_FOREIGN);
	reply[5] = 2;
	cr_assert_eq(dnsredir_reply(d, ref, reply, n), DNSREDIR_FOREIGN, "two questions");
	reply[5] = 0;
	cr_assert_eq(dnsredir_reply(d, ref, reply, 12), DNSREDIR_FOREIGN, "an answer to nothing");
	reply[3] = 0x80 | 5;
	cr_assert_eq(dnsredir_reply(d, ref, reply, 12), DNSREDIR_USELESS, "a bare refusal");
	free(d);
}

Test(dnsredir, the_silent_one_is_avoided_for_longer_each_time)
{
	struct dnsredir *d = with(2);
	uint32_t ref = opened(d);
	cr_assert_eq(next(d, ref, 0), 1);
	cr_assert_eq(dnsredir_expired(d, 1000 * ms - 1), DNSREDIR_NONE);
	cr_assert_eq(dnsredir_expired(d, 1000 * ms), ref);
	dnsredir_failed(d, ref, DNSREDIR_SILENT, 1000 * ms);
	cr_assert_eq(next(d, ref, 1000 * ms), 2);
	dnsredir_worked(d, ref);
	dnsredir_close(d, ref);
	ref = opened(d);
	cr_assert_eq(next(d, ref, 1001 * ms), 2, "later questions do not wait for it");
	cr_assert_eq(next(d, ref, 3000 * ms), 1, "it is probed when its time is over");
	cr_assert_eq(dnsredir_deadline(d), 3300 * ms, "shortly");
	dnsredir_failed(d, ref, DNSREDIR_SILENT, 3300 * ms);
	dnsredir_close(d, ref);
	ref = opened(d);
	cr_assert_eq(next(d, ref, 3900 * ms), 2);
	dnsredir_close(d, ref);
	ref = opened(d);
	d->query[ref].give_up_ns = UINT64_MAX;
	cr_assert_eq(next(d, ref, 7200 * ms), 2, "twice as long");
	cr_assert_eq(next(d, ref, 7300 * ms), 1);
	dnsredir_worked(d, ref);
	cr_assert_eq(d->upstream[0].failures, 0);
	free(d);
}

Test(dnsredir, when_all_are_silent_the_guest_is_told_in_time)
{
	struct dnsredir *d = with(1);
	const uint32_t ref = opened(d);
	uint64_t now = 0;
	bool again = false;
	unsigned int tries = 0;
	while (dnsredir_next(d, ref, now, &again)) {
		cr_assert_eq(again, tries > 0, "the same server keeps its socket");
		tries++;
		now = dnsredir_deadline(d);
		cr_assert_eq(dnsredir_expired(d, now), ref);
		dnsredir_failed(d, ref, DNSREDIR_SILENT, now);
	}
	cr_assert_eq(tries, 4);
	cr_assert_eq(now, DNSREDIR_PATIENCE_MS * ms);
	dnsredir_close(d, ref);
	cr_assert_eq(dnsredir_deadline(d), UINT64_MAX);
	free(d);
}

Test(dnsredir, nobody_is_asked_twice_what_it_cannot_say)
{
	struct dnsredir *d = with(3);
	const uint32_t ref = opened(d);
	cr_assert_eq(next(d, ref, 0), 1);
	dnsredir_failed(d, ref, DNSREDIR_CLUELESS, 0);
	cr_assert_eq(next(d, ref, 0), 2);
	dnsredir_failed(d, ref, DNSREDIR_BROKEN, 0);
	cr_assert_eq(next(d, ref, 0), 3);
	dnsredir_failed(d, ref, DNSREDIR_CLUELESS, 0);
	cr_assert_eq(next(d, ref, 0), 0);
	dnsredir_close(d, ref);
	cr_assert_eq(next(d, opened(d), 0), 1, "the next question is asked as usual");
	cr_assert_eq(d->upstream[1].failures, 1);
	free(d);
}

Test(dnsredir, while_all_are_avoided_somebody_is_asked)
{
	struct dnsredir *d = with(2);
	uint32_t ref = opened(d);
	next(d, ref, 0);
	dnsredir_failed(d, ref, DNSREDIR_BROKEN, 0);
	next(d, ref, 0);
	dnsredir_failed(d, ref, DNSREDIR_BROKEN, 5 * ms);
	cr_assert_eq(next(d, ref, 5 * ms), 0);
	dnsredir_close(d, ref);
	cr_assert_eq(next(d, opened(d), 10 * ms), 1);
	cr_assert_eq(dnsredir_server(d, 0, 10 * ms), 1);
	cr_assert_eq(dnsredir_server(d, 1, 10 * ms), 2);
	cr_assert_eq(dnsredir_server(d, 2, 10 * ms), 0);
	free(d);
}

Test(dnsredir, servers_may_change_or_vanish_under_a_question)
{
	struct dnsredir *d = with(10);
	const uint32_t other[] = {20, 21};
	cr_assert_eq(d->upstream_count, 8);
	const uint32_t ref = opened(d);
	next(d, ref, 0);
	cr_assert(dnsredir_upstreams(d, other, 2));
	cr_assert_not(dnsredir_upstreams(d, other, 2), "the same is no change");
	cr_assert_neq(d->query[ref].generation, d->generation, "an answer now is the old world's");
	dnsredir_failed(d, ref, DNSREDIR_SILENT, 0);
	cr_assert_eq(d->upstream[0].failures, 0, "it was not this one");
	cr_assert_eq(next(d, ref, 0), 20);
	dnsredir_upstreams(d, NULL, 0);
	cr_assert_eq(next(d, ref, 0), 0);
	free(d);
}

Test(dnsredir, the_same_question_goes_out_once)
{
	struct dnsredir *d = with(1);
	uint32_t first, second, third;
	cr_assert_eq(open_kind(d, 10, 5, 1, 3, &first), DNSREDIR_ASK);
	cr_assert_eq(open_kind(d, 11, 6, 2, 3, &second), DNSREDIR_WAIT, "another guest");
	cr_assert_eq(open_kind(d, 10, 5, 1, 3, &third), DNSREDIR_AGAIN, "the same once more");
	cr_assert_eq(first, second);
	cr_assert_eq(d->live, 1);
	cr_assert_eq(d->askers, 2);
	cr_assert_eq(open_kind(d, 10, 5, 1, 4, &third), DNSREDIR_ASK, "another question");
	dnsredir_close(d, first);
	dnsredir_close(d, third);
	cr_assert_eq(d->askers, 0);
	free(d);
}

Test(dnsredir, an_odd_question_is_nobody_elses)
{
	struct dnsredir *d = with(1);
	const struct dnsredir_ask ask = {5, 10, question, sizeof(question), NULL, 0};
	uint32_t a, b;
	cr_assert_eq(dnsredir_open(d, &ask, 1, 0, &a), DNSREDIR_ASK);
	cr_assert_eq(dnsredir_open(d, &ask, 2, 0, &b), DNSREDIR_ASK);
	cr_assert_neq(a, b);
	cr_assert_eq(d->bytes[a][14], 'X', "as it came");
	dnsredir_close(d, a);
	dnsredir_close(d, b);
	free(d);
}

Test(dnsredir, a_guest_has_its_limit_and_gets_it_back)
{
	struct dnsredir *d = with(1);
	uint32_t ref[8], more;
	d->guest_limit = 8;
	for (uint16_t i = 0; i < 8; i++)
		cr_assert_eq(open_kind(d, 10, 5, i, i, &ref[i]), DNSREDIR_ASK);
	cr_assert_eq(open_kind(d, 10, 5, 8, 8, &more), DNSREDIR_FULL);
	cr_assert_eq(open_kind(d, 10, 5, 99, 0, &more), DNSREDIR_FULL, "to wait counts too");
	cr_assert_eq(open_kind(d, 11, 6, 8, 8, &more), DNSREDIR_ASK);
	dnsredir_close(d, ref[3]);
	cr_assert_eq(open_kind(d, 10, 5, 8, 9, &more), DNSREDIR_ASK);
	free(d);
}

/* How many questions a guest gets into the table. */
static uint16_t fill(struct dnsredir *d, uint32_t guest, uint16_t *kind)
{
	uint32_t ref;
	uint16_t n = 0;
	while (open_kind(d, guest, guest, n, *kind, &ref) == DNSREDIR_ASK) {
		++*kind;
		n++;
	}
	return n;
}

Test(dnsredir, one_guest_cannot_fill_the_table)
{
	struct dnsredir *d = with(1);
	uint16_t kind = 0;
	d->guest_limit = 100000;
	cr_assert_eq(fill(d, 10, &kind), DNSREDIR_QUERIES / 2);
	cr_assert_eq(fill(d, 11, &kind), DNSREDIR_QUERIES / 4);
	for (uint32_t guest = 12; guest < 19; guest++)
		fill(d, guest, &kind);
	cr_assert_eq(fill(d, 10, &kind), 0);
	cr_assert_eq(fill(d, 99, &kind), 1, "one more finds room");
	free(d);
}

Test(dnsredir, tables_survive_long_use)
{
	struct dnsredir *d = with(1);
	uint32_t ref[300];
	uint32_t seed = 1, live = 0;
	for (int i = 0; i < 200000; i++) {
		seed = seed * 1103515245 + 12345;
		uint32_t r;
		if (live < 300 && (seed >> 16 & 1)) {
			if (open_kind(d, seed >> 17 & 31, 5, (uint16_t)i, seed >> 20 & 1023, &r) ==
				DNSREDIR_ASK)
				ref[live++] = r;
		} else if (live) {
			const uint32_t at = (seed >> 17) % live;
			dnsredir_close(d, ref[at]);
			ref[at] = ref[--live];
		}
	}
	while (live)
		dnsredir_close(d, ref[--live]);
	cr_assert_eq(d->live, 0);
	cr_assert_eq(d->askers, 0);
	for (uint32_t i = 0; i < DNSREDIR_BUCKETS; i++)
		cr_assert(!d->bucket[i] && !d->guest_bucket[i]);
	free(d);
}
