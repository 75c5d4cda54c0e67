/*
 * DNS: which messages change, which never do; every capture of tests/vectors/dns at every split
 * position with the same output.
 */
#include "dns_wire.h"
#include "session.h"

static struct wire in, out, question;

static struct harness *datagrams(void)
{
	return harness_new(&dns_protocol, wire_view(false), GRANT);
}

static struct harness *stream(void)
{
	return harness_new(&dns_protocol, wire_view(true), GRANT);
}

/* `in` becomes `out`, over UDP and over TCP. */
static void expect_by_view(struct alg_flow view, enum alg_direction from)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		view.stream = tcp;
		struct harness *h = harness_new(&dns_protocol, view, GRANT);
		wire_send(h, from, &in);
		cr_assert_eq(h->way[from].out_bytes, out.n + (tcp ? 2 : 0));
		wire_expect(h, from, &out);
		cr_expect_not(h->gave_up && h->violation, "%s", h->why);
		harness_free(h);
	}
}

static void expect_becomes(enum alg_direction from)
{
	expect_by_view(wire_view(false), from);
}

static void expect_stays(enum alg_direction from)
{
	out = in;
	expect_becomes(from);
}

/* A whole answer of one A record, owned by the question's name. */
static void answer_a(struct wire *w, uint32_t ttl, const char *address)
{
	wire_start(w, 7, ANSWER, 1, 1, 0, 0);
	wire_question(w, "www.example", TYPE_A);
	wire_a(w, 12, ttl, address);
}

Test(dns, the_outside_address_in_an_answer_becomes_the_inside_one)
{
	answer_a(&in, 300, OUTSIDE);
	answer_a(&out, 0, INSIDE);
	expect_becomes(ALG_OUTSIDE);
	expect_stays(ALG_GUEST);
}

Test(dns, the_inside_address_in_an_inside_servers_answer_becomes_the_outside_one)
{
	struct alg_flow view = wire_view(false);
	view.guest_serves = true;
	answer_a(&in, 300, INSIDE);
	answer_a(&out, 0, OUTSIDE);
	expect_by_view(view, ALG_GUEST);
	expect_stays(ALG_OUTSIDE);
}

Test(dns, other_addresses_stay)
{
	answer_a(&in, 300, "198.51.100.80");
	expect_stays(ALG_OUTSIDE);
	expect_stays(ALG_GUEST);
	answer_a(&in, 300, "203.0.113.66"); /* of another VRF */
	expect_stays(ALG_OUTSIDE);
}

Test(dns, a_flow_sees_the_addresses_of_its_vrf)
{
	struct alg_flow view = wire_view(false);
	view.vrf = 1;
	answer_a(&in, 300, "203.0.113.66");
	answer_a(&out, 0, "192.168.30.66");
	expect_by_view(view, ALG_OUTSIDE);
	answer_a(&in, 300, OUTSIDE);
	out = in;
	expect_by_view(view, ALG_OUTSIDE);
}

/* An answer with one address in each section, and EDNS. */
static void every_section(struct wire *w, uint32_t ttl, const char *first, const char *second)
{
	wire_start(w, 7, ANSWER, 1, 3, 1, 3);
	wire_question(w, "example", TYPE_A);
	wire_a(w, 12, ttl, first);
	wire_a(w, 12, 60, "198.51.100.80");
	wire_a(w, 12, ttl, second);
	wire_pointer(w, "", 12);
	wire_fixed(w, TYPE_NS, 1, 600);
	const size_t server = w->n;
	wire_pointer(w, "ns", 12);
	wire_end(w);
	wire_a(w, server, 600, "198.51.100.53");
	wire_a(w, server, ttl, first);
	wire_opt(w);
}

Test(dns, every_section_is_looked_at_and_only_what_changes_loses_its_ttl)
{
	every_section(&in, 300, OUTSIDE, "203.0.113.7");
	every_section(&out, 0, INSIDE, "192.168.30.123");
	expect_becomes(ALG_OUTSIDE);
}

static void many(struct wire *w, unsigned int count, uint32_t ttl, const char *address)
{
	wire_start(w, 7, ANSWER, 1, count, 0, 0);
	wire_question(w, "www.example", TYPE_A);
	for (unsigned int i = 0; i < count; i++)
		wire_a(w, 12, ttl, address);
}

