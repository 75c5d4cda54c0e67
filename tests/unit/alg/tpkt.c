/* TPKT: how long a packet is, and what is none. */
#include <criterion/criterion.h>

#include "tpkt.h"

static void expect(const char *octets, size_t n, size_t length)
{
	cr_expect_eq(tpkt_frame(NULL, NULL, ALG_GUEST, (const uint8_t *)octets, n, 0), length,
		"%zu octets", n);
}

Test(tpkt, the_header_says_how_long_it_is)
{
	expect("\003\000\000\004", 4, 4);
	expect("\003\000\000\007\001\002\003", 7, 7);
	expect("\003\000\000\007\001\002\003\003\000", 9, 7);
	expect("\003\000\001\002", 4, 258);
	expect("\003\000\377\377", 4, TPKT_BYTES_MAX);
}

Test(tpkt, a_header_in_pieces_is_waited_for)
{
	expect("\003", 1, 0);
	expect("\003\000", 2, 0);
	expect("\003\000\000", 3, 0);
}

Test(tpkt, anything_else_is_none)
{
	expect("\002", 1, TPKT_NONE);
	expect("P", 1, TPKT_NONE);
	expect("\003\001", 2, TPKT_NONE);
	expect("\003\000\000\003", 4, TPKT_NONE);
	expect("\003\000\000\000", 4, TPKT_NONE);
}
