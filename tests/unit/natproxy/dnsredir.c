/* Questions, replies, resolvers. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "dnsredir.h"

static const uint64_t second = 1000000000;
static const uint8_t question[] = {0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7, 'e', 'x', 'a', 'm',
	'p', 'l', 'e', 3, 'o', 'r', 'g', 0, 0, 1, 0, 1};

static struct dnsredir *with(size_t resolvers)
{
	const uint32_t ip[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	struct dnsredir *d = calloc(1, sizeof(*d));
	dnsredir_resolvers(d, ip, resolvers);
	return d;
}

static uint32_t asked(struct dnsredir *d, uint64_t now)
{
	const uint32_t ref = dnsredir_open(d, 5, 10, question, sizeof(question), 0xbeef);
	dnsredir_ask(d, ref, now);
	return ref;
}

static size_t reply_to(const struct dnsredir *d, uint32_t ref, uint8_t *out, uint8_t rcode)
{
	memcpy(out, d->bytes[ref], sizeof(question));
	out[2] |= 0x80;
	out[3] = 0x80 | rcode;
	return sizeof(question);
}

Test(dnsredir, knows_a_question_from_noise)
{
	uint8_t bad[sizeof(question)];
	cr_assert(dnsredir_is_query(question, sizeof(question)));
	for (size_t n = 0; n < sizeof(question); n++)
		cr_assert_not(dnsredir_is_query(question, n), "cut at %zu", n);
	memcpy(bad, question, sizeof(bad));
	bad[2] |= 0x80;
	cr_assert_not(dnsredir_is_query(bad, sizeof(bad)), "an answer");
	memcpy(bad, question, sizeof(bad));
	bad[12] = 0xc0;
	cr_assert_not(dnsredir_is_query(bad, sizeof(bad)), "a compressed question");
	memcpy(bad, question, sizeof(bad));
	bad[5] = 2;
	cr_assert_not(dnsredir_is_query(bad, sizeof(bad)), "two questions");
}

Test(dnsredir, a_name_longer_than_255_bytes_is_no_question)
{
	uint8_t bytes[12 + 5 * 64 + 5] = {0, 0, 1, 0, 0, 1};
	for (size_t i = 0; i < 5; i++)
		bytes[12 + i * 64] = 63;
	cr_assert_not(dnsredir_is_query(bytes, sizeof(bytes)));
}

Test(dnsredir, the_wire_carries_another_id_and_the_guest_gets_its_own)
{
	struct dnsredir *d = with(1);
	const uint32_t ref = asked(d, 0);
	uint8_t reply[64];
	cr_assert_eq(d->bytes[ref][0], 0xbe);
	const size_t n = reply_to(d, ref, reply, 0);
	cr_assert_eq(dnsredir_reply(d, ref, reply, n), DNSREDIR_ANSWER);
	cr_assert_eq(reply[0], 0x12);
	cr_assert_eq(reply[1], 0x34);
	free(d);
}

Test(dnsredir, forged_replies_are_foreign)
{
	struct dnsredir *d = with(1);
	const uint32_t ref = asked(d, 0);
	uint8_t reply[64];
	size_t n = reply_to(d, ref, reply, 0);
	reply[1] ^= 1;
	cr_assert_eq(dnsredir_reply(d, ref, reply, n), DNSREDIR_FOREIGN, "wrong id");
	n = reply_to(d, ref, reply, 0);
	reply[2] &= 0x7f;
	cr_assert_eq(dnsredir_reply(d, ref, reply, n), DNSREDIR_FOREIGN, "a question");
	n = reply_to(d, ref, reply, 0);
	reply[14] = 'X';
	cr_assert_eq(dnsredir_reply(d, ref, reply, n), DNSREDIR_FOREIGN, "another question");
	n = reply_to(d, ref, reply, 0);
	cr_assert_eq(dnsredir_reply(d, ref, reply, n - 1), DNSREDIR_FOREIGN, "cut");
	cr_assert_eq(dnsredir_reply(d, ref, reply, 3), DNSREDIR_FOREIGN);
	n = reply_to(d, ref, reply, 0);
	reply[5] = 0;
	cr_assert_eq(dnsredir_reply(d, ref, reply, 12), DNSREDIR_FOREIGN, "an answer to nothing");
	free(d);
}

Test(dnsredir, refusal_and_silence_move_on_to_the_next)
{
	struct dnsredir *d = with(3);
	const uint32_t ref = dnsredir_open(d, 5, 10, question, sizeof(question), 0xbeef);
	uint8_t reply[64];
	cr_assert_eq(dnsredir_ask(d, ref, 0), 1);
	const size_t n = reply_to(d, ref, reply, 5);
	cr_assert_eq(dnsredir_reply(d, ref, reply, n), DNSREDIR_USELESS);
	cr_assert(dnsredir_next_resolver(d, ref));
	cr_assert_eq(dnsredir_ask(d, ref, 0), 2);
	cr_assert_eq(d->preferred, 1, "later questions start there");
	cr_assert_eq(dnsredir_expired(d, 2 * second - 1), DNSREDIR_NONE);
	cr_assert_eq(dnsredir_expired(d, 2 * second), ref);
	cr_assert(dnsredir_next_resolver(d, ref));
	cr_assert_eq(dnsredir_ask(d, ref, 0), 3);
	cr_assert_not(dnsredir_next_resolver(d, ref), "all have been asked");
	dnsredir_close(d, ref);
	cr_assert_eq(dnsredir_deadline(d), UINT64_MAX);
	free(d);
}

Test(dnsredir, at_most_eight_resolvers_and_they_may_vanish)
{
	struct dnsredir *d = with(10);
	cr_assert_eq(d->resolver_count, 8);
	const uint32_t ref = asked(d, 0);
	dnsredir_resolvers(d, NULL, 0);
	cr_assert_not(dnsredir_next_resolver(d, ref));
	free(d);
}

Test(dnsredir, servfail_repeats_the_question_and_nothing_else)
{
	uint8_t query[sizeof(question) + 11], out[sizeof(query)];
	memcpy(query, question, sizeof(question));
	query[11] = 1; /* an OPT record follows */
	const size_t n = dnsredir_servfail(query, sizeof(query), out);
	cr_assert_eq(n, sizeof(question));
	cr_assert_eq(out[0], 0x12);
	cr_assert_eq(out[2], 0x81);
	cr_assert_eq(out[3], 0x82);
	cr_assert_eq(out[5], 1);
	cr_assert_eq(out[11], 0);
	cr_assert(memcmp(out + 12, question + 12, sizeof(question) - 12) == 0);
}

Test(dnsredir, one_guest_cannot_fill_the_table)
{
	struct dnsredir *d = with(1);
	uint32_t mine = 0;
	while (dnsredir_open(d, 5, 10, question, sizeof(question), 1))
		mine++;
	cr_assert_lt(mine, DNSREDIR_QUERIES);
	cr_assert_neq(dnsredir_open(d, 6, 11, question, sizeof(question), 1), DNSREDIR_NONE);
	free(d);
}