Test(dns, many_records_change_or_none)
{
	many(&in, 96, 300, OUTSIDE);
	many(&out, 96, 0, INSIDE);
	expect_becomes(ALG_OUTSIDE);
	many(&in, 300, 300, OUTSIDE);
	expect_stays(ALG_OUTSIDE);
}

Test(dns, an_a_record_of_another_class_or_length_stays)
{
	answer_a(&in, 300, OUTSIDE);
	in.p[in.n - 11] = 3; /* CHAOS */
	expect_stays(ALG_OUTSIDE);
	in.p[in.n - 11] = 254; /* which is an update's */
	expect_stays(ALG_OUTSIDE);
	wire_start(&in, 7, ANSWER, 0, 1, 0, 0);
	wire_name(&in, "www.example");
	wire_fixed(&in, TYPE_A, 1, 300);
	wire_ip(&in, OUTSIDE);
	wire_u8(&in, 0);
	wire_end(&in);
	expect_stays(ALG_OUTSIDE);
}

/* AAAA with these 12 bytes before the address. */
static void answer_aaaa(struct wire *w, uint32_t ttl, const uint8_t *prefix, const char *address)
{
	wire_start(w, 7, ANSWER, 1, 1, 0, 0);
	wire_question(w, "www.example", TYPE_AAAA);
	wire_pointer(w, "", 12);
	wire_fixed(w, TYPE_AAAA, 1, ttl);
	wire_bytes(w, prefix, 12);
	wire_ip(w, address);
	wire_end(w);
}

Test(dns, aaaa_changes_only_where_it_holds_an_address_and_the_operator_says_so)
{
	static const uint8_t mapped[12] = {[10] = 255, [11] = 255},
			     nat64[12] = {0, 0x64, 0xff, 0x9b}, compatible[12] = {0},
			     global[12] = {0x20, 1, 0xd, 0xb8};
	const uint8_t *const hold[] = {mapped, nat64}, *const others[] = {compatible, global};
	struct alg_flow view = wire_view(false);
	view.dns_v6 = true;
	for (int i = 0; i < 2; i++) {
		answer_aaaa(&in, 300, hold[i], OUTSIDE);
		answer_aaaa(&out, 0, hold[i], INSIDE);
		expect_by_view(view, ALG_OUTSIDE);
		expect_stays(ALG_OUTSIDE);
		answer_aaaa(&in, 300, others[i], OUTSIDE);
		out = in;
		expect_by_view(view, ALG_OUTSIDE);
	}
}

