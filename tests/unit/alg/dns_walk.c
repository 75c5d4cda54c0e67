/* Walking DNS messages: what is a name, a record, a header, and what only looks like one. */
#include "dns_walk.h"
#include "dns_wire.h"

static struct wire w;
static struct dns_walk_name name;

static void header(void)
{
	wire_start(&w, 1, ANSWER, 0, 0, 0, 0);
}

static bool read_at(size_t at)
{
	return dns_walk_name(w.p, w.n, at, &name);
}

static bool skips(size_t at, size_t *end)
{
	*end = at;
	return dns_walk_skip(w.p, w.n, end);
}

Test(dns_walk, a_name_through_its_pointers)
{
	size_t end;
	header();
	wire_name(&w, "example");
	wire_pointer(&w, "b.a", 12);
	const size_t second = w.n;
	wire_pointer(&w, "", 21);
	cr_assert(read_at(12));
	cr_expect(name.end == 21 && !name.pointer && name.spelled == 1 && name.labels == 1 &&
		  name.bytes == 9);
	cr_assert(read_at(21));
	cr_expect(name.end == 27 && name.pointer == 25 && name.target == 12);
	cr_expect(name.spelled == 2 && name.labels == 3 && name.bytes == 13);
	cr_expect(name.label[0] == 21 && name.label[1] == 23 && name.label[2] == 12);
	cr_assert(read_at(second));
	cr_expect(name.end == second + 2 && name.pointer == second && name.target == 21);
	cr_expect(name.spelled == 0 && name.labels == 3 && name.bytes == 13);
	cr_expect(skips(21, &end) && end == 27);
	cr_expect(skips(12, &end) && end == 21);
}

Test(dns_walk, pointers_lead_backwards_and_not_into_the_header)
{
	static const unsigned int targets[] = {0, 11, 22, 23, 24, 25, 26, 0x3fff};
	size_t end;
	for (size_t i = 0; i < 8; i++) {
		header();
		wire_name(&w, "example");
		wire_u8(&w, 0);
		wire_pointer(&w, "", targets[i]); /* at 22 */
		wire_name(&w, "");
		cr_expect_not(read_at(22), "%u", targets[i]);
		cr_expect(skips(22, &end) && end == 24);
	}
	header();
	wire_pointer(&w, "a", 12); /* a loop through a label */
	cr_expect_not(read_at(12));
	cr_expect_not(read_at(14));
}

Test(dns_walk, pointers_in_a_row_have_a_bound)
{
	header();
	wire_name(&w, "a");
	for (size_t i = 0; i < DNS_WALK_HOPS + 1; i++)
		wire_pointer(&w, "", i ? w.n - 2 : 12);
	cr_expect(read_at(w.n - 4));
	cr_expect_not(read_at(w.n - 2));
}

Test(dns_walk, names_and_labels_have_their_bounds)
{
	size_t end;
	for (unsigned int last = 60; last <= 62; last++) {
		header();
		for (unsigned int i = 0; i < 4; i++) {
			const unsigned int n = i == 3 ? last : 63;
			wire_u8(&w, n);
			for (unsigned int k = 0; k < n; k++)
				wire_u8(&w, 'x');
		}
		wire_u8(&w, 0);
		cr_expect_eq(read_at(12), last <= 61, "%u", last); /* 192 + 1 + 61 + 1 */
		cr_expect_eq(skips(12, &end), last <= 61, "%u", last);
	}
	header();
	for (unsigned int i = 0; i < 128; i++) {
		wire_u8(&w, 1);
		wire_u8(&w, 'x');
	}
	wire_u8(&w, 0);
	cr_expect_not(read_at(12));
	cr_expect(read_at(14) && name.labels == 127 && name.bytes == 255);
	for (unsigned int kind = 0x40; kind < 0xc0; kind++) {
		header();
		wire_u8(&w, kind);
		wire_bytes(&w, "0123456789", 10);
		wire_u8(&w, 0);
		cr_expect_not(read_at(12));
		cr_expect_not(skips(12, &end));
	}
}

