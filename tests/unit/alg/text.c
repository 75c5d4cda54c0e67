/* The readers and writers of text.c: what they take, what they leave alone. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "text.h"

static struct text of(const char *s)
{
	return text(s, strlen(s));
}

Test(text, line_ends_with_lf_and_remembers_what_it_has_seen)
{
	const uint8_t *p = (const uint8_t *)"abc\r\ndef\n";
	cr_expect_eq(text_line(p, 3, 0), 0);
	cr_expect_eq(text_line(p, 9, 3), 5);
	cr_expect_eq(text_line(p, 9, 0), 5);
	cr_expect_eq(text_line(p, 9, 5), 9);
	cr_expect_eq(text_line(p, 4, 4), 0);
	cr_expect_eq(text_line(p, 0, 0), 0);
}

Test(text, end_of_line_is_crlf_or_lf)
{
	const char *ends[] = {"ab\r\n", "ab\n", "ab"};
	for (int i = 0; i < 3; i++) {
		struct text t = text_without_end((const uint8_t *)ends[i], strlen(ends[i]));
		cr_expect_eq(text_left(&t), 2);
	}
	struct text t = text_without_end((const uint8_t *)"\r\r\n", 3);
	cr_expect_eq(text_left(&t), 1);
}

Test(text, numbers_have_a_bound_and_five_digits)
{
	unsigned int v = 7;
	struct text t = of("65535x");
	cr_expect(text_number(&t, 65535, &v) && v == 65535 && *t.p == 'x');
	const char *bad[] = {"65536", "000001", "99999999999999999999", "x", "", "-1", "+1", " 1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		t = of(bad[i]);
		const uint8_t *was = t.p;
		cr_expect_not(text_number(&t, 65535, &v), "%s", bad[i]);
		cr_expect_eq(t.p, was);
	}
}

Test(text, addresses_have_four_octets)
{
	uint32_t ip;
	struct text t = of("192.168.30.10:80");
	cr_expect(text_ip(&t, '.', &ip) && ip == inet_addr("192.168.30.10") && *t.p == ':');
	t = of("10,0,0,1,4,1");
	cr_expect(text_ip(&t, ',', &ip) && ip == inet_addr("10.0.0.1") && *t.p == ',');
	const char *bad[] = {"1.2.3", "1.2.3.", "256.1.1.1", "1..2.3", "1,2,3,4", "a.b.c.d", ""};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		t = of(bad[i]);
		cr_expect_not(text_ip(&t, '.', &ip), "%s", bad[i]);
		cr_expect_eq(text_left(&t), strlen(bad[i]));
	}
}

Test(text, what_stands_before_a_byte)
{
	struct text t = of("a/bc//"), before = text_until(&t, '/');
	cr_expect(text_is(&before, "A") && text_left(&t) == 4);
	before = text_until(&t, '/');
	cr_expect(text_is(&before, "BC"));
	before = text_until(&t, '/');
	cr_expect(!text_left(&before) && !text_left(&t));
	t = of("ab");
	before = text_until(&t, '/');
	cr_expect(text_is(&before, "AB") && !text_left(&t));
	before = text_until(&t, '/');
	cr_expect_not(text_left(&before));
}

Test(text, words_are_bounded_and_start_with_a_letter)
{
	struct text w, t = of("xsha256 f");
	cr_expect(text_word(&t, 12, &w) && text_is(&w, "XSHA256") && *t.p == ' ');
	const char *bad[] = {"1ab", "", " a", "ABCDEFGHIJKLM"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		t = of(bad[i]);
		cr_expect_not(text_word(&t, 12, &w), "%s", bad[i]);
	}
	t = of("PORTS");
	cr_expect_not(text_is(&t, "PORT"));
	cr_expect(text_is(&t, "PORTS"));
}

Test(text, writers_write_what_readers_read)
{
	uint8_t out[64];
	uint32_t n = 0;
	text_put_ip(out, &n, ',', inet_addr("203.0.113.7"));
	text_put_char(out, &n, ',');
	text_put_number(out, &n, 0);
	text_put_char(out, &n, ',');
	text_put_number(out, &n, 65535);
	cr_expect(n == strlen("203,0,113,7,0,65535") && !memcmp(out, "203,0,113,7,0,65535", n));
}
