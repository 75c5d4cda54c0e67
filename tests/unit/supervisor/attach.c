/* Targets of `attach` that need no privileges: what is no number of a descriptor is none. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach.h"

static int open_target(const char *target, struct port_offer *offer)
{
	struct trouble t = {0};
	return attach_open(target, "default", 1500, offer, &t);
}

Test(attach, a_descriptor_by_number)
{
	struct port_offer offer;
	char target[32];
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	snprintf(target, sizeof(target), "fd:%d", pair[0]);
	cr_assert_eq(open_target(target, &offer), 0);
	cr_assert_neq(offer.fd, pair[0], "a copy");
	close(offer.fd);
	/* 2^32 more is the same number in 32 bits */
	snprintf(target, sizeof(target), "fd:%llu", (1ull << 32) + (unsigned int)pair[0]);
	cr_assert_lt(open_target(target, &offer), 0);
	close(pair[0]);
	close(pair[1]);
}

Test(attach, no_numbers)
{
	static const char *const wrong[] = {
		"fd:", "fd:-1", "fd: 0", "fd:0x0", "fd:2147483648", "fd:99999999999999999999"};
	struct port_offer offer;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_expect_lt(open_target(wrong[i], &offer), 0, "%s", wrong[i]);
}
