/* Questions told from noise, answers judged for keeping. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "dnsmsg.h"

/* example.org A, with RD */
static const uint8_t question[] = {0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7, 'e', 'x', 'A', 'm',
	'p', 'l', 'e', 3, 'o', 'r', 'g', 0, 0, 1, 0, 1};
static const uint8_t opt[] = {0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0};

struct message {
	uint8_t bytes[2048];
	size_t n;
};

/* An answer to the question, whose records follow. */
static struct message answer(uint8_t rcode)
{
	struct message m = {.n = sizeof(question)};
	memcpy(m.bytes, question, sizeof(question));
	m.bytes[2] = 0x81;
	m.bytes[3] = 0x80 | rcode;
	return m;
}

static void add(struct message *m, size_t section, uint8_t type, uint32_t ttl, const void *rdata,
	size_t bytes)
{
	const uint8_t head[] = {0xc0, 12, 0, type, 0, 1, (uint8_t)(ttl >> 24), (uint8_t)(ttl >> 16),
		(uint8_t)(ttl >> 8), (uint8_t)ttl, 0, (uint8_t)bytes};
	m->bytes[7 + 2 * section]++;
	memcpy(m->bytes + m->n, head, sizeof(head));
	memcpy(m->bytes + m->n + sizeof(head), rdata, bytes);
	m->n += sizeof(head) + bytes;
}

static void add_address(struct message *m, uint32_t ttl)
{
	add(m, 0, 1, ttl, "\1\2\3\4", 4);
}

static void add_soa(struct message *m, uint32_t ttl, uint8_t minimum)
{
	uint8_t rdata[22] = {0};
	rdata[21] = minimum;
	add(m, 1, 6, ttl, rdata, sizeof(rdata));
}

/* Through a copy of just this size, so that a sanitizer sees a read beyond it. */
static struct dnsmsg_answer judged(const struct message *m)
{
	struct dnsmsg_answer a;
	uint8_t *copy = malloc(m->n ? m->n : 1);
	memcpy(copy, m->bytes, m->n);
	dnsmsg_answer(copy, m->n, &a);
	free(copy);
	return a;
}

static enum dnsmsg_verdict verdict(const uint8_t *bytes, size_t n)
{
	struct dnsmsg_question q;
	uint8_t *copy = malloc(n ? n : 1);
	memcpy(copy, bytes, n);
	const enum dnsmsg_verdict v = dnsmsg_query(copy, n, &q);
	free(copy);
	return v;
}

Test(dnsmsg, a_plain_question_is_read_in_lower_case)
{
	struct dnsmsg_question q;
	cr_assert_eq(dnsmsg_query(question, sizeof(question), &q), DNSMSG_PLAIN);
	cr_assert_eq(q.id, 0x1234);
	cr_assert_eq(q.type, 1);
	cr_assert_eq(q.flags, DNSMSG_RD);
	cr_assert_eq(q.room, 512);
	cr_assert_eq(q.name_bytes, 13);
	cr_assert_eq(memcmp(q.name, "\7example\3org", 13), 0);
}

Test(dnsmsg, edns_is_read_and_its_options_end_here)
{
	uint8_t query[64], out[DNSMSG_PLAIN_BYTES];
	struct dnsmsg_question q;
	memcpy(query, question, sizeof(question));
	memcpy(query + sizeof(question), opt, sizeof(opt));
	memcpy(query + sizeof(question) + sizeof(opt), "\0\12\0\4abcd", 8); /* a cookie */
	query[sizeof(question) + 10] = 8;
	query[11] = 1;
	const size_t n = sizeof(question) + sizeof(opt) + 8;
	cr_assert_eq(dnsmsg_query(query, n, &q), DNSMSG_PLAIN);
	cr_assert_eq(q.flags, DNSMSG_RD | DNSMSG_EDNS | DNSMSG_DO);
	cr_assert_eq(q.room, 4096);
	cr_assert_eq(dnsmsg_ask(&q, 0xbeef, out), sizeof(question) + sizeof(opt));
	cr_assert_eq(out[0], 0xbe);
	cr_assert_eq(out[15], 'a', "as the cache knows it");
	cr_assert_eq(dnsmsg_field(out, sizeof(question) + 3), DNSMSG_PAYLOAD);
	cr_assert_eq(verdict(query, n - 1), DNSMSG_ODD);
	query[sizeof(question) + 6] = 1;
	cr_assert_eq(verdict(query, n), DNSMSG_ODD, "a version that we do not know");
}

