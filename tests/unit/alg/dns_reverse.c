/* DNS: reverse questions are exchanged, and their answers get them back. */
#include "dns_messages.h"

static struct wire in, out, question;

Test(dns_reverse, a_signed_question_is_not_exchanged)
{
	wire_start(&in, 7, QUERY, 1, 0, 0, 0);
	wire_question(&in, INSIDE_REVERSE, TYPE_PTR);
	wire_tsig(&in);
	wire_expect_becomes(wire_view(false), ALG_GUEST, &in, &in);
}

/* One side asks for a name, the other one hears another, and the answer has the first again. */
static void expect_exchange(struct harness *h, enum alg_direction from, unsigned int id,
	const char *asked, const char *sent, uint32_t ttl)
{
	const enum alg_direction back = from == ALG_GUEST ? ALG_OUTSIDE : ALG_GUEST;
	wire_ask(&in, id, asked, TYPE_PTR);
	wire_ask(&out, id, sent, TYPE_PTR);
	wire_send(h, from, &in);
	wire_expect(h, from, &out);
	wire_answer_ptr(&in, id, sent, 300);
	wire_answer_ptr(&out, id, asked, ttl);
	wire_send(h, back, &in);
	wire_expect(h, back, &out);
	cr_assert_not(h->gave_up);
}

Test(dns_reverse, a_reverse_question_is_exchanged_and_its_answer_gets_it_back)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct harness *h = tcp ? wire_stream() : wire_datagrams();
		expect_exchange(h, ALG_GUEST, 1, INSIDE_REVERSE, OUTSIDE_REVERSE, 0);
		expect_exchange(h, ALG_GUEST, 2, "123.30.168.192.In-aDDr.aRPA",
			"7.113.0.203.In-aDDr.aRPA", 0);
		expect_exchange(h, ALG_OUTSIDE, 3, OUTSIDE_REVERSE, INSIDE_REVERSE, 0);
		harness_free(h);
	}
}

Test(dns_reverse, a_reverse_question_that_is_not_exchanged_stays_with_its_answer)
{
	struct harness *h = wire_datagrams();
	static const char *const names[] = {OUTSIDE_REVERSE, "9.30.168.192.in-addr.arpa",
		"30.168.192.in-addr.arpa", ("x." INSIDE_REVERSE), "05.30.168.192.in-addr.arpa",
		"5.30.168.192.in-addr.example", "5.30.168.192.ip6.arpa",
		"66.30.168.192.in-addr.arpa", "261.30.168.192.in-addr.arpa", ""};
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect_exchange(h, ALG_GUEST, i, names[i], names[i], 300);
	harness_free(h);
}

Test(dns_reverse, only_ptr_and_any_exchange_a_question)
{
	static const unsigned int types[] = {TYPE_A, TYPE_SOA, TYPE_NS, 252};
	for (unsigned int i = 0; i < 4; i++) {
		wire_ask(&in, 1, INSIDE_REVERSE, types[i]);
		wire_expect_becomes(wire_view(false), ALG_GUEST, &in, &in);
	}
	wire_ask(&in, 1, INSIDE_REVERSE, 255);
	wire_ask(&out, 1, OUTSIDE_REVERSE, 255);
	wire_expect_becomes(wire_view(false), ALG_GUEST, &in, &out);
	in.p[42] = 3; /* CHAOS */
	wire_expect_becomes(wire_view(false), ALG_GUEST, &in, &in);
	in.p[42] = 1;
	in.p[2] = 0x20; /* a notification */
	wire_expect_becomes(wire_view(false), ALG_GUEST, &in, &in);
	wire_ask(&in, 1, INSIDE_REVERSE, TYPE_PTR);
	in.p[5] = 2;
	in.p[11] = 0; /* two questions, the second from OPT's bytes */
	in.n = 12 + 2 * (27 + 4);
	memcpy(in.p + 12 + 31, in.p + 12, 31);
	wire_expect_becomes(wire_view(false), ALG_GUEST, &in, &in);
}

Test(dns_reverse, an_id_that_is_used_again_means_the_new_question)
{
	struct harness *h = wire_datagrams();
	wire_ask(&in, 1, INSIDE_REVERSE, TYPE_PTR);
	wire_send(h, ALG_GUEST, &in);
	expect_exchange(h, ALG_GUEST, 1, OUTSIDE_REVERSE, OUTSIDE_REVERSE, 300);
	expect_exchange(h, ALG_GUEST, 1, INSIDE_REVERSE, OUTSIDE_REVERSE, 0);
	wire_answer_ptr(&in, 1, OUTSIDE_REVERSE, 300); /* once more: the question was asked twice */
	wire_answer_ptr(&out, 1, INSIDE_REVERSE, 0);
	wire_send(h, ALG_OUTSIDE, &in);
	wire_expect(h, ALG_OUTSIDE, &out);
	wire_answer_ptr(&in, 2, OUTSIDE_REVERSE, 300); /* nobody asked */
	wire_send(h, ALG_OUTSIDE, &in);
	wire_expect(h, ALG_OUTSIDE, &in);
	wire_answer_ptr(&in, 1, OUTSIDE_REVERSE, 300);
	wire_send(h, ALG_GUEST, &in); /* nobody asked the guest */
	wire_expect(h, ALG_GUEST, &in);
	wire_answer_ptr(&in, 1, "7.113.0.203.in-addr.arpa", 300); /* not what was asked */
	wire_send(h, ALG_OUTSIDE, &in);
	wire_expect(h, ALG_OUTSIDE, &in);
	harness_free(h);
}

Test(dns_reverse, the_last_eighty_questions_are_remembered)
{
	struct harness *h = wire_datagrams();
	for (unsigned int id = 0; id <= 80; id++) {
		wire_ask(&in, id, INSIDE_REVERSE, TYPE_PTR);
		wire_send(h, ALG_GUEST, &in);
	}
	for (unsigned int id = 0; id <= 80; id++) {
		wire_answer_ptr(&in, id, OUTSIDE_REVERSE, 300);
		wire_answer_ptr(&out, id, id ? INSIDE_REVERSE : OUTSIDE_REVERSE, id ? 0 : 300);
		wire_send(h, ALG_OUTSIDE, &in);
		wire_expect(h, ALG_OUTSIDE, &out);
	}
	harness_free(h);
}

Test(dns_reverse, a_datagram_that_outgrows_what_was_asked_for_says_so)
{
	for (unsigned int edns = 0; edns < 2; edns++) {
		struct harness *h = wire_datagrams();
		wire_ask(&in, 1, INSIDE_REVERSE, TYPE_PTR);
		wire_send(h, ALG_GUEST, &in);
		wire_start(&in, 1, ANSWER, 1, 1, 0, edns);
		wire_question(&in, "7.113.0.203.in-addr.arpa", TYPE_PTR);
		harness_free(h);
		h = wire_datagrams();
		wire_ask(&question, 1, "123.30.168.192.in-addr.arpa", TYPE_PTR);
		wire_send(h, ALG_GUEST, &question);
		wire_pointer(&in, "", 12);
		wire_fixed(&in, 16, 1, 300);
		while (in.n < (edns ? 501 : 512))
			wire_u8(&in, 'x');
		wire_end(&in);
		if (edns)
			wire_opt(&in);
		cr_assert_eq(in.n, 512);
		wire_send(h, ALG_OUTSIDE, &in);
		cr_expect_eq(h->way[ALG_OUTSIDE].out_bytes, 512 + 3);
		cr_expect_eq(h->way[ALG_OUTSIDE].out[2] & 2, edns ? 0 : 2);
		harness_free(h);
	}
}