static void answer_https(struct wire *w, unsigned int type, uint32_t ttl, const char *address)
{
	static const uint8_t alpn[] = {0, 1, 0, 3, 2, 'h', '2'};
	wire_start(w, 7, ANSWER, 1, 1, 0, 0);
	wire_question(w, "www.example", type);
	wire_pointer(w, "", 12);
	wire_fixed(w, type, 1, ttl);
	wire_u16(w, 1);
	wire_name(w, "svc.example");
	wire_bytes(w, alpn, sizeof(alpn));
	wire_u16(w, 4);
	wire_u16(w, 8);
	wire_ip(w, "198.51.100.80");
	wire_ip(w, address);
	wire_u16(w, 6);
	wire_u16(w, 16);
	wire_bytes(w, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	wire_ip(w, OUTSIDE);
	wire_end(w);
}

Test(dns, hints_of_svcb_and_https_change)
{
	for (unsigned int type = 64; type <= 65; type++) {
		answer_https(&in, type, 300, OUTSIDE);
		answer_https(&out, type, 0, INSIDE);
		expect_becomes(ALG_OUTSIDE);
		struct alg_flow view = wire_view(false);
		view.dns_v6 = true;
		memcpy(out.p + out.n - 4, &(uint32_t){ip(INSIDE)}, 4);
		expect_by_view(view, ALG_OUTSIDE);
	}
}

Test(dns, hints_that_are_cut_short_are_left_alone)
{
	answer_https(&in, 65, 300, OUTSIDE);
	in.p[in.rdata + 2 + 13 + 7 + 3] = 200; /* longer than the record */
	expect_stays(ALG_OUTSIDE);
	wire_start(&in, 7, ANSWER, 0, 1, 0, 0);
	wire_name(&in, "");
	wire_fixed(&in, 65, 1, 300);
	wire_u8(&in, 0);
	wire_end(&in);
	expect_stays(ALG_OUTSIDE);
}

Test(dns, more_hints_than_can_change_leave_the_message_as_it_is)
{
	for (unsigned int count = 16; count <= 17; count++) {
		for (int changed = 0; changed < 2; changed++) {
			struct wire *w = changed ? &out : &in;
			wire_start(w, 7, ANSWER, 0, 2, 0, 0);
			for (int i = 0; i < 2; i++) {
				wire_name(w, "www");
				wire_fixed(w, 65, 1, changed ? 0 : 300);
				wire_u16(w, 1);
				wire_name(w, "");
				wire_u16(w, 4);
				wire_u16(w, 4 * (i ? count : 1));
				for (unsigned int k = 0; k < (i ? count : 1); k++)
					wire_ip(w, changed ? INSIDE : OUTSIDE);
				wire_end(w);
			}
		}
		if (count == 16)
			expect_becomes(ALG_OUTSIDE);
		else
			expect_stays(ALG_OUTSIDE);
	}
}

/* RFC 2136: zone, prerequisite "is there", "delete this one", "add this one". */
static void update(struct wire *w, const char *address)
{
	wire_start(w, 7, 0x2800, 1, 1, 2, 0);
	wire_question(w, "example", TYPE_SOA);
	wire_a(w, 12, 0, "198.51.100.80");
	wire_pointer(w, "host", 12);
	wire_fixed(w, TYPE_A, 254, 0);
	wire_ip(w, address);
	wire_end(w);
	wire_pointer(w, "host", 12);
	wire_fixed(w, TYPE_A, 1, 3600);
	wire_ip(w, address);
	wire_end(w);
}

Test(dns, a_guest_that_names_itself_in_an_update_names_its_outside_address)
{
	update(&in, INSIDE);
	update(&out, OUTSIDE);
	expect_becomes(ALG_GUEST);
}

Test(dns, other_opcodes_stay)
{
	for (unsigned int opcode = 0; opcode < 16; opcode++) {
		answer_a(&in, 300, OUTSIDE);
		answer_a(&out, opcode == 5 ? 300 : 0, INSIDE);
		in.p[2] = out.p[2] = (uint8_t)(0x84 | opcode << 3);
		if (opcode != 0 && opcode != 4 && opcode != 5)
			out = in;
		expect_becomes(ALG_OUTSIDE);
	}
}

/* An answer whose A record has, in this section, a signature of this type over records of that one. */
static void signed_answer(unsigned int type, unsigned int covered, bool additional)
{
	wire_start(&in, 7, ANSWER, 1, additional ? 1 : 2, 0, additional);
	wire_question(&in, "www.example", TYPE_A);
	wire_a(&in, 12, 300, OUTSIDE);
	wire_pointer(&in, "", 12);
	wire_fixed(&in, type, 1, 300);
	wire_u16(&in, covered);
	wire_bytes(&in, "\x0d\2\0\0\1\x2c\1\2\3\4\1\2\3\4\1\2", 16);
	wire_name(&in, "example");
	wire_bytes(&in, "signature", 9);
	wire_end(&in);
	out = in;
}

Test(dns, a_record_that_is_signed_stays)
{
	struct alg_flow view = wire_view(false);
	signed_answer(46, TYPE_A, false);
	expect_stays(ALG_OUTSIDE);
	signed_answer(46, TYPE_AAAA, false);
	memcpy(out.p + 29 + 6, "\0\0\0\0\0\4", 6);
	memcpy(out.p + 29 + 12, &(uint32_t){ip(INSIDE)}, 4);
	expect_becomes(ALG_OUTSIDE);
	view.dns_v6 = true;
	static const uint8_t mapped[12] = {[10] = 255, [11] = 255};
	answer_aaaa(&in, 300, mapped, OUTSIDE);
	wire_pointer(&in, "", 12);
	wire_fixed(&in, 46, 1, 300);
	wire_u16(&in, TYPE_AAAA);
	wire_end(&in);
	in.p[7] = 2;
	out = in;
	expect_by_view(view, ALG_OUTSIDE);
	for (unsigned int type = 64; type <= 65; type++) {
		answer_https(&in, type, 300, OUTSIDE);
		wire_pointer(&in, "", 12);
		wire_fixed(&in, 46, 1, 300);
		wire_u16(&in, type);
		wire_end(&in);
		in.p[7] = 2;
		expect_stays(ALG_OUTSIDE);
	}
}

Test(dns, ad_of_a_changed_answer_is_cleared_and_of_another_one_kept)
{
	answer_a(&in, 300, OUTSIDE);
	answer_a(&out, 0, INSIDE);
	in.p[3] |= 0x20;
	expect_becomes(ALG_OUTSIDE);
	answer_a(&in, 300, "198.51.100.80");
	in.p[3] |= 0x20;
	expect_stays(ALG_OUTSIDE);
}

static void add_tsig(struct wire *w)
{
	w->p[11]++;
	wire_name(w, "key");
	wire_fixed(w, 250, 255, 0);
	wire_name(w, "hmac-sha256");
	wire_bytes(w, "\0\0\1\2\3\4\1\x2c\0\4maac\0\7\0\0\0\0", 20);
	wire_end(w);
}

Test(dns, a_message_with_tsig_stays_and_over_tcp_what_follows_too)
{
	answer_a(&in, 300, OUTSIDE);
	add_tsig(&in);
	expect_stays(ALG_OUTSIDE);
	answer_a(&out, 300, OUTSIDE);
	struct harness *h = stream();
	wire_send(h, ALG_OUTSIDE, &in);
	wire_send(h, ALG_OUTSIDE, &out);
	wire_expect(h, ALG_OUTSIDE, &out);
	cr_expect(h->gave_up && !h->violation);
	harness_free(h);
	h = datagrams();
	wire_send(h, ALG_OUTSIDE, &in);
	answer_a(&in, 300, OUTSIDE);
	answer_a(&out, 0, INSIDE);
	wire_send(h, ALG_OUTSIDE, &in);
	wire_expect(h, ALG_OUTSIDE, &out);
	harness_free(h);
}

Test(dns, a_signed_question_is_not_exchanged)
{
	wire_start(&in, 7, QUERY, 1, 0, 0, 0);
	wire_question(&in, INSIDE_REVERSE, TYPE_PTR);
	add_tsig(&in);
	expect_stays(ALG_GUEST);
}

Test(dns, a_message_with_sig0_stays)
{
	signed_answer(24, 0, true);
	expect_stays(ALG_OUTSIDE);
	signed_answer(24, TYPE_AAAA, true);
	memcpy(out.p + 29 + 6, "\0\0\0\0\0\4", 6);
	memcpy(out.p + 29 + 12, &(uint32_t){ip(INSIDE)}, 4);
	expect_becomes(ALG_OUTSIDE);
}

/* The messages of a transfer, of which only the first has a question (RFC 5936 2.2). */
static void transfer(struct wire *w, bool first, uint32_t ttl, const char *address)
{
	wire_start(w, 7, ANSWER, first, 3, 0, 0);
	if (first)
		wire_question(w, "example", 252);
	for (int i = 0; i < 2; i++) {
		wire_name(w, "host.example");
		wire_fixed(w, TYPE_A, 1, i ? ttl : 300);
		wire_ip(w, i ? address : "198.51.100.80");
		wire_end(w);
	}
	wire_name(w, OUTSIDE_REVERSE);
	wire_fixed(w, TYPE_PTR, 1, 300);
	wire_name(w, "host.example");
	wire_end(w);
}

Test(dns, every_message_of_a_transfer_changes_and_its_names_stay)
{
	struct harness *h = stream();
	for (int i = 0; i < 5; i++) {
		transfer(&in, !i, 300, OUTSIDE);
		transfer(&out, !i, 0, INSIDE);
		wire_send(h, ALG_OUTSIDE, &in);
		wire_expect(h, ALG_OUTSIDE, &out);
	}
	cr_expect_eq(h->messages, 5);
	harness_free(h);
}

static void expect_violation(
	struct harness *h, enum alg_direction from, const void *bytes, size_t n)
{
	harness_send(h, from, bytes, n);
	cr_expect(h->gave_up && h->violation);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(dns, what_is_clearly_no_dns_is_a_violation_at_once)
{
	static const uint8_t hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x11\x22\x33";
	answer_a(&in, 300, OUTSIDE);
	expect_violation(datagrams(), ALG_OUTSIDE, in.p, 11);
	expect_violation(datagrams(), ALG_OUTSIDE, "", 0);
	expect_violation(datagrams(), ALG_GUEST, "SSH-2.0-OpenSSH_9.2\r\n", 21);
	expect_violation(stream(), ALG_OUTSIDE, "SSH-2.0-OpenSSH_9.2\r\n", 21);
	expect_violation(stream(), ALG_GUEST, "GET / HTTP/1.1\r\n", 16);
	expect_violation(stream(), ALG_GUEST, hello, sizeof(hello) - 1);
	expect_violation(stream(), ALG_GUEST, "\0\x0b", 2);
	expect_violation(stream(), ALG_GUEST, "\0\x0c\0\0\0\0\0\1\0\0\0\0\0\0", 14);
	expect_violation(stream(), ALG_GUEST, "\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0", 14);
}

Test(dns, what_cannot_be_read_ends_a_stream_but_not_datagrams)
{
	answer_a(&in, 300, OUTSIDE);
	in.p[12] = 0x80; /* a label of no kind */
	struct harness *h = stream();
	wire_send(h, ALG_OUTSIDE, &in);
	cr_expect(h->gave_up && h->violation);
	harness_free(h);
	h = datagrams();
	wire_send(h, ALG_OUTSIDE, &in);
	wire_expect(h, ALG_OUTSIDE, &in);
	answer_a(&in, 300, OUTSIDE);
	answer_a(&out, 0, INSIDE);
	wire_send(h, ALG_OUTSIDE, &in);
	wire_expect(h, ALG_OUTSIDE, &out);
	harness_free(h);
}

Test(dns, a_datagram_that_is_cut_without_tc_stays)
{
	every_section(&in, 300, OUTSIDE, OUTSIDE);
	for (size_t n = 12; n < in.n; n++) {
		struct harness *h = datagrams();
		harness_send(h, ALG_OUTSIDE, in.p, n);
		harness_expect_untouched(h);
		harness_free(h);
	}
}

Test(dns, of_a_datagram_with_tc_the_whole_records_change)
{
	every_section(&in, 300, OUTSIDE, OUTSIDE);
	every_section(&out, 0, INSIDE, INSIDE);
	in.p[2] |= 2;
	struct harness *h = datagrams();
	harness_send(h, ALG_OUTSIDE, in.p, 60); /* within the third record of the answer */
	memcpy(out.p + 41, in.p + 41, 60 - 41);
	out.p[2] |= 2;
	out.n = 60;
	cr_expect(
		h->way[ALG_OUTSIDE].out_bytes == 60 && !memcmp(h->way[ALG_OUTSIDE].out, out.p, 60));
	harness_free(h);
}

static void ask(struct wire *w, unsigned int id, const char *name, unsigned int type)
{
	wire_start(w, id, QUERY, 1, 0, 0, 1);
	wire_question(w, name, type);
	wire_opt(w);
}

/* As bind9 answers: the owner is a pointer to the question. */
static void answer_ptr(struct wire *w, unsigned int id, const char *name, uint32_t ttl)
{
	wire_start(w, id, ANSWER, 1, 1, 0, 1);
	wire_question(w, name, TYPE_PTR);
	wire_pointer(w, "", 12);
	wire_fixed(w, TYPE_PTR, 1, ttl);
	wire_name(w, "host.example");
	wire_end(w);
	wire_opt(w);
}

/* One side asks for a name, the other one hears another, and the answer has the first again. */
static void expect_exchange(struct harness *h, enum alg_direction from, unsigned int id,
	const char *asked, const char *sent, uint32_t ttl)
{
	const enum alg_direction back = from == ALG_GUEST ? ALG_OUTSIDE : ALG_GUEST;
	ask(&in, id, asked, TYPE_PTR);
	ask(&out, id, sent, TYPE_PTR);
	wire_send(h, from, &in);
	wire_expect(h, from, &out);
	answer_ptr(&in, id, sent, 300);
	answer_ptr(&out, id, asked, ttl);
	wire_send(h, back, &in);
	wire_expect(h, back, &out);
	cr_assert_not(h->gave_up);
}

Test(dns, a_reverse_question_is_exchanged_and_its_answer_gets_it_back)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct harness *h = tcp ? stream() : datagrams();
		expect_exchange(h, ALG_GUEST, 1, INSIDE_REVERSE, OUTSIDE_REVERSE, 0);
		expect_exchange(h, ALG_GUEST, 2, "123.30.168.192.In-aDDr.aRPA",
			"7.113.0.203.In-aDDr.aRPA", 0);
		expect_exchange(h, ALG_OUTSIDE, 3, OUTSIDE_REVERSE, INSIDE_REVERSE, 0);
		harness_free(h);
	}
}

