/* Edits in any order come out ascending, and all of them or none. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "splice.h"

static const uint8_t message[128];

static struct text span(size_t at, size_t n)
{
	return text(message + at, n);
}

Test(splice, edits_ascend_and_growth_is_known)
{
	static struct alg_answer a;
	struct splice s = splice_of(&a, message);
	splice_number(&s, span(40, 5), 7);
	splice_address(&s, span(10, 9), inet_addr("203.0.113.7"), 0);
	splice_address(&s, span(25, 9), inet_addr("203.0.113.7"), 8554);
	cr_assert(splice_end(&s));
	cr_assert_eq(a.edit_count, 3);
	cr_expect(a.edit[0].at == 10 && a.edit[1].at == 25 && a.edit[2].at == 40);
	cr_expect(a.edit[0].old_bytes == 9 && a.edit[2].old_bytes == 5);
	cr_expect(a.edit[0].bytes == 11 && !memcmp(a.edit[0].text, "203.0.113.7", 11));
	cr_expect(a.edit[1].bytes == 16 && !memcmp(a.edit[1].text, "203.0.113.7:8554", 16));
	cr_expect(a.edit[2].bytes == 1 && a.edit[2].text[0] == '7');
	cr_expect_eq(s.growth, 2 + 7 - 4);
}

Test(splice, too_many_are_none)
{
	static struct alg_answer a;
	struct splice s = splice_of(&a, message);
	for (size_t i = 0; i < ALG_EDITS; i++)
		splice_number(&s, span(i, 1), 1);
	cr_assert(splice_end(&s));
	cr_assert_eq(a.edit_count, ALG_EDITS);
	splice_number(&s, span(ALG_EDITS, 1), 1);
	cr_assert_not(splice_end(&s));
	cr_assert_eq(a.edit_count, 0);
}