Test(dnsmsg, noise_malformed_and_odd_are_told_apart)
{
	uint8_t bad[sizeof(question) + 2];
	for (size_t n = 0; n < 12; n++)
		cr_assert_eq(verdict(question, n), DNSMSG_NOISE);
	for (size_t n = 12; n < sizeof(question); n++)
		cr_assert_eq(verdict(question, n), DNSMSG_MALFORMED, "cut at %zu", n);
	static const struct {
		size_t at;
		uint8_t value;
		enum dnsmsg_verdict verdict;
	} cases[] = {{2, 0x81, DNSMSG_NOISE}, {2, 0x29, DNSMSG_FOREIGN_OPCODE},
		{5, 2, DNSMSG_MALFORMED}, {5, 0, DNSMSG_MALFORMED}, {12, 0xc0, DNSMSG_MALFORMED},
		{12, 64, DNSMSG_MALFORMED}, {7, 1, DNSMSG_ODD}, {9, 1, DNSMSG_ODD},
		{11, 1, DNSMSG_ODD}, {26, 255, DNSMSG_ODD}, {28, 3, DNSMSG_ODD},
		{3, 0x40, DNSMSG_ODD}, {2, 3, DNSMSG_ODD}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(bad, question, sizeof(question));
		bad[cases[i].at] = cases[i].value;
		cr_assert_eq(verdict(bad, sizeof(question)), cases[i].verdict, "case %zu", i);
	}
	memcpy(bad, question, sizeof(question));
	cr_assert_eq(verdict(bad, sizeof(question) + 1), DNSMSG_ODD, "something follows");
}

Test(dnsmsg, a_name_longer_than_255_bytes_is_no_question)
{
	uint8_t bytes[12 + 5 * 64 + 5] = {0, 0, 1, 0, 0, 1};
	for (size_t i = 0; i < 5; i++)
		bytes[12 + i * 64] = 63;
	cr_assert_eq(verdict(bytes, sizeof(bytes)), DNSMSG_MALFORMED);
	bytes[12 + 3 * 64] = 61;
	memset(bytes + 12 + 3 * 64 + 1, 'a', 61);
	bytes[12 + 3 * 64 + 62] = 0;
	bytes[12 + 3 * 64 + 66] = bytes[12 + 3 * 64 + 64] = 1;
	cr_assert_eq(verdict(bytes, 12 + 255 + 4), DNSMSG_PLAIN, "255 with the root");
	bytes[12 + 3 * 64] = 62;
	cr_assert_eq(verdict(bytes, 12 + 256 + 4), DNSMSG_MALFORMED);
}

Test(dnsmsg, an_answer_is_kept_for_its_shortest_ttl)
{
	struct message m = answer(0);
	add_address(&m, 300);
	add_address(&m, 200);
	const struct dnsmsg_answer a = judged(&m);
	cr_assert(a.keep);
	cr_assert_eq(a.ttl_s, 200);
	cr_assert_eq(a.ttls, 2);
	cr_assert_eq(a.ttl_at[0], sizeof(question) + 6);
	cr_assert_eq(a.addresses, 2);
	cr_assert_eq(memcmp(m.bytes + a.address_at[1], "\1\2\3\4", 4), 0);
}

Test(dnsmsg, ttls_are_capped_and_negative_ones_are_none)
{
	struct message m = answer(0);
	add_address(&m, 8000000);
	cr_assert_eq(judged(&m).ttl_s, DNSMSG_TTL_MAX);
	m = answer(0);
	add_address(&m, 0x80000001);
	cr_assert_not(judged(&m).keep);
	m = answer(0);
	add_address(&m, 0);
	cr_assert_not(judged(&m).keep);
}

Test(dnsmsg, that_there_is_nothing_is_kept_by_the_soa)
{
	struct message m = answer(DNSMSG_NXDOMAIN);
	cr_assert_not(judged(&m).keep, "without SOA");
	add_soa(&m, 300, 60);
	cr_assert(judged(&m).keep);
	cr_assert_eq(judged(&m).ttl_s, 60, "the minimum");
	m = answer(DNSMSG_NOERROR);
	cr_assert_not(judged(&m).keep);
	add_soa(&m, 30, 60);
	cr_assert_eq(judged(&m).ttl_s, 30, "the SOA's own");
	cr_assert(judged(&m).keep);
}

Test(dnsmsg, failures_are_kept_briefly_and_refusals_not_at_all)
{
	struct message m = answer(DNSMSG_SERVFAIL);
	cr_assert(judged(&m).keep);
	cr_assert_eq(judged(&m).ttl_s, DNSMSG_FAILURE_TTL);
	for (uint8_t rcode = DNSMSG_NOTIMP; rcode < 16; rcode++) {
		m = answer(rcode);
		add_address(&m, 300);
		cr_assert_not(judged(&m).keep, "rcode %u", rcode);
	}
}

Test(dnsmsg, truncated_cut_and_odd_answers_are_not_kept)
{
	struct message m = answer(0);
	add_address(&m, 300);
	const size_t n = m.n;
	cr_assert(judged(&m).keep);
	for (m.n = 0; m.n < n; m.n++)
		cr_assert_not(judged(&m).keep, "cut at %zu", m.n);
	m.n = n + 1;
	cr_assert_not(judged(&m).keep, "something follows");
	m.n = n;
	m.bytes[2] |= 2;
	cr_assert_not(judged(&m).keep);
	cr_assert(judged(&m).truncated);
	m.bytes[2] &= ~2;
	m.bytes[7] = 2;
	cr_assert_not(judged(&m).keep, "a record too few");
	m.bytes[7] = 1;
	m.bytes[sizeof(question) + 3] = 250;
	cr_assert_not(judged(&m).keep, "a signature of the message");
}