Test(dns, a_reverse_question_that_is_not_exchanged_stays_with_its_answer)
{
	struct harness *h = datagrams();
	static const char *const names[] = {OUTSIDE_REVERSE, "9.30.168.192.in-addr.arpa",
		"30.168.192.in-addr.arpa", "x." INSIDE_REVERSE, "05.30.168.192.in-addr.arpa",
		"5.30.168.192.in-addr.example", "5.30.168.192.ip6.arpa",
		"66.30.168.192.in-addr.arpa", "261.30.168.192.in-addr.arpa", ""};
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect_exchange(h, ALG_GUEST, i, names[i], names[i], 300);
	harness_free(h);
}

Test(dns, only_ptr_and_any_exchange_a_question)
{
	static const unsigned int types[] = {TYPE_A, TYPE_SOA, TYPE_NS, 252};
	for (unsigned int i = 0; i < 4; i++) {
		ask(&in, 1, INSIDE_REVERSE, types[i]);
		expect_stays(ALG_GUEST);
	}
	ask(&in, 1, INSIDE_REVERSE, 255);
	ask(&out, 1, OUTSIDE_REVERSE, 255);
	expect_becomes(ALG_GUEST);
	in.p[42] = 3; /* CHAOS */
	expect_stays(ALG_GUEST);
	in.p[42] = 1;
	in.p[2] = 0x20; /* a notification */
	expect_stays(ALG_GUEST);
	ask(&in, 1, INSIDE_REVERSE, TYPE_PTR);
	in.p[5] = 2;
	in.p[11] = 0; /* two questions, the second from OPT's bytes */
	in.n = 12 + 2 * (27 + 4);
	memcpy(in.p + 12 + 31, in.p + 12, 31);
	expect_stays(ALG_GUEST);
}

