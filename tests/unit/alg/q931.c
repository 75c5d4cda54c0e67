/* Q.931: the envelope of call signalling, whole or not at all. */
#include <criterion/criterion.h>
#include <string.h>

#include "q931.h"

#define READ(octets, m) q931_read((const uint8_t *)(octets), sizeof(octets) - 1, m)

Test(q931, tells_reference_type_and_what_it_carries)
{
	struct q931 m;
	cr_assert(READ("\010\002\200\007\001"
		       "\050\001a"
		       "\236"
		       "\176\000\004\005xyz",
		&m));
	cr_expect(m.answers && m.reference == 7 && m.type == Q931_ALERTING);
	cr_expect_eq(m.user_bytes, 3);
	cr_expect(!memcmp(m.user, "xyz", 3));
	cr_assert(READ("\010\002\177\377\005", &m));
	cr_expect(!m.answers && m.reference == 0x7fff && m.type == Q931_SETUP && !m.user);
	cr_assert(READ("\010\002\000\000\132"
		       "\176\000\001\005",
		&m));
	cr_expect(m.reference == 0 && m.user && m.user_bytes == 0);
}

Test(q931, what_stands_in_another_element_is_no_user_information)
{
	struct q931 m;
	cr_assert(READ("\010\002\000\007\005"
		       "\034\004\176\000\001\005",
		&m));
	cr_expect_null(m.user);
}

Test(q931, every_cut_of_a_message_is_none)
{
	static const char whole[] = "\010\002\200\007\001"
				    "\050\001a"
				    "\176\000\004\005xyz";
	struct q931 m;
	for (size_t n = 0; n < sizeof(whole) - 1; n++)
		cr_expect_eq(q931_read((const uint8_t *)whole, n, &m), n == 5 || n == 8, "%zu", n);
}

Test(q931, anything_else_is_none)
{
	struct q931 m;
	cr_expect_not(READ("\007\002\000\007\005", &m), "discriminator");
	cr_expect_not(READ("\010\001\000\007\005", &m), "reference of one octet");
	cr_expect_not(READ("\010\002\000\007\005"
			   "\050\002a",
			      &m),
		"an element that is longer");
	cr_expect_not(READ("\010\002\000\007\005"
			   "\050",
			      &m),
		"without a length");
	cr_expect_not(READ("\010\002\000\007\005"
			   "\176\000\000",
			      &m),
		"nothing in it");
	cr_expect_not(READ("\010\002\000\007\005"
			   "\176\000\002\004x",
			      &m),
		"not ASN.1");
	cr_expect_not(READ("\010\002\000\007\005"
			   "\176\377\377\005x",
			      &m),
		"longer than all");
	cr_expect_not(READ("\010\002\000\007\005"
			   "\176\000\001\005"
			   "\176\000\001\005",
			      &m),
		"twice");
}
