/* Edits in order: neighbours together, bytes between them kept, all that fit and no more. */
#include "dns_edit.h"
#include "harness.h"

static struct alg_answer answer;
static uint8_t message[4096];

static struct dns_edit start(size_t base)
{
	answer.edit_count = 0;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	return (struct dns_edit){.answer = &answer, .p = message + base, .base = base};
}

Test(dns_edit, neighbours_are_one_edit_with_what_lies_between)
{
	struct dns_edit d = start(2);
	dns_edit_put(&d, 20, 1, (const uint8_t *)"abc", 3);
	dns_edit_put(&d, 25, 4, (const uint8_t *)"", 0);
	dns_edit_put(&d, 29, 1, (const uint8_t *)"d", 1);
	cr_assert_eq(answer.edit_count, 1);
	cr_expect(answer.edit[0].at == 22 && answer.edit[0].old_bytes == 10);
	cr_expect(answer.edit[0].bytes == 8 && !memcmp(answer.edit[0].text,
						       "abc\x17\x18\x19\x1a"
						       "d",
						       8));
	cr_expect(d.growth == -2 && !d.full);
}

Test(dns_edit, what_does_not_fit_into_one_is_another)
{
	struct dns_edit d = start(0);
	dns_edit_put(&d, 20, 1, (const uint8_t *)"a", 1);
	dns_edit_put(&d, 20 + ALG_EDIT_BYTES - 1, 1, (const uint8_t *)"b", 1);
	cr_assert_eq(answer.edit_count, 1);
	cr_expect_eq(answer.edit[0].bytes, ALG_EDIT_BYTES);
	dns_edit_put(&d, 20 + ALG_EDIT_BYTES, 1, (const uint8_t *)"c", 1);
	cr_assert_eq(answer.edit_count, 2);
	cr_expect(answer.edit[1].at == 20 + ALG_EDIT_BYTES && answer.edit[1].bytes == 1);
	cr_expect_not(d.full);
}

Test(dns_edit, too_many_are_said)
{
	struct dns_edit d = start(0);
	for (size_t i = 0; i < ALG_EDITS; i++) {
		cr_expect_not(d.full);
		dns_edit_put(&d, 20 + 100 * i, 1, (const uint8_t *)"a", 1);
	}
	cr_assert(!d.full && answer.edit_count == ALG_EDITS);
	struct dns_edit front = d;
	dns_edit_front(&front, (const uint8_t *)"ab", 2);
	cr_expect(front.full);
	dns_edit_put(&d, 3900, 1, (const uint8_t *)"a", 1);
	cr_expect(d.full && answer.edit_count == ALG_EDITS);
}

Test(dns_edit, the_front_comes_first)
{
	struct dns_edit d = start(2);
	dns_edit_put(&d, 20, 1, (const uint8_t *)"a", 1);
	dns_edit_put(&d, 220, 1, (const uint8_t *)"b", 1);
	dns_edit_front(&d, (const uint8_t *)"xyz", 3);
	cr_assert_eq(answer.edit_count, 3);
	cr_expect(answer.edit[0].at == 0 && answer.edit[0].old_bytes == 3 &&
		  answer.edit[0].bytes == 3);
	cr_expect(!memcmp(answer.edit[0].text, "xyz", 3));
	cr_expect(answer.edit[1].at == 22 && answer.edit[2].at == 222);
}