Test(dns, an_id_that_is_used_again_means_the_new_question)
{
	struct harness *h = datagrams();
	ask(&in, 1, INSIDE_REVERSE, TYPE_PTR);
	wire_send(h, ALG_GUEST, &in);
	expect_exchange(h, ALG_GUEST, 1, OUTSIDE_REVERSE, OUTSIDE_REVERSE, 300);
	expect_exchange(h, ALG_GUEST, 1, INSIDE_REVERSE, OUTSIDE_REVERSE, 0);
	answer_ptr(&in, 1, OUTSIDE_REVERSE, 300); /* once more: the question was asked twice */
	answer_ptr(&out, 1, INSIDE_REVERSE, 0);
	wire_send(h, ALG_OUTSIDE, &in);
	wire_expect(h, ALG_OUTSIDE, &out);
	answer_ptr(&in, 2, OUTSIDE_REVERSE, 300); /* nobody asked */
	wire_send(h, ALG_OUTSIDE, &in);
	wire_expect(h, ALG_OUTSIDE, &in);
	answer_ptr(&in, 1, OUTSIDE_REVERSE, 300);
	wire_send(h, ALG_GUEST, &in); /* nobody asked the guest */
	wire_expect(h, ALG_GUEST, &in);
	answer_ptr(&in, 1, "7.113.0.203.in-addr.arpa", 300); /* not what was asked */
	wire_send(h, ALG_OUTSIDE, &in);
	wire_expect(h, ALG_OUTSIDE, &in);
	harness_free(h);
}

