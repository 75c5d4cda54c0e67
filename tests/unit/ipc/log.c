/* What guests write comes out as harmless ASCII, always terminated, never cut inside an escape. */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <string.h>

#include "log.h"

Test(log, plain_text_stays)
{
	char out[64];

	cr_assert_str_eq(log_escape(out, sizeof(out), "Hello, host-1!", 14), "Hello, host-1!");
	cr_assert_str_eq(log_escape(out, sizeof(out), "", 0), "");
}

Test(log, every_byte_becomes_printable_ascii)
{
	char out[8];

	for (int c = 0; c < 256; c++) {
		uint8_t byte = (uint8_t)c;

		log_escape(out, sizeof(out), &byte, 1);
		for (const char *p = out; *p; p++)
			cr_assert(*p >= 0x20 && *p < 0x7f && *p != '"');
		cr_assert(strlen(out) == 1 || (strlen(out) == 4 && out[0] == '\\'));
	}
}

Test(log, terminal_control_and_forged_lines_are_escaped)
{
	char out[64];

	cr_assert_str_eq(log_escape(out, sizeof(out), "a\033[2J\n\0\"\\\xff", 10),
		"a\\x1b[2J\\x0a\\x00\\x22\\x5c\\xff");
}

Test(log, a_short_buffer_cuts_between_characters)
{
	for (size_t cap = 1; cap < 20; cap++) {
		char out[32];

		memset(out, 'Z', sizeof(out));
		log_escape(out, cap, "\1\2\3\4\5", 5);
		cr_assert_eq(strlen(out), (cap - 1) / 4 * 4, "cap %zu", cap);
		cr_assert_eq(out[cap], 'Z');
	}
}

Test(log, no_room_at_all_writes_nothing)
{
	char out = 'Z';

	log_escape(&out, 0, "abc", 3);
	cr_assert_eq(out, 'Z');
}

Test(log, addresses)
{
	static const uint8_t mac[6] = {0x00, 0xac, 0x85, 0x40, 0xb5, 0x50};
	char out[18];

	cr_assert_str_eq(log_ip(out, inet_addr("192.168.30.1")), "192.168.30.1");
	cr_assert_str_eq(log_ip(out, inet_addr("255.255.255.255")), "255.255.255.255");
	cr_assert_str_eq(log_ip(out, 0), "0.0.0.0");
	cr_assert_str_eq(log_mac(out, mac, '-'), "00-AC-85-40-B5-50");
	cr_assert_str_eq(log_mac(out, mac, ':'), "00:ac:85:40:b5:50");
}
