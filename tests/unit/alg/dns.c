/* DNS: which records of a message change, and which never do. */
#include "dns_messages.h"

static struct wire in, out;

static void expect_by_view(struct alg_flow view, enum alg_direction from)
{
	wire_expect_becomes(view, from, &in, &out);
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

Test(dns, the_outside_address_in_an_answer_becomes_the_inside_one)
{
	wire_answer_a(&in, 300, OUTSIDE);
	wire_answer_a(&out, 0, INSIDE);
	expect_becomes(ALG_OUTSIDE);
	expect_stays(ALG_GUEST);
}

Test(dns, the_inside_address_in_an_inside_servers_answer_becomes_the_outside_one)
{
	struct alg_flow view = wire_view(false);
	view.guest_serves = true;
	wire_answer_a(&in, 300, INSIDE);
	wire_answer_a(&out, 0, OUTSIDE);
	expect_by_view(view, ALG_GUEST);
	expect_stays(ALG_OUTSIDE);
}

Test(dns, other_addresses_stay)
{
	wire_answer_a(&in, 300, "198.51.100.80");
	expect_stays(ALG_OUTSIDE);
	expect_stays(ALG_GUEST);
	wire_answer_a(&in, 300, "203.0.113.66"); /* of another VRF */
	expect_stays(ALG_OUTSIDE);
}

Test(dns, a_flow_sees_the_addresses_of_its_vrf)
{
	struct alg_flow view = wire_view(false);
	view.vrf = 1;
	wire_answer_a(&in, 300, "203.0.113.66");
	wire_answer_a(&out, 0, "192.168.30.66");
	expect_by_view(view, ALG_OUTSIDE);
	wire_answer_a(&in, 300, OUTSIDE);
	out = in;
	expect_by_view(view, ALG_OUTSIDE);
}

Test(dns, every_section_is_looked_at_and_only_what_changes_loses_its_ttl)
{
	wire_every_section(&in, 300, OUTSIDE, "203.0.113.7");
	wire_every_section(&out, 0, INSIDE, "192.168.30.123");
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
	wire_answer_a(&in, 300, OUTSIDE);
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
		wire_answer_a(&in, 300, OUTSIDE);
		wire_answer_a(&out, opcode == 5 ? 300 : 0, INSIDE);
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
	wire_answer_a(&in, 300, OUTSIDE);
	wire_answer_a(&out, 0, INSIDE);
	in.p[3] |= 0x20;
	expect_becomes(ALG_OUTSIDE);
	wire_answer_a(&in, 300, "198.51.100.80");
	in.p[3] |= 0x20;
	expect_stays(ALG_OUTSIDE);
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
	struct harness *h = wire_stream();
	for (int i = 0; i < 5; i++) {
		transfer(&in, !i, 300, OUTSIDE);
		transfer(&out, !i, 0, INSIDE);
		wire_send(h, ALG_OUTSIDE, &in);
		wire_expect(h, ALG_OUTSIDE, &out);
	}
	cr_expect_eq(h->messages, 5);
	harness_free(h);
}