Test(dnsmsg, an_opt_record_has_no_ttl_and_its_rcode_counts)
{
	struct message m = answer(0);
	add_address(&m, 300);
	memcpy(m.bytes + m.n, opt, sizeof(opt));
	m.n += sizeof(opt);
	m.bytes[11] = 1;
	cr_assert(judged(&m).keep);
	cr_assert_eq(judged(&m).ttls, 1);
	m.bytes[m.n - 6] = 1;
	cr_assert_not(judged(&m).keep, "BADVERS");
	m.bytes[m.n - 6] = 0x80;
	cr_assert_not(judged(&m).keep, "the top bit of it too");
}

Test(dnsmsg, pointers_lead_backwards_only)
{
	struct message m = answer(0);
	add_address(&m, 300);
	const size_t at = sizeof(question);
	for (size_t to = 0; to < m.n; to++) {
		m.bytes[at] = (uint8_t)(0xc0 | to >> 8);
		m.bytes[at + 1] = (uint8_t)to;
		if (to < 12 || to >= at)
			cr_assert_not(judged(&m).keep, "to %zu", to);
	}
	m.bytes[at + 1] = 12;
	cr_assert(judged(&m).keep);
	m.bytes[12] = 0xc0; /* the question's name: never compressed */
	cr_assert_not(judged(&m).keep);
}

Test(dnsmsg, a_name_that_leads_through_a_ttl_is_not_kept)
{
	struct message m = answer(0);
	add_address(&m, 300);
	const size_t ttl = sizeof(question) + 6, second = m.n;
	add_address(&m, 300);
	cr_assert(judged(&m).keep);
	cr_assert_eq(m.bytes[ttl], 0, "the root, until the time is another");
	m.bytes[second + 1] = (uint8_t)ttl;
	cr_assert_not(judged(&m).keep);
	m.bytes[second + 1] = (uint8_t)(ttl - 2); /* 0 1: the class, and no name at all */
	cr_assert(judged(&m).keep, "the root in a class is strange but stays");
}

Test(dnsmsg, a_name_that_leads_forward_through_its_own_record_is_not_kept)
{
	struct message m = answer(0);
	add(&m, 0, 1, 300, "\1\2\3\011", 4); /* 9: a label that ends in the next record's TTL */
	const size_t second = m.n;
	add_address(&m, 256);
	cr_assert(judged(&m).keep);
	cr_assert_eq(m.bytes[second + 9], 0, "the root, until the time is another");
	m.bytes[second + 1] = (uint8_t)(second - 1);
	cr_assert_not(judged(&m).keep);
}

Test(dnsmsg, more_records_than_are_counted_are_not_kept)
{
	struct message m = answer(0);
	for (size_t i = 0; i < DNSMSG_RECORDS; i++)
		add_address(&m, 300);
	cr_assert(judged(&m).keep);
	cr_assert_eq(judged(&m).addresses, DNSMSG_ADDRESSES);
	add_address(&m, 300);
	cr_assert_not(judged(&m).keep);
}

Test(dnsmsg, a_refusal_repeats_the_question_and_nothing_else)
{
	uint8_t query[sizeof(question) + 11], out[DNSMSG_PLAIN_BYTES];
	memcpy(query, question, sizeof(question));
	query[11] = 1;
	cr_assert_eq(dnsmsg_refusal(query, sizeof(query), DNSMSG_SERVFAIL, out), sizeof(question));
	cr_assert_eq(dnsmsg_field(out, 0), 0x1234);
	cr_assert_eq(dnsmsg_field(out, 2), 0x8182);
	cr_assert_eq(dnsmsg_field(out, 4), 1);
	cr_assert_eq(dnsmsg_field(out, 10), 0);
	cr_assert_eq(memcmp(out + 12, question + 12, sizeof(question) - 12), 0);
	cr_assert_eq(dnsmsg_refusal(query, 20, DNSMSG_FORMERR, out), 12);
	cr_assert_eq(dnsmsg_field(out, 4), 0);
}

Test(dnsmsg, what_is_too_long_for_the_asker_is_cut_to_its_question)
{
	struct message m = answer(0);
	struct dnsmsg_question q;
	dnsmsg_query(question, sizeof(question), &q);
	for (size_t i = 0; i < 60; i++)
		add_address(&m, 300);
	cr_assert_eq(dnsmsg_truncate(m.bytes, m.n, &q, 2000), m.n);
	const size_t n = dnsmsg_truncate(m.bytes, m.n, &q, 512);
	cr_assert_eq(n, sizeof(question));
	m.n = n;
	cr_assert(judged(&m).truncated);
	cr_assert_eq(dnsmsg_field(m.bytes, 6), 0);
}
