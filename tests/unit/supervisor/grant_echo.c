/* What the filter of a raw ICMP socket lets in, asked of the kernel: a Unix socket's filter sees what is sent from its first byte. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "grant_echo.h"

enum { PACKET = 32, FIRST = 1024, IDENTIFIERS = 512 };

static int pair[2];

static void attach(uint16_t first, uint16_t identifiers)
{
	struct sock_filter filter[GRANT_ECHO_FILTER];
	const struct sock_fprog program = {GRANT_ECHO_FILTER, filter};

	grant_echo_filter(filter, first, identifiers);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
	cr_assert_eq(
		setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
}

static bool passes(uint8_t begins, uint8_t type, uint16_t identifier, size_t n)
{
	uint8_t packet[PACKET] = {0}, got[PACKET];

	packet[0] = begins;
	packet[20] = type;
	packet[24] = (uint8_t)(identifier >> 8);
	packet[25] = (uint8_t)identifier;
	cr_assert_eq(send(pair[0], packet, n, 0), (ssize_t)n);
	return recv(pair[1], got, sizeof(got), 0) == (ssize_t)n;
}

Test(grant_echo, answers_to_its_own_identifiers_and_nothing_else)
{
	unsigned int type;

	attach(FIRST, IDENTIFIERS);
	cr_expect(passes(0x45, 0, FIRST, PACKET));
	cr_expect(passes(0x45, 0, FIRST + IDENTIFIERS - 1, PACKET));
	cr_expect_not(passes(0x45, 0, FIRST - 1, PACKET));
	cr_expect_not(passes(0x45, 0, FIRST + IDENTIFIERS, PACKET));
	cr_expect_not(passes(0x46, 0, FIRST, PACKET), "options");
	cr_expect_not(passes(0x65, 0, FIRST, PACKET), "not IPv4");
	for (type = 1; type < 256; type++)
		cr_expect_not(passes(0x45, (uint8_t)type, FIRST, PACKET), "type %u", type);
	cr_expect_not(passes(0x45, 0, FIRST, 25), "cut short");
}

Test(grant_echo, the_last_block_ends_with_the_numbers)
{
	attach(UINT16_MAX - IDENTIFIERS + 1, IDENTIFIERS);
	cr_expect(passes(0x45, 0, UINT16_MAX, PACKET));
	cr_expect_not(passes(0x45, 0, 0, PACKET));
}