Test(dns, the_last_eighty_questions_are_remembered)
{
	struct harness *h = datagrams();
	for (unsigned int id = 0; id <= 80; id++) {
		ask(&in, id, INSIDE_REVERSE, TYPE_PTR);
		wire_send(h, ALG_GUEST, &in);
	}
	for (unsigned int id = 0; id <= 80; id++) {
		answer_ptr(&in, id, OUTSIDE_REVERSE, 300);
		answer_ptr(&out, id, id ? INSIDE_REVERSE : OUTSIDE_REVERSE, id ? 0 : 300);
		wire_send(h, ALG_OUTSIDE, &in);
		wire_expect(h, ALG_OUTSIDE, &out);
	}
	harness_free(h);
}

Test(dns, a_datagram_that_outgrows_what_was_asked_for_says_so)
{
	for (unsigned int edns = 0; edns < 2; edns++) {
		struct harness *h = datagrams();
		ask(&in, 1, INSIDE_REVERSE, TYPE_PTR);
		wire_send(h, ALG_GUEST, &in);
		wire_start(&in, 1, ANSWER, 1, 1, 0, edns);
		wire_question(&in, "7.113.0.203.in-addr.arpa", TYPE_PTR);
		harness_free(h);
		h = datagrams();
		ask(&question, 1, "123.30.168.192.in-addr.arpa", TYPE_PTR);
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

/* What is said over TCP in more than one piece. */
static void send_long(struct harness *h, enum alg_direction from, const struct wire *w)
{
	const uint8_t prefix[2] = {(uint8_t)(w->n >> 8), (uint8_t)w->n};
	harness_send(h, from, prefix, 2);
	harness_send(h, from, w->p, w->n / 2);
	harness_send(h, from, w->p + w->n / 2, w->n - w->n / 2);
}

Test(dns, the_longest_messages_over_tcp)
{
	for (size_t longest = 65531; longest <= 65535; longest++) {
		struct harness *h = stream();
		ask(&question, 1, "123.30.168.192.in-addr.arpa", TYPE_PTR);
		wire_send(h, ALG_GUEST, &question);
		wire_start(&in, 1, ANSWER, 1, 1, 0, 0);
		wire_question(&in, "7.113.0.203.in-addr.arpa", TYPE_PTR);
		wire_pointer(&in, "", 12);
		wire_fixed(&in, 16, 1, 300);
		while (in.n < longest)
			wire_u8(&in, 'x');
		wire_end(&in);
		send_long(h, ALG_OUTSIDE, &in);
		/* 3 bytes more are too many for two of length; 65535 with them are too many for a message */
		cr_expect_eq(
			h->way[ALG_OUTSIDE].out_bytes, 2 + longest + (longest <= 65532 ? 3 : 0));
		cr_expect_eq(h->gave_up, longest == 65535);
		harness_free(h);
	}
}

Test(dns, edits_do_not_depend_on_how_the_stream_was_cut)
{
	struct session *s = calloc(1, sizeof(*s));
	snprintf(s->name, sizeof(s->name), "own");
	static const char *const asked[2] = {INSIDE_REVERSE, OUTSIDE_REVERSE};
	for (unsigned int i = 0; i < 6; i++) {
		if (i < 2)
			ask(&in, 1, asked[i], TYPE_PTR);
		else if (i < 4)
			answer_ptr(&in, 1, asked[i % 2], 300);
		else
			every_section(&in, 300, i == 4 ? INSIDE : OUTSIDE, OUTSIDE);
		s->record[i].from_client = i < 2;
		s->record[i].at = s->bytes;
		s->record[i].n = (unsigned int)in.n + 2;
		s->data[s->bytes] = (uint8_t)(in.n >> 8);
		s->data[s->bytes + 1] = (uint8_t)in.n;
		memcpy(s->data + s->bytes + 2, in.p, in.n);
		s->bytes += (unsigned int)in.n + 2;
		s->records++;
	}
	for (int serves = 0; serves < 2; serves++) {
		struct alg_flow view = wire_view(true);
		view.guest_serves = serves;
		struct harness *whole =
			session_play(s, &dns_protocol, view, SESSION_WHOLE, SESSION_NO_CUT);
		cr_assert_eq(whole->messages, 6);
		for (unsigned int at = 0; at < s->bytes; at++) {
			struct harness *h =
				session_play(s, &dns_protocol, view, at ? SESSION_WHOLE : 1, at);
			session_expect_same(s, whole, h, at);
			harness_free(h);
		}
		harness_free(whole);
	}
	free(s);
}

static bool is_own(const struct session *s)
{
	return !strncmp(s->name, "own-", 4);
}

static struct harness *play(
	const struct session *s, bool tcp, bool serves, unsigned int piece, unsigned int cut)
{
	struct alg_flow view = session_view(s, tcp, serves);
	view.maps = wire_maps();
	view.vrf = is_own(s) ? 0 : 1; /* whose addresses are in none of the others */
	view.dns_v6 = true;
	return session_play(s, &dns_protocol, view, piece, cut);
}

/* All that came out is what went in; what lacks its end still waits. */
static void expect_no_change(const struct harness *h)
{
	for (int i = 0; i < 2; i++)
		cr_assert(h->way[i].out_bytes == h->way[i].passed &&
			  !memcmp(h->way[i].out, h->way[i].in, h->way[i].out_bytes));
}

static void play_datagrams(const struct session *s)
{
	for (int serves = 0; serves < 2; serves++) {
		struct harness *h = play(s, false, serves, SESSION_WHOLE, SESSION_NO_CUT);
		if (!is_own(s))
			harness_expect_untouched(h);
		harness_free(h);
	}
}

static void cut_everywhere(const struct session *s)
{
	for (int serves = 0; serves < 2; serves++) {
		struct harness *whole = play(s, true, serves, SESSION_WHOLE, SESSION_NO_CUT);
		if (!is_own(s))
			expect_no_change(whole);
		for (unsigned int at = 0; at < s->bytes; at++) {
			struct harness *h = play(s, true, serves, at ? SESSION_WHOLE : 1, at);
			session_expect_same(s, whole, h, at);
			harness_free(h);
		}
		harness_free(whole);
	}
}

Test(dns_captures, datagrams_without_our_addresses_stay)
{
	session_each(VECTOR_DIRECTORY "/udp", 10, play_datagrams);
}

Test(dns_captures, edits_do_not_depend_on_how_a_stream_was_cut)
{
	session_each(VECTOR_DIRECTORY "/tcp", 8, cut_everywhere);
}

/* How often these bytes stand in what came out of a side. */
static unsigned int count_bytes(const struct way *w, const void *bytes, size_t n)
{
	unsigned int count = 0;
	for (const uint8_t *at = w->out;
		(at = memmem(at, w->out_bytes - (size_t)(at - w->out), bytes, n)); at++)
		count++;
	return count;
}

static void expect_counts(const char *name, bool tcp, unsigned int outside, unsigned int inside)
{
	char folder[300];
	snprintf(folder, sizeof(folder), "%s/%s", VECTOR_DIRECTORY, tcp ? "tcp" : "udp");
	struct session *s = session_load(folder, name);
	struct harness *h = play(s, tcp, false, SESSION_WHOLE, SESSION_NO_CUT);
	const uint32_t addresses[2] = {ip(OUTSIDE), ip(INSIDE)};
	cr_expect_eq(count_bytes(&h->way[ALG_OUTSIDE], &addresses[0], 4), outside, "%s: %u", name,
		count_bytes(&h->way[ALG_OUTSIDE], &addresses[0], 4));
	cr_expect_eq(count_bytes(&h->way[ALG_OUTSIDE], &addresses[1], 4), inside, "%s: %u", name,
		count_bytes(&h->way[ALG_OUTSIDE], &addresses[1], 4));
	harness_free(h);
	free(s);
}

Test(dns_captures, of_bind9_every_address_changes_but_the_signed_ones)
{
	expect_counts("own-bind9-1.session", false, 1, 9);
	expect_counts("own-bind9-1.session", true, 0, 45);
	expect_counts("own-bind9-2.session", true, 0, 0);
	expect_counts("own-bind9-3.session", true, 45, 0);
	expect_counts("own-bind9-4.session", true, 0, 2);
}