Test(dns_walk, what_is_cut_is_no_name)
{
	size_t end;
	header();
	wire_name(&w, "example");
	wire_pointer(&w, "www", 12);
	const size_t whole = w.n;
	for (w.n = 12; w.n < whole; w.n++) {
		cr_expect_not(read_at(21), "%zu", w.n);
		cr_expect_eq(read_at(12), w.n >= 21);
		cr_expect_not(w.n > 21 && skips(21, &end), "%zu", w.n);
	}
}

Test(dns_walk, records_as_the_header_counts_them)
{
	struct dns_walk walk;
	struct dns_walk_record r;
	wire_start(&w, 1, ANSWER, 1, 1, 0, 1);
	wire_question(&w, "a", TYPE_A);
	wire_a(&w, 12, 300, "192.0.2.1");
	wire_opt(&w);
	dns_walk_start(&walk, w.p, w.n);
	cr_assert_eq(dns_walk_next(&walk, &r), DNS_WALK_RECORD);
	cr_expect(r.section == DNS_QUESTION && r.owner == 12 && r.fixed == 15 && r.end == 19 &&
		  r.rdata == 19);
	cr_assert_eq(dns_walk_next(&walk, &r), DNS_WALK_RECORD);
	cr_expect(r.section == DNS_ANSWER && r.type == TYPE_A && r.class == 1 && r.rdata == 31 &&
		  r.end == 35);
	cr_assert_eq(dns_walk_next(&walk, &r), DNS_WALK_RECORD);
	cr_expect(r.section == DNS_ADDITIONAL && r.type == TYPE_OPT && r.end == w.n);
	cr_expect_eq(dns_walk_next(&walk, &r), DNS_WALK_END);
	for (size_t n = 12; n < w.n; n++) {
		enum dns_walk_step step;
		unsigned int records = 0;
		dns_walk_start(&walk, w.p, n);
		while ((step = dns_walk_next(&walk, &r)) == DNS_WALK_RECORD)
			records++;
		cr_expect_eq(step, DNS_WALK_BROKEN, "%zu", n);
		cr_expect_eq(records, n >= 35 ? 2 : n >= 19 ? 1 : 0, "%zu", n);
	}
}

Test(dns_walk, counts_that_cannot_be_true)
{
	header();
	cr_expect(dns_walk_plausible(w.p, 12));
	for (size_t section = 0; section < 4; section++) {
		const size_t least = section ? 11 : 5;
		header();
		w.p[4 + 2 * section + 1] = 3;
		cr_expect_not(dns_walk_plausible(w.p, 12 + 3 * least - 1));
		cr_expect(dns_walk_plausible(w.p, 12 + 3 * least));
		w.p[4 + 2 * section] = 255;
		cr_expect_not(dns_walk_plausible(w.p, 65535));
	}
}

static bool reverse(const char *text, const char *address, unsigned int *first)
{
	uint32_t ip_be = 0;
	header();
	wire_name(&w, text);
	cr_assert(read_at(12));
	return dns_walk_reverse(w.p, &name, first, &ip_be) && ip_be == ip(address);
}

Test(dns_walk, reverse_names)
{
	unsigned int first;
	cr_expect(reverse("4.3.2.1.in-addr.arpa", "1.2.3.4", &first) && first == 0);
	cr_expect(reverse("x.255.0.10.9.IN-ADDR.ArPa", "9.10.0.255", &first) && first == 1);
	static const char *const others[] = {"3.2.1.in-addr.arpa", "4.3.2.01.in-addr.arpa",
		"4.3.2.256.in-addr.arpa", "4.3.2.1000.in-addr.arpa", "4.3.2.x.in-addr.arpa",
		"4.3.2.1.in-addr.arp", "4.3.2.1.in-addr.arpa.net", "4.3.2.1.in+addr.arpa",
		"4.3.2.1.inaddr.arpa", "4.3.2.-1.in-addr.arpa", "4.3.2.00.in-addr.arpa", "arpa",
		""};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_expect_not(reverse(others[i], "1.2.3.4", &first), "%s", others[i]);
}
